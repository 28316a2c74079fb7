"""The table of requests: each row is a request, the answer of the app, and what app and viewer must see of it.

The expectations follow docs/app-contract.md and the settings that `workloads.py` declares. They are never read from the
resources that a row tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hosting.edge_simulator.origin_request import EDGE_ADDRESS
from hosting.model.templates import Template

VIEWER = "127.0.0.1"
STRICT_HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
# Headers from which frameworks take host, scheme or path. docs/app-contract.md lists them.
FORGED = (
    "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl",
    "X-Original-Host", "X-Original-URL", "X-Rewrite-URL",
)  # fmt: skip
# The errors of an app that CloudFront can store or replace (AWS::CloudFront::Distribution CustomErrorResponse).
ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)

# Header fields by name. None is a field that must not be present.
Fields = Mapping[str, str | None]


@dataclass(frozen=True)
class Site:
    """An environment as its configuration describes it."""

    host: str
    has_domain: bool
    redirect_host: str
    static_path: str
    edge: Mapping[str, Any]
    # Priority and path patterns of each workload behind the load balancer.
    routes: Mapping[str, tuple[int, tuple[str, ...]]]
    # The host name of each workload that has one of its own. Without a domain no request reaches it.
    hosts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Template, parameters: Mapping[str, str], own_name: str) -> Site:
        """Return the site of a root template. `own_name` is the name of the distribution, for a site without domain."""
        domain = parameters.get("DomainName", "")
        redirect = parameters.get("RedirectDomainName", "") if domain else ""
        hosts = {name: f"{label}.{domain or 'invalid'}" for name, label in root.hosts.items()}
        return cls(domain or own_name, bool(domain), redirect, root.static_path, root.edge, root.routes, hosts)

    def owner(self, path: str, host: str = "") -> str:
        """Return the workload to which the load balancer must send a path of a host, or nothing."""
        matching = [
            (priority, name)
            for name, (priority, patterns) in self.routes.items()
            if self.hosts.get(name, host) == host and any(_matches(pattern, path) for pattern in patterns)
        ]
        return min(matching)[1] if matching else ""

    @property
    def path(self) -> str:
        """Return a path of a workload, preferably of the one that has all other paths, or the root path."""
        patterns = [pattern for name, (_, found) in self.routes.items() if name not in self.hosts for pattern in found]
        return "/path" if "/*" in patterns or not patterns else example(patterns[0])


@dataclass(frozen=True)
class StaticObject:
    """An object of the static bucket."""

    content: bytes = b""
    content_type: str = "text/html"
    cache_control: str = ""


@dataclass(frozen=True)
class Answer:
    """The response of an app. Status 0 closes the connection without a response."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"the app's own body"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A request and its expectations. It is sent `times` times, each time with the same result."""

    name: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    scheme: str = "https"
    # The request reaches the load balancer without CloudFront.
    direct: bool = False
    answer: Answer = Answer()
    # The service has no tasks.
    without_tasks: bool = False
    times: int = 1
    # The workload that receives each request, or nothing, and header fields that it sees.
    app: str = ""
    received: Fields = field(default_factory=dict)
    # What the viewer gets. Without `content` the body is the app's, if an app receives the request.
    status: int = 200
    response: Fields = field(default_factory=dict)
    content: bytes | None = None


def example(pattern: str) -> str:
    """Return a path that a pattern of the load balancer matches."""
    return pattern.replace("*", "x").replace("?", "x")


def _matches(pattern: str, path: str) -> bool:
    expression = "".join(".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch(expression, path) is not None


def rows(site: Site, objects: Mapping[str, StaticObject]) -> list[Row]:
    """Return the requests for an environment. `objects` are those of the static bucket by their key."""
    apps = [*routing(site), *forwarded(site), *unchanged(site), *errors(site, objects), *added_headers(site)]
    shared = site.routes.keys() - site.hosts.keys()
    return [*(apps if shared else ()), *unrouted(site), *static_files(site, objects), *refused(site)]


def routing(site: Site) -> Iterator[Row]:
    """Yield one request for each path pattern of each workload."""
    for name, (_, patterns) in site.routes.items():
        for pattern in patterns:
            path, host = example(pattern), site.hosts.get(name, "")
            title = f"{host}{pattern} of {name} reaches its workload"
            if not host:
                yield Row(name=title, path=path, app=site.owner(path))
            elif site.has_domain:
                yield Row(name=title, path=path, headers={"Host": host}, app=site.owner(path, host))
    data = b"name=value&file=%00"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        yield Row(name=f"{method} reaches the app", path=site.path, method=method, body=data, app=site.owner(site.path))


def forwarded(site: Site) -> Iterator[Row]:
    """Yield requests that show what the app learns of viewer, host and scheme. Viewers cannot forge it."""
    port = ("https", "443") if site.has_domain else ("http", "80")
    claims: list[tuple[str, dict[str, str], dict[str, str | None]]] = [
        ("the app sees the viewer's Host", {}, {"Host": site.host}),
        (
            "X-Forwarded-Host is the viewer's Host",
            {"X-Forwarded-Host": "evil.example"},
            {"X-Forwarded-Host": site.host},
        ),
        ("headers that change host or path are dropped", dict.fromkeys(FORGED, "evil"), dict.fromkeys(FORGED)),
        (
            "CloudFront-Forwarded-Proto is https",
            {"CloudFront-Forwarded-Proto": "http"},
            {"CloudFront-Forwarded-Proto": "https"},
        ),
        (
            "X-Forwarded-Proto and -Port are those of the listener",
            {"X-Forwarded-Proto": "gopher", "X-Forwarded-Port": "70"},
            dict(zip(("X-Forwarded-Proto", "X-Forwarded-Port"), port, strict=True)),
        ),
        (
            "X-Forwarded-For ends with viewer and CloudFront",
            {"X-Forwarded-For": "198.51.100.7"},
            {"X-Forwarded-For": f"198.51.100.7, {VIEWER}, {EDGE_ADDRESS}"},
        ),
        ("a header with an underscore is dropped", {"X_Token": "1"}, {"X_Token": None}),
    ]
    for name, headers, received in claims:
        yield Row(name=name, path=site.path, headers=headers, app=site.owner(site.path), received=received)


def unchanged(site: Site) -> Iterator[Row]:
    """Yield requests and responses that pass in both directions as they are."""
    app = site.owner(site.path)
    yield Row(name="the query reaches the app unchanged", path=f"{site.path}?q=a%20b+c&q=&x", app=app)
    yield Row(
        name="cookies pass in both directions",
        path=site.path,
        headers={"Cookie": "session=1; csrf=2"},
        answer=Answer(headers={"Set-Cookie": "session=3; Path=/; Secure; HttpOnly"}),
        app=app,
        received={"Cookie": "session=1; csrf=2"},
        response={"Set-Cookie": "session=3; Path=/; Secure; HttpOnly"},
    )
    own = {
        "Authorization": "Bearer token", "Origin": f"https://{site.host}", "Referer": f"https://{site.host}/",
        "User-Agent": "viewer", "Accept-Encoding": "br, zstd", "Accept-Language": "ja", "X-Requested-With": "fetch",
    }  # fmt: skip
    yield Row(name="other headers reach the app", path=site.path, headers=own, app=app, received=dict(own))
    cached = {"Cache-Control": "public, max-age=600", "ETag": '"1"', "Content-Type": "text/html"}
    yield Row(
        name="a response of an app is not cached",
        path=site.path,
        answer=Answer(headers=cached),
        times=2,
        app=app,
        response=dict(cached),
    )


def errors(site: Site, objects: Mapping[str, StaticObject]) -> Iterator[Row]:
    """Yield errors: the app's own reach their client, those of failed tasks show the sorry page, none is cached."""
    app, sorry = site.owner(site.path), site.edge["SorryCodes"]
    page = objects.get("sorry/index.html", StaticObject())
    kind = {"Content-Type": "application/json"}
    for status in ERRORS:
        answer = Answer(status, kind, json.dumps({"error": status}).encode())
        if status in sorry:
            yield Row(
                name=f"{status} shows the sorry page",
                path=site.path,
                answer=answer,
                times=2,
                app=app,
                status=503,
                response={"Content-Type": page.content_type},
                content=page.content,
            )
        else:
            yield Row(
                name=f"{status} of the app reaches its client",
                path=site.path,
                answer=answer,
                times=2,
                app=app,
                status=status,
                response=dict(kind),
            )
    yield Row(
        name="a broken connection counts as 502",
        path=site.path,
        answer=Answer(0),
        times=2,
        app=app,
        status=503 if 502 in sorry else 502,
        content=page.content if 502 in sorry else None,
    )
    yield Row(
        name="a service without tasks counts as 503",
        path=site.path,
        without_tasks=True,
        status=503,
        content=page.content if 503 in sorry else None,
    )


def added_headers(site: Site) -> Iterator[Row]:
    """Yield responses with the headers that CloudFront adds, leaves and removes."""
    app, edge = site.owner(site.path), site.edge
    transport = "max-age=31536000" + ("; includeSubDomains" if edge["HstsSubdomains"] else "")
    policy, reports = edge["ContentSecurityPolicy"] or None, edge["CspReportOnly"]
    added: dict[str, Fields] = {
        "Strict-Transport-Security": {"Strict-Transport-Security": transport},
        "X-Content-Type-Options": {"X-Content-Type-Options": "nosniff"},
        "Referrer-Policy": {"Referrer-Policy": "strict-origin-when-cross-origin"},
        "X-Frame-Options": {"X-Frame-Options": edge["FrameOptions"] or None},
        "the content security policy": {
            "Content-Security-Policy": None if reports else policy,
            "Content-Security-Policy-Report-Only": policy if reports else None,
        },
    }
    for name, response in added.items():
        yield Row(name=f"{name} is as configured", path=site.path, app=app, response=response)
    own = {
        "Strict-Transport-Security": "max-age=1", "Referrer-Policy": "unsafe-url", "X-Frame-Options": "ALLOWALL",
        "Content-Security-Policy": "default-src *", "Content-Security-Policy-Report-Only": "img-src *",
        "X-Content-Type-Options": "own",
    }  # fmt: skip
    yield Row(
        name="a header of the app is never replaced",
        path=site.path,
        answer=Answer(headers=own),
        app=app,
        response=dict(own),
    )
    hidden = edge["HiddenHeaders"]
    if hidden:
        yield Row(
            name="hidden headers are removed",
            path=site.path,
            answer=Answer(headers=dict.fromkeys(hidden, "Software/1.2.3")),
            app=app,
            response=dict.fromkeys(hidden),
        )


def unrouted(site: Site) -> Iterator[Row]:
    """Yield a request for a path of no workload, if there is such a path."""
    path = "/no-such-path"
    if not site.owner(path):
        yield Row(name="a path of no workload is refused", path=path, status=403 if site.has_domain else 301)


def static_files(site: Site, objects: Mapping[str, StaticObject]) -> Iterator[Row]:
    """Yield requests for the static files, which no app receives."""
    for folder in filter(None, (site.static_path, "/sorry/")):
        key = f"{folder}index.html".lstrip("/")
        content = objects.get(key, StaticObject()).content
        yield Row(
            name=f"{folder} is served from the bucket, and cached",
            path=f"{folder}index.html",
            times=2,
            response={"X-Cache": "Hit from cloudfront"},
            content=content,
        )
        yield Row(name=f"{folder} is its index.html", path=folder, content=content)
        yield Row(
            name=f"{folder} has strict headers", path=f"{folder}index.html", response=STRICT_HEADERS, content=content
        )


def refused(site: Site) -> Iterator[Row]:
    """Yield requests that end before an app: over HTTP, past CloudFront, or to the second host name."""
    yield Row(
        name="HTTP is redirected to HTTPS",
        path=f"{site.path}?x=1",
        scheme="http",
        status=301,
        response={"Location": f"https://{site.host}{site.path}?x=1"},
    )
    yield Row(
        name="the load balancer refuses requests past CloudFront",
        path=site.path,
        direct=True,
        status=403 if site.has_domain else 301,
    )
    if site.redirect_host:
        yield Row(
            name="the second host name is redirected",
            path=f"{site.path}?x=1",
            headers={"Host": site.redirect_host},
            status=301,
            response={"Location": f"https://{site.host}:443{site.path}?x=1"},
        )
