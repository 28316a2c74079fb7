"""The ECS service and its scaling."""

from collections.abc import Sequence
from typing import Any

from troposphere import If, Join, NoValue, Sub, Tags, Template
from troposphere.applicationautoscaling import (
    PredefinedMetricSpecification,
    ScalableTarget,
    ScalingPolicy,
    TargetTrackingScalingPolicyConfiguration,
)
from troposphere.cloudwatch import Alarm
from troposphere.ecs import (
    AwsvpcConfiguration,
    CapacityProviderStrategyItem,
    DeploymentAlarms,
    DeploymentCircuitBreaker,
    DeploymentConfiguration,
    NetworkConfiguration,
    Service,
    TaskDefinition,
)
from troposphere.elasticloadbalancingv2 import (
    TargetGroup,
)

from generator.layers.service.interface import Inputs
from generator.workloads import EcsService


def ecs_service(
    entry: EcsService,
    inputs: Inputs,
    task: TaskDefinition,
    prerequisites: list[Any],
    alarms: Sequence[Alarm],
    **attributes: Any,
) -> Service:
    """Return the ECS service. ``prerequisites`` must exist before it, and one of ``alarms`` rolls a deployment back."""
    # ECS ignores an alarm that is in ALARM when the deployment starts, so that a correction can be deployed (Amazon ECS
    # Developer Guide, "How CloudWatch alarms detect Amazon ECS deployment failures").
    watched: dict[str, Any] = (
        {"Alarms": DeploymentAlarms(AlarmNames=[one.ref() for one in alarms], Enable=True, Rollback=True)}
        if alarms
        else {}
    )
    launch = (
        {"CapacityProviderStrategy": [CapacityProviderStrategyItem(CapacityProvider="FARGATE_SPOT", Weight=1)]}
        if entry.spot
        else {"LaunchType": "FARGATE"}
    )
    return Service(
        "Service",
        Cluster=inputs.cluster.cluster_arn,
        TaskDefinition=task.ref(),
        PlatformVersion="LATEST",
        # Only for a new service: afterwards Application Auto Scaling controls the number, and an update would reset it.
        DesiredCount=1 if entry.one_task else If("IsNew", inputs.size.min_tasks, NoValue),
        EnableExecuteCommand=True,
        DeploymentConfiguration=DeploymentConfiguration(
            # A single task is stopped before the new one starts, so that two never run side by side.
            MinimumHealthyPercent=0 if entry.one_task else 100,
            MaximumPercent=100 if entry.one_task else 200,
            DeploymentCircuitBreaker=DeploymentCircuitBreaker(Enable=True, Rollback=True),
            **watched,
        ),
        # Rebalancing starts a second task before it stops the first one, which 100 percent does not admit.
        AvailabilityZoneRebalancing="DISABLED" if entry.one_task else "ENABLED",
        NetworkConfiguration=NetworkConfiguration(
            AwsvpcConfiguration=AwsvpcConfiguration(
                AssignPublicIp="DISABLED",
                Subnets=inputs.app_subnets.ids,
                SecurityGroups=[inputs.access.service_security_group_id],
            )
        ),
        PropagateTags="SERVICE",
        EnableECSManagedTags=True,
        Tags=Tags(Name=Sub(f"${{Prefix}}-{entry.slug}"), Service=entry.slug),
        # ECS rejects a target group without a listener, and the first tasks need their permissions.
        DependsOn=prerequisites,
        **launch,
        **attributes,
    )


def add_scaling(
    t: Template, entry: EcsService, inputs: Inputs, service: Service, target_group: TargetGroup | None
) -> None:
    """Add target tracking on the metrics for which the entry has a target."""
    target = t.add_resource(
        ScalableTarget(
            "ScalableTarget",
            ServiceNamespace="ecs",
            ScalableDimension="ecs:service:DesiredCount",
            ResourceId=Join("/", ["service", inputs.cluster.cluster_name, service.get_att("Name")]),
            MinCapacity=inputs.size.min_tasks,
            MaxCapacity=inputs.size.max_tasks,
        )
    )
    for subject, metric, value, label in (
        ("Cpu", "ECSServiceAverageCPUUtilization", entry.scaling.cpu_percent, None),
        ("Memory", "ECSServiceAverageMemoryUtilization", entry.scaling.memory_percent, None),
        ("Requests", "ALBRequestCountPerTarget", entry.scaling.requests_per_task, target_group),
    ):
        if not value:
            continue
        resource: dict[str, Any] = (
            {"ResourceLabel": Join("/", [inputs.alb_full_name, label.get_att("TargetGroupFullName")])} if label else {}
        )
        t.add_resource(
            ScalingPolicy(
                f"{subject}ScalingPolicy",
                PolicyName=Sub(f"${{Prefix}}-{entry.slug}-{subject.lower()}"),
                PolicyType="TargetTrackingScaling",
                ScalingTargetId=target.ref(),
                TargetTrackingScalingPolicyConfiguration=TargetTrackingScalingPolicyConfiguration(
                    PredefinedMetricSpecification=PredefinedMetricSpecification(
                        PredefinedMetricType=metric, **resource
                    ),
                    TargetValue=value,
                    ScaleInCooldown=300,
                    ScaleOutCooldown=60,
                ),
            )
        )
