"""Service: one service of the platform: its task with app and bastion, its place behind the load balancer, its scaling
and its alarms. One template, nested once per service.

Leaves to ``access`` the security group and the roles; what those roles may do beyond it is granted here, where the
log groups are born.
"""

from typing import Annotated, Any

from awacs import ecr as ecr_actions
from awacs import kms as kms_actions
from awacs import logs as logs_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs.aws import StringEquals
from troposphere import Equals, If, Join, Not, NoValue, Sub, Tags, Template
from troposphere.applicationautoscaling import (
    PredefinedMetricSpecification,
    ScalableTarget,
    ScalingPolicy,
    TargetTrackingScalingPolicyConfiguration,
)
from troposphere.ecs import (
    AwsvpcConfiguration,
    DeploymentCircuitBreaker,
    DeploymentConfiguration,
    LoadBalancer,
    NetworkConfiguration,
    Service,
    TaskDefinition,
)
from troposphere.elasticloadbalancingv2 import (
    Condition as RuleCondition,
)
from troposphere.elasticloadbalancingv2 import (
    HttpHeaderConfig,
    ListenerRule,
    ListenerRuleAction,
    Matcher,
    PathPatternConfig,
    TargetGroup,
    TargetGroupAttribute,
)
from troposphere.iam import ManagedPolicy
from troposphere.logs import LogGroup

from generator import value_types as v
from generator.layers.service.alarms import add_alarms
from generator.layers.service.task import APP, APP_MEMORY, app_memory, task_definition, writable_paths
from generator.resources import iam
from generator.resources.logs import ArchivedLogInputs, add_archive_filter, log_group
from generator.resources.origin_secret import HEADER, secret_reference
from generator.resources.suppressions import suppress
from generator.wiring import FrozenConfig, Layer, StackInterface


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
    service_slug: Annotated[v.Choice, "The service, in lower case."]
    image: v.ImageUri
    bastion_image: Annotated[v.ImageUri, "Image of the bastion container, pinned by digest."]
    cpu: v.CpuUnits
    memory: v.MemoryMiB
    cpu_architecture: v.Architecture
    min_tasks: Annotated[v.Count, "Least number of tasks, and the number to start with."]
    max_tasks: Annotated[v.Count, "Greatest number of tasks."]
    service_is_new: Annotated[v.Flag, "Whether the service does not exist yet, so that its number of tasks is set."]
    container_port: v.Port
    app_user: v.UserIds
    read_only_root: Annotated[v.Flag, "Whether the app may write to mounted folders only."]
    writable_path_1: Annotated[v.FolderPath, "A folder to which the app may write, or empty."]
    writable_path_2: Annotated[v.FolderPath, "A second such folder, or empty."]
    writable_path_3: Annotated[v.FolderPath, "A third such folder, or empty."]
    health_check_path: v.UrlPath
    path_patterns: v.PathPatterns
    priority: v.Priority
    vpc_id: v.VpcId
    app_subnet_1_id: Annotated[v.RoutedAppSubnetId, "Private subnet of the first zone, its ways out open."]
    app_subnet_2_id: v.RoutedAppSubnetId
    service_security_group_id: v.ServiceSecurityGroupId
    task_role_arn: Annotated[v.TaskRoleArn, "Role of the containers."]
    execution_role_arn: v.ExecutionRoleArn
    execution_role_name: v.ExecutionRoleName
    data_key_arn: Annotated[v.DataKeyArn, "Key of the database's secret."]
    cluster_name: v.ClusterName
    cluster_arn: v.ClusterArn
    bastion_log_group_name: v.BastionLogGroupName
    alb_full_name: v.AlbFullName
    origin_listener_arn: Annotated[v.OriginListenerArn, "Listener that CloudFront calls."]
    origin_secret_arn: v.OriginSecretArn
    writer_endpoint: v.WriterEndpoint
    reader_endpoint: v.ReaderEndpoint
    database_port: v.DatabasePort
    database_name: Annotated[v.DatabaseName, "Schema of the database."]
    database_secret_arn: v.DatabaseSecretArn
    alarm_topic_arn: v.AlarmTopicArn


class Outputs(StackInterface):
    service_name: v.ServiceName


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    t.add_condition("IsNew", Equals(inputs.service_is_new, "true"))
    for number, path in enumerate(writable_paths(inputs), start=1):
        t.add_condition(f"HasWritablePath{number}", Not(Equals(path, "")))
    t.add_mapping(APP_MEMORY, app_memory())
    logs = t.add_resource(log_group("AppLogGroup", Sub("/${Prefix}/${ServiceSlug}/app"), inputs))
    add_archive_filter(t, "App", logs, inputs)
    grants = t.add_resource(execution_grants(inputs, logs))
    task = t.add_resource(task_definition(config, inputs, logs))
    target = t.add_resource(target_group(config, inputs))
    rule = t.add_resource(listener_rule(inputs, target))
    service = t.add_resource(ecs_service(config, inputs, task, target, [rule, grants]))
    add_scaling(t, config, inputs, service)
    add_alarms(t, config, inputs, service, target)
    return Outputs(service_name=v.ServiceName(service.get_att("Name")))


# --- Permissions -------------------------------------------------------------------------------------------------


def execution_grants(inputs: Inputs, logs: LogGroup) -> ManagedPolicy:
    return iam.attach_policy(
        "ExecutionGrants",
        inputs.execution_role_name,
        # The token is for the whole registry: the action takes no resource (Service Authorization Reference).
        iam.allow("SignInToRegistry", [ecr_actions.GetAuthorizationToken], ["*"]),
        iam.allow(
            "PullImages",
            [ecr_actions.BatchCheckLayerAvailability, ecr_actions.BatchGetImage, ecr_actions.GetDownloadUrlForLayer],
            [Sub("arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/${Project}/*")],
        ),
        iam.allow(
            "WriteOwnLogs",
            [logs_actions.CreateLogStream, logs_actions.PutLogEvents],
            [logs.get_att("Arn"), own_bastion_streams()],
        ),
        iam.allow("ReadDatabaseSecret", [secretsmanager_actions.GetSecretValue], [inputs.database_secret_arn]),
        iam.allow(
            "DecryptDatabaseSecret",
            [kms_actions.Decrypt],
            [inputs.data_key_arn],
            StringEquals("kms:ViaService", Sub("secretsmanager.${AWS::Region}.${AWS::URLSuffix}")),
        ),
        description="Pull the service's images, open its logs, read the database's secret.",
        **suppress(
            CREDENTIALS_EXPOSURE="The credentials are the sign-in to the image registry, without which no image is "
            "pulled: valid for 12 hours and for what this role may pull anyway."
        ),
    )


def own_bastion_streams() -> Sub:
    """The bastions share a log group; a service writes only to streams that begin with its name."""
    return Sub(
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${BastionLogGroupName}"
        ":log-stream:${ServiceSlug}/*"
    )


# --- Load balancing ----------------------------------------------------------------------------------------------


def target_group(config: Config, inputs: Inputs) -> TargetGroup:
    return TargetGroup(
        "TargetGroup",
        TargetType="ip",
        VpcId=inputs.vpc_id,
        Protocol="HTTP",
        Port=inputs.container_port,
        HealthCheckProtocol="HTTP",
        HealthCheckPath=inputs.health_check_path,
        HealthCheckIntervalSeconds=config.health_interval_seconds,
        HealthCheckTimeoutSeconds=config.health_timeout_seconds,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=3,
        Matcher=Matcher(HttpCode="200-399"),
        TargetGroupAttributes=[
            TargetGroupAttribute(Key="deregistration_delay.timeout_seconds", Value=str(config.deregistration_seconds))
        ],
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}")),
    )


def listener_rule(inputs: Inputs, target: TargetGroup) -> ListenerRule:
    return ListenerRule(
        "ListenerRule",
        ListenerArn=inputs.origin_listener_arn,
        Priority=inputs.priority,
        Conditions=[
            RuleCondition(Field="path-pattern", PathPatternConfig=PathPatternConfig(Values=inputs.path_patterns)),
            RuleCondition(
                Field="http-header",
                HttpHeaderConfig=HttpHeaderConfig(
                    HttpHeaderName=HEADER, Values=[Sub(secret_reference("OriginSecretArn"))]
                ),
            ),
        ],
        Actions=[ListenerRuleAction(Type="forward", TargetGroupArn=target.ref())],
    )


# --- Service and scaling -----------------------------------------------------------------------------------------


def ecs_service(config: Config, inputs: Inputs, task: TaskDefinition, target: TargetGroup, first: list[Any]) -> Service:
    return Service(
        "Service",
        Cluster=inputs.cluster_arn,
        TaskDefinition=task.ref(),
        LaunchType="FARGATE",
        PlatformVersion="LATEST",
        # Only for a new service: afterwards scaling owns the number, and each update would set it back.
        DesiredCount=If("IsNew", inputs.min_tasks, NoValue),
        EnableExecuteCommand=True,
        DeploymentConfiguration=DeploymentConfiguration(
            MinimumHealthyPercent=100,
            MaximumPercent=200,
            DeploymentCircuitBreaker=DeploymentCircuitBreaker(Enable=True, Rollback=True),
        ),
        AvailabilityZoneRebalancing="ENABLED",
        HealthCheckGracePeriodSeconds=config.grace_seconds,
        LoadBalancers=[
            LoadBalancer(ContainerName=APP, ContainerPort=inputs.container_port, TargetGroupArn=target.ref())
        ],
        NetworkConfiguration=NetworkConfiguration(
            AwsvpcConfiguration=AwsvpcConfiguration(
                AssignPublicIp="DISABLED",
                Subnets=[inputs.app_subnet_1_id, inputs.app_subnet_2_id],
                SecurityGroups=[inputs.service_security_group_id],
            )
        ),
        PropagateTags="SERVICE",
        EnableECSManagedTags=True,
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}"), Service=Sub("${ServiceSlug}")),
        # ECS refuses a target group that no listener uses yet, and tasks need their permissions from the start.
        DependsOn=first,
    )


def add_scaling(t: Template, config: Config, inputs: Inputs, service: Service) -> None:
    target = t.add_resource(
        ScalableTarget(
            "ScalableTarget",
            ServiceNamespace="ecs",
            ScalableDimension="ecs:service:DesiredCount",
            ResourceId=Join("/", ["service", inputs.cluster_name, service.get_att("Name")]),
            MinCapacity=inputs.min_tasks,
            MaxCapacity=inputs.max_tasks,
        )
    )
    for subject, metric, percent in (
        ("Cpu", "ECSServiceAverageCPUUtilization", config.cpu_target_percent),
        ("Memory", "ECSServiceAverageMemoryUtilization", config.memory_target_percent),
    ):
        t.add_resource(
            ScalingPolicy(
                f"{subject}ScalingPolicy",
                PolicyName=Sub(f"${{Prefix}}-${{ServiceSlug}}-{subject.lower()}"),
                PolicyType="TargetTrackingScaling",
                ScalingTargetId=target.ref(),
                TargetTrackingScalingPolicyConfiguration=TargetTrackingScalingPolicyConfiguration(
                    PredefinedMetricSpecification=PredefinedMetricSpecification(PredefinedMetricType=metric),
                    TargetValue=percent,
                    ScaleInCooldown=300,
                    ScaleOutCooldown=60,
                ),
            )
        )


LAYER = Layer("Service", "Service: task with app and bastion, load balancing, scaling, alarms.", Inputs, Outputs, build)
