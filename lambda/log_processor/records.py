"""Transforms Firehose records. Each record is returned exactly once, and none can fail the other ones.

A kept record becomes one gzip member with one JSON line per log event. Concatenated members are one valid gzip file
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
            member, lines, redacted = _member(batch, redactor)
            data = base64.b64encode(member).decode("ascii")
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
        answer.lines += lines
        answer.redacted += redacted
        answer.records.append({"recordId": record_id, "result": "Ok", "data": data})
    return answer


def _member(batch: Batch, redactor: Redactor) -> tuple[bytes, int, int]:
    """Return the batch as one gzip member, its lines and its redacted values. Only one line is held in memory."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: gzip format. The time in its header is 0.
    parts, lines, redacted = [], 0, 0
    for line, hidden in _lines(batch, redactor):
        # A lone surrogate is valid in JSON and has no UTF-8. backslashreplace writes it in JSON's form.
        if packed := packer.compress(line.encode("utf-8", "backslashreplace")):
            parts.append(packed)
        lines += 1
        redacted += hidden
    parts.append(packer.flush())
    return b"".join(parts), lines, redacted


def _lines(batch: Batch, redactor: Redactor) -> Iterator[tuple[str, int]]:
    """Yield each event as a line of JSON, with the number of redacted values."""
    origin = f',"group":{_quote(batch.group)},"stream":{_quote(batch.stream)},"message":'
    known, text = -1, ""
    for event in batch.events:
        second, millisecond = divmod(event["timestamp"], 1000)
        if second != known:  # many events have the same second, and formatting it is the slowest step
            known, text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        message, hidden = redactor(event["message"])
        yield f'{{"time":"{text}.{millisecond:03d}Z"{origin}{_quote(message)}}}\n', hidden
