"""Log groups: made by us before anyone writes to them, encrypted, expiring, and subscribed to the archive.

A group that a service makes by itself never expires (Amazon CloudWatch Logs User Guide, "Working with log groups").
"""

from typing import Annotated

from troposphere import AWSHelperFn, Equals, Template
from troposphere.logs import LogGroup, SubscriptionFilter

from generator import value_types as v
from generator.resources.deletion_policies import deletion_policy
from generator.wiring import StackInterface

ARCHIVE_CONDITION = "ArchiveLogs"


class LogInputs(StackInterface):
    """What a layer needs to own log groups: base of its Inputs."""

    telemetry_key_arn: v.TelemetryKeyArn
    log_retention_days: v.LogRetentionDays


class ArchivedLogInputs(LogInputs):
    """What a layer needs to archive log groups in environments that ask for it."""

    archive_logs: Annotated[v.Flag, "true if logs are archived in S3 and Glacier."]
    archive_stream_arn: v.ArchiveStreamArn
    subscription_role_arn: v.SubscriptionRoleArn


def log_group(title: str, name: str | AWSHelperFn, inputs: LogInputs) -> LogGroup:
    """A named group. The name is fixed because AWS services or people look for it."""
    return LogGroup(
        title,
        LogGroupName=name,
        RetentionInDays=inputs.log_retention_days,
        KmsKeyId=inputs.telemetry_key_arn,
        **deletion_policy("log group"),
    )


def add_archive_filter(
    t: Template, log: str, group: LogGroup | v.LogGroupName, inputs: ArchivedLogInputs
) -> SubscriptionFilter:
    """Where logs are archived, the subscription of a group: of this template, or, by its name, of an earlier layer."""
    if ARCHIVE_CONDITION not in t.conditions:
        t.add_condition(ARCHIVE_CONDITION, Equals(inputs.archive_logs, "true"))
    return t.add_resource(
        SubscriptionFilter(
            f"{log}ArchiveFilter",
            Condition=ARCHIVE_CONDITION,
            LogGroupName=group.ref() if isinstance(group, LogGroup) else group,
            DestinationArn=inputs.archive_stream_arn,
            RoleArn=inputs.subscription_role_arn,
            FilterPattern="",
        )
    )
