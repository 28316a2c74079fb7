"""The bucket of static files and of the sorry page, and the function that writes the first pages."""

from awacs import cloudformation as cloudformation_actions
from awacs import s3 as s3_actions
from awacs.aws import Statement, StringEquals
from troposphere import Ref, Sub, Template
from troposphere.cloudfront import (
    Distribution,
    OriginAccessControl,
    OriginAccessControlConfig,
)
from troposphere.s3 import Bucket, BucketPolicy
from troposphere.validators.cloudformation import AWSCustomObject

from generator.layers.distribution.interface import Config, Inputs
from generator.resources import iam
from generator.resources.lambda_functions import AddedFunction, add_function
from generator.resources.s3 import lifecycle_rule, object_arn, private_bucket


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
        "IndexPage": (str, True),
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
        statements=write_pages(config, bucket),
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
            IndexPage=index_page(config),
            # CloudFormation deletes it first, while the function may still empty the bucket.
            DependsOn=[added.policy, bucket_access],
        )
    )
    return added


def index_page(config: Config) -> str:
    """Return the key of the first index page; empty if CloudFront serves no static path."""
    folder = config.edge.static_path.removeprefix("/")
    return folder and f"{folder}index.html"


def write_pages(config: Config, bucket: Bucket) -> list[Statement]:
    """Return the permissions to write the sorry page and the index page."""
    pages = [config.sorry_page.removeprefix("/"), *filter(None, [index_page(config)])]
    return [
        iam.allow(
            "WritePages",
            [s3_actions.PutObject, s3_actions.GetObject],
            [object_arn(bucket, page) for page in pages],
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
