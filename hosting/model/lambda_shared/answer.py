"""Response of a custom resource to CloudFormation: exactly one, within the size limit, retried after errors.

CloudFormation waits for a response until its own timeout. So a function responds on every path: also after a bug or a
denied call, and shortly before Lambda ends the invocation.

`ResponseURL` is presigned: every reader of it can respond for this function. So neither the URL nor the text of an
exception of the HTTP client, which may contain the URL, is logged.
"""

import http.client
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

logger = logging.getLogger()

# CloudFormation User Guide, Custom resource response objects.
BODY_LIMIT = 4096
ATTEMPTS = 5
# Request and response have a few hundred bytes. They usually take far less than a second.
ATTEMPT_SECONDS = 8.0
FIRST_PAUSE_SECONDS = 0.3

# Time before the deadline for one attempt to respond, and one more if the first connection is dropped.
MARGIN_SECONDS = 5.0


class NotDeliveredError(Exception):
    """CloudFormation did not accept the response.

    The handler does not catch this error, so that Lambda retries the invocation. Every step can be repeated.
    """


@dataclass(frozen=True)
class Outcome:
    """The resource's physical id and attributes after a request."""

    physical_id: str
    data: dict[str, str]


Apply = Callable[[Callable[[], float]], Outcome | None]


def respond(event: dict[str, Any], context: Any, never_created: str, apply: Apply) -> None:
    """Apply a request of CloudFormation and send exactly one response. Raises NotDeliveredError.

    `apply` gets a function that returns the seconds it may take. Without an outcome another invocation will respond.
    `never_created` is the physical id of a resource whose creation failed.
    """
    answer = Answer(event, context, never_created)
    logger.info("%s of %s in %s", event.get("RequestType"), event.get("LogicalResourceId"), event.get("StackId"))
    alarm = threading.Timer(max(0.0, answer.seconds_left() - MARGIN_SECONDS), _too_late, [answer])
    alarm.daemon = True
    alarm.start()
    try:
        outcome = apply(lambda: answer.seconds_left() - MARGIN_SECONDS - 1)
    except Exception as error:
        # Every error is reported: without a response the stack would wait until its timeout.
        logger.exception("the request failed")
        answer.failed(f"{type(error).__name__}: {error}")
    else:
        logger.info("%s", outcome)
        if outcome is not None:
            answer.succeeded(outcome.physical_id, outcome.data)
    finally:
        alarm.cancel()


class Answer:
    """The response to one request. Only the first one is sent."""

    def __init__(self, event: dict[str, Any], context: Any, never_created: str) -> None:
        self._event = event
        self._context = context
        self._never_created = never_created
        self._given = threading.Lock()

    def seconds_left(self) -> float:
        """Return the seconds until Lambda ends the invocation."""
        left: float = self._context.get_remaining_time_in_millis() / 1000
        return left

    def succeeded(self, physical_id: str, data: dict[str, str]) -> None:
        """Send SUCCESS with the attributes of the resource."""
        self._give("SUCCESS", "", physical_id, data)

    def failed(self, reason: str) -> None:
        """Send FAILED with the reason and the place of this invocation's log."""
        # If the id changes, CloudFormation deletes the resource of the old id.
        physical_id = self._event.get("PhysicalResourceId") or self._never_created
        where = f"{self._context.log_group_name} {self._context.log_stream_name} {self._context.aws_request_id}"
        self._give("FAILED", f"{_cut(reason, 1200)} (log: {where})", physical_id, {})

    def _give(self, status: str, reason: str, physical_id: str, data: dict[str, str]) -> None:
        if not self._given.acquire(blocking=False):
            logger.warning("response %s is not sent: another response was sent before", status)
            return
        answer = {"Status": status, "PhysicalResourceId": physical_id, "Data": data, "NoEcho": False}
        answer |= {name: self._event.get(name, "") for name in ("StackId", "RequestId", "LogicalResourceId")}
        if reason:
            answer["Reason"] = reason
        body = json.dumps(answer).encode()
        if len(body) > BODY_LIMIT:
            # Only the reason and the data can be long. A short reason is better than none.
            answer |= {"Reason": _cut(reason, 200), "Data": {}}
            body = json.dumps(answer).encode()
        self._deliver(body)
        logger.info("response %s sent", status)

    def _deliver(self, body: bytes) -> None:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            left = self.seconds_left() - 0.5
            if left <= 0:
                break
            problem = _put(self._event["ResponseURL"], body, min(left, ATTEMPT_SECONDS))
            if problem is None:
                return
            logger.warning("attempt %d to send the response failed: %s", attempt, problem)
            # A retry cannot succeed after 4xx, such as 403 for an expired URL.
            if problem.startswith("4") or attempt == ATTEMPTS:
                break
            time.sleep(max(0.0, min(pause, self.seconds_left() - 0.5)))
            pause *= 2
        raise NotDeliveredError(
            "the response has not been delivered: CloudFormation did not accept it. Read the warnings before this line."
        )


def _too_late(answer: Answer) -> None:
    """Respond FAILED shortly before the deadline."""
    logger.error("the function ran out of time")
    try:
        answer.failed("the function ran out of time: its finished steps are kept. Try again to continue after them.")
    except Exception:
        # No thread waits for this one. Without this line an exception here would be invisible.
        logger.exception("the response has not been delivered")


def _put(url: str, body: bytes, timeout: float) -> str | None:
    """Send the body with one PUT. Return None, or the status or the exception's name if it failed.

    urllib.request is unsuitable: it follows redirects, and its errors contain the URL.
    """
    kinds = {"https": http.client.HTTPSConnection, "http": http.client.HTTPConnection}
    try:
        parts = urlsplit(url)
        connection = kinds[parts.scheme](parts.hostname or "", parts.port, timeout=timeout)
    except (KeyError, ValueError):
        return "400 not an HTTP URL"
    try:
        # The signature covers an empty content type, and the unchanged path and query.
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("PUT", target, body, {"Content-Type": "", "Content-Length": str(len(body))})
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return None if 200 <= status < 300 else str(status)


def _cut(text: str, limit: int) -> str:
    """Shorten a text to a limit of encoded bytes. A Japanese character has six bytes in JSON."""
    while len(json.dumps(text)) > limit:
        text = text[: len(text) * 9 // 10] + "..." if len(text) > 10 else text[:1]
    return text
