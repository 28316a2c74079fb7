"""Policies of CloudFront: cache policies, origin request policies and response headers policies, own and managed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hosting.edge_simulator.errors import ConfigurationError
from hosting.edge_simulator.resources import Resources, flag, number
from hosting.model.tokens import Json


@dataclass(frozen=True)
class Selection:
    """The headers, cookies or query strings of a viewer that a policy includes."""

    behavior: str = "none"
    names: frozenset[str] = frozenset()

    def includes(self, name: str) -> bool:
        """Return True if the policy includes the header, cookie or query string with this name."""
        match self.behavior:
            case "none":
                return False
            case "whitelist":
                return name in self.names
            case "allExcept":
                return name not in self.names
            case _:  # all, allViewer, allViewerAndWhitelistCloudFront
                return True


@dataclass(frozen=True)
class CachePolicy:
    """The cache key and the lifetimes of objects, in seconds."""

    min_ttl: float
    default_ttl: float
    max_ttl: float
    headers: Selection = Selection()
    cookies: Selection = Selection()
    queries: Selection = Selection()
    encodings: tuple[str, ...] = ()


@dataclass(frozen=True)
class OriginRequestPolicy:
    """The parts of a request that the origin receives in addition to the cache key."""

    headers: Selection = Selection()
    cookies: Selection = Selection()
    queries: Selection = Selection()


@dataclass(frozen=True)
class ResponseHeader:
    name: str
    value: str
    override: bool


@dataclass(frozen=True)
class ResponseHeadersPolicy:
    """The headers that CloudFront adds to responses and removes from them."""

    added: tuple[ResponseHeader, ...] = ()
    removed: frozenset[str] = frozenset()
    cors: Mapping[str, Json] = field(default_factory=dict)


# Amazon CloudFront Developer Guide, "Use managed cache policies".
_ORIGIN_CONTROL = Selection(
    "whitelist", frozenset({"host", "origin", "x-http-method-override", "x-http-method", "x-method-override"})
)
_YEAR = 31_536_000
_MANAGED_CACHE = {
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": CachePolicy(0, 0, 0),
    "658327ea-f89d-4fab-a63d-7e88639e58f6": CachePolicy(1, 86_400, _YEAR, encodings=("br", "gzip")),
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d": CachePolicy(1, 86_400, _YEAR),
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65": CachePolicy(
        0, 0, _YEAR, _ORIGIN_CONTROL, Selection("all"), encodings=("br", "gzip")
    ),
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe": CachePolicy(
        0, 0, _YEAR, _ORIGIN_CONTROL, Selection("all"), Selection("all"), ("br", "gzip")
    ),
}
# Amazon CloudFront Developer Guide, "Use managed origin request policies".
_ALL = Selection("all")
_CLOUDFRONT_HEADERS = frozenset(
    f"cloudfront-{name}"
    for name in [
        "forwarded-proto",
        "is-android-viewer",
        "is-desktop-viewer",
        "is-ios-viewer",
        "is-mobile-viewer",
        "is-smarttv-viewer",
        "is-tablet-viewer",
        "viewer-address",
        "viewer-asn",
        "viewer-city",
        "viewer-country",
        "viewer-country-name",
        "viewer-country-region",
        "viewer-country-region-name",
        "viewer-http-version",
        "viewer-latitude",
        "viewer-longitude",
        "viewer-metro-code",
        "viewer-postal-code",
        "viewer-time-zone",
        "viewer-tls",
    ]
)
_MANAGED_ORIGIN_REQUEST = {
    "216adef6-5c7f-47e4-b989-5492eafa07d3": OriginRequestPolicy(Selection("allViewer"), _ALL, _ALL),
    "33f36d7e-f396-46d9-90e0-52428a34d9dc": OriginRequestPolicy(
        Selection("allViewerAndWhitelistCloudFront", _CLOUDFRONT_HEADERS), _ALL, _ALL
    ),
    "b689b0a8-53d0-40ab-baf2-68738e2966ac": OriginRequestPolicy(
        Selection("allExcept", frozenset({"host"})), _ALL, _ALL
    ),
    "59781a5b-3903-41f3-afcb-af62929ccde1": OriginRequestPolicy(Selection("whitelist", frozenset({"origin"}))),
    "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": OriginRequestPolicy(
        Selection("whitelist", frozenset({"origin", "access-control-request-headers", "access-control-request-method"}))
    ),
    "acba4595-bd28-49b8-b9fe-13317c0390fa": OriginRequestPolicy(
        Selection("whitelist", frozenset({"user-agent", "referer"}))
    ),
    "bf0718e1-ba1e-49d1-88b1-f726733018ae": OriginRequestPolicy(Selection("whitelist", frozenset({"host"}))),
}
# Amazon CloudFront Developer Guide, "Use managed response headers policies".
_SECURITY = {
    "ReferrerPolicy": {"ReferrerPolicy": "strict-origin-when-cross-origin", "Override": False},
    "StrictTransportSecurity": {"AccessControlMaxAgeSec": _YEAR, "Override": False},
    "ContentTypeOptions": {"Override": True},
    "FrameOptions": {"FrameOption": "SAMEORIGIN", "Override": False},
    "XSSProtection": {"Protection": True, "ModeBlock": True, "Override": False},
}
_SIMPLE_CORS = {
    "AccessControlAllowOrigins": {"Items": ["*"]},
    "AccessControlAllowMethods": {"Items": []},
    "AccessControlAllowHeaders": {"Items": []},
    "AccessControlAllowCredentials": False,
    "OriginOverride": False,
}
_PREFLIGHT = {
    **_SIMPLE_CORS,
    "AccessControlAllowMethods": {"Items": ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]},
    "AccessControlExposeHeaders": {"Items": ["*"]},
}
_MANAGED_RESPONSE_HEADERS: dict[str, Mapping[str, Json]] = {
    "67f7725c-6f97-4210-82d7-5512b31e9d03": {"SecurityHeadersConfig": _SECURITY},
    "60669652-455b-4ae9-85a4-c4c02393f86c": {"CorsConfig": _SIMPLE_CORS},
    "5cc3b908-e619-4b99-88e5-2cf7f45965bd": {"CorsConfig": _PREFLIGHT},
    "e61eb60c-9c35-4d20-a928-2b84e02af89c": {"CorsConfig": _SIMPLE_CORS, "SecurityHeadersConfig": _SECURITY},
    "eaab4381-ed33-4a86-88ca-d9558dc6cd63": {"CorsConfig": _PREFLIGHT, "SecurityHeadersConfig": _SECURITY},
}


def cache_policy(resources: Resources, behavior: Mapping[str, Json]) -> CachePolicy:
    """Return the cache policy of a behavior, also of one with ForwardedValues."""
    reference = behavior.get("CachePolicyId")
    if reference is None:
        return _legacy_policy(behavior)
    if reference in _MANAGED_CACHE:
        return _MANAGED_CACHE[reference]
    config = _own(resources, "CachePolicy", reference)["CachePolicyConfig"]
    key = config["ParametersInCacheKeyAndForwardedToOrigin"]
    encodings = [
        name
        for name, setting in (("br", "EnableAcceptEncodingBrotli"), ("gzip", "EnableAcceptEncodingGzip"))
        if flag(key.get(setting))
    ]
    return CachePolicy(
        number(config.get("MinTTL"), 0),
        number(config.get("DefaultTTL"), 86_400),
        number(config.get("MaxTTL"), _YEAR),
        *_selections(key),
        tuple(encodings),
    )


def _legacy_policy(behavior: Mapping[str, Json]) -> CachePolicy:
    """Return the cache policy that ForwardedValues and the TTLs of a behavior describe."""
    forwarded = behavior.get("ForwardedValues") or {}
    headers = forwarded.get("Headers") or []
    cookies = forwarded.get("Cookies") or {}
    keys = forwarded.get("QueryStringCacheKeys") or []
    return CachePolicy(
        number(behavior.get("MinTTL"), 0),
        number(behavior.get("DefaultTTL"), 86_400),
        number(behavior.get("MaxTTL"), _YEAR),
        Selection("allViewer") if "*" in headers else Selection("whitelist", frozenset(n.lower() for n in headers)),
        Selection(cookies.get("Forward", "none"), frozenset(cookies.get("WhitelistedNames") or ())),
        Selection("whitelist", frozenset(keys))
        if keys
        else Selection("all" if flag(forwarded.get("QueryString")) else "none"),
        ("gzip",),
    )


def origin_request_policy(resources: Resources, reference: Json) -> OriginRequestPolicy:
    """Return the origin request policy with an id, or one that includes nothing if there is no id."""
    if reference is None:
        return OriginRequestPolicy()
    if reference in _MANAGED_ORIGIN_REQUEST:
        return _MANAGED_ORIGIN_REQUEST[reference]
    config = _own(resources, "OriginRequestPolicy", reference)["OriginRequestPolicyConfig"]
    return OriginRequestPolicy(*_selections(config))


def _selections(config: Mapping[str, Json]) -> tuple[Selection, Selection, Selection]:
    headers, cookies, queries = config["HeadersConfig"], config["CookiesConfig"], config["QueryStringsConfig"]
    return (
        Selection(headers["HeaderBehavior"], frozenset(name.lower() for name in headers.get("Headers") or ())),
        Selection(cookies["CookieBehavior"], frozenset(cookies.get("Cookies") or ())),
        Selection(queries["QueryStringBehavior"], frozenset(queries.get("QueryStrings") or ())),
    )


def response_headers_policy(resources: Resources, reference: Json) -> ResponseHeadersPolicy:
    """Return the response headers policy with an id, or one that changes nothing if there is no id."""
    if reference is None:
        return ResponseHeadersPolicy()
    config = _MANAGED_RESPONSE_HEADERS.get(reference)
    if config is None:
        config = _own(resources, "ResponseHeadersPolicy", reference)["ResponseHeadersPolicyConfig"]
    security = config.get("SecurityHeadersConfig") or {}
    custom = (config.get("CustomHeadersConfig") or {}).get("Items") or ()
    removed = (config.get("RemoveHeadersConfig") or {}).get("Items") or ()
    return ResponseHeadersPolicy(
        (
            *(_security_header(name, item) for name, item in security.items()),
            *(ResponseHeader(item["Header"], item["Value"], flag(item["Override"])) for item in custom),
        ),
        frozenset(item["Header"].lower() for item in removed),
        config.get("CorsConfig") or {},
    )


def _security_header(name: str, item: Mapping[str, Json]) -> ResponseHeader:
    override = flag(item.get("Override"))
    match name:
        case "StrictTransportSecurity":
            value = f"max-age={int(item['AccessControlMaxAgeSec'])}"
            value += "; includeSubDomains" if flag(item.get("IncludeSubdomains")) else ""
            value += "; preload" if flag(item.get("Preload")) else ""
            return ResponseHeader("Strict-Transport-Security", value, override)
        case "ContentTypeOptions":
            return ResponseHeader("X-Content-Type-Options", "nosniff", override)
        case "FrameOptions":
            return ResponseHeader("X-Frame-Options", item["FrameOption"], override)
        case "ReferrerPolicy":
            return ResponseHeader("Referrer-Policy", item["ReferrerPolicy"], override)
        case "ContentSecurityPolicy":
            return ResponseHeader("Content-Security-Policy", item["ContentSecurityPolicy"], override)
        case "XSSProtection":
            value = "1" if flag(item["Protection"]) else "0"
            value += "; mode=block" if flag(item.get("ModeBlock")) else ""
            value += f"; report={item['ReportUri']}" if item.get("ReportUri") else ""
            return ResponseHeader("X-XSS-Protection", value, override)
    raise ConfigurationError("SecurityHeadersConfig", f"{name} is unknown")


def _own(resources: Resources, kind: str, reference: str) -> Mapping[str, Json]:
    """Return the properties of a policy that a template declares."""
    found = resources.find(f"AWS::CloudFront::{kind}", reference, "Id")
    if found is None:
        raise ConfigurationError(
            reference,
            f"is no {kind} of the templates and no managed one that the simulator knows",
            "add its contents to hosting/edge_simulator/policies.py",
        )
    return found.properties
