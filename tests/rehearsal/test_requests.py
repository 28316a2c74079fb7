"""The requests of a rehearsal: all hold for the project, and one changed behavior of a template fails its own rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from generator.config import load_config
from generator.edge_settings import Edge
from generator.render import render_all
from generator.workloads import HealthCheck, WebService, Worker
from hosting.analysis.resolve import ResolvedEnvironment, Resource, resolve
from hosting.edge_simulator.distribution import EXAMPLE_DOMAIN
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load
from hosting.rehearsal.requests.runner import run_rows
from hosting.rehearsal.requests.table import ERRORS, Site, StaticObject, rows
from tests.edge_simulator.conftest import resolved
from tests.support.project import FIXTURE, PARAMS

CACHING_OPTIMIZED, CACHING_DISABLED = "658327ea-f89d-4fab-a63d-7e88639e58f6", "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
REDIRECT = {"RedirectDomainName": "example.org"}


def site_of(environment: ResolvedEnvironment) -> Site:
    root = environment.stacks["root"]
    return Site.of(root.template, {key: str(value) for key, value in root.parameters.items()}, EXAMPLE_DOMAIN)


def objects_of(site: Site) -> dict[str, StaticObject]:
    folders = filter(None, (site.static_path, "/sorry/"))
    return {f"{folder}index.html".lstrip("/"): StaticObject(f"<p>{folder}</p>".encode()) for folder in folders}


def failures(resources: Iterable[Resource], site: Site) -> dict[str, tuple[str, ...]]:
    """Return what differs, by the name of the row."""
    outcomes = run_rows(resources, site, objects_of(site))
    return {outcome.row.name: outcome.differences for outcome in outcomes if outcome.differences}


@cache
def environment_of(name: str) -> ResolvedEnvironment:
    return resolved(name, **(REDIRECT if name == "live" else {}))


@pytest.mark.parametrize("environment", ["lab", "live"])
def test_every_request_holds_with_and_without_a_domain(environment: str) -> None:
    found = environment_of(environment)
    assert failures(found.resources, site_of(found)) == {}


def rendered(folder: Path, environment: str, **changes: Any) -> ResolvedEnvironment:
    """Return an environment of the project with another configuration."""
    for name, text in render_all(replace(load_config(FIXTURE), **changes)).items():
        (folder / name).write_text(text)
    templates, given = load(folder), load_environment(PARAMS / f"{environment}.json")
    known = {name for template in templates.values() for name in template.parameters}
    used = {name: value for name, value in given.parameters.items() if name in known}
    return resolve(templates, replace(given, parameters=used))


SETTINGS = {
    "everything": Edge(
        sorry_codes=(502, 503, 504),
        content_security_policy="default-src 'self'",
        frame_options="SAMEORIGIN",
        hsts_subdomains=True,
        hidden_headers=(),
        static_path="/assets/",
    ),
    "reports and no pages": Edge(
        sorry_codes=(), content_security_policy="default-src 'self'", csp_report_only=True, static_path=""
    ),
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_request_holds_with_other_settings_of_the_edge(settings: str, tmp_path: Path) -> None:
    found = rendered(tmp_path, "lab", edge=SETTINGS[settings])
    assert failures(found.resources, site_of(found)) == {}
    # The expectations are those of the settings: the templates of the default settings fail them.
    assert len(failures(environment_of("lab").resources, site_of(found))) >= 3


def test_every_request_holds_with_sticky_sessions_and_health_checks_of_another_kind(tmp_path: Path) -> None:
    check = HealthCheck(path="/up", port=9000, codes="201-204")
    workloads = tuple(
        replace(entry, sticky_seconds=60, health_check=check) if isinstance(entry, WebService) else entry
        for entry in load_config(FIXTURE).workloads
    )
    found = rendered(tmp_path, "lab", workloads=workloads)
    assert failures(found.resources, site_of(found)) == {}


def test_a_project_without_a_web_service_serves_static_files_and_refuses_the_rest(tmp_path: Path) -> None:
    found = rendered(tmp_path, "lab", workloads=(Worker("Portal"),))
    site = site_of(found)
    assert site.routes == {}
    names = {row.name for row in rows(site, objects_of(site))}
    assert "a path of no workload is refused" in names
    assert not any("the app" in name for name in names)
    assert failures(found.resources, site) == {}
    # The other project has a workload for every path.
    assert "a path of no workload is refused" in failures(environment_of("lab").resources, site)


# --- One changed behavior ---

Properties = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A change of the properties of resources with a logical id, and the names of the rows that it fails."""

    title: str
    logical_id: str
    apply: Callable[[Properties], object]
    fails: frozenset[str]
    environment: str = "lab"
    stack: str = ""


def default(**settings: Any) -> Callable[[Properties], object]:
    return lambda p: p["DistributionConfig"]["DefaultCacheBehavior"].update(settings)


def static(**settings: Any) -> Callable[[Properties], object]:
    return lambda p: p["DistributionConfig"]["CacheBehaviors"][0].update(settings)


def error(code: int, **settings: Any) -> Callable[[Properties], object]:
    return lambda p: next(
        one for one in p["DistributionConfig"]["CustomErrorResponses"] if one["ErrorCode"] == code
    ).update(settings)


def without_page(code: int) -> Callable[[Properties], object]:
    def change(properties: Properties) -> None:
        entries = properties["DistributionConfig"]["CustomErrorResponses"]
        entries[:] = [one for one in entries if one["ErrorCode"] != code] + [
            {"ErrorCode": code, "ErrorCachingMinTTL": 0}
        ]

    return change


def request_policy(**settings: Any) -> Callable[[Properties], object]:
    return lambda p: p["OriginRequestPolicyConfig"].update(settings)


def security(**settings: Any) -> Callable[[Properties], object]:
    def change(properties: Properties) -> None:
        config = properties["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
        for name, value in settings.items():
            config[name] = {**config.get(name, {}), **value}

    return change


def attribute(key: str, value: str) -> Callable[[Properties], object]:
    def change(properties: Properties) -> None:
        kept = [one for one in properties["LoadBalancerAttributes"] if one["Key"] != key]
        properties["LoadBalancerAttributes"] = [*kept, {"Key": key, "Value": value}]

    return change


def code(old: str, new: str) -> Callable[[Properties], object]:
    def change(properties: Properties) -> None:
        assert old in properties["FunctionCode"]
        properties["FunctionCode"] = properties["FunctionCode"].replace(old, new, 1)

    return change


def without_condition(field: str) -> Callable[[Properties], object]:
    return lambda p: p.update(Conditions=[one for one in p["Conditions"] if one["Field"] != field])


def add_path(path: str) -> Callable[[Properties], object]:
    def change(properties: Properties) -> None:
        for one in properties["Conditions"]:
            if one["Field"] == "path-pattern":
                one["PathPatternConfig"]["Values"].append(path)

    return change


PROXY_HEADERS = "headers that change host or path are dropped"
SORRY = ("502 shows the sorry page", "a broken connection counts as 502")
OTHERS = "other headers reach the app"
PAGE = "/sorry/index.html"


def change(
    title: str,
    logical_id: str,
    apply: Callable[[Properties], object],
    *fails: str,
    environment: str = "lab",
    stack: str = "",
) -> Change:
    return Change(title, logical_id, apply, frozenset(fails), environment, stack)


def own_error(status: int) -> str:
    return f"{status} of the app reaches its client"


CHANGES = [
    change(
        "the origin request policy has no Host",
        "AppRequestPolicy",
        request_policy(HeadersConfig={"HeaderBehavior": "allExcept", "Headers": ["Host"]}),
        "the app sees the viewer's Host",
        "CloudFront-Forwarded-Proto is https",
    ),
    change(
        "the origin request policy has no CloudFront header",
        "AppRequestPolicy",
        request_policy(HeadersConfig={"HeaderBehavior": "allViewer"}),
        "CloudFront-Forwarded-Proto is https",
    ),
    change(
        "no cookies",
        "AppRequestPolicy",
        request_policy(CookiesConfig={"CookieBehavior": "none"}),
        "cookies pass in both directions",
    ),
    change(
        "no query",
        "AppRequestPolicy",
        request_policy(QueryStringsConfig={"QueryStringBehavior": "none"}),
        "the query reaches the app unchanged",
    ),
    change(
        "no viewer function",
        "Distribution",
        default(FunctionAssociations=[]),
        "X-Forwarded-Host is the viewer's Host",
        PROXY_HEADERS,
    ),
    change("the function keeps a header", "ViewerFunction", code("'x-original-url', ", ""), PROXY_HEADERS),
    change(
        "the function drops a header", "ViewerFunction", code("'forwarded', ", "'forwarded', 'authorization', "), OTHERS
    ),
    change(
        "the listener has another protocol",
        "HttpListener",
        lambda p: p.update(Protocol="HTTPS"),
        "X-Forwarded-Proto and -Port are those of the listener",
    ),
    change(
        "the load balancer removes X-Forwarded-For",
        "LoadBalancer",
        attribute("routing.http.xff_header_processing.mode", "remove"),
        "X-Forwarded-For ends with viewer and CloudFront",
    ),
    change(
        "the load balancer keeps invalid names",
        "LoadBalancer",
        attribute("routing.http.drop_invalid_header_fields.enabled", "false"),
        "a header with an underscore is dropped",
    ),
    change(
        "responses of apps are cached",
        "Distribution",
        default(CachePolicyId=CACHING_OPTIMIZED),
        "a response of an app is not cached",
        OTHERS,
    ),
    change(
        "only reading methods",
        "Distribution",
        default(AllowedMethods=["GET", "HEAD"]),
        *(f"{method} reaches the app" for method in ("POST", "PUT", "PATCH", "DELETE")),
    ),
    change(
        "no redirect to HTTPS", "Distribution", default(ViewerProtocolPolicy="allow-all"), "HTTP is redirected to HTTPS"
    ),
    *(
        change(f"{status} is cached", "Distribution", error(status, ErrorCachingMinTTL=10), own_error(status))
        for status in (404, 414, 500, 501, 503)
    ),
    change(
        "404 has no entry",
        "Distribution",
        lambda p: p["DistributionConfig"]["CustomErrorResponses"].remove({"ErrorCode": 404, "ErrorCachingMinTTL": 0}),
        own_error(404),
    ),
    *(
        change(
            f"{status} has a page",
            "Distribution",
            error(status, ResponseCode=200, ResponsePagePath=PAGE),
            own_error(status),
        )
        for status in (400, 405, 416)
    ),
    change("403 has a page", "Distribution", error(403, ResponseCode=200, ResponsePagePath=PAGE), own_error(403)),
    change(
        "503 has a page",
        "Distribution",
        error(503, ResponseCode=200, ResponsePagePath=PAGE),
        own_error(503),
        "a service without tasks counts as 503",
    ),
    change("502 is cached", "Distribution", error(502, ErrorCachingMinTTL=10), *SORRY),
    change("502 has no page", "Distribution", without_page(502), *SORRY),
    change("504 has no page", "Distribution", without_page(504), "504 shows the sorry page"),
    change(
        "HSTS for subdomains",
        "AppHeaders",
        security(StrictTransportSecurity={"IncludeSubdomains": True}),
        "Strict-Transport-Security is as configured",
    ),
    change(
        "HSTS overrides",
        "AppHeaders",
        security(StrictTransportSecurity={"Override": True}),
        "a header of the app is never replaced",
    ),
    change(
        "another referrer policy",
        "AppHeaders",
        security(ReferrerPolicy={"ReferrerPolicy": "no-referrer"}),
        "Referrer-Policy is as configured",
    ),
    change(
        "no nosniff",
        "AppHeaders",
        lambda p: p["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"].pop("ContentTypeOptions"),
        "X-Content-Type-Options is as configured",
    ),
    change(
        "a frame rule",
        "AppHeaders",
        security(FrameOptions={"FrameOption": "DENY", "Override": False}),
        "X-Frame-Options is as configured",
    ),
    change(
        "a content security policy",
        "AppHeaders",
        security(ContentSecurityPolicy={"ContentSecurityPolicy": "default-src 'self'", "Override": False}),
        "the content security policy is as configured",
    ),
    change(
        "no hidden headers",
        "AppHeaders",
        lambda p: p["ResponseHeadersPolicyConfig"].pop("RemoveHeadersConfig"),
        "hidden headers are removed",
    ),
    change(
        "another priority",
        "ListenerRule",
        lambda p: p.update(Priority=1),
        *(
            f"{path}{rest} of {name} reaches its workload"
            for path, name in (("/orders", "Orders"), ("/search", "Search"))
            for rest in ("", "/*")
        ),
        stack="PortalServiceStack",
    ),
    change(
        "another path", "ListenerRule", add_path("/x"), "/* of Portal reaches its workload", stack="OrdersServiceStack"
    ),
    change(
        "no secret",
        "ListenerRule",
        without_condition("http-header"),
        "the load balancer refuses requests past CloudFront",
    ),
    change(
        "the redirect of the second name is missing",
        "RedirectRule",
        lambda p: p["Conditions"].append(
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Other", "Values": ["x"]}}
        ),
        "the second host name is redirected",
        environment="live",
    ),
    change(
        "static files are not cached",
        "Distribution",
        static(CachePolicyId=CACHING_DISABLED),
        "/static/ is served from the bucket, and cached",
    ),
    change("no index of folders", "Distribution", static(FunctionAssociations=[]), "/static/ is its index.html"),
    change(
        "no headers of static files",
        "Distribution",
        lambda p: p["DistributionConfig"]["CacheBehaviors"][0].pop("ResponseHeadersPolicyId"),
        "/static/ has strict headers",
    ),
    change(
        "no behavior of the sorry page",
        "Distribution",
        lambda p: p["DistributionConfig"]["CacheBehaviors"].pop(1),
        *SORRY,
        "504 shows the sorry page",
        "/sorry/ is served from the bucket, and cached",
        "/sorry/ is its index.html",
        "/sorry/ has strict headers",
    ),
]


def changed(found: ResolvedEnvironment, one: Change) -> list[Resource]:
    """Return the resources of an environment with one change."""
    resources, hits = [], 0
    for resource in found.resources:
        if resource.logical_id == one.logical_id and resource.stack.endswith(one.stack):
            properties = copy.deepcopy(dict(resource.properties))
            one.apply(properties)
            resources.append(replace(resource, properties=properties))
            hits += 1
        else:
            resources.append(resource)
    assert hits
    return resources


@pytest.mark.parametrize("one", CHANGES, ids=lambda one: one.title)
def test_one_changed_behavior_fails_its_own_requests(one: Change) -> None:
    found = environment_of(one.environment)
    assert set(failures(changed(found, one), site_of(found))) == one.fails


def test_each_request_of_the_table_fails_for_a_changed_behavior() -> None:
    site = site_of(environment_of("live"))
    names = {row.name for row in rows(site, objects_of(site))}
    assert names - {name for one in CHANGES for name in one.fails} == set()
    assert {status for status in ERRORS if own_error(status) in names} == {*ERRORS} - {502, 504}
