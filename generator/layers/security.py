"""Security: KMS keys, shared security groups, log buckets, the origin secret and the alarm topic.

The layer ``service_access`` contains the security group, the rules and the roles of each service. Later layers add the
permissions for resources that they create.
"""

from awacs import logs as logs_actions
from awacs import s3 as s3_actions
from awacs.aws import Statement
from troposphere import AWSHelperFn, Equals, If, Not, NoValue, Sub, Tags, Template
from troposphere.ec2 import FlowLog, SecurityGroup, SecurityGroupRule
from troposphere.kms import Key
from troposphere.logs import LogGroup
from troposphere.s3 import (
    Bucket,
    DefaultRetention,
    LifecycleRuleTransition,
    ObjectLockConfiguration,
    ObjectLockRule,
)
from troposphere.secretsmanager import GenerateSecretString, Secret

from generator import value_types as v
from generator.interfaces import LogSettings, OriginSecrets
from generator.platform_parts import COMPLETE, Parts
from generator.resources import iam
from generator.resources.deletion_policies import deletion_policy
from generator.resources.kms import add_key, add_telemetry_key
from generator.resources.logs import log_group
from generator.resources.s3 import add_access_log_bucket, bucket_policy, lifecycle_rule, object_arn, private_bucket
from generator.resources.security_groups import no_egress
from generator.resources.sns import add_topic, allow_alarm_publishing
from generator.wiring import ABSENT, FrozenConfig, Layer, StackInterface

HTTP = 80
HTTPS = 443


class Config(FrozenConfig):
    """``alb_log_prefix`` is the folder of the load balancer's logs. It must not contain ``AWSLogs``."""

    alb_log_prefix: str = "alb"
    # Letters and digits only: a listener rule compares the value, and treats * and ? as wildcards. Its limit is 128
    # characters.
    origin_secret_length: int = 48
    # Objects under errors/ of the archive: records that the log processor could not read and redact.
    archive_error_days: int = 14
    parts: Parts = COMPLETE


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    vpc_id: v.VpcId
    cloud_front_prefix_list_id: v.PrefixListId
    log_retention_days: v.LogRetentionDays
    archive_glacier_days: v.ArchiveGlacierDays
    archive_expire_days: v.ArchiveExpireDays
    archive_lock_days: v.ArchiveLockDays


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    data_key_arn: v.DataKeyArn
    telemetry_key_arn: v.TelemetryKeyArn
    alb_security_group_id: v.AlbSecurityGroupId
    redirect_security_group_id: v.RedirectSecurityGroupId
    database_security_group_id: v.DatabaseSecurityGroupId
    alb_log_bucket_name: v.AlbLogBucketName
    access_log_bucket_name: v.AccessLogBucketName
    archive_bucket_name: v.ArchiveBucketName
    origin_secrets: OriginSecrets
    alarm_topic_arn: v.AlarmTopicArn
    flow_log_group_name: v.FlowLogGroupName


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add keys, shared security groups, the flow log, buckets, the origin secret and the alarm topic."""
    # RDS, Secrets Manager and ECS use the data key with the permissions of the caller, so its policy names no service.
    data_key = add_key(t, "Data", "Database and its secret" if config.parts.database else "Secrets")
    telemetry_key = add_telemetry_key(
        t, "Logs, notifications and archive" if config.parts.archive else "Logs and notifications"
    )
    telemetry_key_arn = v.TelemetryKeyArn(telemetry_key.get_att("Arn"))
    alb = t.add_resource(alb_security_group(inputs))
    redirect = t.add_resource(redirect_security_group(inputs))
    database = add_database_security_group(t, inputs) if config.parts.database else ABSENT
    flow_log = add_flow_log(t, inputs, telemetry_key_arn)
    access_logs = v.AccessLogBucketName(add_access_log_bucket(t, "AccessLogBucket", inputs.log_retention_days).ref())
    alb_logs = add_alb_log_bucket(t, config, inputs, access_logs)
    archive: AWSHelperFn = ABSENT
    if config.parts.archive:
        archive = add_archive_bucket(t, config, inputs, access_logs, telemetry_key_arn).ref()
    secret, next_secret = (t.add_resource(item) for item in origin_secrets(config, data_key))
    topic = add_topic(t, "AlarmTopic", "alarms", v.TelemetryKeyId(telemetry_key.ref()), allow_alarm_publishing)
    return Outputs(
        data_key_arn=v.DataKeyArn(data_key.get_att("Arn")),
        telemetry_key_arn=telemetry_key_arn,
        alb_security_group_id=v.AlbSecurityGroupId(alb.get_att("GroupId")),
        redirect_security_group_id=v.RedirectSecurityGroupId(redirect.get_att("GroupId")),
        database_security_group_id=v.DatabaseSecurityGroupId(database),
        alb_log_bucket_name=v.AlbLogBucketName(alb_logs.ref()),
        access_log_bucket_name=access_logs,
        archive_bucket_name=v.ArchiveBucketName(archive),
        origin_secrets=OriginSecrets(
            origin_secret_arn=v.OriginSecretArn(secret.ref()),
            next_origin_secret_arn=v.NextOriginSecretArn(next_secret.ref()),
        ),
        alarm_topic_arn=v.AlarmTopicArn(topic.ref()),
        flow_log_group_name=v.FlowLogGroupName(flow_log.ref()),
    )


# --- Security groups ---------------------------------------------------------------------------------------------


def alb_security_group(inputs: Inputs) -> SecurityGroup:
    """Return the security group of the load balancer. Each service adds its own egress rule."""
    return SecurityGroup(
        "AlbSecurityGroup",
        GroupDescription="Load balancer: HTTPS from CloudFront, out to the services",
        VpcId=inputs.vpc_id,
        SecurityGroupIngress=[from_cloudfront(inputs, HTTPS, "HTTPS from CloudFront")],
        # The egress rules to the services are resources of their own, in each service's stack.
        SecurityGroupEgress=[no_egress()],
        Tags=Tags(Name=Sub("${Prefix}-alb")),
    )


def redirect_security_group(inputs: Inputs) -> SecurityGroup:
    """Return a second group for HTTP. CloudFront's prefix list counts as 55 of the 60 rules of a group."""
    return SecurityGroup(
        "RedirectSecurityGroup",
        GroupDescription="Load balancer: HTTP from CloudFront",
        VpcId=inputs.vpc_id,
        SecurityGroupIngress=[from_cloudfront(inputs, HTTP, "HTTP from CloudFront")],
        SecurityGroupEgress=[no_egress()],
        Tags=Tags(Name=Sub("${Prefix}-alb-redirect")),
    )


def from_cloudfront(inputs: Inputs, port: int, description: str) -> SecurityGroupRule:
    return SecurityGroupRule(
        IpProtocol="tcp",
        FromPort=port,
        ToPort=port,
        SourcePrefixListId=inputs.cloud_front_prefix_list_id,
        Description=description,
    )


def add_database_security_group(t: Template, inputs: Inputs) -> AWSHelperFn:
    """Add the security group of the database and return its id."""
    group = t.add_resource(
        SecurityGroup(
            "DatabaseSecurityGroup",
            GroupDescription="Database: in only from services, by rules made with each",
            VpcId=inputs.vpc_id,
            SecurityGroupEgress=[no_egress()],
            Tags=Tags(Name=Sub("${Prefix}-database")),
        )
    )
    return group.get_att("GroupId")


# --- Flow log ----------------------------------------------------------------------------------------------------


def add_flow_log(t: Template, inputs: Inputs, key: v.TelemetryKeyArn) -> LogGroup:
    """Add the flow log of the VPC with its log group and role."""
    logs = LogSettings(telemetry_key_arn=key, log_retention_days=inputs.log_retention_days)
    group = t.add_resource(log_group("FlowLogGroup", Sub("/${Prefix}/vpc-flow"), logs))
    role = t.add_resource(
        iam.service_role(
            "FlowLogRole",
            "vpc-flow-logs",
            iam.source_account_condition(),
            iam.source_arn_condition("arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:vpc-flow-log/*"),
            description="Writes the VPC's flow log.",
        )
    )
    policy = t.add_resource(
        iam.attach_policy(
            "FlowLogPolicy",
            role,
            *write_flow_log(group),
            description="Write to the flow log's group, which exists already.",
        )
    )
    t.add_resource(
        FlowLog(
            "FlowLog",
            ResourceType="VPC",
            ResourceId=inputs.vpc_id,
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogGroupName=group.ref(),
            DeliverLogsPermissionArn=role.get_att("Arn"),
            MaxAggregationInterval=60,
            Tags=Tags(Name=Sub("${Prefix}-vpc-flow")),
            DependsOn=[policy],
        )
    )
    return group


def write_flow_log(group: LogGroup) -> list[Statement]:
    """Return the permissions to write the flow log."""
    return [
        iam.allow(
            "WriteFlowLog",
            [logs_actions.CreateLogStream, logs_actions.PutLogEvents, logs_actions.DescribeLogStreams],
            [group.get_att("Arn")],
        ),
        # The action supports no resource (Amazon VPC User Guide, "Publish flow logs to CloudWatch Logs").
        iam.allow(
            "FindFlowLogGroup",
            [logs_actions.DescribeLogGroups],
            ["*"],
        ),
    ]


# --- Buckets -----------------------------------------------------------------------------------------------------


def add_alb_log_bucket(t: Template, config: Config, inputs: Inputs, access_logs: v.AccessLogBucketName) -> Bucket:
    """Add the bucket of the load balancer's access logs. It uses SSE-S3.

    The load balancer cannot write to a bucket with a customer managed key (Elastic Load Balancing User Guide, "Enable
    access logs").
    """
    bucket = t.add_resource(
        private_bucket(
            "AlbLogBucket",
            data="log bucket",
            rules=[lifecycle_rule("Expire", ExpirationInDays=inputs.log_retention_days)],
            access_logs=(access_logs, "alb-logs/"),
        )
    )
    t.add_resource(
        bucket_policy(
            bucket,
            iam.allow(
                "WriteLoadBalancerLogs",
                [s3_actions.PutObject],
                [object_arn(bucket, f"{config.alb_log_prefix}/AWSLogs/${{AWS::AccountId}}/*")],
                iam.source_arn_condition(
                    "arn:${AWS::Partition}:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}:loadbalancer/*"
                ),
                principal=iam.service_principal("logdelivery.elasticloadbalancing"),
            ),
        )
    )
    return bucket


def add_archive_bucket(
    t: Template, config: Config, inputs: Inputs, access_logs: v.AccessLogBucketName, key: v.TelemetryKeyArn
) -> Bucket:
    """Add the bucket of archived logs, with the move to Glacier, expiry and an optional lock."""
    t.add_condition("LocksArchive", Not(Equals(inputs.archive_lock_days, "0")))
    bucket = t.add_resource(
        private_bucket(
            "ArchiveBucket",
            data="archive",
            rules=[
                lifecycle_rule(
                    "MoveToGlacierThenExpire",
                    Transitions=[
                        LifecycleRuleTransition(StorageClass="GLACIER", TransitionInDays=inputs.archive_glacier_days)
                    ],
                    ExpirationInDays=inputs.archive_expire_days,
                ),
                # Records that could not be read, so their secrets are not redacted. The shorter of two rules applies.
                lifecycle_rule("ExpireErrors", Prefix="errors/", ExpirationInDays=config.archive_error_days),
            ],
            key=key,
            access_logs=(access_logs, "archive/"),
            # Objects of hours with little traffic are small. Otherwise they would stay in the more expensive class.
            small_objects_move=True,
            # Governance mode: a principal with s3:BypassGovernanceRetention can correct a mistake. No role here has it.
            ObjectLockEnabled=If("LocksArchive", True, NoValue),
            ObjectLockConfiguration=If(
                "LocksArchive",
                ObjectLockConfiguration(
                    ObjectLockEnabled="Enabled",
                    Rule=ObjectLockRule(
                        DefaultRetention=DefaultRetention(Mode="GOVERNANCE", Days=inputs.archive_lock_days)
                    ),
                ),
                NoValue,
            ),
        )
    )
    t.add_resource(bucket_policy(bucket))
    return bucket


# --- Origin secret -------------------------------------------------------------------------------


def origin_secrets(config: Config, key: Key) -> list[Secret]:
    """Return the value of the secret header that CloudFront sends, and the one that it sends after a rotation."""
    descriptions = {
        "OriginSecret": "Value of the header that only this environment's CloudFront distribution sends.",
        "NextOriginSecret": "Value of the header after the next rotation. The load balancer accepts it already.",
    }
    return [
        Secret(
            title,
            Description=description,
            GenerateSecretString=GenerateSecretString(
                PasswordLength=config.origin_secret_length, ExcludePunctuation=True
            ),
            KmsKeyId=key.ref(),
            **deletion_policy("generated secret"),
        )
        for title, description in descriptions.items()
    ]


LAYER = Layer("Security", "Security: keys, shared security groups, log buckets, alarm topic.", Inputs, Outputs, build)
