"""Configuration, inputs and outputs of the layer ``service``."""

from typing import Annotated

from generator import value_types as v
from generator.interfaces import (
    DatabaseConnection,
    EcsCluster,
    LogArchive,
    LogSettings,
    OriginSecrets,
    RoutedAppSubnets,
    ServiceAccess,
    ServiceSize,
)
from generator.wiring import FrozenConfig, StackInterface


class Config(FrozenConfig):
    """Times in seconds, targets in percent and counts for a web service, the same in every environment."""

    grace_seconds: int = 60
    # ECS deregisters a task from the target group before it stops it. The default of 300 makes deployments slow.
    deregistration_seconds: int = 30
    stop_seconds: int = 60
    health_interval_seconds: int = 15
    health_timeout_seconds: int = 5
    cpu_target_percent: int = 60
    memory_target_percent: int = 75
    errors_per_minute: int = 10


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    project: v.ProjectName
    service_slug: v.ServiceSlug
    image: v.AppImageUri
    bastion_image: v.BastionImageUri
    size: ServiceSize
    cpu_architecture: v.Architecture
    service_is_new: Annotated[
        v.Flag, "true if the service does not exist yet, so that this deployment sets its desired count."
    ]
    container_port: v.Port
    app_user: v.UserIds
    read_only_root: Annotated[v.Flag, "true if the root file system of the app container is read-only."]
    writable_path_1: Annotated[v.FolderPath, "First folder to which the app may write, or empty."]
    writable_path_2: Annotated[v.FolderPath, "Second folder to which the app may write, or empty."]
    writable_path_3: Annotated[v.FolderPath, "Third folder to which the app may write, or empty."]
    health_check_path: v.UrlPath
    path_patterns: v.PathPatterns
    priority: v.Priority
    vpc_id: v.VpcId
    app_subnets: RoutedAppSubnets
    access: ServiceAccess
    data_key_arn: v.DataKeyArn
    cluster: EcsCluster
    bastion_log_group_name: v.BastionLogGroupName
    alb_full_name: v.AlbFullName
    origin_listener_arn: v.OriginListenerArn
    origin_secrets: OriginSecrets
    database: DatabaseConnection
    alarm_topic_arn: v.AlarmTopicArn
    logs: LogSettings
    log_archive: LogArchive


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    service_name: v.ServiceName
