"""The edge of the project: what apps receive and viewers get, with and without a domain."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from generator.config import load_config
from generator.render import render_all
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.edge_simulator import EdgeSimulator
from hosting.model.parameter_file import load_environment
from hosting.model.templates import Template
from tests.edge_simulator.conftest import resolved
from tests.support.echo_app import EchoApp, echo_app
from tests.support.project import PARAMS, copy_project
from tests.support.waiting import PATIENCE

RULE, DISTRIBUTION = "AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::CloudFront::Distribution"

HOSTS = {"lab": "d111111abcdef8.cloudfront.net", "live": "atlas.example.com"}


@pytest.mark.parametrize("environment", HOSTS)
def test_an_app_learns_host_scheme_and_address_of_the_viewer(
    environment: str, app: EchoApp, start: Callable[..., EdgeSimulator], bucket: Path
) -> None:
    edge = start(resolved(environment).resources, targets={"Portal": app.url}, static=bucket)
    host = edge.distribution.names[0]
    spoofed = {"X-Forwarded-Host": "evil.example", "CloudFront-Forwarded-Proto": "http", "X-Forwarded-Proto": "gopher"}
    reply = requests.post(f"{edge.url}/form?a=1&b=2", data="x=1", headers={"Host": host, **spoofed}, timeout=PATIENCE)
    assert reply.status_code == 200
    received = app.last
    assert (received.method, received.path, received.body) == ("POST", "/form?a=1&b=2", b"x=1")
    assert received.headers["host"] == received.headers["x-forwarded-host"] == host
    assert received.headers["cloudfront-forwarded-proto"] == "https"
    assert received.headers["x-forwarded-proto"] == ("https" if environment == "live" else "http")
    assert received.headers["x-forwarded-for"].startswith("127.0.0.1, ")


def test_the_second_host_name_of_the_site_is_redirected_with_path_and_query(
    app: EchoApp, start: Callable[..., EdgeSimulator], bucket: Path
) -> None:
    environment = resolved("live", RedirectDomainName="example.org")
    edge = start(environment.resources, targets={"Portal": app.url}, static=bucket)
    assert edge.distribution.names[:2] == ("shop.example.org", "example.org")
    address = f"{edge.url}/a/b?x=1&y=2&x=3"
    reply = requests.get(address, headers={"Host": "example.org"}, allow_redirects=False, timeout=PATIENCE)
    assert (reply.status_code, reply.headers["Location"]) == (301, "https://shop.example.org:443/a/b?x=1&y=2&x=3")
    assert requests.get(address, headers={"Host": "shop.example.org"}, timeout=PATIENCE).status_code == 200
    certificates = [item.properties for item in environment.resources if item.type.endswith("::Certificate")]
    assert len(certificates) == 2
    for names in certificates:
        assert "example.org" in names["SubjectAlternativeNames"]
        assert {one["DomainName"] for one in names["DomainValidationOptions"]} >= {"shop.example.org", "example.org"}


WORKLOADS = """
from generator.workloads import Fact, WebService

WORKLOADS = (
    WebService("Portal", paths=("/*",), priority=900),
    WebService("Orders", host="auth", paths=("/*", "/a", "/b"), priority=100, variables={"OWN": Fact.OWN_URL}),
    WebService("Search", paths=("/search",), priority=200),
)
"""


def with_own_host(tmp_path: Path, environment: str) -> ResolvedEnvironment:
    """Return an environment of a project of which one web service has a host name of its own."""
    folder = copy_project(tmp_path)
    (folder / "workloads.py").write_text(WORKLOADS, encoding="utf-8")
    bodies = render_all(load_config(folder))
    templates = {name: Template(name, body) for name, body in bodies.items()}
    return resolve(templates, load_environment(PARAMS / f"{environment}.json"))


def test_a_service_with_a_host_name_of_its_own_gets_the_requests_to_that_name_only(
    app: EchoApp, start: Callable[..., EdgeSimulator], bucket: Path, tmp_path: Path
) -> None:
    environment = with_own_host(tmp_path, "live")
    with echo_app() as auth:
        edge = start(environment.resources, targets={"Portal": app.url, "Orders": auth.url}, static=bucket)
        assert edge.distribution.names[:2] == ("shop.example.org", "auth.shop.example.org")
        for name, receiver in (("auth.shop.example.org", auth), ("shop.example.org", app)):
            assert requests.get(f"{edge.url}/x", headers={"Host": name}, timeout=PATIENCE).status_code == 200
            assert receiver.last.headers["host"] == receiver.last.headers["x-forwarded-host"] == name
        assert len(app.requests) == len(auth.requests) == 1
    for item in environment.resources:
        if item.type.endswith("::Certificate"):
            assert "auth.shop.example.org" in item.properties["SubjectAlternativeNames"]
            validated = {one["DomainName"] for one in item.properties["DomainValidationOptions"]}
            assert validated == {item.properties["DomainName"], *item.properties["SubjectAlternativeNames"]}
    records = {item.properties["Name"] for item in environment.resources if item.type == "AWS::Route53::RecordSet"}
    assert "auth.shop.example.org" in records
    of_orders = [item for item in environment.resources if "Orders" in item.stack]
    rules = [item.properties["Conditions"] for item in of_orders if item.type == RULE]
    assert len(rules) == 2, "three paths, and two fit beside host and secret"
    assert {sum(len(values(condition)) for condition in rule) for rule in rules} == {5, 4}
    (task,) = (item for item in of_orders if item.type == "AWS::ECS::TaskDefinition")
    assert {"Name": "OWN", "Value": "https://auth.shop.example.org"} in task.properties["ContainerDefinitions"][0][
        "Environment"
    ]


def values(condition: Mapping[str, Any]) -> list[str]:
    """Return the values of a condition, of which a rule has five."""
    return next(body["Values"] for name, body in condition.items() if name.endswith("Config"))


def test_without_a_domain_no_request_reaches_a_service_with_a_host_name(
    app: EchoApp, start: Callable[..., EdgeSimulator], bucket: Path, tmp_path: Path
) -> None:
    environment = with_own_host(tmp_path, "lab")
    with echo_app() as auth:
        edge = start(environment.resources, targets={"Portal": app.url, "Orders": auth.url}, static=bucket)
        assert requests.get(f"{edge.url}/x", headers={"Host": edge.distribution.names[0]}, timeout=PATIENCE).ok
        assert (len(app.requests), len(auth.requests)) == (1, 0)


@pytest.mark.parametrize("environment", HOSTS)
def test_the_load_balancer_accepts_the_next_origin_secret_before_cloudfront_sends_it(
    environment: str, app: EchoApp, start: Callable[..., EdgeSimulator], bucket: Path
) -> None:
    """The states of `rotate-origin-secret`: either value is accepted, a third one is not."""
    found = resolved(environment)
    (rule, *_) = (item for item in found.resources if item.type == RULE)
    (values,) = (
        one["HttpHeaderConfig"]["Values"] for one in rule.properties["Conditions"] if "HttpHeaderConfig" in one
    )
    for value, status in ((values[0], 200), (values[1], 200), ("another value", 403 if environment == "live" else 301)):
        resources = [
            replace(item, properties=with_secret(item.properties, value)) if item.type == DISTRIBUTION else item
            for item in found.resources
        ]
        edge = start(resources, targets={"Portal": app.url}, static=bucket)
        host = {"Host": edge.distribution.names[0]}
        reply = requests.get(f"{edge.url}/", headers=host, allow_redirects=False, timeout=PATIENCE)
        assert reply.status_code == status, value


def with_secret(properties: Mapping[str, Any], value: str) -> dict[str, Any]:
    """Return the properties of a distribution that sends a value of the secret header."""
    changed = copy.deepcopy(dict(properties))
    for origin in changed["DistributionConfig"]["Origins"]:
        for header in origin.get("OriginCustomHeaders", []):
            header["HeaderValue"] = value
    return changed
