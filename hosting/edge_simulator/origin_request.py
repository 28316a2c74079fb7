"""The request that CloudFront sends to an origin: which headers, cookies and query strings of the viewer it contains.

Amazon CloudFront Developer Guide, "Request and response behavior for custom origins", "Control origin requests with a
policy" and "Add CloudFront request headers".
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from hosting.edge_simulator.cache import accepted_encoding, header_names, select_cookies, select_query
from hosting.edge_simulator.distribution import Behavior, Origin
from hosting.edge_simulator.http_server import end_to_end
from hosting.edge_simulator.messages import Headers, Request

# CloudFront removes them from every request of a viewer.
_REMOVED = frozenset({"expect", "proxy-authenticate", "proxy-authorization", "x-forwarded-proto", "x-real-ip"})
_REMOVED_PREFIXES = ("x-amz-cf-", "x-edge-")
# Handled by themselves: each has a policy or a rule of its own.
_SEPARATE = frozenset({"accept-encoding", "cookie", "host", "user-agent", "via", "x-forwarded-for"})
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_WEBSOCKET = frozenset({"connection", "upgrade"})
_PREFIX = "cloudfront-"


def origin_request(request: Request, behavior: Behavior, origin: Origin) -> Request:
    """Return the request for an origin. `request` is the viewer's, as the function for viewer requests left it."""
    cache, policy = behavior.cache, behavior.origin_request
    headers = end_to_end(request.headers)
    included = header_names(cache.headers, request) | header_names(policy.headers, request)
    headers.keep(
        lambda name: (
            name in _FRAMING
            or (
                name in included
                and name not in _SEPARATE | _REMOVED
                and not name.startswith(_REMOVED_PREFIXES)
                and not _is_generated(name, behavior)
            )
        )
    )
    host = request.headers.get("Host") if "host" in included else None
    fields = [("Host", host or origin.domain)]
    fields += _kept_values(request, included, behavior)
    if cookies := select_cookies(cache.cookies, request, policy.cookies):
        fields.append(("Cookie", cookies))
    fields += [(name, value) for name, value in _cloudfront_headers(request).items() if _is_generated(name, behavior)]
    headers = Headers([*fields, *headers])
    if "Transfer-Encoding" in request.headers:
        headers.add("Transfer-Encoding", "chunked")
    if request.is_websocket:
        headers.add("Connection", "Upgrade")
        headers.add("Upgrade", "websocket")
    for name, value in origin.headers:
        headers.set(name, value)
    query = select_query(cache.queries, request, policy.queries)
    target = origin.path + request.path + (f"?{query}" if query else "")
    return replace(request, target=target, headers=headers, client=EDGE_ADDRESS, scheme=_scheme(request, origin))


# An address of the range from which CloudFront calls origins.
EDGE_ADDRESS = "130.176.0.1"


def _kept_values(request: Request, included: set[str], behavior: Behavior) -> list[tuple[str, str]]:
    """Return the headers that CloudFront changes or adds in every request."""
    agent = request.headers.get("User-Agent")
    before = request.headers.get("X-Forwarded-For")
    via = request.headers.get("Via")
    own_via = "1.1 simulator.cloudfront.net (CloudFront)"
    fields = [
        ("User-Agent", agent if agent and "user-agent" in included else "Amazon CloudFront"),
        ("X-Amz-Cf-Id", secrets.token_urlsafe(40)),
        ("Via", f"{via}, {own_via}" if via else own_via),
        ("X-Forwarded-For", f"{before}, {request.client}" if before else request.client),
    ]
    if behavior.cache.encodings:
        encoding = accepted_encoding(behavior.cache, request)
    else:
        encoding = request.headers.get("Accept-Encoding") or "" if "accept-encoding" in included else ""
    return [*fields, ("Accept-Encoding", encoding)] if encoding else fields


def _is_generated(name: str, behavior: Behavior) -> bool:
    """Return whether a policy asks for a header that CloudFront adds."""
    lower = name.lower()
    selections = (behavior.cache.headers, behavior.origin_request.headers)
    return lower.startswith(_PREFIX) and any(
        lower in selection.names and selection.behavior in {"whitelist", "allViewerAndWhitelistCloudFront"}
        for selection in selections
    )


def _cloudfront_headers(request: Request) -> dict[str, str]:
    """Return the headers that CloudFront adds on request. Those about the viewer's place are not modelled."""
    return {
        "CloudFront-Forwarded-Proto": request.scheme,
        "CloudFront-Viewer-Address": f"{request.client}:443",
        "CloudFront-Viewer-Http-Version": "1.1",
        "CloudFront-Is-Android-Viewer": "false",
        "CloudFront-Is-Desktop-Viewer": "true",
        "CloudFront-Is-IOS-Viewer": "false",
        "CloudFront-Is-Mobile-Viewer": "false",
        "CloudFront-Is-SmartTV-Viewer": "false",
        "CloudFront-Is-Tablet-Viewer": "false",
    }


def _scheme(request: Request, origin: Origin) -> str:
    match origin.protocol_policy:
        case "http-only":
            return "http"
        case "https-only":
            return "https"
    return request.scheme
