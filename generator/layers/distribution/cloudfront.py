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
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    S3OriginConfig,
    ViewerCertificate,
)
from troposphere.route53 import RecordSetType
from troposphere.s3 import Bucket

from generator.layers.distribution.interface import Config, Inputs
from generator.resources.dns import alias_target, below_domain, record_subject
from generator.resources.origin_secret import HEADER, secret_reference
from generator.resources.suppressions import suppress
from generator.wiring import StaticValue

# Amazon CloudFront Developer Guide, "Use managed cache policies".
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"

APP_ORIGIN = "app"
STATIC_ORIGIN = "static"
ALL_METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]
READ_METHODS = ["GET", "HEAD", "OPTIONS"]

# The status codes that an entry can name (AWS::CloudFront::Distribution CustomErrorResponse). Without an entry
# CloudFront caches some of them for 10 seconds, for all viewers (Amazon CloudFront Developer Guide, "How CloudFront
# caches HTTP 4xx and 5xx status codes").
ERROR_CODES = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)

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


# Frameworks that trust one of these headers take host, scheme or path of the request from it. CloudFront and the load
# balancer forward them as the viewer sent them. A function must not set X-Forwarded-Proto, and need not: CloudFront
# removes the viewer's (Amazon CloudFront Developer Guide, "Restrictions on edge functions").
FORGEABLE_HEADERS = (
    "forwarded",
    "x-forwarded-prefix",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
)

VIEWER_CODE = f"""\
var FORGEABLE = {list(FORGEABLE_HEADERS)};
function handler(event) {{
  var headers = event.request.headers;
  FORGEABLE.forEach(function (name) {{ delete headers[name]; }});
  delete headers['x-forwarded-host'];
  if (headers.host) {{
    headers['x-forwarded-host'] = {{ value: headers.host.value }};
  }}
  return event.request;
}}
"""


def viewer_function() -> Function:
    """Return the function that sets X-Forwarded-Host to the host name of the request, and drops the viewer's value."""
    return Function(
        "ViewerFunction",
        Name=Sub("${Prefix}-viewer"),
        AutoPublish=True,
        FunctionCode=VIEWER_CODE,
        FunctionConfig=FunctionConfig(Comment="Sets X-Forwarded-Host from Host", Runtime="cloudfront-js-2.0"),
    )


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
    app: DefaultCacheBehavior,
    static: tuple[CacheBehavior, ...],
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
            Aliases=If(
                "HasDomain",
                [
                    inputs.domain.domain_name,
                    If("HasRedirect", inputs.domain.redirect_domain_name, NoValue),
                    *(below_domain(host) for host in config.hosts),
                ],
                NoValue,
            ),
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
            DefaultCacheBehavior=app,
            CacheBehaviors=list(static),
            CustomErrorResponses=[error_response(config, code) for code in ERROR_CODES],
        ),
    )


def error_response(config: Config, code: int) -> CustomErrorResponse:
    """Return the entry of one status code: never cached, with the app's own body or with the sorry page.

    The entries apply to all behaviors, and CloudFront sees the status only. So a code with the sorry page hides the
    app's own responses with that code.
    """
    if code not in config.edge.sorry_codes:
        return CustomErrorResponse(ErrorCode=code, ErrorCachingMinTTL=0)
    return CustomErrorResponse(
        ErrorCode=code, ErrorCachingMinTTL=0, ResponseCode=503, ResponsePagePath=config.sorry_page
    )


def app_origin(config: Config, inputs: Inputs) -> Origin:
    """Return the load balancer as an origin: HTTPS with a domain, HTTP without.

    Without a domain the load balancer has no certificate that CloudFront accepts. CloudFront then calls port 80, where
    a rule forwards requests that contain the secret header.
    """
    return Origin(
        Id=APP_ORIGIN,
        DomainName=inputs.origin_host_name,
        ConnectionAttempts=config.edge.connection_attempts,
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


def app_behavior(
    requests: OriginRequestPolicy, headers: ResponseHeadersPolicy, viewer: Function
) -> DefaultCacheBehavior:
    """Return the default behavior: all methods, everything that the viewer sends, no caching.

    Apps compress their responses: CloudFront compresses only what it may cache (Amazon CloudFront Developer Guide,
    "Serve compressed files"), and a cache key without cookies would give the page of one viewer to others.
    """
    return DefaultCacheBehavior(
        TargetOriginId=APP_ORIGIN,
        ViewerProtocolPolicy="redirect-to-https",
        AllowedMethods=ALL_METHODS,
        CachePolicyId=CACHING_DISABLED,
        OriginRequestPolicyId=requests.ref(),
        ResponseHeadersPolicyId=headers.ref(),
        FunctionAssociations=[viewer_request(viewer)],
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
        FunctionAssociations=[viewer_request(index)],
        Compress=True,
    )


def viewer_request(function: Function) -> FunctionAssociation:
    return FunctionAssociation(EventType="viewer-request", FunctionARN=function.get_att("FunctionARN"))


def add_records(t: Template, config: Config, inputs: Inputs, distribution: Distribution) -> None:
    """Add the IPv4 and IPv6 alias records of the host names, if there is a hosted zone."""
    hosts: list[tuple[str, str, StaticValue | Sub]] = [
        ("Site", "HasHostedZone", inputs.domain.domain_name),
        ("Redirect", "HasRedirectRecord", inputs.domain.redirect_domain_name),
        *((record_subject(host), "HasHostedZone", below_domain(host)) for host in config.hosts),
    ]
    for subject, condition, name in hosts:
        for record in ("A", "AAAA"):
            t.add_resource(
                RecordSetType(
                    f"{subject}Record{record}",
                    Condition=condition,
                    HostedZoneId=inputs.domain.hosted_zone_id,
                    Name=name,
                    Type=record,
                    AliasTarget=alias_target(distribution),
                )
            )
