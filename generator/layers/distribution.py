"""Distribution: the public side of the site: CloudFront, the bucket of static files and of the sorry page, DNS records.

CloudFront accepts a web ACL and a viewer certificate only from us-east-1, so the ``edge`` stack contains them. The
command ``deploy.py site`` uploads the real static files.
"""

from typing import Annotated

from awacs import cloudformation as cloudformation_actions
from awacs import s3 as s3_actions
from awacs.aws import Statement, StringEquals
from troposphere import And, Condition, Equals, If, Not, NoValue, Ref, Sub, Template
from troposphere.cloudfront import (
    CacheBehavior,
    ContentSecurityPolicy,
    ContentTypeOptions,
    CustomErrorResponse,
    CustomOriginConfig,
    DefaultCacheBehavior,
    Distribution,
    DistributionConfig,
    FrameOptions,
    Function,
    FunctionAssociation,
    FunctionConfig,
    Origin,
    OriginAccessControl,
    OriginAccessControlConfig,
    OriginCustomHeader,
    ReferrerPolicy,
    RemoveHeader,
    RemoveHeadersConfig,
    ResponseHeadersPolicy,
    ResponseHeadersPolicyConfig,
    S3OriginConfig,
    SecurityHeadersConfig,
    StrictTransportSecurity,
    ViewerCertificate,
)
from troposphere.route53 import RecordSetType
from troposphere.s3 import Bucket, BucketPolicy
from troposphere.validators.cloudformation import AWSCustomObject

from generator import value_types as v
from generator.edge_settings import Edge
from generator.interfaces import SiteDomain
from generator.resources import iam
from generator.resources.dns import alias_target
from generator.resources.lambda_functions import AddedFunction, FunctionInputs, Size, add_function
from generator.resources.origin_secret import HEADER, secret_reference
from generator.resources.s3 import bucket_policy, lifecycle_rule, object_arn, private_bucket
from generator.resources.suppressions import suppress
from generator.wiring import FrozenConfig, Layer, StackInterface

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


class Config(FrozenConfig):
    """Configuration of the distribution."""

    edge: Edge
    sorry_page: str = "/sorry/index.html"
    sorry_cache_seconds: int = 10
    # PriceClass_100 does not contain Japan.
    price_class: str = "PriceClass_200"
    content_security_policy: str = (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests"
    )
    site_content: Size = Size(memory=256, timeout=240)
    # A little longer than the timeout of the function. CloudFormation's default is one hour.
    site_content_service_timeout: int = 300


class Inputs(FunctionInputs):
    """Parameters of the nested stack."""

    domain: SiteDomain
    viewer_certificate_arn: v.ViewerCertificateArn
    web_acl_arn: v.WebAclArn
    empty_bucket_on_delete: Annotated[v.Flag, "true if deleting the stack also deletes the static files."]
    custom_resource_code_key: v.CustomResourceCodeKey
    access_log_bucket_name: v.AccessLogBucketName
    origin_host_name: v.OriginHostName
    origin_secret_arn: v.OriginSecretArn


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    distribution_id: v.DistributionId
    distribution_arn: v.DistributionArn
    site_url: v.SiteUrl
    static_bucket_name: v.StaticBucketName
    site_content_function_name: v.FunctionName


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add CloudFront, the static bucket, the DNS records and the function that writes the first pages."""
    add_conditions(t, inputs)
    bucket = t.add_resource(static_bucket(inputs))
    access = t.add_resource(origin_access_control())
    headers = t.add_resource(security_headers(config))
    index = t.add_resource(index_function())
    distribution = t.add_resource(cloudfront_distribution(config, inputs, bucket, access, headers, index))
    policy = t.add_resource(bucket_policy(bucket, *origin_access_statements(distribution, bucket)))
    add_records(t, inputs, distribution)
    function = add_site_content(t, config, inputs, bucket, policy)
    return Outputs(
        distribution_id=v.DistributionId(distribution.ref()),
        distribution_arn=v.DistributionArn(
            Sub(f"arn:${{AWS::Partition}}:cloudfront::${{AWS::AccountId}}:distribution/${{{distribution.title}}}")
        ),
        site_url=v.SiteUrl(
            If(
                "HasDomain",
                Sub("https://${DomainName}"),
                Sub(f"https://${{{distribution.title}.DomainName}}"),
            )
        ),
        static_bucket_name=v.StaticBucketName(bucket.ref()),
        site_content_function_name=v.FunctionName(function.function.ref()),
    )


def add_conditions(t: Template, inputs: Inputs) -> None:
    t.add_condition("HasDomain", Not(Equals(inputs.domain.domain_name, "")))
    t.add_condition("HasHostedZone", And(Condition("HasDomain"), Not(Equals(inputs.domain.hosted_zone_id, ""))))
    t.add_condition("EmptiesBucket", Equals(inputs.empty_bucket_on_delete, "true"))


# --- Static files ------------------------------------------------------------------------------------------------


def static_bucket(inputs: Inputs) -> Bucket:
    """Return the bucket of static files. It uses SSE-S3.

    The policy of a customer managed key would have to name the distribution, which itself refers to the bucket.
    """
    return private_bucket(
        "StaticBucket",
        data="site bucket",
        rules=[lifecycle_rule("EndOldVersions")],
        access_logs=(inputs.access_log_bucket_name, "static/"),
    )


def origin_access_control() -> OriginAccessControl:
    """Return the origin access control with which CloudFront signs requests to the bucket."""
    return OriginAccessControl(
        "OriginAccess",
        OriginAccessControlConfig=OriginAccessControlConfig(
            Name=Sub("${Prefix}-static"),
            OriginAccessControlOriginType="s3",
            SigningBehavior="always",
            SigningProtocol="sigv4",
        ),
    )


def origin_access_statements(distribution: Distribution, bucket: Bucket) -> list[Statement]:
    """Allow this distribution to read the bucket. The service principal alone would allow every distribution of AWS."""
    ours = StringEquals(
        "AWS:SourceArn",
        Sub(f"arn:${{AWS::Partition}}:cloudfront::${{AWS::AccountId}}:distribution/${{{distribution.title}}}"),
    )
    cloudfront_service = iam.service_principal("cloudfront")
    return [
        iam.allow("ReadObjects", [s3_actions.GetObject], [object_arn(bucket)], ours, principal=cloudfront_service),
        # Without it S3 returns 403 for a missing file, not 404.
        iam.allow("TellMissing", [s3_actions.ListBucket], [bucket.get_att("Arn")], ours, principal=cloudfront_service),
    ]


# --- CloudFront --------------------------------------------------------------------------------------------------


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


# --- First pages -------------------------------------------------------------------------------------------------


class SiteContent(AWSCustomObject):
    """Custom resource that writes the sorry page and the index page. lambda/custom_resource handles it."""

    resource_type = "Custom::SiteContent"

    props = {  # noqa: RUF012 -- troposphere's way
        "ServiceToken": (str, True),
        "ServiceTimeout": (int, True),
        "BucketName": (str, True),
        "ContentHash": (str, True),
        "EmptyOnDelete": (str, True),
    }


def add_site_content(
    t: Template, config: Config, inputs: Inputs, bucket: Bucket, bucket_access: BucketPolicy
) -> AddedFunction:
    """Add the function that writes the first pages, and the custom resource that invokes it."""
    added = add_function(
        t,
        "SiteContent",
        inputs,
        does="writes the sorry page and the first index page",
        code=inputs.custom_resource_code_key,
        size=config.site_content,
        statements=write_pages(bucket),
        # Permission to delete objects only where a deletion of the stack may empty the bucket.
        only_if=("EmptiesBucket", [empty_bucket(bucket), describe_own_stack()]),
        retries=1,
        without_queue="CloudFormation waits for the response of the function. Without one the deployment fails.",
    )
    t.add_resource(
        SiteContent(
            "SiteContent",
            ServiceToken=added.function.get_att("Arn"),
            ServiceTimeout=config.site_content_service_timeout,
            BucketName=bucket.ref(),
            # The package of the function contains the pages, so a new page changes the package's key.
            ContentHash=inputs.custom_resource_code_key,
            EmptyOnDelete=inputs.empty_bucket_on_delete,
            # CloudFormation deletes it first, while the function may still empty the bucket.
            DependsOn=[added.policy, bucket_access],
        )
    )
    return added


def write_pages(bucket: Bucket) -> list[Statement]:
    return [
        iam.allow(
            "WritePages",
            [s3_actions.PutObject, s3_actions.GetObject],
            [object_arn(bucket, "sorry/index.html"), object_arn(bucket, "static/index.html")],
        ),
        iam.allow("ListBucket", [s3_actions.ListBucket, s3_actions.ListBucketVersions], [bucket.get_att("Arn")]),
    ]


def empty_bucket(bucket: Bucket) -> Statement:
    return iam.allow("EmptyBucket", [s3_actions.DeleteObject, s3_actions.DeleteObjectVersion], [object_arn(bucket)])


def describe_own_stack() -> Statement:
    """Allow the function to read the status of its stack.

    CloudFormation also deletes a custom resource that is renamed or removed from the template. Only the status of the
    stack distinguishes this from the deletion of the stack.
    """
    return iam.allow("SeeOwnStack", [cloudformation_actions.DescribeStacks], [Ref("AWS::StackId")])


LAYER = Layer("Distribution", "Distribution: CloudFront, static bucket, DNS, initial pages.", Inputs, Outputs, build)
