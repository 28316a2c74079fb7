"""The distribution with its origins, behaviors and functions, and the DNS records of the site."""

from troposphere import If, NoValue, Sub, Template
from troposphere.cloudfront import (
    CacheBehavior,
    CustomErrorResponse,
    CustomOriginConfig,
    DefaultCacheBehavior,
    Distribution,
    DistributionConfig,
    Function,
    FunctionAssociation,
    FunctionConfig,
    Origin,
    OriginAccessControl,
    OriginCustomHeader,
    ResponseHeadersPolicy,
    S3OriginConfig,
    ViewerCertificate,
)
from troposphere.route53 import RecordSetType
from troposphere.s3 import Bucket

from generator.layers.distribution.interface import Config, Inputs
from generator.resources.dns import alias_target
from generator.resources.origin_secret import HEADER, secret_reference
from generator.resources.suppressions import suppress

# Amazon CloudFront Developer Guide, "Use managed cache policies" and "Use managed origin request policies".
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

APP_ORIGIN = "app"
STATIC_ORIGIN = "static"
ALL_METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]
READ_METHODS = ["GET", "HEAD", "OPTIONS"]

# S3 has no directory index. Only the S3 behaviors use the function: other paths belong to the apps.
INDEX_CODE = """\
function handler(event) {
  var request = event.request;
  if (request.uri.endsWith('/')) {
    request.uri += 'index.html';
  }
  return request;
}
"""


def index_function() -> Function:
    return Function(
        "IndexFunction",
        Name=Sub("${Prefix}-index"),
        AutoPublish=True,
        FunctionCode=INDEX_CODE,
        FunctionConfig=FunctionConfig(Comment="Adds index.html to folders", Runtime="cloudfront-js-2.0"),
    )


def cloudfront_distribution(
    config: Config,
    inputs: Inputs,
    bucket: Bucket,
    access: OriginAccessControl,
    headers: ResponseHeadersPolicy,
    index: Function,
) -> Distribution:
    """Return the distribution: the app as the default origin, the static bucket for two paths."""
    return Distribution(
        "Distribution",
        **suppress(
            CKV_AWS_86="Standard logging v2 is set up by the edge-monitoring stack, as CloudFront's logs are delivered "
            "from us-east-1 only. Rule DST-10 checks it.",
            CKV_AWS_174="With a domain, which prod requires, the minimum is TLS 1.2. Without a domain CloudFront uses "
            "its own certificate, whose minimum version is fixed (Amazon CloudFront Developer Guide, "
            "Supported protocols and ciphers between viewers and CloudFront).",
        ),
        # No DefaultRootObject: the app serves the root path, and would get requests for /index.html instead.
        DistributionConfig=DistributionConfig(
            Comment=Sub("${Prefix}"),
            Enabled=True,
            HttpVersion="http2and3",
            IPV6Enabled=True,
            PriceClass=config.price_class,
            WebACLId=inputs.web_acl_arn,
            Aliases=If("HasDomain", [inputs.domain.domain_name], NoValue),
            # Without a domain CloudFront uses its own certificate, whose minimum TLS version is fixed.
            ViewerCertificate=If(
                "HasDomain",
                ViewerCertificate(
                    AcmCertificateArn=inputs.viewer_certificate_arn,
                    MinimumProtocolVersion="TLSv1.2_2021",
                    SslSupportMethod="sni-only",
                ),
                ViewerCertificate(CloudFrontDefaultCertificate=True),
            ),
            Origins=[app_origin(config, inputs), static_origin(bucket, access)],
            DefaultCacheBehavior=app_behavior(headers),
            CacheBehaviors=[
                static_behavior("/static/*", headers, index),
                # With the app's behavior CloudFront would request the sorry page from the failed load balancer.
                static_behavior("/sorry/*", headers, index),
            ],
            CustomErrorResponses=[
                CustomErrorResponse(
                    ErrorCode=code,
                    ResponseCode=503,
                    ResponsePagePath=config.sorry_page,
                    ErrorCachingMinTTL=config.sorry_cache_seconds,
                )
                for code in config.edge.sorry_codes
            ],
        ),
    )


def app_origin(config: Config, inputs: Inputs) -> Origin:
    """Return the load balancer as an origin: HTTPS with a domain, HTTP without.

    Without a domain the load balancer has no certificate that CloudFront accepts. CloudFront then calls port 80, where
    a rule forwards requests that contain the secret header.
    """
    return Origin(
        Id=APP_ORIGIN,
        DomainName=inputs.origin_host_name,
        CustomOriginConfig=CustomOriginConfig(
            HTTPPort=80,
            HTTPSPort=443,
            OriginProtocolPolicy=If("HasDomain", "https-only", "http-only"),
            OriginSSLProtocols=["TLSv1.2"],
            OriginReadTimeout=config.edge.response_timeout,
            OriginKeepaliveTimeout=5,
        ),
        OriginCustomHeaders=[
            OriginCustomHeader(HeaderName=HEADER, HeaderValue=secret_reference(inputs.origin_secret_arn))
        ],
    )


def static_origin(bucket: Bucket, access: OriginAccessControl) -> Origin:
    return Origin(
        Id=STATIC_ORIGIN,
        # The regional name: the global name redirects requests during the first hours of a bucket.
        DomainName=bucket.get_att("RegionalDomainName"),
        OriginAccessControlId=access.get_att("Id"),
        S3OriginConfig=S3OriginConfig(OriginAccessIdentity=""),
    )


def app_behavior(headers: ResponseHeadersPolicy) -> DefaultCacheBehavior:
    """Return the default behavior: all methods, no caching, all headers except Host."""
    return DefaultCacheBehavior(
        TargetOriginId=APP_ORIGIN,
        ViewerProtocolPolicy="redirect-to-https",
        AllowedMethods=ALL_METHODS,
        CachePolicyId=CACHING_DISABLED,
        OriginRequestPolicyId=ALL_VIEWER_EXCEPT_HOST_HEADER,
        ResponseHeadersPolicyId=headers.ref(),
        Compress=True,
    )


def static_behavior(pattern: str, headers: ResponseHeadersPolicy, index: Function) -> CacheBehavior:
    """Return the behavior of a path in the static bucket: read methods, with caching."""
    return CacheBehavior(
        PathPattern=pattern,
        TargetOriginId=STATIC_ORIGIN,
        ViewerProtocolPolicy="redirect-to-https",
        AllowedMethods=READ_METHODS,
        CachePolicyId=CACHING_OPTIMIZED,
        ResponseHeadersPolicyId=headers.ref(),
        FunctionAssociations=[
            FunctionAssociation(EventType="viewer-request", FunctionARN=index.get_att("FunctionARN"))
        ],
        Compress=True,
    )


def add_records(t: Template, inputs: Inputs, distribution: Distribution) -> None:
    """Add the IPv4 and IPv6 alias records of the domain, if there is a hosted zone."""
    for record in ("A", "AAAA"):
        t.add_resource(
            RecordSetType(
                f"SiteRecord{record}",
                Condition="HasHostedZone",
                HostedZoneId=inputs.domain.hosted_zone_id,
                Name=inputs.domain.domain_name,
                Type=record,
                AliasTarget=alias_target(distribution),
            )
        )
