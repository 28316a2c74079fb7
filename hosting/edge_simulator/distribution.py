"""The configuration of a CloudFront distribution, read from its resource and from the resources that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hosting.edge_simulator.edge_functions import EdgeFunction
from hosting.edge_simulator.errors import ConfigurationError
from hosting.edge_simulator.policies import (
    CachePolicy,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    cache_policy,
    origin_request_policy,
    response_headers_policy,
)
from hosting.edge_simulator.resources import Resource, Resources, flag, number
from hosting.model.tokens import Json

# The name of a distribution that is not deployed.
EXAMPLE_DOMAIN = "d111111abcdef8.cloudfront.net"
# Settings that change which requests are answered or how, and that the simulator does not have.
_NOT_MODELLED = (
    "LambdaFunctionAssociations",
    "TrustedSigners",
    "TrustedKeyGroups",
    "FieldLevelEncryptionId",
    "SmoothStreaming",
)


@dataclass(frozen=True)
class Behavior:
    """A cache behavior. The pattern of the default one is `*`."""

    pattern: str
    origin_id: str
    viewer_protocol_policy: str
    allowed_methods: frozenset[str]
    cached_methods: frozenset[str]
    cache: CachePolicy
    origin_request: OriginRequestPolicy
    response_headers: ResponseHeadersPolicy
    functions: Mapping[str, EdgeFunction]
    compress: bool

    def matches(self, path: str) -> bool:
        return wildcard(self.pattern if self.pattern[:1] in {"/", "*"} else f"/{self.pattern}", path)


@dataclass(frozen=True)
class Origin:
    """An origin. `group` holds its other origin and the codes of a fail-over, if it is an origin group."""

    id: str
    domain: str
    path: str
    headers: tuple[tuple[str, str], ...]
    is_bucket: bool
    protocol_policy: str
    http_port: int
    https_port: int
    read_timeout: float
    attempts: int


@dataclass(frozen=True)
class OriginGroup:
    """Two origins: the second answers if the first fails with one of the codes."""

    id: str
    members: tuple[str, ...]
    codes: frozenset[int]


@dataclass(frozen=True)
class ErrorResponse:
    """The page and code in place of an error, and how long the error is cached (`min_ttl`, seconds)."""

    code: int
    page: str
    response_code: int
    min_ttl: float


@dataclass(frozen=True)
class Distribution:
    """A distribution. The default behavior is the last one."""

    id: str
    domain: str
    names: tuple[str, ...]
    default_root_object: str
    behaviors: tuple[Behavior, ...]
    origins: Mapping[str, Origin]
    groups: Mapping[str, OriginGroup]
    errors: Mapping[int, ErrorResponse]

    def behavior_of(self, path: str) -> Behavior:
        normal = normalize_path(path)
        return next(behavior for behavior in self.behaviors if behavior.matches(normal))


def read_distribution(resources: Resources) -> Distribution:
    """Return the one distribution of the resources. Raises ConfigurationError for settings that are not modelled."""
    found = resources.of_type("AWS::CloudFront::Distribution")
    if len(found) != 1:
        raise ConfigurationError("AWS::CloudFront::Distribution", f"{len(found)} distributions are in the templates")
    (resource,) = found
    config = resource.properties["DistributionConfig"]
    domain = EXAMPLE_DOMAIN if resource.att("DomainName").startswith("<<") else resource.att("DomainName")
    behaviors = [*(config.get("CacheBehaviors") or ()), {**config["DefaultCacheBehavior"], "PathPattern": "*"}]
    origins = {item["Id"]: _origin(item) for item in config["Origins"]}
    groups = {item["Id"]: _group(item) for item in (config.get("OriginGroups") or {}).get("Items") or ()}
    distribution = Distribution(
        resource.ref,
        domain,
        (*(name.lower() for name in config.get("Aliases") or ()), domain),
        config.get("DefaultRootObject") or "",
        tuple(_behavior(resources, item, domain) for item in behaviors),
        origins,
        groups,
        {int(item["ErrorCode"]): _error_response(item) for item in config.get("CustomErrorResponses") or ()},
    )
    for behavior in distribution.behaviors:
        if behavior.origin_id not in {*origins, *groups}:
            raise ConfigurationError(behavior.pattern, f"origin {behavior.origin_id} does not exist")
    return distribution


def _behavior(resources: Resources, item: Mapping[str, Json], domain: str) -> Behavior:
    pattern = item["PathPattern"]
    for name in _NOT_MODELLED:
        if item.get(name) and str(item[name]).lower() != "false":
            raise ConfigurationError(f"behavior {pattern}", f"the simulator does not model {name}")
    functions: dict[str, EdgeFunction] = {}
    for association in item.get("FunctionAssociations") or ():
        event, arn = association["EventType"], association["FunctionARN"]
        found = resources.find("AWS::CloudFront::Function", arn, "FunctionARN", "FunctionMetadata.FunctionARN")
        if found is None:
            raise ConfigurationError(f"behavior {pattern}", f"function {arn} is not in the templates")
        if event in functions:
            raise ConfigurationError(f"behavior {pattern}", f"two functions for the event {event}")
        functions[event] = _function(found, event, domain)
    return Behavior(
        pattern,
        item["TargetOriginId"],
        item["ViewerProtocolPolicy"],
        frozenset(item.get("AllowedMethods") or ("GET", "HEAD")),
        frozenset(item.get("CachedMethods") or ("GET", "HEAD")),
        cache_policy(resources, item),
        origin_request_policy(resources, item.get("OriginRequestPolicyId"))
        if "OriginRequestPolicyId" in item
        else OriginRequestPolicy(),
        response_headers_policy(resources, item.get("ResponseHeadersPolicyId")),
        functions,
        flag(item.get("Compress")),
    )


def _function(resource: Resource, event: str, domain: str) -> EdgeFunction:
    properties = resource.properties
    return EdgeFunction(
        properties.get("Name", resource.logical_id),
        properties["FunctionCode"],
        (properties.get("FunctionConfig") or {}).get("Runtime", "cloudfront-js-1.0"),
        event,
        domain,
    )


def _origin(item: Mapping[str, Json]) -> Origin:
    custom = item.get("CustomOriginConfig")
    if "VpcOriginConfig" in item:
        raise ConfigurationError(f"origin {item['Id']}", "the simulator does not model VPC origins")
    settings = custom or {}
    return Origin(
        item["Id"],
        item["DomainName"],
        item.get("OriginPath") or "",
        tuple((one["HeaderName"], one["HeaderValue"]) for one in item.get("OriginCustomHeaders") or ()),
        custom is None,
        settings.get("OriginProtocolPolicy", "match-viewer"),
        int(settings.get("HTTPPort", 80)),
        int(settings.get("HTTPSPort", 443)),
        number(settings.get("OriginReadTimeout"), 30),
        int(item.get("ConnectionAttempts", 3)),
    )


def _group(item: Mapping[str, Json]) -> OriginGroup:
    members = tuple(member["OriginId"] for member in item["Members"]["Items"])
    codes = frozenset(int(code) for code in item["FailoverCriteria"]["StatusCodes"]["Items"])
    return OriginGroup(item["Id"], members, codes)


def _error_response(item: Mapping[str, Json]) -> ErrorResponse:
    code = int(item["ErrorCode"])
    # The default of the property is 300 seconds, although CloudFront caches errors without an entry for 10.
    return ErrorResponse(
        code,
        item.get("ResponsePagePath") or "",
        int(item.get("ResponseCode") or code),
        number(item.get("ErrorCachingMinTTL"), 300),
    )


def normalize_path(path: str) -> str:
    """Return the path that CloudFront compares with patterns: without repeated slashes and dot segments.

    Amazon CloudFront Developer Guide, "Path pattern". The origin receives the path as the viewer sent it.
    """
    parts: list[str] = []
    for part in re.sub(r"/{2,}", "/", path).split("/"):
        if part == ".." and len(parts) > 1:
            parts.pop()
        elif part not in {".", ".."}:
            parts.append(part)
    return "/".join(parts) if parts[0] == "" and len(parts) > 1 else "/" + "/".join(parts)


def wildcard(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern in which `*` is any text and `?` any character."""
    expression = "".join(".*" if sign == "*" else "." if sign == "?" else re.escape(sign) for sign in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None
