"""Route 53 alias records."""

from __future__ import annotations

from typing import Any

from troposphere import route53
from troposphere.cloudfront import Distribution
from troposphere.elasticloadbalancingv2 import LoadBalancer

# The zone that every CloudFront distribution's name is in (Amazon Route 53 API Reference, "AliasTarget").
CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"


def alias_target(resource: LoadBalancer | Distribution) -> Any:
    """What an alias record points to. Health is not evaluated: the records have no alternative to fall back to."""
    # One place for troposphere's untyped class, which its module does not declare as exported.
    target: Any = route53.AliasTarget  # type: ignore[attr-defined]
    host = resource.get_att("DNSName" if isinstance(resource, LoadBalancer) else "DomainName")
    zone = resource.get_att("CanonicalHostedZoneID") if isinstance(resource, LoadBalancer) else CLOUDFRONT_ZONE
    return target(DNSName=host, HostedZoneId=zone, EvaluateTargetHealth=False)
