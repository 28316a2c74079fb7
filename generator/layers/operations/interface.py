"""Configuration, inputs and outputs of the layer ``operations``."""

from typing import Annotated

from generator import value_types as v
from generator.interfaces import DatabaseLogGroups, EcsCluster, LogArchive, NatGateways
from generator.platform_parts import COMPLETE, Parts
from generator.resources.lambda_functions import FunctionInputs, Size
from generator.wiring import FrozenConfig, StackInterface


class Config(FrozenConfig):
    """Sizes of the functions and thresholds of the alarms."""

    notifier: Size = Size(memory=256, timeout=30)
    watch: Size = Size(memory=256, timeout=60)
    fallback: Size = Size(memory=256, timeout=30)
    watch_schedule: str = "rate(1 hour)"
    # slack_notifier has the same interval: STABLE_INTERVAL in lambda/slack_notifier/events.py.
    stable_alarms_schedule: str = "rate(15 minutes)"
    alb_errors_per_minute: int = 10
    slow_seconds: float = 3.0
    non_compliant_in_5_minutes: int = 10
    database_cpu_percent: int = 80
    archive_delay_seconds: int = 3600
    relay_ends_per_5_minutes: int = 3
    budget_actual_percent: int = 80
    budget_forecast_percent: int = 100
    parts: Parts = COMPLETE


class Inputs(FunctionInputs):
    """Parameters of the nested stack."""

    environment: v.EnvironmentName
    slack_notifier_code_key: v.SlackNotifierCodeKey
    alarm_fallback_code_key: v.AlarmFallbackCodeKey
    credentials_watch_code_key: v.CredentialsWatchCodeKey
    slack_workspace_id: v.WorkspaceId
    slack_channel_id: v.ChannelId
    monthly_budget: v.Money
    db_reader: Annotated[v.Flag, "true if the database has a reader."]
    edge_topic_arn: v.EdgeTopicArn
    alarm_topic_arn: v.AlarmTopicArn
    nat_gateways: NatGateways
    log_archive: LogArchive
    archive_stream_name: v.ArchiveStreamName
    log_processor_name: v.LogProcessorName
    log_processor_log_group_name: v.LogProcessorLogGroupName
    delivery_log_group_name: v.DeliveryLogGroupName
    flow_log_group_name: v.FlowLogGroupName
    exec_log_group_name: v.ExecLogGroupName
    bastion_log_group_name: v.BastionLogGroupName
    database_log_groups: DatabaseLogGroups
    db_cluster_id: v.DbClusterId
    cluster: EcsCluster
    alb_full_name: v.AlbFullName
    listener_certificate_arn: v.ListenerCertificateArn
    site_content_function_name: v.FunctionName


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    dashboard_name: v.DashboardName
