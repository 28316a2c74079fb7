"""CloudFront Functions, executed by QuickJS within the limits that CloudFront sets.

Amazon CloudFront Developer Guide, "CloudFront Functions event structure" and "Restrictions on all edge functions".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hosting.edge_simulator.errors import ConfigurationError
from hosting.edge_simulator.messages import Headers, Request, Response, respond
from hosting.model.tokens import Json

SIZE_LIMIT = 10 * 1024
MEMORY_LIMIT = 2 * 1024 * 1024
# CloudFront measures compute utilization. A function that runs longer than this is far above its limit.
_SECONDS = 1
# Adding one of these headers is an error.
_DISALLOWED = frozenset({
    "connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "trailer",
    "upgrade", "x-accel-buffering", "x-accel-charset", "x-accel-limit-rate", "x-accel-redirect", "x-amzn-auth",
    "x-amzn-cf-billing", "x-amzn-cf-id", "x-amzn-cf-xff", "x-amzn-errortype", "x-amzn-fle-profile",
    "x-amzn-header-count", "x-amzn-header-order", "x-amzn-lambda-integration-tag", "x-amzn-requestid", "x-cache",
    "x-forwarded-proto", "x-real-ip",
})  # fmt: skip
_DISALLOWED_PREFIXES = ("x-amz-cf-", "x-edge-")
# Changing one of these headers is an error.
_READ_ONLY = {
    "viewer-request": frozenset({"content-length", "host", "transfer-encoding", "via"}),
    "viewer-response": frozenset({"warning", "via"}),
}
_COOKIE = re.compile(r"\s*([^=;]+)=([^;]*)")
_CALL = """
globalThis.console = {log() {}, error() {}};
globalThis.__result = undefined;
Promise.resolve().then(() => handler(JSON.parse(__event))).then(
  result => { __result = JSON.stringify({value: result}); },
  error => { __result = JSON.stringify({error: String(error)}); });
"""


class FunctionError(Exception):
    """A function failed: 503 for an error of its code, 502 for a result that CloudFront does not accept."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class EdgeFunction:
    """A function of CloudFront for one event."""

    name: str
    code: str
    runtime: str
    event: str
    domain: str

    def __post_init__(self) -> None:
        """Raise ConfigurationError for code that CloudFront does not accept."""
        if len(self.code.encode()) > SIZE_LIMIT:
            raise ConfigurationError(self.name, f"the function is larger than {SIZE_LIMIT} bytes")
        if self.event not in _READ_ONLY:
            raise ConfigurationError(self.name, f"CloudFront Functions have no event {self.event}")
        if self.runtime not in {"cloudfront-js-1.0", "cloudfront-js-2.0"}:
            raise ConfigurationError(self.name, f"runtime {self.runtime} is unknown")
        if re.search(r"^\s*import\b|\brequire\s*\(", self.code, re.MULTILINE):
            raise ConfigurationError(self.name, "the simulator does not model modules of the runtime")

    def on_request(self, request: Request) -> Request | Response:
        """Return the request as the function changes it, or the response that the function creates."""
        before = _request_event(request)
        result = self._run(request, {"request": before})
        if "statusCode" in result:
            return _generated(result)
        return self._changed_request(request, before, result)

    def on_response(self, request: Request, response: Response) -> None:
        """Change the headers and the status of a response."""
        before = _response_event(response)
        result = self._run(request, {"request": _request_event(request), "response": before})
        headers = self._checked_headers(before["headers"], result.get("headers"))
        _add_set_cookies(headers, result.get("cookies") or {})
        response.headers = headers
        response.status = _status(result)

    def _run(self, request: Request, messages: Mapping[str, Json]) -> dict[str, Any]:
        """Call the handler, and return its result. Raises FunctionError."""
        import quickjs

        event = {
            "version": "1.0",
            "context": {
                "distributionDomainName": self.domain,
                "distributionId": "EDFDVBD6EXAMPLE",
                "eventType": self.event,
                "requestId": "example-request-id",
            },
            "viewer": {"ip": request.client},
            **messages,
        }
        context = quickjs.Context()
        context.set_memory_limit(MEMORY_LIMIT)
        context.set_time_limit(_SECONDS)
        try:
            context.eval(self.code)
            context.set("__event", json.dumps(event))
            context.eval(_CALL)
            while context.execute_pending_job():
                pass
            answer = json.loads(context.get("__result") or '{"error": "the promise of the handler is pending"}')
        except quickjs.JSException as error:
            raise FunctionError(503, f"{self.name}: {error}") from error
        if "error" in answer:
            raise FunctionError(503, f"{self.name}: {answer['error']}")
        if not isinstance(answer.get("value"), dict):
            raise FunctionError(502, f"{self.name} returns neither a request nor a response")
        result: dict[str, Any] = answer["value"]
        return result

    def _changed_request(self, request: Request, before: Mapping[str, Json], result: Mapping[str, Json]) -> Request:
        if result.get("method") != request.method:
            raise FunctionError(502, f"{self.name} changes the method")
        uri = result.get("uri")
        if not isinstance(uri, str) or not uri.startswith("/"):
            raise FunctionError(502, f"{self.name} returns the URI {uri!r}")
        headers = self._checked_headers(before["headers"], result.get("headers"))
        if cookies := _cookie_header(result.get("cookies") or {}):
            headers.add("Cookie", cookies)
        changed = result.get("querystring") != before["querystring"]
        query = _query_text(result.get("querystring") or {}) if changed else request.query
        changed_request = request.with_headers(headers)
        changed_request.target = uri + (f"?{query}" if query else "")
        return changed_request

    def _checked_headers(self, before: Mapping[str, Json], after: Json) -> Headers:
        """Return the headers of a result. Raises FunctionError for a header that the function may not set."""
        if not isinstance(after, dict):
            raise FunctionError(502, f"{self.name} returns no headers")
        read_only = _READ_ONLY[self.event]
        for name in {*before, *after}:
            if before.get(name) == after.get(name):
                continue
            if name in read_only:
                raise FunctionError(502, f"{self.name} changes the read-only header {name}")
            if name in after and (name.lower() in _DISALLOWED or name.lower().startswith(_DISALLOWED_PREFIXES)):
                raise FunctionError(502, f"{self.name} sets the disallowed header {name}")
        return _headers(self.name, after)


def _values(item: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return list(item["multiValue"]) if item.get("multiValue") else [item]


def _headers(function: str, items: Mapping[str, Json]) -> Headers:
    headers = Headers()
    for name, item in items.items():
        if name != name.lower():
            raise FunctionError(502, f"{function} returns the header {name}, whose name is not in lower case")
        if not isinstance(item, dict) or not all(isinstance(one.get("value"), str) for one in _values(item)):
            raise FunctionError(502, f"{function} returns the header {name} without a text as its value")
        for one in _values(item):
            headers.add(name, one["value"])
    return headers


def _grouped(pairs: list[tuple[str, str]]) -> dict[str, Json]:
    """Return names with their values, in the form of an event."""
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return {
        name: {"value": values[0], **({"multiValue": [{"value": one} for one in values]} if len(values) > 1 else {})}
        for name, values in grouped.items()
    }


def _request_event(request: Request) -> dict[str, Json]:
    query = [piece.partition("=") for piece in request.query.split("&") if piece]
    return {
        "method": request.method,
        "uri": request.path,
        "querystring": _grouped([(name, value) for name, _, value in query]),
        "headers": _grouped([(name.lower(), value) for name, value in request.headers if name.lower() != "cookie"]),
        "cookies": _grouped([(match[1], match[2]) for match in _COOKIE.finditer(request.headers.get("Cookie") or "")]),
    }


def _response_event(response: Response) -> dict[str, Json]:
    cookies: dict[str, Json] = {}
    for line in response.headers.get_all("Set-Cookie"):
        first, _, attributes = line.partition(";")
        name, _, value = first.partition("=")
        item = {"value": value, "attributes": attributes.strip()}
        if name in cookies:
            cookies[name].setdefault("multiValue", [dict(cookies[name])]).append(item)
        else:
            cookies[name] = item
    return {
        "statusCode": response.status,
        "statusDescription": response.reason,
        "headers": _grouped(
            [(name.lower(), value) for name, value in response.headers if name.lower() != "set-cookie"]
        ),
        "cookies": cookies,
    }


def _cookie_header(cookies: Mapping[str, Json]) -> str:
    return "; ".join(f"{name}={one['value']}" for name, item in cookies.items() for one in _values(item))


def _query_text(query: Mapping[str, Json]) -> str:
    return "&".join(
        f"{name}={one['value']}" if one["value"] else name for name, item in query.items() for one in _values(item)
    )


def _add_set_cookies(headers: Headers, cookies: Mapping[str, Json]) -> None:
    for name, item in cookies.items():
        for one in _values(item):
            attributes = f"; {one['attributes']}" if one.get("attributes") else ""
            headers.add("set-cookie", f"{name}={one['value']}{attributes}")


def _status(result: Mapping[str, Json]) -> int:
    status = result.get("statusCode")
    if not isinstance(status, int) or not 100 <= status <= 599:
        raise FunctionError(502, f"a function returns the status {status!r}")
    return status


def _generated(result: Mapping[str, Json]) -> Response:
    """Return the response that a function for viewer requests creates."""
    body = result.get("body") or ""
    if isinstance(body, dict):
        if body.get("encoding") == "base64":
            import base64

            data = base64.b64decode(body["data"])
        else:
            data = str(body.get("data", "")).encode()
    else:
        data = str(body).encode()
    response = respond(_status(result), data)
    headers = _headers("a function", result.get("headers") or {})
    headers.set("Content-Length", str(len(data)))
    _add_set_cookies(headers, result.get("cookies") or {})
    response.headers = headers
    response.reason = result.get("statusDescription") or ""
    return response
