"""Custom::SiteContent: the site's first pages, and an empty bucket when the stack goes.

CloudFormation waits for an answer until its own timeout, so there is one on every path: also on a bug, on a
denied call, and shortly before Lambda would end the function. What is not needed for answering is imported
where a failure to import it is answered too.
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
    answer = Answer(event, context)
    logger.info("%s of %s in %s", event.get("RequestType"), event.get("LogicalResourceId"), event.get("StackId"))
    alarm = threading.Timer(max(0.0, answer.seconds_left() - MARGIN_SECONDS), _too_late, [answer])
    alarm.daemon = True
    alarm.start()
    try:
        from content import apply

        outcome = apply(event, lambda: answer.seconds_left() - MARGIN_SECONDS - 1)
    except Exception as error:
        # Whatever it is: silence would block the stack until its timeout.
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
        answer.failed("The function ran out of time; what it did is kept, so trying again continues there.")
    except Exception:
        # Nobody waits for this thread: without a line in the log the loss would be silent.
        logger.exception("and the answer was not delivered")
