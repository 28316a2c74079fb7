"""Edge monitoring: alarms and access log of CloudFront and the web ACL, whose metrics and logs exist only in us-east-1.

The stack needs the distribution, so it is deployed after root.
"""

from typing import Annotated

from awacs import s3 as s3_actions
from awacs.aws import ArnLike, StringEquals
from troposphere import Ref, Sub, Template
from troposphere.logs import Delivery, DeliveryDestination, DeliverySource

from generator import parameter_specs as shared
from generator import value_types as v
from generator.resources import iam
from generator.resources.alarms import alarm
from generator.resources.s3 import bucket_policy, lifecycle_rule, object_arn, private_bucket
from generator.resources.suppressions import suppress
from generator.wiring import FrozenConfig, ParameterSpec, StackInterface, add_parameters


class Config(FrozenConfig):
    """``blocked_in_5_minutes`` is the number of blocked requests above the usual number of automated requests."""

    error_percent: int = 5
    blocked_in_5_minutes: int = 1000
    log_days: int = 90
    log_folder: str = "cloudfront"
    fields: tuple[str, ...] = (
        "date",
        "time",
        "x-edge-location",
        "sc-bytes",
        "c-ip",
        "cs-method",
        "cs(Host)",
        "cs-uri-stem",
        "sc-status",
        "cs(Referer)",
        "cs(User-Agent)",
        "x-edge-result-type",
        "x-edge-request-id",
        "x-host-header",
        "cs-protocol",
        "cs-bytes",
        "time-taken",
        "ssl-protocol",
        "ssl-cipher",
        "x-edge-response-result-type",
        "cs-protocol-version",
        "time-to-first-byte",
        "x-edge-detailed-result-type",
        "sc-content-type",
    )


class Parameters(StackInterface):
    """Parameters of the stack."""

    project: Annotated[v.ProjectName, shared.PROJECT]
    environment: Annotated[v.EnvironmentName, shared.ENVIRONMENT]
    distribution_id: Annotated[
        v.DistributionId,
        ParameterSpec(
            "CloudFront distribution. An output of the root stack.",
            pattern=r"^E[0-9A-Z]{8,20}$",
            constraint="The id of a distribution, such as E1ABCDEFGHIJKL.",
        ),
    ]
    distribution_arn: Annotated[
        v.DistributionArn,
        ParameterSpec(
            "CloudFront distribution. An output of the root stack.",
            pattern=r"^arn:aws[a-z-]*:cloudfront::[0-9]{12}:distribution/E[0-9A-Z]{8,20}$",
            constraint="The ARN of a distribution.",
        ),
    ]
    web_acl_name: Annotated[
        v.WebAclName,
        ParameterSpec(
            "Name of the web ACL, the dimension of its metrics. An output of the edge stack.",
            pattern=r"^[A-Za-z0-9_-]{1,128}$",
            constraint="The name of a web ACL.",
        ),
    ]
    edge_topic_arn: Annotated[v.EdgeTopicArn, shared.EDGE_TOPIC_ARN]


def build(config: Config) -> Template:
    """Return the template of the edge monitoring stack."""
    t = Template(Description="Hosting platform: CloudFront alarms and access log of an environment, in us-east-1.")
    t.set_version()
    p = add_parameters(t, Parameters)
    add_access_log(t, config, p)
    add_alarms(t, config, p)
    return t


def add_access_log(t: Template, config: Config, p: Parameters) -> None:
    """Add CloudFront's access log as standard logging v2.

    Unlike the legacy standard logging, it needs no ACLs on the bucket (Amazon CloudFront Developer Guide, "Configure
    standard logging (v2)").
    """
    bucket = t.add_resource(
        private_bucket(
            "AccessLogBucket",
            data="log bucket",
            rules=[lifecycle_rule("Expire", ExpirationInDays=config.log_days)],
            **suppress(
                CKV_AWS_18="It contains access logs, which one service writes. The only bucket for S3's own access "
                "logs in this region is the bootstrap stack's, shared by all environments."
            ),
        )
    )
    delivery_source = Sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:delivery-source:*")
    policy = t.add_resource(
        bucket_policy(
            bucket,
            iam.allow(
                "WriteAccessLogs",
                [s3_actions.PutObject],
                [object_arn(bucket)],
                StringEquals("aws:SourceAccount", Ref("AWS::AccountId")),
                ArnLike("aws:SourceArn", delivery_source),
                principal=iam.service_principal("delivery.logs"),
            ),
        )
    )
    source = t.add_resource(
        DeliverySource(
            "AccessLogSource",
            Name=Sub(f"{shared.NAME_PREFIX}-cloudfront"),
            LogType="ACCESS_LOGS",
            ResourceArn=p.distribution_arn,
        )
    )
    destination = t.add_resource(
        DeliveryDestination(
            "AccessLogDestination",
            Name=Sub(f"{shared.NAME_PREFIX}-cloudfront-files"),
            # Without a prefix in the ARN CloudFront adds AWSLogs/<account>/CloudFront to the path, which the first
            # update of the delivery removes (aws-cloudformation/cloudformation-coverage-roadmap, issue 2274).
            DestinationResourceArn=Sub(f"${{{bucket.title}.Arn}}/{config.log_folder}"),
            OutputFormat="json",
            DependsOn=[policy],
        )
    )
    t.add_resource(
        Delivery(
            "AccessLogDelivery",
            DeliverySourceName=source.ref(),
            DeliveryDestinationArn=destination.get_att("Arn"),
            RecordFields=list(config.fields),
            S3SuffixPath="{DistributionId}/{yyyy}/{MM}/{dd}",
        )
    )


def add_alarms(t: Template, config: Config, p: Parameters) -> None:
    """Add the alarms on server errors and on blocked requests."""
    distribution: dict[str, str | v.DistributionId] = {"DistributionId": p.distribution_id, "Region": "Global"}
    t.add_resource(
        alarm(
            "EdgeErrorsAlarm",
            "cloudfront-5xx",
            p.edge_topic_arn,
            description="CloudFront returns server errors: those of apps, and the sorry page of a failed origin.",
            command="status",
            section="cloudfront-5xx",
            namespace="AWS/CloudFront",
            metric="5xxErrorRate",
            dimensions=distribution,
            statistic="Average",
            threshold=config.error_percent,
            prefix=shared.NAME_PREFIX,
        )
    )
    t.add_resource(
        alarm(
            "BlockedRequestsAlarm",
            "waf-blocked",
            p.edge_topic_arn,
            description="The web ACL blocks many requests: an attack, or a rule that matches legitimate requests.",
            command="logs waf --since 1h",
            section="waf-blocked",
            namespace="AWS/WAFV2",
            metric="BlockedRequests",
            dimensions={"WebACL": p.web_acl_name, "Rule": "ALL"},
            statistic="Sum",
            threshold=config.blocked_in_5_minutes,
            period=300,
            periods=1,
            prefix=shared.NAME_PREFIX,
        )
    )
