"""CloudFront Functions in the simulator: JavaScript runs, and the limits of CloudFront apply."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests

from hosting.edge_simulator import EdgeSimulator
from hosting.edge_simulator.errors import ConfigurationError
from hosting.edge_simulator.resources import StackResource
from tests.edge_simulator.foreign import behavior, distribution, function, headers_policy, resources
from tests.support.echo_app import Answer, EchoApp
from tests.support.waiting import PATIENCE

Start = Callable[..., EdgeSimulator]


def edge_with(code: str, event: str = "viewer-request") -> list[StackResource]:
    resource, association = function(code, event)
    return resources(distribution(DefaultCacheBehavior=behavior(**association)), Function=resource)


def handler(body: str) -> str:
    return f"function handler(event) {{ var request = event.request; {body}; return request; }}"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (handler(""), 200),
        (handler("request.headers['x-forwarded-host'] = {value: request.headers.host.value}"), 200),
        (handler("request.headers['x-forwarded-proto'] = {value: 'https'}"), 502),
        (handler("request.headers['x-edge-own'] = {value: '1'}"), 502),
        (handler("request.headers['x-amz-cf-own'] = {value: '1'}"), 502),
        (handler("request.headers.host = {value: 'other.example.com'}"), 502),
        (handler("delete request.headers.host"), 502),
        (handler("request.headers.via = {value: '1.1 me'}"), 502),
        (handler("request.headers['X-Upper'] = {value: '1'}"), 502),
        (handler("request.headers['x-number'] = {value: 1}"), 502),
        (handler("request.method = 'POST'"), 502),
        (handler("request.uri = 'relative'"), 502),
        ("function handler() { return 'text' }", 502),
        ("function handler() { return {statusCode: 'no'} }", 502),
        (handler("undefined.name"), 503),
        ("this is no JavaScript", 503),
        ("var handler = 1", 503),
        (handler("while (true) {}"), 503),
        (handler("request.x = 'x'.repeat(3000000)"), 503),
        ("async function handler(event) { await null; return event.request; }", 200),
        ("async function handler() { await new Promise(() => {}); }", 503),
    ],
)
def test_a_function_for_requests_runs_within_the_limits(code: str, status: int, app: EchoApp, start: Start) -> None:
    running = start(edge_with(code), targets={"shop": app.url})
    assert requests.get(f"{running.url}/p", timeout=PATIENCE).status_code == status
    assert len(app.requests) == (status == 200)


def test_a_function_sees_and_changes_path_query_headers_and_cookies(app: EchoApp, start: Start) -> None:
    code = handler("""
        request.uri = '/new' + request.uri;
        request.querystring.added = {value: '1'};
        delete request.querystring.dropped;
        request.headers['x-seen'] = {value: JSON.stringify([
          request.querystring.many.multiValue.length, request.cookies.a.value, event.viewer.ip,
          event.context.eventType, Object.keys(request.headers).includes('cookie')])};
        request.cookies.b = {value: '2'};
    """)
    running = start(edge_with(code), targets={"shop": app.url})
    requests.get(f"{running.url}/p?many=1&many=2&dropped=x", headers={"Cookie": "a=1"}, timeout=PATIENCE)
    assert app.last.path == "/new/p?many=1&many=2&added=1"
    assert app.last.headers["cookie"] == "a=1; b=2"
    assert json.loads(app.last.headers["x-seen"]) == [2, "1", "127.0.0.1", "viewer-request", False]


def test_a_query_that_a_function_does_not_change_stays_byte_for_byte(app: EchoApp, start: Start) -> None:
    running = start(edge_with(handler("")), targets={"shop": app.url})
    requests.get(f"{running.url}/a/b%2Fc?x=%20+&&y&z==", timeout=PATIENCE)
    assert app.last.path == "/a/b%2Fc?x=%20+&&y&z=="


def test_a_function_answers_in_place_of_the_origin(app: EchoApp, start: Start) -> None:
    code = """function handler(event) { return {
        statusCode: 302, statusDescription: 'Found', headers: {location: {value: 'https://example.org/'}},
        cookies: {a: {value: '1', attributes: 'Secure'}}, body: {encoding: 'base64', data: 'bW92ZWQ='}}; }"""
    policy = headers_policy(SecurityHeadersConfig={"ContentTypeOptions": {"Override": True}})
    resource, association = function(code)
    edge = distribution(DefaultCacheBehavior=behavior(**association, ResponseHeadersPolicyId={"Ref": "Policy"}))
    running = start(resources(edge, Function=resource, Policy=policy), targets={"shop": app.url})
    reply = requests.get(running.url, timeout=PATIENCE, allow_redirects=False)
    assert (reply.status_code, reply.text, reply.headers["Location"]) == (302, "moved", "https://example.org/")
    assert reply.headers["Set-Cookie"] == "a=1; Secure"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert app.requests == []


@pytest.mark.parametrize(("status", "expected"), [(200, "seen"), (302, "seen"), (400, None), (404, None), (503, None)])
def test_a_function_for_responses_does_not_run_for_errors(
    status: int, expected: str | None, app: EchoApp, start: Start
) -> None:
    code = """function handler(event) {
        event.response.headers['x-function'] = {value: 'seen'}; delete event.response.headers['x-app'];
        return event.response; }"""
    app.answer = lambda _request: Answer(status, (("X-App", "1"), ("Set-Cookie", "a=1; Path=/")))
    running = start(edge_with(code, "viewer-response"), targets={"shop": app.url})
    reply = requests.get(running.url, timeout=PATIENCE, allow_redirects=False)
    assert (reply.status_code, reply.headers.get("X-Function")) == (status, expected)
    assert ("X-App" in reply.headers) is (expected is None)
    assert reply.headers["Set-Cookie"] == "a=1; Path=/"


@pytest.mark.parametrize(
    ("code", "event", "message"),
    [
        ("x" * 10_241, "viewer-request", "larger than 10240 bytes"),
        (handler(""), "origin-request", "no event origin-request"),
        ("import cf from 'cloudfront';", "viewer-request", "does not model modules"),
    ],
)
def test_a_function_that_cloudfront_or_the_simulator_refuses_is_an_error(code: str, event: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EdgeSimulator(edge_with(code, event), targets={"shop": "http://127.0.0.1:1"})
