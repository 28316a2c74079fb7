"""Requests as apps see them and responses as viewers see them, as docs/app-contract.md promises."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.distribution import behaviors, configs, is_s3, read_origins
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.values import flag, follow, listed, number
from hosting.model.tokens import Json

FUNCTION = "AWS::CloudFront::Function"
REQUEST_POLICY = "AWS::CloudFront::OriginRequestPolicy"
HEADERS_POLICY = "AWS::CloudFront::ResponseHeadersPolicy"

# Managed policies that forward the Host header, and the one of them that adds CloudFront-Forwarded-Proto (Amazon
# CloudFront Developer Guide, Use managed origin request policies).
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
ALL_VIEWER_AND_CLOUDFRONT = "33f36d7e-f396-46d9-90e0-52428a34d9dc"


def behaviors_of_apps(env: ResolvedEnvironment) -> Iterator[tuple[Resource, str, Mapping[str, Json]]]:
    """Yield distribution, path and content of each behavior whose origin is no bucket."""
    for distribution, config in configs(env):
        origins = read_origins(config)
        for path, behavior in behaviors(config):
            _, source = origins.get(str(behavior.get("TargetOriginId")), ("", {}))
            if source and not is_s3(source):
                yield distribution, path, behavior


def forwards_header(env: ResolvedEnvironment, policy_id: Json, header: str) -> bool:
    """Return whether an origin request policy forwards a header."""
    is_cloudfront = header.startswith("cloudfront-")
    if policy_id in (ALL_VIEWER, ALL_VIEWER_AND_CLOUDFRONT):
        return policy_id == ALL_VIEWER_AND_CLOUDFRONT or not is_cloudfront
    policy = follow(env, policy_id, REQUEST_POLICY)
    given = policy.get("OriginRequestPolicyConfig.HeadersConfig", {}) if policy else {}
    named = header in {str(name).lower() for name in listed(given.get("Headers"))}
    match given.get("HeaderBehavior"):
        case "allViewer":
            return not is_cloudfront
        case "allViewerAndWhitelistCloudFront":
            return named or not is_cloudfront
        case "allExcept":
            return not named and not is_cloudfront
        case "whitelist":
            return named
        case _:
            return False


@environment_rule(
    "DST-22",
    "Apps know the host name by which a viewer called",
    why="Without the Host header of the viewer an app builds redirects with the name of the load balancer, and CSRF "
    "checks fail. A viewer's own X-Forwarded-Host passes CloudFront and load balancer unchanged (Amazon CloudFront "
    "Developer Guide, Request and response behavior for custom origins).",
    hint="forward all viewer headers with an origin request policy; set x-forwarded-host in a viewer-request function",
)
def host_name(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, path, behavior in behaviors_of_apps(env):
        if not forwards_header(env, behavior.get("OriginRequestPolicyId"), "host"):
            yield RuleMatch(distribution, f"{path}.OriginRequestPolicyId", "the Host header is not forwarded")
        functions = [
            function
            for item in listed(behavior.get("FunctionAssociations"))
            if item.get("EventType") == "viewer-request"
            and (function := follow(env, item.get("FunctionARN"), FUNCTION)) is not None
        ]
        if not any("x-forwarded-host" in _assigned_headers(function) for function in functions):
            yield RuleMatch(distribution, f"{path}.FunctionAssociations", "a viewer may set X-Forwarded-Host")


@environment_rule(
    "DST-23",
    "Apps can know that a viewer used HTTPS",
    why="The load balancer sets X-Forwarded-Proto from its own listener, which is HTTP for an http-only origin, and "
    "passes CloudFront-Forwarded-Proto unchanged (Amazon CloudFront Developer Guide, Add CloudFront request headers).",
    hint="name CloudFront-Forwarded-Proto in the origin request policy",
)
def scheme(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, path, behavior in behaviors_of_apps(env):
        if not forwards_header(env, behavior.get("OriginRequestPolicyId"), "cloudfront-forwarded-proto"):
            yield RuleMatch(
                distribution, f"{path}.OriginRequestPolicyId", "CloudFront-Forwarded-Proto is not forwarded"
            )


@environment_rule(
    "DST-24",
    "CloudFront changes no response header that an app sets",
    why="An app that sends its own policy depends on it: a second one breaks scripts, frames or subdomains (Amazon "
    "CloudFront Developer Guide, Understand response headers policies).",
    hint="set Override to false in the response headers policy of apps",
)
def own_headers(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for _, _, behavior in behaviors_of_apps(env):
        policy = follow(env, behavior.get("ResponseHeadersPolicyId"), HEADERS_POLICY)
        config: Mapping[str, Json] = policy.get("ResponseHeadersPolicyConfig", {}) if policy else {}
        if policy is None:
            continue
        base = "Properties.ResponseHeadersPolicyConfig"
        for name, item in config.get("SecurityHeadersConfig", {}).items():
            if flag(item.get("Override")):
                yield RuleMatch(policy, f"{base}.SecurityHeadersConfig.{name}", "replaces the header of the app")
        for index, item in enumerate(listed(config.get("CustomHeadersConfig", {}).get("Items"))):
            if flag(item.get("Override")):
                path = f"{base}.CustomHeadersConfig.Items.{index}"
                yield RuleMatch(policy, path, f"replaces {item.get('Header')} of the app")


# Amazon CloudFront Developer Guide, Restrictions on edge functions: headers that a function must not add, and headers
# that a function of a viewer request can read only.
_RESERVED = re.compile(
    r"connection|content-length|expect|host|keep-alive|proxy-(authenticate|authorization|connection)|trailer|"
    r"transfer-encoding|upgrade|via|x-accel-(buffering|charset|limit-rate|redirect)|x-amz-cf-.*|x-amzn-.*|x-cache|"
    r"x-edge-.*|x-forwarded-proto|x-real-ip"
)
_ASSIGNMENT = re.compile(r"headers(?:\.(\w+)|\[\s*['\"]([\w-]+)['\"]\s*\])\s*=(?!=)")


def _assigned_headers(function: Resource) -> set[str]:
    """Return the header names that the code of a function assigns."""
    found = _ASSIGNMENT.findall(str(function.get("FunctionCode", "")))
    return {(plain or quoted).lower() for plain, quoted in found}


@environment_rule(
    "DST-25",
    "Edge functions set no header that CloudFront reserves",
    why="CloudFront answers such a request with 502 (Amazon CloudFront Developer Guide, Restrictions on edge "
    "functions).",
    hint="use another header; CloudFront-Forwarded-Proto states the scheme",
)
def reserved_headers(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for function in env.of_type(FUNCTION):
        for name in sorted(_assigned_headers(function)):
            if _RESERVED.fullmatch(name):
                yield RuleMatch(function, "Properties.FunctionCode", f"sets {name}")


# Status codes that CloudFront caches although the origin does not ask for it.
_CACHED_ERRORS = {404, 414, 500, 501, 502, 503, 504}


@environment_rule(
    "DST-26",
    "Errors of one viewer are not returned to others",
    why="CloudFront caches these errors for 10 s, and for 300 s with an entry without a time. The cache key of an "
    "uncached behavior has neither query string nor cookies (Amazon CloudFront Developer Guide, How CloudFront caches "
    "HTTP 4xx and 5xx status codes).",
    hint="give each of these codes an entry in CustomErrorResponses with ErrorCachingMinTTL 0",
)
def uncached_errors(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        base = "Properties.DistributionConfig.CustomErrorResponses"
        responses = listed(config.get("CustomErrorResponses"))
        if missing := _CACHED_ERRORS - {int(number(item.get("ErrorCode")) or 0) for item in responses}:
            yield RuleMatch(distribution, base, f"no entry for {', '.join(map(str, sorted(missing)))}")
        for index, item in enumerate(responses):
            seconds = number(item.get("ErrorCachingMinTTL", 300))
            if seconds:
                yield RuleMatch(distribution, f"{base}.{index}.ErrorCachingMinTTL", f"is cached for {seconds:g} s")
