"""Reads the records of a CloudWatch Logs subscription: one gzipped JSON document per record.

The document is read as a stream. A record of a few hundred kilobytes can contain many megabytes of log, and parsing
such a document at once needs several times its size in memory.
"""

import codecs
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_CHUNK = 64 * 1024
# Far above the size of a real record of CloudWatch Logs. A larger one is a decompression bomb.
UNPACKED_LIMIT = 256 * 1024 * 1024
# A log event has at most 1 MB (CloudWatch Logs quotas). JSON escapes each control character to six characters.
VALUE_LIMIT = 7 * 1024 * 1024

_scan = json.JSONDecoder().raw_decode
_blank = re.compile(r"[ \t\r\n]*").match


class BadRecordError(Exception):
    """The record cannot be read. The message has the reason and nothing of the record's content."""


@dataclass(frozen=True)
class Batch:
    """A record's origin and events. `events` can be read once. Reading it may raise BadRecordError."""

    group: str
    stream: str
    control: bool
    events: Iterator[Any]


def read(data: bytes) -> Batch:
    """Read a record up to its first event. Raises BadRecordError."""
    source = _Text(data)
    header: dict[str, Any] = {}
    events = _document(source, header)
    # CloudWatch Logs writes group and stream before the events, so the header is complete at the first event. A
    # document in another order is read to its end first.
    first = next(events, None)
    kept = [] if first is None else [first]
    if not {"messageType", "logGroup", "logStream"} <= header.keys():
        kept += events
    kind = header.get("messageType")
    if kind not in ("DATA_MESSAGE", "CONTROL_MESSAGE"):
        raise BadRecordError("not a message of CloudWatch Logs")
    if kind == "CONTROL_MESSAGE":
        return Batch("", "", True, iter(()))
    group, stream = header.get("logGroup"), header.get("logStream")
    if not isinstance(group, str) or not isinstance(stream, str):
        raise BadRecordError("without log group or log stream")
    return Batch(group, stream, False, _chain(kept, events))


def _chain(kept: list[Any], events: Iterator[Any]) -> Iterator[Any]:
    while kept:
        yield kept.pop(0)
    yield from events


def _document(source: "_Text", header: dict[str, Any]) -> Iterator[Any]:
    """Yield the events, and add the other fields to the header."""
    source.expect("{")
    while source.next_character() != "}":
        if header.get("") is not None:
            source.expect(",")
        header[""] = True  # marks that a first key was read; CloudWatch Logs has no field with an empty name
        key = source.value()
        source.expect(":")
        if key == "logEvents":
            yield from _list(source)
        else:
            header[str(key)] = source.value()
    source.expect("}")
    if source.next_character():
        raise BadRecordError("text follows the document")


def _list(source: "_Text") -> Iterator[Any]:
    source.expect("[")
    if source.next_character() != "]":
        yield source.value()
        while source.next_character() == ",":
            source.expect(",")
            yield source.value()
    source.expect("]")


class _Text:
    """The unpacked text as a stream of JSON values. Only the part that is not read yet is held in memory."""

    def __init__(self, data: bytes) -> None:
        self._chunks = _unpacked(data)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._ended = False

    def next_character(self) -> str:
        """Return the next character that is not blank, without reading it. Return "" at the end."""
        while True:
            if (character := self._text[self._at : self._at + 1]) > " ":
                return character
            found = _blank(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def expect(self, character: str) -> None:
        """Read one character. Raises BadRecordError if it is another one."""
        if self._text[self._at : self._at + 1] != character and self.next_character() != character:
            raise BadRecordError("not JSON, or cut off")
        self._at += 1

    def value(self) -> Any:
        """Read one JSON value. Raises BadRecordError if it is damaged or too long."""
        self.next_character()
        while True:
            try:
                value, end = _scan(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise BadRecordError("not JSON, or cut off") from None
                if len(self._text) - self._at > VALUE_LIMIT:
                    raise BadRecordError("contains a value longer than any log event") from None
            else:
                # A number at the end of the held text may continue in the next chunk.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            # Each attempt begins at the start of the value, so the text doubles before the next one.
            wanted = 2 * (len(self._text) - self._at)
            self._more()
            while not self._ended and len(self._text) < wanted:
                self._more()

    def _more(self) -> None:
        try:
            chunk = next(self._chunks, None)
            new = self._decode(chunk or b"", chunk is None)
        except UnicodeDecodeError:
            raise BadRecordError("not UTF-8") from None
        self._ended = chunk is None
        self._text = self._text[self._at :] + new
        self._at = 0


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Yield the content of a record in chunks."""
    if data[:1] in (b"{", b"["):  # Firehose decompresses the records of this stream itself
        yield data
        return
    if data[:2] != b"\x1f\x8b":
        raise BadRecordError("neither gzip nor JSON")
    total = 0
    while data:  # a file may contain more than one member
        unpacker = zlib.decompressobj(31)
        while not unpacker.eof:
            try:
                chunk = unpacker.decompress(data, _CHUNK)
            except zlib.error:
                raise BadRecordError("damaged gzip") from None
            data = unpacker.unconsumed_tail
            total += len(chunk)
            if total > UNPACKED_LIMIT:
                raise BadRecordError("unpacks to more than any real record")
            if chunk:
                yield chunk
            elif not data and not unpacker.eof:
                raise BadRecordError("cut off gzip")
        data = unpacker.unused_data
