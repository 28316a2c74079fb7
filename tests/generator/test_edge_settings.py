"""What the settings of the edge in workloads.py change in CloudFront and in the load balancer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generator.config import Config
from generator.edge_settings import Edge
from generator.errors import ConfigError
from generator.layers import application, distribution, operations, service
from generator.wiring import Layer
from generator.workloads import WebService

CONTRACT = Path(__file__).parents[2] / "docs" / "app-contract.md"

POLICY = "default-src 'self'"


def resources(layer: Layer[Any, Any, Any], config: Any) -> dict[str, Any]:
    rendered = json.loads(layer.render(config).to_json())
    return {name: resource["Properties"] for name, resource in rendered["Resources"].items()}


def edge_of(config: Config, edge: Edge) -> dict[str, Any]:
    return resources(distribution.LAYER, replace(config, edge=edge).distribution)


def app_headers(config: Config, edge: Edge) -> dict[str, Any]:
    found: dict[str, Any] = edge_of(config, edge)["AppHeaders"]["ResponseHeadersPolicyConfig"]
    return found


def test_responses_of_apps_get_no_header_that_breaks_pages(config: Config) -> None:
    headers = app_headers(config, Edge())
    assert set(headers["SecurityHeadersConfig"]) == {
        "StrictTransportSecurity",
        "ContentTypeOptions",
        "ReferrerPolicy",
    }
    assert headers["SecurityHeadersConfig"]["StrictTransportSecurity"]["IncludeSubdomains"] is False
    assert "CustomHeadersConfig" not in headers


def test_a_content_security_policy_is_enforced_or_only_reported(config: Config) -> None:
    enforced = app_headers(config, Edge(content_security_policy=POLICY, frame_options="SAMEORIGIN"))
    assert enforced["SecurityHeadersConfig"]["ContentSecurityPolicy"] == {
        "ContentSecurityPolicy": POLICY,
        "Override": False,
    }
    assert enforced["SecurityHeadersConfig"]["FrameOptions"] == {"FrameOption": "SAMEORIGIN", "Override": False}
    reported = app_headers(config, Edge(content_security_policy=POLICY, csp_report_only=True))
    assert "ContentSecurityPolicy" not in reported["SecurityHeadersConfig"]
    (header,) = reported["CustomHeadersConfig"]["Items"]
    assert header == {"Header": "Content-Security-Policy-Report-Only", "Value": POLICY, "Override": False}


def test_static_files_keep_the_strict_headers_whatever_apps_get(config: Config) -> None:
    for edge in (Edge(), Edge(content_security_policy=POLICY, hsts_subdomains=True, hidden_headers=())):
        strict = edge_of(config, edge)["SecurityHeaders"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
        assert strict["FrameOptions"]["FrameOption"] == "DENY"
        assert "frame-ancestors 'none'" in strict["ContentSecurityPolicy"]["ContentSecurityPolicy"]
        assert strict["StrictTransportSecurity"]["IncludeSubdomains"] is edge.hsts_subdomains


def test_only_the_chosen_codes_show_the_sorry_page_and_no_error_is_cached(config: Config) -> None:
    site = edge_of(config, Edge(sorry_codes=(503,)))["Distribution"]["DistributionConfig"]
    entries = {entry["ErrorCode"]: entry for entry in site["CustomErrorResponses"]}
    assert {code for code, entry in entries.items() if "ResponsePagePath" in entry} == {503}
    assert {entry["ErrorCachingMinTTL"] for entry in entries.values()} == {0}
    assert {404, 414, 500, 501, 502, 503, 504} <= set(entries)


def test_times_reach_cloudfront_and_the_load_balancer(config: Config) -> None:
    edge = Edge(response_timeout=120, idle_timeout=600, connection_attempts=1)
    app, _ = edge_of(config, edge)["Distribution"]["DistributionConfig"]["Origins"]
    assert (app["CustomOriginConfig"]["OriginReadTimeout"], app["ConnectionAttempts"]) == (120, 1)
    balancer = resources(application.LAYER, replace(config, edge=edge).application)["LoadBalancer"]
    assert {"Key": "idle_timeout.timeout_seconds", "Value": "600"} in balancer["LoadBalancerAttributes"]


def test_the_contract_states_the_settings_and_their_defaults() -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    edge, container = Edge(), service.Config()
    app = WebService("App", paths=("/*",), priority=1)
    for name in vars(edge):
        assert f"`{name}" in text or f"({name}" in text, f"{name} is missing"
    for row in (
        f"| `response_timeout` | {edge.response_timeout} s |",
        f"| `idle_timeout` | {edge.idle_timeout} s |",
        f"| `connection_attempts` | {edge.connection_attempts} |",
        f"**{' and '.join(map(str, edge.sorry_codes))} show the sorry page**",
        f"every {app.health_check.interval_seconds} s, with a timeout of {app.health_check.timeout_seconds} s",
        f"after {container.deregistration_seconds} s. Then process 1 gets SIGTERM",
        f"SIGKILL {app.stop_seconds} s later",
    ):
        assert row in text, row


def test_static_files_have_the_path_that_the_project_chooses_or_none(config: Config) -> None:
    for chosen, served in (
        ("/static/", {"/static/*", "/sorry/*"}),
        ("/assets/", {"/assets/*", "/sorry/*"}),
        ("", {"/sorry/*"}),
    ):
        built = edge_of(config, Edge(static_path=chosen))
        behaviors = built["Distribution"]["DistributionConfig"]["CacheBehaviors"]
        assert {item["PathPattern"] for item in behaviors} == served
        assert built["SiteContent"]["IndexPage"] == (f"{chosen[1:]}index.html" if chosen else "")
        written = json.dumps(built["SiteContentPolicy"])
        assert ("/static/index.html" in written) is (chosen == "/static/")


def test_a_service_at_a_path_that_never_reaches_it_is_refused(config: Config) -> None:
    (first, *others) = config.workloads
    assert isinstance(first, WebService)
    for path in ("/static/*", "/sorry/*", "/static/app.js"):
        hidden = replace(first, paths=(path,))
        with pytest.raises(ConfigError, match="never from the service"):
            replace(config, workloads=(hidden, *others))
    # Django serves /static/ itself in a project that moves the platform's files.
    django = replace(first, paths=("/static/*",))
    replace(config, workloads=(django, *others), edge=Edge(static_path="/assets/"))


def test_requests_that_do_not_comply_with_http_are_judged_as_configured(config: Config) -> None:
    for edge, mode in ((Edge(), "defensive"), (Edge(desync_mitigation="strictest"), "strictest")):
        balancer = resources(application.LAYER, replace(config, edge=edge).application)["LoadBalancer"]
        attribute = {"Key": "routing.http.desync_mitigation_mode", "Value": mode}
        assert attribute in balancer["LoadBalancerAttributes"]
    alarms = resources(operations.LAYER, config.operations)
    assert alarms["NonCompliantRequestsAlarm"]["MetricName"] == "DesyncMitigationMode_NonCompliant_Request_Count"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"static_path": "static"}, "static_path"),
        ({"static_path": "/sorry/"}, "static_path"),
        ({"static_path": "/a*/"}, "static_path"),
        ({"desync_mitigation": "monitor"}, "defensive or strictest"),
        ({"waf": "block"}, "waf is 'block'"),
    ],
)
def test_a_setting_that_aws_would_refuse_is_refused_first(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Edge(**settings)
