"""CloudFront in the simulator, with a distribution that is not from this platform."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from hosting.edge_simulator import EdgeSimulator
from hosting.edge_simulator.errors import ConfigurationError
from tests.edge_simulator.foreign import (
    behavior,
    cache_policy,
    custom_origin,
    distribution,
    headers_policy,
    resources,
)
from tests.support.echo_app import Answer, EchoApp, echo_app
from tests.support.waiting import PATIENCE

Start = Callable[..., EdgeSimulator]


def call(url: str, method: str = "GET", **settings: Any) -> requests.Response:
    """Send a request without following redirects, and without the headers that requests adds."""
    headers = {"User-Agent": "viewer", "Accept-Encoding": None, **settings.pop("headers", {})}
    return requests.request(method, url, headers=headers, allow_redirects=False, timeout=PATIENCE, **settings)


def test_the_first_behavior_whose_pattern_matches_chooses_the_origin(start: Start, bucket: Path) -> None:
    edge = distribution(
        Origins=[custom_origin("shop", OriginPath="/v2"), custom_origin("images")],
        CacheBehaviors=[behavior("/a/*.jpg", "images"), behavior("a/*", "shop"), behavior("/?/x", "images")],
        DefaultCacheBehavior=behavior(origin="shop"),
    )
    with echo_app() as shop, echo_app() as images:
        running = start(resources(edge), targets={"shop": shop.url, "images": images.url}, static=bucket)
        expected = {
            "/a/b/c.jpg?q": (images, "/a/b/c.jpg?q"),
            "/a/c.png": (shop, "/v2/a/c.png"),
            "/A/c.jpg": (shop, "/v2/A/c.jpg"),
            "/b/x": (images, "/b/x"),
            "/": (shop, "/v2/"),
            "/a//c.jpg": (images, "/a//c.jpg"),
        }
        for path, (app, seen) in expected.items():
            assert call(running.url + path).status_code == 200
            assert app.last.path == seen


@pytest.mark.parametrize(
    ("policy", "method", "status"),
    [
        ("allow-all", "GET", 200),
        ("redirect-to-https", "GET", 301),
        ("redirect-to-https", "POST", 307),
        ("https-only", "GET", 403),
    ],
)
def test_a_viewer_over_http_gets_what_the_protocol_policy_says(
    policy: str, method: str, status: int, app: EchoApp, start: Start
) -> None:
    edge = distribution(DefaultCacheBehavior=behavior(ViewerProtocolPolicy=policy))
    running = start(resources(edge), targets={"shop": app.url})
    reply = call(f"{running.http_url}/p?q", method)
    assert reply.status_code == status
    assert reply.headers.get("Location") == ("https://www.example.org/p?q" if status in {301, 307} else None)
    assert call(f"{running.url}/p", method).status_code == 200


def test_cloudfront_refuses_what_it_does_not_forward(app: EchoApp, start: Start) -> None:
    edge = distribution(
        CacheBehaviors=[behavior("/read/*", AllowedMethods=["GET", "HEAD"])],
    )
    running = start(resources(edge), targets={"shop": app.url})
    refused: dict[int, list[tuple[str, str, dict[str, Any]]]] = {
        403: [
            ("POST", "/read/x", {}),
            ("PROPFIND", "/", {}),
            ("GET", "/", {"data": b"body"}),
            ("GET", "/", {"headers": {"Host": "other.example.com"}}),
        ],
        413: [("GET", "/" + "x" * 8_200, {}), ("GET", "/", {"headers": {"X-Long": "x" * 20_400}})],
    }
    for status, requests_ in refused.items():
        for method, path, settings in requests_:
            assert call(running.url + path, method, **settings).status_code == status, (method, path[:20])
    assert app.requests == []
    assert call(f"{running.url}/read/x").status_code == 200
    assert call(f"{running.url}/", headers={"X-Long": "x" * 20_000}).status_code == 200


def request_policy(behavior_name: str, names: list[str] | None = None, **others: Any) -> dict[str, Any]:
    config = {
        "Name": "own",
        "HeadersConfig": {"HeaderBehavior": behavior_name, **({"Headers": names} if names else {})},
        "CookiesConfig": {"CookieBehavior": "none"},
        "QueryStringsConfig": {"QueryStringBehavior": "none"},
        **others,
    }
    return {"Type": "AWS::CloudFront::OriginRequestPolicy", "Properties": {"OriginRequestPolicyConfig": config}}


NOTHING: dict[str, str | None] = {
    "host": "shop.example.net",
    "user-agent": "Amazon CloudFront",
    "x-a": None,
    "cookie": None,
    "cloudfront-forwarded-proto": None,
    "x-forwarded-for": "192.0.2.7, 127.0.0.1",
    "x-forwarded-proto": None,
    "via": "1.1 simulator.cloudfront.net (CloudFront)",
    "x-key": "sesame",
}
EVERYTHING = {**NOTHING, "host": "www.example.org", "user-agent": "viewer", "x-a": "1"}
POLICIES = [
    (request_policy("none"), NOTHING, "/p"),
    (request_policy("whitelist", ["X-A"]), {**NOTHING, "x-a": "1"}, "/p"),
    (request_policy("allViewer"), {**EVERYTHING, "cloudfront-forwarded-proto": "gopher"}, "/p"),
    (
        request_policy("allViewerAndWhitelistCloudFront", ["CloudFront-Forwarded-Proto"]),
        {**EVERYTHING, "cloudfront-forwarded-proto": "https"},
        "/p",
    ),
    (
        request_policy("allExcept", ["Host"], QueryStringsConfig={"QueryStringBehavior": "all"}),
        {**EVERYTHING, "host": "shop.example.net", "cloudfront-forwarded-proto": "gopher"},
        "/p?a=1&b=2",
    ),
    (
        request_policy(
            "none",
            CookiesConfig={"CookieBehavior": "allExcept", "Cookies": ["c"]},
            QueryStringsConfig={"QueryStringBehavior": "whitelist", "QueryStrings": ["b"]},
        ),
        {**NOTHING, "cookie": "d=2"},
        "/p?b=2",
    ),
]


@pytest.mark.parametrize(("policy", "headers", "path"), POLICIES)
def test_an_origin_receives_what_the_origin_request_policy_includes(
    policy: dict[str, Any], headers: dict[str, str | None], path: str, app: EchoApp, start: Start
) -> None:
    edge = distribution(
        Origins=[custom_origin("shop", OriginCustomHeaders=[{"HeaderName": "X-Key", "HeaderValue": "sesame"}])],
        DefaultCacheBehavior=behavior(OriginRequestPolicyId={"Ref": "Policy"}),
    )
    running = start(resources(edge, Policy=policy), targets={"shop": app.url})
    sent = {
        "X-A": "1",
        "X-Key": "forged",
        "Cookie": "c=1; d=2",
        "CloudFront-Forwarded-Proto": "gopher",
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "gopher",
        "X-Real-IP": "192.0.2.7",
        "X-Edge-Location": "forged",
        "TE": "trailers",
    }
    assert call(f"{running.url}/p?a=1&b=2", headers=sent).status_code == 200
    received = app.last
    assert received.path == path
    assert {name: received.headers.get(name) for name in headers} == headers
    assert not {"x-real-ip", "x-edge-location", "te"} & set(received.headers)
    assert received.headers["x-amz-cf-id"]


def counts(app: EchoApp, running: EdgeSimulator, *calls: dict[str, Any]) -> list[int]:
    """Return how many requests the app has received after each call."""
    seen = []
    for settings in calls:
        call(running.url + settings.pop("path", "/"), **settings)
        seen.append(len(app.requests))
    return seen


def test_the_cache_key_contains_what_the_cache_policy_names(app: EchoApp, start: Start) -> None:
    edge = distribution(DefaultCacheBehavior=behavior(CachePolicyId={"Ref": "Policy"}, OriginRequestPolicyId=None))
    policy = cache_policy(["Accept-Language"], ["session"], ["page"])
    running = start(resources(edge, Policy=policy), targets={"shop": app.url})
    calls: list[dict[str, Any]] = [
        {"path": "/?page=1"},
        {"path": "/?page=1&utm=2", "headers": {"Cookie": "other=1", "X-Other": "1"}},  # a hit
        {"path": "/?page=2"},
        {"path": "/?page=1", "headers": {"Accept-Language": "ja"}},
        {"path": "/?page=1", "headers": {"Cookie": "session=1; other=2"}},
        {"path": "/?page=1", "method": "HEAD"},  # a hit
        {"path": "/?page=1", "method": "POST"},
        {"path": "/?page=1", "headers": {"Accept-Language": "ja"}},  # a hit
    ]
    assert counts(app, running, *calls) == [1, 1, 2, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(
    ("answer", "policy", "seconds"),
    [
        ("", {}, 60),
        ("max-age=10", {}, 10),
        ("max-age=10, s-maxage=20", {}, 20),
        ("max-age=9999999", {}, 3600),
        ("no-store", {}, 0),
        ("private, max-age=10", {"MinTTL": 30}, 30),
        ("max-age=10", {"MinTTL": 30}, 30),
        ("max-age=10", {"MinTTL": 0, "DefaultTTL": 0, "MaxTTL": 0}, 0),
    ],
)
def test_an_object_stays_in_the_cache_as_long_as_origin_and_policy_say(
    answer: str, policy: dict[str, Any], seconds: int, app: EchoApp, start: Start
) -> None:
    app.answer = lambda _request: Answer(headers=(("Cache-Control", answer),) if answer else ())
    edge = distribution(DefaultCacheBehavior=behavior(CachePolicyId={"Ref": "Policy"}))
    now = [1000.0]
    running = start(resources(edge, Policy=cache_policy(**policy)), targets={"shop": app.url}, clock=lambda: now[0])
    first = call(running.url)
    assert first.headers["X-Cache"] == "Miss from cloudfront"
    if seconds:
        now[0] += seconds - 1
        hit = call(running.url)
        assert (hit.headers["X-Cache"], hit.headers["Age"]) == ("Hit from cloudfront", str(seconds - 1))
        assert hit.content == first.content
        now[0] += 2
    call(running.url)
    assert len(app.requests) == 2


ENTRIES = {
    "none": [],
    "zero": [{"ErrorCode": code, "ErrorCachingMinTTL": 0} for code in (400, 403, 404, 500, 503)],
    "default": [{"ErrorCode": code} for code in (400, 403, 404, 500, 503)],
}


@pytest.mark.parametrize(
    ("entries", "status", "cache_control", "seconds"),
    [
        ("none", 404, "", 10),
        ("none", 404, "no-store", 0),
        ("none", 500, "no-store", 10),
        ("none", 503, "", 10),
        ("none", 400, "", 0),
        ("none", 403, "max-age=30", 30),
        ("none", 429, "max-age=30", 0),
        ("none", 416, "", 0),
        ("zero", 404, "", 0),
        ("zero", 500, "", 0),
        ("zero", 503, "max-age=30", 30),
        ("default", 500, "", 300),
    ],
)
def test_an_error_is_cached_as_its_code_entry_and_headers_say(
    entries: str, status: int, cache_control: str, seconds: int, app: EchoApp, start: Start
) -> None:
    headers = (("Cache-Control", cache_control),) if cache_control else ()
    app.answer = lambda _request: Answer(status, headers, b"mine")
    edge = distribution(
        CustomErrorResponses=ENTRIES[entries], DefaultCacheBehavior=behavior(CachePolicyId={"Ref": "Policy"})
    )
    now = [0.0]
    running = start(resources(edge, Policy=cache_policy()), targets={"shop": app.url}, clock=lambda: now[0])
    assert [call(running.url).text, call(running.url).status_code] == ["mine", status]
    assert len(app.requests) == (1 if seconds else 2)
    now[0] = seconds + 1
    call(running.url)
    assert len(app.requests) == (2 if seconds else 3)


def test_an_error_of_one_viewer_answers_others_if_the_key_is_empty(app: EchoApp, start: Start) -> None:
    app.answer = lambda request: Answer(500 if "bad" in request.path else 200)
    running = start(resources(distribution()), targets={"shop": app.url})
    assert call(f"{running.url}/search?q=bad").status_code == 500
    assert call(f"{running.url}/search?q=good", headers={"Cookie": "session=other"}).status_code == 500
    assert len(app.requests) == 1


def test_an_error_page_replaces_errors_and_keeps_their_code_if_it_is_missing(start: Start, bucket: Path) -> None:
    edge = distribution(
        Origins=[custom_origin("shop"), {"Id": "files", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": {}}],
        CacheBehaviors=[behavior("/sorry/*", "files")],
        CustomErrorResponses=[
            {"ErrorCode": 503, "ResponseCode": 200, "ResponsePagePath": "/sorry/index.html", "ErrorCachingMinTTL": 0},
            {"ErrorCode": 404, "ResponseCode": 200, "ResponsePagePath": "/sorry/none.html", "ErrorCachingMinTTL": 0},
        ],
    )
    with echo_app() as app:
        app.answer = lambda request: Answer(int(request.path[1:]), body=b"mine")
        running = start(resources(edge), targets={"shop": app.url}, static=bucket)
        replies = [call(f"{running.url}/{code}") for code in (503, 404, 500)]
    assert [(one.status_code, one.text) for one in replies] == [(200, "<p>sorry</p>"), (404, "mine"), (500, "mine")]


def test_a_policy_adds_and_removes_headers_also_of_errors(app: EchoApp, start: Start) -> None:
    policy = headers_policy(
        SecurityHeadersConfig={
            "FrameOptions": {"FrameOption": "DENY", "Override": False},
            "ContentTypeOptions": {"Override": True},
            "StrictTransportSecurity": {"AccessControlMaxAgeSec": 60, "IncludeSubdomains": True, "Override": False},
        },
        CustomHeadersConfig={"Items": [{"Header": "X-Own", "Value": "edge", "Override": True}]},
        RemoveHeadersConfig={"Items": [{"Header": "Server"}]},
    )
    app.answer = lambda _request: Answer(418, (("X-Frame-Options", "SAMEORIGIN"), ("X-Own", "app")))
    edge = distribution(DefaultCacheBehavior=behavior(ResponseHeadersPolicyId={"Ref": "Policy"}))
    running = start(resources(edge, Policy=policy), targets={"shop": app.url})
    reply = call(running.url)
    assert reply.status_code == 418
    expected = {
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=60; includeSubDomains",
        "X-Own": "edge",
        "Server": None,
    }
    assert {name: reply.headers.get(name) for name in expected} == expected


def test_cookies_of_the_app_pass_only_if_cookies_are_forwarded(app: EchoApp, start: Start) -> None:
    app.answer = lambda _request: Answer(headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")))
    edge = distribution(CacheBehaviors=[behavior("/none", OriginRequestPolicyId=None)])
    running = start(resources(edge), targets={"shop": app.url})
    assert call(f"{running.url}/all").cookies.get_dict() == {"a": "1", "b": "2"}
    assert "Set-Cookie" not in call(f"{running.url}/none").headers


@pytest.mark.parametrize(
    ("size", "kind", "accepted", "ttl", "compressed"),
    [
        (1_000, "text/html; charset=utf-8", "gzip, br", 60, True),
        (999, "text/html", "gzip", 60, False),
        (1_000, "image/png", "gzip", 60, False),
        (1_000, "text/html", "deflate", 60, False),
        (1_000, "text/html", "gzip", 0, False),
    ],
)
def test_cloudfront_compresses_what_it_may_cache(
    size: int, kind: str, accepted: str, ttl: int, compressed: bool, app: EchoApp, start: Start
) -> None:
    app.answer = lambda _request: Answer(headers=(("Content-Type", kind), ("ETag", '"1"')), body=b"x" * size)
    edge = distribution(DefaultCacheBehavior=behavior(CachePolicyId={"Ref": "Policy"}, Compress=True))
    policy = cache_policy(encodings=True, DefaultTTL=ttl, MaxTTL=ttl)
    running = start(resources(edge, Policy=policy), targets={"shop": app.url})
    for reply in (call(running.url, headers={"Accept-Encoding": accepted}) for _ in range(2)):
        assert (reply.headers.get("Content-Encoding") == "gzip") is compressed
        assert reply.content == b"x" * size
        assert reply.headers["ETag"] == ('W/"1"' if compressed else '"1"')


@contextmanager
def broken_server(answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """Run a server that sends some bytes and closes the connection, or never answers."""
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            received.append(connection.recv(65_536))
            if answer is None:
                held.append(connection)
            else:
                connection.sendall(answer)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("answer", "method", "status", "attempts"),
    [
        (b"", "GET", 502, 3),
        (b"", "POST", 502, 1),
        (None, "GET", 504, 3),
        (None, "POST", 504, 1),
        (b"nonsense\r\n\r\n", "GET", 502, 3),
    ],
)
def test_get_is_repeated_and_other_methods_are_not_if_there_is_no_response(
    answer: bytes | None, method: str, status: int, attempts: int, start: Start
) -> None:
    origin = custom_origin("shop", CustomOriginConfig={"OriginReadTimeout": 1 if answer is None else 60})
    with broken_server(answer) as (url, received):
        running = start(resources(distribution(Origins=[origin])), targets={"shop": url})
        assert call(running.url, method).status_code == status
        assert len(received) == attempts


def test_the_second_origin_of_a_group_answers_reads_if_the_first_one_fails(start: Start) -> None:
    edge = distribution(
        Origins=[custom_origin("first"), custom_origin("second")],
        OriginGroups={
            "Quantity": 1,
            "Items": [
                {
                    "Id": "both",
                    "FailoverCriteria": {"StatusCodes": {"Quantity": 1, "Items": [503]}},
                    "Members": {"Quantity": 2, "Items": [{"OriginId": "first"}, {"OriginId": "second"}]},
                }
            ],
        },
        DefaultCacheBehavior=behavior(origin="both", AllowedMethods=["GET", "HEAD"]),
    )
    with echo_app() as first, echo_app() as second:
        first.answer = lambda request: Answer(int(request.path[1:]))
        running = start(resources(edge), targets={"first": first.url, "second": second.url})
        assert [call(f"{running.url}/{code}").status_code for code in (503, 404, 200)] == [200, 404, 200]
        assert len(second.requests) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DefaultCacheBehavior": behavior(origin="nowhere")}, "origin nowhere does not exist"),
        ({"DefaultCacheBehavior": behavior(CachePolicyId="unknown")}, "no CachePolicy of the templates"),
        ({"DefaultCacheBehavior": behavior(TrustedKeyGroups=["k"])}, "does not model TrustedKeyGroups"),
        ({"Origins": [custom_origin("shop"), custom_origin("more")]}, "give its address as target more"),
    ],
)
def test_settings_that_are_wrong_or_not_modelled_are_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EdgeSimulator(resources(distribution(**change)), targets={"shop": "http://127.0.0.1:1"})


def test_an_object_of_the_bucket_has_ranges_validators_and_no_parents(start: Start, bucket: Path) -> None:
    edge = distribution(
        Origins=[{"Id": "files", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": {}}],
        DefaultCacheBehavior=behavior(origin="files", CachePolicyId={"Ref": "Policy"}),
        DefaultRootObject="static/index.html",
    )
    (bucket.parent / "outside.txt").write_text("secret")
    running = start(resources(edge, Policy=cache_policy()), static=bucket)
    page = call(running.url)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert call(f"{running.url}/sorry/index.html", headers={"Range": "bytes=3-7"}).text == "sorry"
    same = call(running.url, headers={"If-None-Match": page.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    for path in ("/none", "/../outside.txt", "/%2e%2e/outside.txt", "/static"):
        url = urlsplit(running.url)
        with socket.create_connection((url.hostname or "", url.port or 0)) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n".encode())
            assert raw.makefile("rb").readline().split()[1] == b"403", path
