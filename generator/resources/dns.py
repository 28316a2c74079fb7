"""Names in DNS: alias records of Route 53, and the private zone of an environment."""

from __future__ import annotations

from typing import Any

from troposphere import Sub, route53
from troposphere.cloudfront import Distribution
from troposphere.elasticloadbalancingv2 import LoadBalancer

# The private zone of an environment, in Fn::Sub.
PRIVATE_ZONE = "${Prefix}.internal"

# The hosted zone of all CloudFront distributions (Amazon Route 53 API Reference, "AliasTarget").
CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"


def below_domain(label: str) -> Sub:
    """Return the host name with a label below the domain of the site."""
    return Sub(f"{label}.${{DomainName}}")


def record_subject(label: str) -> str:
    """Return the part of a logical id that names the host with a label."""
    return "Host" + "".join(part.capitalize() for part in label.split("-"))


def alias_target(resource: LoadBalancer | Distribution) -> Any:
    """Return the target of an alias record.

    Route 53 does not evaluate its health, because the records have no alternative target.
    """
    # troposphere's class is untyped, and its module does not export it. This is its only use.
    target: Any = route53.AliasTarget  # type: ignore[attr-defined]
    host = resource.get_att("DNSName" if isinstance(resource, LoadBalancer) else "DomainName")
    zone = resource.get_att("CanonicalHostedZoneID") if isinstance(resource, LoadBalancer) else CLOUDFRONT_ZONE
    return target(DNSName=host, HostedZoneId=zone, EvaluateTargetHealth=False)
