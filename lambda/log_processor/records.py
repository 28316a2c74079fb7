"""From Firehose records to Firehose records; each is answered exactly once and none can fail the others.

A kept record becomes one gzip member with one JSON line per log event. Members laid end to end are one valid
gzip file (RFC 1952, 2.2), so Firehose only has to concatenate, uncompressed, under the extension `.json.gz`.
Answering with plain text instead would not fit Lambda's payload: 0.9 MB of records can unpack to 15 MB.
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

# Lambda takes an answer of 6 MB at most, ids and punctuation included (Lambda quotas, synchronous payload).
ANSWER_LIMIT = 6_000_000
# Beside its data a record of the answer carries its id and the names of the fields.
_OVERHEAD = 100

_quote = json.encoder.encode_basestring  # leaves Japanese as it is, where dumps by default would triple it


@dataclass(frozen=True)
class Failure:
    record_id: str
    reason: str


@dataclass
class Answer:
    records: list[dict[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    lines: int = 0
    redacted: int = 0
    dropped: int = 0


def transform(records: Iterable[dict[str, Any]], redactor: Redactor, limit: int = ANSWER_LIMIT) -> Answer:
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
        except Exception as error:  # noqa: BLE001 - a record nobody thought of must not take the others with it
            # Firehose writes the record as it came under the error prefix: nothing is lost, and nothing of it
            # is repeated here.
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
    """The batch as one gzip member, without ever holding all its lines."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: with gzip's header, whose time is zero
    parts, lines, redacted = [], 0, 0
    for line, hidden in _lines(batch, redactor):
        # A lone surrogate, legal in JSON, has no UTF-8; backslashreplace writes it as JSON would.
        if packed := packer.compress(line.encode("utf-8", "backslashreplace")):
            parts.append(packed)
        lines += 1
        redacted += hidden
    parts.append(packer.flush())
    return b"".join(parts), lines, redacted


def _lines(batch: Batch, redactor: Redactor) -> Iterator[tuple[str, int]]:
    origin = f',"group":{_quote(batch.group)},"stream":{_quote(batch.stream)},"message":'
    known, text = -1, ""
    for event in batch.events:
        second, millisecond = divmod(event["timestamp"], 1000)
        if second != known:  # many events share their second, and formatting it is the dearest step
            known, text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        message, hidden = redactor(event["message"])
        yield f'{{"time":"{text}.{millisecond:03d}Z"{origin}{_quote(message)}}}\n', hidden
