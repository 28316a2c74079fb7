"""Policies of CloudFront that behaviors share: headers of responses."""

from troposphere import Sub
from troposphere.cloudfront import (
    ContentSecurityPolicy,
    ContentTypeOptions,
    FrameOptions,
    ReferrerPolicy,
    RemoveHeader,
    RemoveHeadersConfig,
    ResponseHeadersPolicy,
    ResponseHeadersPolicyConfig,
    SecurityHeadersConfig,
    StrictTransportSecurity,
)

from generator.layers.distribution.interface import Config


def security_headers(config: Config) -> ResponseHeadersPolicy:
    """Return the policy of response headers.

    A header that the app sets has priority, except those that no app should weaken.
    """
    return ResponseHeadersPolicy(
        "SecurityHeaders",
        ResponseHeadersPolicyConfig=ResponseHeadersPolicyConfig(
            Name=Sub("${Prefix}-security-headers"),
            Comment="HTTPS only, no framing, no sniffing, own content only",
            SecurityHeadersConfig=SecurityHeadersConfig(
                StrictTransportSecurity=StrictTransportSecurity(
                    AccessControlMaxAgeSec=31536000, IncludeSubdomains=True, Preload=False, Override=True
                ),
                ContentTypeOptions=ContentTypeOptions(Override=True),
                FrameOptions=FrameOptions(FrameOption="DENY", Override=False),
                ReferrerPolicy=ReferrerPolicy(ReferrerPolicy="strict-origin-when-cross-origin", Override=False),
                ContentSecurityPolicy=ContentSecurityPolicy(
                    ContentSecurityPolicy=config.content_security_policy, Override=False
                ),
            ),
            # Version numbers of server software are useful to attackers only.
            RemoveHeadersConfig=RemoveHeadersConfig(
                Items=[RemoveHeader(Header=name) for name in config.edge.hidden_headers]
            ),
        ),
    )
