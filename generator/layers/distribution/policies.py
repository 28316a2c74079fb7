"""Policies of CloudFront: the headers of requests to apps, and the headers that CloudFront adds to responses."""

from __future__ import annotations

from typing import Any

from troposphere import Sub
from troposphere.cloudfront import (
    ContentSecurityPolicy,
    ContentTypeOptions,
    CustomHeader,
    CustomHeadersConfig,
    FrameOptions,
    OriginRequestCookiesConfig,
    OriginRequestHeadersConfig,
    OriginRequestPolicy,
    OriginRequestPolicyConfig,
    OriginRequestQueryStringsConfig,
    ReferrerPolicy,
    RemoveHeader,
    RemoveHeadersConfig,
    ResponseHeadersPolicy,
    ResponseHeadersPolicyConfig,
    SecurityHeadersConfig,
    StrictTransportSecurity,
)

from generator.edge_settings import Edge
from generator.layers.distribution.interface import Config

HSTS_SECONDS = 31_536_000


def app_request_policy() -> OriginRequestPolicy:
    """Return the policy of requests to apps: everything that the viewer sends, Host included, and the viewer's scheme.

    The load balancer overwrites X-Forwarded-Proto with the scheme of its own listener. CloudFront-Forwarded-Proto
    passes the load balancer unchanged, and CloudFront overwrites the value of a viewer only if a policy names the
    header (Amazon CloudFront Developer Guide, "Add CloudFront request headers").
    """
    return OriginRequestPolicy(
        "AppRequestPolicy",
        OriginRequestPolicyConfig=OriginRequestPolicyConfig(
            Name=Sub("${Prefix}-app-requests"),
            Comment="Everything that the viewer sends, and its scheme",
            HeadersConfig=OriginRequestHeadersConfig(
                HeaderBehavior="allViewerAndWhitelistCloudFront", Headers=["CloudFront-Forwarded-Proto"]
            ),
            CookiesConfig=OriginRequestCookiesConfig(CookieBehavior="all"),
            QueryStringsConfig=OriginRequestQueryStringsConfig(QueryStringBehavior="all"),
        ),
    )


def app_headers(edge: Edge) -> ResponseHeadersPolicy:
    """Return the policy of responses of apps. It adds a header only to a response without that header.

    A content security policy or a frame rule that the app was not tested with breaks its pages, so both are settings.
    """
    policy = edge.content_security_policy
    optional: dict[str, Any] = {}
    if edge.frame_options:
        optional["FrameOptions"] = FrameOptions(FrameOption=edge.frame_options, Override=False)
    if policy and not edge.csp_report_only:
        optional["ContentSecurityPolicy"] = ContentSecurityPolicy(ContentSecurityPolicy=policy, Override=False)
    return headers_policy(
        "AppHeaders",
        "app-headers",
        "HTTPS and no sniffing, and what the app does not set itself",
        edge,
        SecurityHeadersConfig(
            StrictTransportSecurity=transport_security(edge, override=False),
            ContentTypeOptions=ContentTypeOptions(Override=False),
            ReferrerPolicy=ReferrerPolicy(ReferrerPolicy="strict-origin-when-cross-origin", Override=False),
            **optional,
        ),
        {"Content-Security-Policy-Report-Only": policy} if policy and edge.csp_report_only else {},
    )


def static_headers(config: Config) -> ResponseHeadersPolicy:
    """Return the policy of static files and of the sorry page. S3 sends none of these headers."""
    return headers_policy(
        "SecurityHeaders",
        "security-headers",
        "HTTPS only, no framing, no sniffing, own content only",
        config.edge,
        SecurityHeadersConfig(
            StrictTransportSecurity=transport_security(config.edge, override=True),
            ContentTypeOptions=ContentTypeOptions(Override=True),
            FrameOptions=FrameOptions(FrameOption="DENY", Override=False),
            ReferrerPolicy=ReferrerPolicy(ReferrerPolicy="strict-origin-when-cross-origin", Override=False),
            ContentSecurityPolicy=ContentSecurityPolicy(
                ContentSecurityPolicy=config.static_content_security_policy, Override=False
            ),
        ),
        {},
    )


def headers_policy(
    title: str, name: str, comment: str, edge: Edge, security: SecurityHeadersConfig, added: dict[str, str]
) -> ResponseHeadersPolicy:
    """Return a policy that adds security headers and ``added``, and removes the hidden headers."""
    optional: dict[str, Any] = {}
    if added:
        optional["CustomHeadersConfig"] = CustomHeadersConfig(
            Items=[CustomHeader(Header=header, Value=value, Override=False) for header, value in added.items()]
        )
    if edge.hidden_headers:
        # Version numbers of server software are useful to attackers only.
        optional["RemoveHeadersConfig"] = RemoveHeadersConfig(
            Items=[RemoveHeader(Header=header) for header in edge.hidden_headers]
        )
    return ResponseHeadersPolicy(
        title,
        ResponseHeadersPolicyConfig=ResponseHeadersPolicyConfig(
            Name=Sub(f"${{Prefix}}-{name}"), Comment=comment, SecurityHeadersConfig=security, **optional
        ),
    )


def transport_security(edge: Edge, *, override: bool) -> StrictTransportSecurity:
    """Return HSTS for the site. With subdomains, a site at the apex of a domain forces HTTPS on all its hosts."""
    return StrictTransportSecurity(
        AccessControlMaxAgeSec=HSTS_SECONDS,
        IncludeSubdomains=edge.hsts_subdomains,
        Preload=False,
        Override=override,
    )
