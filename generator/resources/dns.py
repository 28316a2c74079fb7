"""Route 53 alias records."""

from __future__ import annotations

from typing import Any

from troposphere import AWSHelperFn, route53

# The zone that every CloudFront distribution's name is in (Amazon Route 53 API Reference, "AliasTarget").
CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"


def alias_target(host: AWSHelperFn, zone: str | AWSHelperFn) -> Any:
    """What an alias record points to. Health is not evaluated: the records have no alternative to fall back to."""
    # One place for troposphere's untyped class, which its module does not declare as exported.
    target: Any = route53.AliasTarget  # type: ignore[attr-defined]
    return target(DNSName=host, HostedZoneId=zone, EvaluateTargetHealth=False)
