"""The load balancer in the simulator: rules, headers, targets, health and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from hosting.edge_simulator import EdgeSimulator
from hosting.edge_simulator.errors import ConfigurationError
from tests.edge_simulator.foreign import behavior, custom_origin, distribution, resources
from tests.support.echo_app import Answer, EchoApp, echo_app
from tests.support.waiting import PATIENCE, eventually

Start = Callable[..., EdgeSimulator]
ELB = "AWS::ElasticLoadBalancingV2"


def group(**properties: Any) -> dict[str, Any]:
    check = {"HealthCheckPath": "/health", "HealthCheckTimeoutSeconds": 60}
    return {"Type": f"{ELB}::TargetGroup", "Properties": {"Protocol": "HTTP", "Port": 80, **check, **properties}}


def rule(priority: int, target: str | dict[str, Any], *conditions: dict[str, Any]) -> dict[str, Any]:
    action = {"Type": "forward", "TargetGroupArn": {"Ref": target}} if isinstance(target, str) else target
    properties = {
        "ListenerArn": {"Ref": "Listener"},
        "Priority": priority,
        "Conditions": list(conditions),
        "Actions": [action],
    }
    return {"Type": f"{ELB}::ListenerRule", "Properties": properties}


def path(*values: str) -> dict[str, Any]:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(values)}}


def host(*values: str) -> dict[str, Any]:
    return {"Field": "host-header", "HostHeaderConfig": {"Values": list(values)}}


def header(name: str, *values: str) -> dict[str, Any]:
    return {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": name, "Values": list(values)}}


FORBIDDEN = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403", "MessageBody": "no"}}
SECRET = header("X-Secret", "sesame")


def balancer(
    *, listener: dict[str, Any] | None = None, attributes: dict[str, str] | None = None, **others: dict[str, Any]
) -> list[Any]:
    """Return a distribution whose origin is a load balancer with one listener on port 80."""
    settings = {"Port": 80, "Protocol": "HTTP", "DefaultActions": [FORBIDDEN], **(listener or {})}
    origin = custom_origin(
        "lb",
        DomainName={"Fn::GetAtt": ["Balancer", "DNSName"]},
        OriginCustomHeaders=[{"HeaderName": "X-Secret", "HeaderValue": "sesame"}],
        CustomOriginConfig={"OriginProtocolPolicy": "http-only" if settings["Protocol"] == "HTTP" else "https-only"},
    )
    pairs = [{"Key": key, "Value": value} for key, value in (attributes or {}).items()]
    return resources(
        distribution(Origins=[origin], DefaultCacheBehavior=behavior(origin="lb"), Aliases=["*.example.org", "a.org"]),
        Balancer={"Type": f"{ELB}::LoadBalancer", "Properties": {"LoadBalancerAttributes": pairs}},
        Listener={"Type": f"{ELB}::Listener", "Properties": {"LoadBalancerArn": {"Ref": "Balancer"}, **settings}},
        **others,
    )


def get(edge: EdgeSimulator, url: str, **headers: str) -> requests.Response:
    return requests.get(edge.url + url, headers=headers, timeout=PATIENCE, allow_redirects=False)


def test_the_rule_with_the_lowest_priority_that_matches_decides(start: Start) -> None:
    redirect = {
        "Type": "redirect",
        "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "Path": "/new/#{path}", "StatusCode": "HTTP_302"},
    }
    edge = balancer(
        Api=group(),
        Web=group(),
        Late=rule(90, "Web", path("/*"), SECRET),
        Early=rule(10, "Api", path("/api/*", "/v?"), SECRET),
        Hosts=rule(20, "Api", host("API.*"), SECRET),
        Wrong=rule(1, "Web", path("/api/*"), header("X-Secret", "other")),
        Moved=rule(30, redirect, path("/old/*")),
        Writes=rule(40, FORBIDDEN, {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["POST"]}}),
        Query=rule(
            50, "Api", {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "V", "Value": "2*"}]}}
        ),
        Regex=rule(60, "Api", {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["/n[0-9]+"]}}),
    )
    with echo_app() as api, echo_app() as web:
        running = start(edge, targets={"Api": api.url, "Web": web.url})
        expected = {
            "/api/x": api, "/v1": api, "/v12": web, "/API/x": web, "/": web, "/?v=21": api, "/?v=1": web, "/n12": api,
        }  # fmt: skip
        for url, app in expected.items():
            before = len(app.requests)
            assert get(running, url).status_code == 200
            assert len(app.requests) == before + 1, url
        get(running, "/", Host="api.example.org")
        assert api.last.headers["host"] == "api.example.org"
        moved = get(running, "/old/x?y=1", Host="a.org")
        assert (moved.status_code, moved.headers["Location"]) == (302, "https://a.org:443/new/old/x?y=1")
        assert requests.post(f"{running.url}/x", timeout=PATIENCE).text == "no"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("", "192.0.2.7, 127.0.0.1, 130.176.0.1"), ("preserve", "192.0.2.7, 127.0.0.1"), ("remove", None)],
)
def test_the_load_balancer_sets_the_forwarded_headers_from_its_own_listener(
    mode: str, expected: str | None, app: EchoApp, start: Start
) -> None:
    attributes = {"routing.http.xff_header_processing.mode": mode} if mode else {}
    attributes["routing.http.drop_invalid_header_fields.enabled"] = "true"
    running = start(balancer(attributes=attributes, App=group(), R=rule(1, "App", path("*"))), targets={"App": app.url})
    spoofed = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Port": "1", "X_Forwarded_Host": "x", "X-Amzn-Trace-Id": "t"}
    assert get(running, "/", **spoofed).status_code == 200
    received = app.last.headers
    assert (received["x-forwarded-proto"], received["x-forwarded-port"]) == ("http", "80")
    assert received.get("x-forwarded-for") == expected
    assert "x_forwarded_host" not in received
    assert received["x-amzn-trace-id"] == "t"


def test_targets_receive_requests_as_their_health_checks_say(start: Start) -> None:
    check = {"Matcher": {"HttpCode": "200,204-206"}, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2}
    edge = balancer(App=group(**check), R=rule(1, "App", path("*")))
    healths = [204, 204]

    def answer(which: int) -> Callable[[Any], Answer]:
        return lambda request: Answer(healths[which]) if request.path == "/health" else Answer()

    with echo_app() as first, echo_app() as second:
        first.answer, second.answer = answer(0), answer(1)
        running = start(edge, targets={"App": [first.url, second.url]}, health_check_interval=0.05)
        states = running.balancer.states if running.balancer else None
        assert states is not None
        assert states("App") == ["healthy", "healthy"]
        assert [get(running, "/").status_code for _ in range(4)] == [200] * 4
        assert (len(first.requests), len(second.requests)) == (2, 2)
        check_request = first.received[0]
        assert (check_request.path, check_request.headers["host"]) == ("/health", first.url.removeprefix("http://"))
        assert "x-forwarded-for" not in check_request.headers
        healths[1] = 207
        eventually(lambda: states("App") == ["healthy", "unhealthy"])
        assert [get(running, "/").status_code for _ in range(4)] == [200] * 4
        assert (len(first.requests), len(second.requests)) == (6, 2)
        # Only unhealthy targets are left: the load balancer sends requests to all of them.
        healths[0] = 500
        eventually(lambda: states("App") == ["unhealthy", "unhealthy"])
        assert [get(running, "/").status_code for _ in range(2)] == [200] * 2
        assert (len(first.requests), len(second.requests)) == (7, 3)
        healths[0] = 200
        eventually(lambda: states("App") == ["healthy", "unhealthy"])


def test_a_group_without_targets_answers_503_and_a_dead_target_502(app: EchoApp, start: Start) -> None:
    running = start(balancer(App=group(), R=rule(1, "App", path("*"))))
    reply = get(running, "/")
    assert (reply.status_code, reply.headers["Server"]) == (503, "awselb/2.0")
    app.answer = lambda request: Answer(200 if request.path == "/health" else 418)
    stopped = start(balancer(App=group(), R=rule(1, "App", path("*"))), targets={"App": app.url})
    assert get(stopped, "/").status_code == 418
    with echo_app() as ends:
        second = start(balancer(App=group(), R=rule(1, "App", path("*"))), targets={"App": ends.url})
    assert get(second, "/").status_code == 502


@pytest.mark.parametrize("kind", ["lb_cookie", "app_cookie"])
def test_a_cookie_keeps_a_viewer_at_one_target(kind: str, start: Start) -> None:
    attributes = {
        "stickiness.enabled": "true",
        "stickiness.type": kind,
        "stickiness.app_cookie.cookie_name": "SESSION",
        f"stickiness.{kind}.duration_seconds": "60",
    }
    pairs = [{"Key": key, "Value": value} for key, value in attributes.items()]
    edge = balancer(App=group(TargetGroupAttributes=pairs), R=rule(1, "App", path("*")))
    with echo_app() as first, echo_app() as second:
        for app in (first, second):
            app.answer = lambda _request: Answer(headers=(("Set-Cookie", "SESSION=1"),))
        running = start(edge, targets={"App": [first.url, second.url]})
        session = requests.Session()
        for _ in range(4):
            session.get(running.url, timeout=PATIENCE)
        assert sorted([len(first.requests), len(second.requests)]) == [0, 4]
        assert ("AWSALB" if kind == "lb_cookie" else "AWSALBAPP-0") in session.cookies


def test_weights_divide_requests_between_groups(start: Start) -> None:
    targets = [{"TargetGroupArn": {"Ref": "Old"}, "Weight": 3}, {"TargetGroupArn": {"Ref": "New"}, "Weight": 1}]
    action = {"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}
    with echo_app() as old, echo_app() as new:
        running = start(
            balancer(Old=group(), New=group(), R=rule(1, action, path("*"))), targets={"Old": old.url, "New": new.url}
        )
        assert [get(running, "/").status_code for _ in range(8)] == [200] * 8
        assert (len(old.requests), len(new.requests)) == (6, 2)


@pytest.mark.parametrize(
    ("names", "status"),
    [(["lb.example.net"], 200), (["*.example.org"], 200), (["other.example.com"], 502)],
)
def test_the_certificate_covers_the_domain_of_the_origin_or_the_host(
    names: list[str], status: int, app: EchoApp, start: Start
) -> None:
    edge = balancer(
        listener={"Port": 443, "Protocol": "HTTPS", "Certificates": [{"CertificateArn": {"Ref": "Certificate"}}]},
        Certificate={
            "Type": "AWS::CertificateManager::Certificate",
            "Properties": {"DomainName": "unused.example.com", "SubjectAlternativeNames": names},
        },
        App=group(),
        R=rule(1, "App", path("*")),
    )
    origin = edge[0].properties["DistributionConfig"]["Origins"][0]
    origin["DomainName"] = "lb.example.net"
    running = start(edge, targets={"App": app.url})
    assert get(running, "/", Host="www.example.org").status_code == status
    assert status != 200 or app.last.headers["x-forwarded-proto"] == "https"


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"R": rule(1, "App", path("/1", "/2", "/3", "/4"), host("a.org"), SECRET)}, "6 condition values"),
        ({"R": rule(1, "App", path("/1")), "S": rule(1, "App", path("/2"))}, "priority 1 is also that of"),
        ({"R": rule(1, {"Type": "authenticate-oidc"}, path("/1"))}, "does not model the action authenticate-oidc"),
        ({"R": rule(1, "App", {"Field": "source-ip"})}, "does not model the condition source-ip"),
    ],
)
def test_rules_that_aws_refuses_or_that_are_not_modelled_are_errors(
    others: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        EdgeSimulator(balancer(App=group(), **others))


def test_a_name_of_no_target_group_is_an_error(start: Start) -> None:
    running = start(balancer(App=group(), R=rule(1, "App", path("*"))))
    with pytest.raises(ConfigurationError, match=r"target Web: 0 target groups .* name \['App'\]"):
        running.set_targets("Web", [])


def test_uploads_of_known_and_unknown_length_reach_the_app(app: EchoApp, start: Start) -> None:
    running = start(balancer(App=group(), R=rule(1, "App", path("*"))), targets={"App": app.url})
    data = b"x" * 5_000_000
    assert requests.put(f"{running.url}/file", data=data, timeout=PATIENCE).status_code == 200
    assert app.last.body == data
    assert (
        requests.put(f"{running.url}/file", data=iter([b"a" * 70_000, b"b" * 70_000]), timeout=PATIENCE).status_code
        == 200
    )
    assert app.last.body == b"a" * 70_000 + b"b" * 70_000
