"""Firehose transformation: receives records of CloudWatch Logs and returns redacted, compressed lines.

This module is the adapter. `records` contains the formats. `redact`, a shared module that packaging adds, contains the
patterns of secrets.
"""

import logging
import os
from typing import Any

from records import transform
from redact import Redactor

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# Created during init, so that an unknown category fails the function before it archives a secret.
_redactor = Redactor.named(os.environ.get("REDACT", ""))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return one transformed record for each record, and log the counts."""
    answer = transform(event["records"], _redactor)
    for failure in answer.failures:
        # The content is not logged: it could not be redacted.
        # A metric filter counts these lines (generator/layers/log_archive.py): a rejected record is no error of Lambda.
        logger.error("record rejected: %s is sent to the error prefix: %s", failure.record_id, failure.reason)
    logger.info(
        "%d records: %d lines archived (%d of an unexpected shape), %d values redacted, %d control messages, %d failed",
        len(answer.records),
        answer.lines,
        answer.odd,
        answer.redacted,
        answer.dropped,
        len(answer.failures),
    )
    return {"records": answer.records}
