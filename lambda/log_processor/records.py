"""Transforms Firehose records. Each record is returned exactly once, and none can fail the other ones.

A kept record becomes one gzip member with one JSON line per log event. A line has the id of its event: Firehose
delivers a record at least once, and readers use the id to remove copies. Concatenated members are one valid gzip file
(RFC 1952, 2.2). So Firehose concatenates them without compression and adds the extension `.json.gz`. Plain text would
exceed Lambda's payload limit: 0.9 MB of records can unpack to 15 MB.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from redact import Redactor
from subscription import BadRecordError, Batch, read

# A response of Lambda has at most 6 MB, ids and punctuation included (Lambda quotas, synchronous payload).
ANSWER_LIMIT = 6_000_000
# Besides its data, a returned record contains the names of the fields.
_OVERHEAD = 100
# Lines are compressed in parts of about this size. One call for each line takes twice as long.
_PART = 64 * 1024

_quote = json.encoder.encode_basestring  # keeps Japanese in UTF-8: `dumps` would escape it to three times the size


@dataclass(frozen=True)
class Failure:
    """A record that Firehose writes to the error prefix, and the reason."""

    record_id: str
    reason: str


@dataclass
class Answer:
    """The records for Firehose, and the counts for the log."""

    records: list[dict[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    lines: int = 0
    redacted: int = 0
    odd: int = 0
    dropped: int = 0


def transform(records: Iterable[dict[str, Any]], redactor: Redactor, limit: int = ANSWER_LIMIT) -> Answer:
    """Transform each record to Ok, Dropped or ProcessingFailed. The whole answer has at most `limit` bytes."""
    answer = Answer()
    left = limit
    for record in records:
        record_id = record["recordId"]
        left -= len(record_id) + _OVERHEAD
        try:
            batch = read(base64.b64decode(record["data"]))
            if batch.control:
                answer.dropped += 1
                answer.records.append({"recordId": record_id, "result": "Dropped"})
                continue
            member = _Member(batch, redactor)
            data = base64.b64encode(member.content).decode("ascii")
            if len(data) > left:
                raise BadRecordError("the answer would exceed Lambda's payload limit")
        except Exception as error:  # noqa: BLE001 - a record of an unexpected shape must not fail the other ones
            # Firehose writes the unchanged record under the error prefix, so no log line is lost. The reason contains
            # nothing of the record's content.
            reason = str(error) if isinstance(error, BadRecordError) else f"unexpected shape ({type(error).__name__})"
            answer.failures.append(Failure(record_id, reason))
            answer.records.append({"recordId": record_id, "result": "ProcessingFailed"})
            continue
        left -= len(data)
        answer.lines += member.lines
        answer.redacted += member.redacted
        answer.odd += member.odd
        answer.records.append({"recordId": record_id, "result": "Ok", "data": data})
    return answer


class _Member:
    """A batch as one gzip member. Only a part of its lines is held in memory."""

    def __init__(self, batch: Batch, redactor: Redactor) -> None:
        self.lines = self.redacted = self.odd = 0
        self._redact = redactor.for_stream()
        self._origin = f',"group":{_quote(batch.group)},"stream":{_quote(batch.stream)},"message":'
        self._second, self._text = -1, ""
        self.content = b"".join(self._parts(batch.events))

    def _parts(self, events: Iterator[Any]) -> Iterator[bytes]:
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: gzip format. The time in its header is 0.
        lines: list[str] = []
        size = 0
        for event in events:
            line = self._line(event)
            lines.append(line)
            size += len(line)
            if size > _PART:
                yield packer.compress(_encode(lines))
                self.lines += len(lines)
                lines, size = [], 0
        yield packer.compress(_encode(lines))
        self.lines += len(lines)
        yield packer.flush()

    def _line(self, event: Any) -> str:
        """Return an event as a line of JSON. An event of another shape is the message of its line, as JSON."""
        try:
            time, event_id, message = self._time(event["timestamp"]), _quote(event["id"]), event["message"]
            message, hidden = self._redact(message)
        except Exception:  # noqa: BLE001 - an event of an unexpected shape must not fail the other ones of its record
            self.odd += 1
            time, event_id = "null", "null"
            message, hidden = self._redact(json.dumps(event, ensure_ascii=False))
        self.redacted += hidden
        return f'{{"time":{time},"id":{event_id}{self._origin}{_quote(message)}}}\n'

    def _time(self, timestamp: int) -> str:
        second, millisecond = divmod(timestamp, 1000)
        if second != self._second:  # many events have the same second, and formatting it is the slowest step
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        return f'"{self._text}.{millisecond:03d}Z"'


def _encode(lines: list[str]) -> bytes:
    # A lone surrogate is valid in JSON and has no UTF-8. backslashreplace writes it in JSON's form.
    return "".join(lines).encode("utf-8", "backslashreplace")
