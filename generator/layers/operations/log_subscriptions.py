"""Subscriptions of log groups to the archive and to the notifier."""

from troposphere import Ref, Sub, Template
from troposphere.awslambda import Function
from troposphere.logs import SubscriptionFilter

from generator import value_types as v
from generator.layers.operations.interface import Config, Inputs
from generator.resources.lambda_functions import invoke_permission
from generator.resources.logs import add_archive_filter


def add_archive_filters(t: Template, config: Config, inputs: Inputs) -> None:
    """Subscribe the log groups of earlier layers to the archive.

    The subscriptions are here, because the layers of the log groups would otherwise wait for the archive. No important
    record is lost: until the services run, the database and the VPC have no traffic.
    """
    groups: dict[str, v.LogGroupName] = {
        "FlowLog": inputs.flow_log_group_name,
        "Exec": inputs.exec_log_group_name,
        "Bastion": inputs.bastion_log_group_name,
    }
    if config.parts.database:
        groups |= {
            "DatabaseAudit": inputs.database_log_groups.audit_log_group_name,
            "DatabaseError": inputs.database_log_groups.error_log_group_name,
            "DatabaseSlowQuery": inputs.database_log_groups.slow_query_log_group_name,
            "DatabaseInstance": inputs.database_log_groups.instance_log_group_name,
            "DatabaseIamError": inputs.database_log_groups.iam_error_log_group_name,
        }
    for log, group in groups.items():
        add_archive_filter(t, log, group, inputs.log_archive)


def add_error_filters(t: Template, inputs: Inputs, notifier: Function) -> None:
    """Subscribe the notifier to the log of Firehose. Every record there is a failed delivery."""
    permission = t.add_resource(
        invoke_permission(
            "ErrorLogPermission",
            notifier,
            "logs",
            Sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${DeliveryLogGroupName}:*"),
            # CloudWatch Logs sends it (CloudWatch Logs User Guide, "Log group-level subscription filters").
            SourceAccount=Ref("AWS::AccountId"),
        )
    )
    t.add_resource(
        SubscriptionFilter(
            "DeliveryErrorFilter",
            LogGroupName=inputs.delivery_log_group_name,
            DestinationArn=notifier.get_att("Arn"),
            FilterPattern="",
            DependsOn=[permission],
        )
    )
