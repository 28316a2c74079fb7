"""Log groups: created before a service writes to them, encrypted, with an expiry, and subscribed to the archive.

A group that a service creates itself never expires (Amazon CloudWatch Logs User Guide, "Working with log groups").
"""

from troposphere import Equals, Sub, Template
from troposphere.logs import LogGroup, SubscriptionFilter

from generator import value_types as v
from generator.interfaces import LogArchive, LogSettings
from generator.resources.deletion_policies import deletion_policy

ARCHIVE_CONDITION = "ArchiveLogs"


def log_group(title: str, name: str | Sub, logs: LogSettings) -> LogGroup:
    """Return a log group. Its name is fixed because AWS services or operators look for it."""
    return LogGroup(
        title,
        LogGroupName=name,
        RetentionInDays=logs.log_retention_days,
        KmsKeyId=logs.telemetry_key_arn,
        **deletion_policy("log group"),
    )


def add_archive_filter(
    t: Template, log: str, group: LogGroup | v.LogGroupName, archive: LogArchive
) -> SubscriptionFilter:
    """Add the subscription of a log group to the archive, if the environment archives logs.

    The group is a resource of this template, or by its name one of an earlier layer.
    """
    if ARCHIVE_CONDITION not in t.conditions:
        t.add_condition(ARCHIVE_CONDITION, Equals(archive.archive_logs, "true"))
    return t.add_resource(
        SubscriptionFilter(
            f"{log}ArchiveFilter",
            Condition=ARCHIVE_CONDITION,
            LogGroupName=group.ref() if isinstance(group, LogGroup) else group,
            DestinationArn=archive.archive_stream_arn,
            RoleArn=archive.subscription_role_arn,
            FilterPattern="",
        )
    )
