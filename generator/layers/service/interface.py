"""Configuration, inputs and outputs of the layer ``service``."""

from typing import Annotated

from generator import value_types as v
from generator.resources.logs import ArchivedLogInputs
from generator.wiring import FrozenConfig, StackInterface


class Config(FrozenConfig):
    """Seconds, percent and counts that suit a web service; the same in every environment."""

    grace_seconds: int = 60
    # ECS takes a task out of the load balancer before it stops it; the default of 300 makes every deployment slow.
    deregistration_seconds: int = 30
    stop_seconds: int = 60
    health_interval_seconds: int = 15
    health_timeout_seconds: int = 5
    cpu_target_percent: int = 60
    memory_target_percent: int = 75
    errors_per_minute: int = 10


class Inputs(ArchivedLogInputs):
    prefix: v.NamePrefix
    project: v.ProjectName
    service_slug: v.ServiceSlug
    image: Annotated[v.ImageUri, "Image of the app container, pinned by digest."]
    bastion_image: Annotated[v.ImageUri, "Image of the bastion container, pinned by digest."]
    cpu: v.CpuUnits
    memory: v.MemoryMiB
    cpu_architecture: v.Architecture
    min_tasks: Annotated[v.Count, "Minimum number of tasks, and the initial number."]
    max_tasks: Annotated[v.Count, "Maximum number of tasks."]
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
    app_subnet_1_id: Annotated[
        v.RoutedAppSubnetId,
        "Private subnet of the tasks in the first zone, with routes to a NAT gateway and to AWS services.",
    ]
    app_subnet_2_id: Annotated[
        v.RoutedAppSubnetId,
        "Private subnet of the tasks in the second zone, with routes to a NAT gateway and to AWS services.",
    ]
    service_security_group_id: v.ServiceSecurityGroupId
    task_role_arn: v.TaskRoleArn
    execution_role_arn: v.ExecutionRoleArn
    execution_role_name: v.ExecutionRoleName
    data_key_arn: v.DataKeyArn
    cluster_name: v.ClusterName
    cluster_arn: v.ClusterArn
    bastion_log_group_name: v.BastionLogGroupName
    alb_full_name: v.AlbFullName
    origin_listener_arn: v.OriginListenerArn
    origin_secret_arn: v.OriginSecretArn
    writer_endpoint: v.WriterEndpoint
    reader_endpoint: v.ReaderEndpoint
    database_port: v.DatabasePort
    database_name: v.DatabaseName
    database_secret_arn: v.DatabaseSecretArn
    alarm_topic_arn: v.AlarmTopicArn


class Outputs(StackInterface):
    service_name: v.ServiceName
