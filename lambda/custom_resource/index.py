"""Custom::SiteContent: writes the site's first pages, and empties the bucket when its stack is deleted.

CloudFormation waits for a response until its own timeout. So this function responds on every path: also after a bug
or a denied call, and shortly before Lambda ends the invocation. Modules that the response does not need are imported
inside `try`, so that a failed import is reported, too.
"""

import logging
import threading
from typing import Any

from answer import Answer

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# Time before the deadline for one attempt to respond, and one more if the first connection is dropped.
MARGIN_SECONDS = 5.0


def handler(event: dict[str, Any], context: Any) -> None:
    """Apply a request of CloudFormation and send exactly one response. Raises NotDeliveredError."""
    answer = Answer(event, context)
    logger.info("%s of %s in %s", event.get("RequestType"), event.get("LogicalResourceId"), event.get("StackId"))
    alarm = threading.Timer(max(0.0, answer.seconds_left() - MARGIN_SECONDS), _too_late, [answer])
    alarm.daemon = True
    alarm.start()
    try:
        from content import apply

        outcome = apply(event, lambda: answer.seconds_left() - MARGIN_SECONDS - 1)
    except Exception as error:
        # Every error is reported: without a response the stack would wait until its timeout.
        logger.exception("the request failed")
        answer.failed(f"{type(error).__name__}: {error}")
    else:
        logger.info("%s", outcome)
        answer.succeeded(outcome.physical_id, outcome.data)
    finally:
        alarm.cancel()


def _too_late(answer: Answer) -> None:
    """Respond FAILED shortly before the deadline."""
    logger.error("the function ran out of time")
    try:
        answer.failed("the function ran out of time: its finished steps are kept. Try again to continue after them.")
    except Exception:
        # No thread waits for this one. Without this line an exception here would be invisible.
        logger.exception("the response has not been delivered")
