"""Cache of CloudFront: keys, lifetimes of objects and of errors.

Amazon CloudFront Developer Guide, "Managing how long content stays in the cache" and "How CloudFront processes HTTP 4xx
and 5xx status codes from your origin".
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hosting.edge_simulator.distribution import Behavior, ErrorResponse
from hosting.edge_simulator.messages import Headers, Request
from hosting.edge_simulator.policies import CachePolicy, Selection

# Without an entry in CustomErrorResponses.
_DEFAULT_ERROR_TTL = 10.0
_ALWAYS_CACHED = frozenset({404, 410, 414, 500, 501, 502, 503, 504})
_CACHED_IF_ASKED = frozenset({400, 403, 405, 412, 415})
# CloudFront obeys no-store, no-cache and private of errors only for these.
_MAY_FORBID_CACHING = frozenset({404, 410, 414, 501})
_FORBIDS = frozenset({"no-store", "no-cache", "private"})


@dataclass
class CachedObject:
    """A stored response. `stored` and `expires` are times of the cache's clock."""

    status: int
    headers: Headers
    body: bytes
    stored: float
    expires: float


@dataclass
class Cache:
    """Stored responses by cache key. A test replaces `clock`."""

    clock: Callable[[], float] = time.monotonic
    _objects: dict[tuple[object, ...], CachedObject] = field(default_factory=dict)

    def find(self, behavior: Behavior, request: Request) -> CachedObject | None:
        """Return the stored response to a request, if it is fresh. A stored GET answers a HEAD request too."""
        if request.method not in behavior.cached_methods:
            return None
        methods = ("HEAD", "GET") if request.method == "HEAD" else (request.method,)
        for method in methods:
            found = self._objects.get(cache_key(behavior.cache, request, method))
            if found and found.expires > self.clock():
                return found
        return None

    def store(
        self, behavior: Behavior, request: Request, status: int, headers: Headers, body: bytes, ttl: float
    ) -> None:
        now = self.clock()
        key = cache_key(behavior.cache, request, request.method)
        self._objects[key] = CachedObject(status, headers.copy(), body, now, now + ttl)


def cache_key(policy: CachePolicy, request: Request, method: str) -> tuple[object, ...]:
    """Return everything by which CloudFront distinguishes objects."""
    headers = tuple(sorted((name, request.headers.get(name)) for name in header_names(policy.headers, request)))
    return (
        method,
        request.path,
        headers,
        select_cookies(policy.cookies, request),
        select_query(policy.queries, request),
        accepted_encoding(policy, request),
    )


def header_names(selection: Selection, request: Request) -> set[str]:
    """Return the lower-case names of the request's headers that a policy includes."""
    return {name.lower() for name, _ in request.headers if selection.includes(name.lower())}


def select_cookies(selection: Selection, request: Request, other: Selection | None = None) -> str:
    pieces = [piece.strip() for piece in (request.headers.get("Cookie") or "").split(";") if piece.strip()]
    return "; ".join(piece for piece in pieces if _included(piece.partition("=")[0], selection, other))


def select_query(selection: Selection, request: Request, other: Selection | None = None) -> str:
    pieces = request.query.split("&")
    return "&".join(piece for piece in pieces if _included(piece.partition("=")[0], selection, other))


def _included(name: str, *selections: Selection | None) -> bool:
    return any(selection is not None and selection.includes(name) for selection in selections)


def accepted_encoding(policy: CachePolicy, request: Request) -> str:
    """Return the Accept-Encoding that the key contains and the origin receives, if the policy enables encodings."""
    accepted = {part.partition(";")[0].strip() for part in (request.headers.get("Accept-Encoding") or "").split(",")}
    return ",".join(name for name in policy.encodings if name in accepted)


def _directives(headers: Headers) -> dict[str, str]:
    parts = [part.strip().lower().partition("=") for part in (headers.get("Cache-Control") or "").split(",")]
    return {name: value.strip('"') for name, _, value in parts if name}


def _asked_seconds(headers: Headers) -> float | None:
    """Return the lifetime that the origin asks for, or None."""
    directives = _directives(headers)
    for name in ("s-maxage", "max-age"):
        if directives.get(name, "").isdigit():
            return float(directives[name])
    if expires := headers.get("Expires"):
        try:
            until = email.utils.parsedate_to_datetime(expires).timestamp()
        except ValueError:
            return 0
        return max(0.0, until - time.time())
    return None


def object_ttl(headers: Headers, policy: CachePolicy) -> float:
    """Return for how long CloudFront stores a successful response."""
    if _FORBIDS & _directives(headers).keys():
        return policy.min_ttl
    asked = _asked_seconds(headers)
    seconds = policy.default_ttl if asked is None else asked
    return max(policy.min_ttl, min(seconds, policy.max_ttl))


def error_ttl(status: int, headers: Headers, policy: CachePolicy, entry: ErrorResponse | None) -> float:
    """Return for how long CloudFront stores an error."""
    least = entry.min_ttl if entry else _DEFAULT_ERROR_TTL
    asked = _asked_seconds(headers)
    if status in _MAY_FORBID_CACHING and _FORBIDS & _directives(headers).keys():
        return 0
    if status in _ALWAYS_CACHED or (status in _CACHED_IF_ASKED and asked):
        return max(least, min(asked or 0, policy.max_ttl))
    return 0
