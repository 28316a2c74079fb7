"""Operations that MiniStack's services do not have, answered before it routes a request.

An operation is named `Target.Operation` for the JSON protocols (as in X-Amz-Target), `service:Action` for
the Query protocol and `service:METHOD /path` for REST. It gets the parameters and answers a value; or it asks
MiniStack first, through `proceed`, and corrects the answer.
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

Reply = tuple[int, dict[str, str], Any]
Proceed = Callable[[], Awaitable[Reply]]
Operation = Callable[..., Any]

OPERATIONS: dict[str, Operation] = {}

_dispatch = app._dispatch_service_request


class RefusedError(Exception):
    """An operation's error, with the code the SDK turns into an exception."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def operation(name: str) -> Callable[[Operation], Operation]:
    def add(function: Operation) -> Operation:
        OPERATIONS[name] = function
        return function

    return add


def install() -> None:
    app._dispatch_service_request = dispatch


async def dispatch(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
) -> Reply:
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
        return error(refusal)
    if isinstance(result, tuple):
        return result
    if path == "/" and not headers.get("x-amz-target"):
        return query_reply(name.partition(":")[2], result)
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(result, default=str).encode()


def identify(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[str, dict[str, Any]]:
    """The operation's name in this module's spelling, and its parameters."""
    if target := headers.get("x-amz-target", ""):
        return target, parsed(body)
    scope = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", headers.get("authorization", ""))
    service = scope[1] if scope else ""
    if method == "POST" and path == "/" and headers.get("content-type", "").startswith("application/x-www-form"):
        form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        return f"{service}:{(form.get('Action') or [''])[0]}", form
    if service in ("chatbot",):
        return f"{service}:{method} {path}", parsed(body)
    return "", {}


def parsed(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def error(refusal: RefusedError) -> Reply:
    payload = {"__type": refusal.code, "message": str(refusal), "Message": str(refusal)}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": refusal.code}
    return refusal.status, headers, json.dumps(payload).encode()


def query_reply(action: str, result: str) -> Reply:
    """A Query answer around XML that the operation wrote."""
    xml = (
        f"<{action}Response><{action}Result>{result}</{action}Result>"
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return 200, {"Content-Type": "text/xml"}, xml.encode()
