"""Sends the answer to CloudFormation: exactly one, within the size limit, with retries.

`ResponseURL` is presigned: everyone who reads it can answer in place of this function. It is never logged. Exceptions
of the HTTP client are not logged either, because their text may contain it.
"""

import http.client
import json
import logging
import threading
import time
from typing import Any
from urllib.parse import urlsplit

logger = logging.getLogger()

# CloudFormation User Guide, Custom resource response objects.
BODY_LIMIT = 4096
ATTEMPTS = 5
# The whole exchange is a few hundred bytes; a healthy one takes well under a second.
ATTEMPT_SECONDS = 8.0
FIRST_PAUSE_SECONDS = 0.3

# The id of a resource whose creation failed; its deletion deletes as much as possible.
NEVER_CREATED = "site-content:none"


class NotDeliveredError(Exception):
    """Raised out of the handler on purpose: Lambda then invokes again, and every step can be repeated."""


class Answer:
    """The single answer to one event."""

    def __init__(self, event: dict[str, Any], context: Any) -> None:
        self._event = event
        self._context = context
        self._given = threading.Lock()

    def seconds_left(self) -> float:
        left: float = self._context.get_remaining_time_in_millis() / 1000
        return left

    def succeeded(self, physical_id: str, data: dict[str, str]) -> None:
        self._give("SUCCESS", "", physical_id, data)

    def failed(self, reason: str) -> None:
        # After another id CloudFormation would delete the resource of the old one.
        physical_id = self._event.get("PhysicalResourceId") or NEVER_CREATED
        where = f"{self._context.log_group_name} {self._context.log_stream_name} {self._context.aws_request_id}"
        self._give("FAILED", f"{_cut(reason, 1200)} (log: {where})", physical_id, {})

    def _give(self, status: str, reason: str, physical_id: str, data: dict[str, str]) -> None:
        if not self._given.acquire(blocking=False):
            logger.warning("%s comes after another answer and is not sent", status)
            return
        answer = {"Status": status, "PhysicalResourceId": physical_id, "Data": data, "NoEcho": False}
        answer |= {name: self._event.get(name, "") for name in ("StackId", "RequestId", "LogicalResourceId")}
        if reason:
            answer["Reason"] = reason
        body = json.dumps(answer).encode()
        if len(body) > BODY_LIMIT:
            # A short reason is better than none. All other fields are always short.
            answer |= {"Reason": _cut(reason, 200), "Data": {}}
            body = json.dumps(answer).encode()
        self._deliver(body)
        logger.info("answered %s", status)

    def _deliver(self, body: bytes) -> None:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            left = self.seconds_left() - 0.5
            if left <= 0:
                break
            problem = _put(self._event["ResponseURL"], body, min(left, ATTEMPT_SECONDS))
            if problem is None:
                return
            logger.warning("attempt %d to answer: %s", attempt, problem)
            # A retry with an expired or used URL is useless.
            if problem.startswith("4") or attempt == ATTEMPTS:
                break
            time.sleep(max(0.0, min(pause, self.seconds_left() - 0.5)))
            pause *= 2
        raise NotDeliveredError("CloudFormation did not accept the answer; the warnings above contain the reason")


def _put(url: str, body: bytes, timeout: float) -> str | None:
    """Send the answer. Return the error or None. (urllib.request follows redirects, and its errors have the URL.)"""
    kinds = {"https": http.client.HTTPSConnection, "http": http.client.HTTPConnection}
    try:
        parts = urlsplit(url)
        connection = kinds[parts.scheme](parts.hostname or "", parts.port, timeout=timeout)
    except (KeyError, ValueError):
        return "400 not a web address"
    try:
        # The signature covers an empty content type, and path and query exactly as they came.
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("PUT", target, body, {"Content-Type": "", "Content-Length": str(len(body))})
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()
    return None if 200 <= status < 300 else str(status)


def _cut(text: str, limit: int) -> str:
    """Shorten a text by its encoded length: a Japanese character is six bytes of JSON."""
    while len(json.dumps(text)) > limit:
        text = text[: len(text) * 9 // 10] + "..." if len(text) > 10 else text[:1]
    return text
