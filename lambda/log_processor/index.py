"""Firehose transformation: records of CloudWatch Logs in, compressed and redacted lines out.

The adapter only: `records` knows the formats. `redact`, a shared module that packaging adds, knows what is a secret.
"""

import logging
import os
from typing import Any

from records import transform
from redact import Redactor

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# Made at start, so that a misspelt category stops the function at once instead of archiving what it should hide.
_redactor = Redactor.named(os.environ.get("REDACT", ""))


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    answer = transform(event["records"], _redactor)
    for failure in answer.failures:
        # Never the content: it is what could not be redacted.
        logger.error("record %s goes to the error prefix: %s", failure.record_id, failure.reason)
    logger.info(
        "%d records: %d lines archived, %d values redacted, %d control messages, %d failed",
        len(answer.records),
        answer.lines,
        answer.redacted,
        answer.dropped,
        len(answer.failures),
    )
    return {"records": answer.records}
