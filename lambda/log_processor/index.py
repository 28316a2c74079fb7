"""Firehose transformation: records of CloudWatch Logs become compressed and redacted lines.

This is the adapter. `records` knows the formats. `redact`, a shared module that packaging adds, finds secrets.
"""

import logging
import os
from typing import Any

from records import transform
from redact import Redactor

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# Created at the start, so that an unknown category stops the function before it archives unredacted lines.
_redactor = Redactor.named(os.environ.get("REDACT", ""))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Transform the records of one Firehose event."""
    answer = transform(event["records"], _redactor)
    for failure in answer.failures:
        # The content is never logged, because it is not redacted.
        logger.error("record %s is delivered to the error prefix: %s", failure.record_id, failure.reason)
    logger.info(
        "%d records: %d lines archived, %d values redacted, %d control messages, %d failed",
        len(answer.records),
        answer.lines,
        answer.redacted,
        answer.dropped,
        len(answer.failures),
    )
    return {"records": answer.records}
