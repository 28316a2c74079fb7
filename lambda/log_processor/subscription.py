"""Reads the records of a CloudWatch Logs subscription: one gzipped JSON document per record.

The document is read as a stream. A record of a few hundred kilobytes can contain many megabytes of log, and parsing the
whole document takes several times its size in memory.
"""

import codecs
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_CHUNK = 64 * 1024
# Far above the size that CloudWatch Logs sends. A larger record is a decompression bomb.
UNPACKED_LIMIT = 256 * 1024 * 1024
# A log event has at most 1 MB (CloudWatch Logs quotas), and escaping it at most triples that.
VALUE_LIMIT = 4 * 1024 * 1024

_scan = json.JSONDecoder().raw_decode
_blank = re.compile(r"[ \t\r\n]*").match


class BadRecordError(Exception):
    """The record cannot be read. The message contains the reason, never the content."""


@dataclass(frozen=True)
class Batch:
    """`events` can be read once; reading it may still find the record to be damaged."""

    group: str
    stream: str
    control: bool
    events: Iterator[dict[str, Any]]


def read(data: bytes) -> Batch:
    """Return the batch of a record. Raise BadRecordError if it is damaged or of another kind."""
    source = _Text(data)
    header: dict[str, Any] = {}
    events = _document(source, header)
    # Runs up to the first event, which by then has its group and stream before it: that is the order in which
    # CloudWatch Logs writes. A document in another order is read to its end first.
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


def _chain(kept: list[dict[str, Any]], events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    while kept:
        yield kept.pop(0)
    yield from events


def _document(source: "_Text", header: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events, and fill the header with all other values."""
    source.expect("{")
    while source.next_character() != "}":
        if header.get("") is not None:
            source.expect(",")
        header[""] = True  # not the first key any more; the empty name is none of CloudWatch Logs'
        key = source.value()
        source.expect(":")
        if key == "logEvents":
            yield from _list(source)
        else:
            header[str(key)] = source.value()
    source.expect("}")
    if source.next_character():
        raise BadRecordError("something follows the document")


def _list(source: "_Text") -> Iterator[dict[str, Any]]:
    source.expect("[")
    first = True
    while source.next_character() != "]":
        if not first:
            source.expect(",")
        first = False
        yield source.value()
    source.expect("]")


class _Text:
    """A moving window onto the unpacked text."""

    def __init__(self, data: bytes) -> None:
        self._chunks = _unpacked(data)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0
        self._ended = False

    def next_character(self) -> str:
        """Return the next character that is not blank without consuming it; empty at the end."""
        while True:
            found = _blank(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def expect(self, character: str) -> None:
        if self.next_character() != character:
            raise BadRecordError("not JSON, or cut off")
        self._at += 1

    def value(self) -> Any:
        """Consume and return the next JSON value."""
        self.next_character()
        while True:
            try:
                value, end = _scan(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise BadRecordError("not JSON, or cut off") from None
                if len(self._text) - self._at > VALUE_LIMIT:
                    raise BadRecordError("holds a longer value than any log event") from None
            else:
                # A number at the window's very end may go on behind it.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
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
    if data[:1] in (b"{", b"["):  # a stream with Firehose's own decompression switched on
        yield data
        return
    if data[:2] != b"\x1f\x8b":
        raise BadRecordError("neither gzip nor JSON")
    total = 0
    while data:  # one member after the other
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
