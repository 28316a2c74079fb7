"""Answers API operations that MiniStack lacks or answers incompletely, before MiniStack routes the request.

The name of an operation is `Target.Operation` in the JSON protocols (as in X-Amz-Target), `service:Action` in the Query
protocol and `service:METHOD /path` in REST. Its function gets the parameters and returns the answer. It may call
MiniStack's own implementation through `proceed` and correct that answer.
"""

from __future__ import annotations

import inspect
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from ministack import app

from hosting.rehearsal.ministack_patch.patching import record, set_attribute

Reply = tuple[int, dict[str, str], Any]
Proceed = Callable[[], Awaitable[Reply]]
Operation = Callable[..., Any]

OPERATIONS: dict[str, Operation] = {}

_dispatch = app._dispatch_service_request


class RefusedError(Exception):
    """The error answer of an operation, with the code that the SDK turns into an exception."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register the decorated function as the implementation of an API operation."""

    def add(function: Operation) -> Operation:
        OPERATIONS[name] = function
        record(name)
        return function

    return add


def install() -> None:
    set_attribute(app, "_dispatch_service_request", dispatch)


async def dispatch(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
) -> Reply:
    """Answer a request by its operation in OPERATIONS, or by MiniStack if there is none."""
    name, parameters = identify(method, path, headers, body)
    function = OPERATIONS.get(name)

    async def proceed() -> Reply:
        reply: Reply = await _dispatch(method, path, headers, body, query_params, request_id)
        return reply

    if function is None:
        return await proceed()
    try:
        result = function(parameters, proceed)
        if inspect.isawaitable(result):
            result = await result
    except RefusedError as refusal:
        return error_reply(refusal)
    if isinstance(result, tuple):
        return result
    if path == "/" and not headers.get("x-amz-target"):
        return query_reply(name.partition(":")[2], result)
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(result, default=str).encode()


def identify(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the operation's name in the spelling of this module, and its parameters."""
    if target := headers.get("x-amz-target", ""):
        return target, parse_json(body)
    scope = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", headers.get("authorization", ""))
    service = scope[1] if scope else ""
    if method == "POST" and path == "/" and headers.get("content-type", "").startswith("application/x-www-form"):
        form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        return f"{service}:{(form.get('Action') or [''])[0]}", form
    if service in ("chatbot",):
        return f"{service}:{method} {path}", parse_json(body)
    return "", {}


def parse_json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def error_reply(refusal: RefusedError) -> Reply:
    payload = {"__type": refusal.code, "message": str(refusal), "Message": str(refusal)}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": refusal.code}
    return refusal.status, headers, json.dumps(payload).encode()


def query_reply(action: str, result: str) -> Reply:
    """Return an answer of the Query protocol around the operation's XML."""
    xml = (
        f"<{action}Response><{action}Result>{result}</{action}Result>"
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return 200, {"Content-Type": "text/xml"}, xml.encode()
