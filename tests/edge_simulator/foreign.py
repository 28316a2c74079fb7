"""A distribution that is not from this platform: other order, origins and policies. Tests change its template."""

from __future__ import annotations

from typing import Any

from hosting.edge_simulator import resources_of_stack
from hosting.edge_simulator.resources import StackResource
from hosting.model.templates import Template

ALL_METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"


def behavior(pattern: str = "", origin: str = "shop", **settings: Any) -> dict[str, Any]:
    """Return a behavior without caching that forwards everything, with other settings where given."""
    path = {"PathPattern": pattern} if pattern else {}
    default = {
        "TargetOriginId": origin,
        "ViewerProtocolPolicy": "allow-all",
        "AllowedMethods": ALL_METHODS,
        "CachePolicyId": CACHING_DISABLED,
        "OriginRequestPolicyId": ALL_VIEWER,
    }
    return {**default, **path, **settings}


def custom_origin(name: str, **settings: Any) -> dict[str, Any]:
    config = {"OriginProtocolPolicy": "http-only", **settings.pop("CustomOriginConfig", {})}
    return {"Id": name, "DomainName": f"{name}.example.net", "CustomOriginConfig": config, **settings}


def distribution(**settings: Any) -> dict[str, Any]:
    """Return a distribution resource with one origin and one behavior, with other settings where given."""
    config = {
        "Enabled": True,
        "Aliases": ["www.example.org"],
        "Origins": [custom_origin("shop")],
        "DefaultCacheBehavior": behavior(),
        **settings,
    }
    return {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": config}}


def resources(edge: dict[str, Any], **others: dict[str, Any]) -> list[StackResource]:
    """Return the resolved resources of a template with a distribution."""
    return resources_of_stack(Template.from_body("foreign.json", {"Resources": {"Edge": edge, **others}}), {})


def function(code: str, event: str = "viewer-request") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a function resource with the logical id Function, and the setting of a behavior that uses it."""
    properties = {
        "Name": "changes",
        "FunctionCode": code,
        "FunctionConfig": {"Comment": "", "Runtime": "cloudfront-js-2.0"},
        "AutoPublish": True,
    }
    association = {"EventType": event, "FunctionARN": {"Fn::GetAtt": ["Function", "FunctionARN"]}}
    resource = {"Type": "AWS::CloudFront::Function", "Properties": properties}
    return resource, {"FunctionAssociations": [association]}


def cache_policy(
    headers: list[str] | None = None,
    cookies: list[str] | None = None,
    queries: list[str] | None = None,
    encodings: bool = False,
    **ttls: int,
) -> dict[str, Any]:
    """Return a cache policy resource whose key contains the named headers, cookies and query strings."""
    key = {
        "EnableAcceptEncodingGzip": encodings,
        "EnableAcceptEncodingBrotli": encodings,
        "HeadersConfig": {"HeaderBehavior": "whitelist" if headers else "none", "Headers": headers or []},
        "CookiesConfig": {"CookieBehavior": "whitelist" if cookies else "none", "Cookies": cookies or []},
        "QueryStringsConfig": {
            "QueryStringBehavior": "whitelist" if queries else "none",
            "QueryStrings": queries or [],
        },
    }
    config = {"Name": "own", "MinTTL": 0, "DefaultTTL": 60, "MaxTTL": 3600, **ttls}
    return {
        "Type": "AWS::CloudFront::CachePolicy",
        "Properties": {"CachePolicyConfig": {**config, "ParametersInCacheKeyAndForwardedToOrigin": key}},
    }


def headers_policy(**config: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudFront::ResponseHeadersPolicy",
        "Properties": {"ResponseHeadersPolicyConfig": {"Name": "own", **config}},
    }
