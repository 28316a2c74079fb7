"""Custom::SiteContent: writes the site's first pages, and empties the bucket when the stack is deleted.

CloudFormation waits for an answer until its own timeout. Every path therefore answers: after a bug, after a denied
call, and shortly before Lambda ends the function. Modules that are not necessary for answering are imported where a
failed import is answered too.
"""

import logging
import threading
from typing import Any

from answer import Answer

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# Before the deadline: one attempt to answer, and one more should the first connection be dropped.
MARGIN_SECONDS = 5.0


def handler(event: dict[str, Any], context: Any) -> None:
    """Carry out one request of CloudFormation and answer it."""
    answer = Answer(event, context)
    logger.info("%s of %s in %s", event.get("RequestType"), event.get("LogicalResourceId"), event.get("StackId"))
    alarm = threading.Timer(max(0.0, answer.seconds_left() - MARGIN_SECONDS), _too_late, [answer])
    alarm.daemon = True
    alarm.start()
    try:
        from content import apply

        outcome = apply(event, lambda: answer.seconds_left() - MARGIN_SECONDS - 1)
    except Exception as error:
        # Every error is answered, because without an answer the stack would wait until its timeout.
        logger.exception("failed")
        answer.failed(f"{type(error).__name__}: {error}")
    else:
        logger.info("%s", outcome)
        answer.succeeded(outcome.physical_id, outcome.data)
    finally:
        alarm.cancel()


def _too_late(answer: Answer) -> None:
    logger.error("out of time")
    try:
        answer.failed("The function ran out of time. A retry continues where it stopped.")
    except Exception:
        # No caller sees an exception of this thread, so it is logged.
        logger.exception("and the answer was not delivered")
