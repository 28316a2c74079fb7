"""The ECS service and its scaling."""

from typing import Any

from troposphere import If, Join, NoValue, Sub, Tags, Template
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
    TargetGroup,
)

from generator.layers.service.interface import Config, Inputs
from generator.layers.service.task import APP
from generator.workloads import WebService, Workload


def ecs_service(
    entry: WebService, inputs: Inputs, task: TaskDefinition, target: TargetGroup, prerequisites: list[Any]
) -> Service:
    """Return the ECS service. ``prerequisites`` are resources that must exist before it."""
    return Service(
        "Service",
        Cluster=inputs.cluster.cluster_arn,
        TaskDefinition=task.ref(),
        LaunchType="FARGATE",
        PlatformVersion="LATEST",
        # Only for a new service: afterwards Application Auto Scaling controls the number, and an update would reset it.
        DesiredCount=If("IsNew", inputs.size.min_tasks, NoValue),
        EnableExecuteCommand=True,
        DeploymentConfiguration=DeploymentConfiguration(
            MinimumHealthyPercent=100,
            MaximumPercent=200,
            DeploymentCircuitBreaker=DeploymentCircuitBreaker(Enable=True, Rollback=True),
        ),
        AvailabilityZoneRebalancing="ENABLED",
        HealthCheckGracePeriodSeconds=entry.health_check.grace_seconds,
        LoadBalancers=[LoadBalancer(ContainerName=APP, ContainerPort=entry.port, TargetGroupArn=target.ref())],
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
    )


def add_scaling(t: Template, config: Config, entry: Workload, inputs: Inputs, service: Service) -> None:
    """Add target tracking on CPU and memory."""
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
    for subject, metric, percent in (
        ("Cpu", "ECSServiceAverageCPUUtilization", config.cpu_target_percent),
        ("Memory", "ECSServiceAverageMemoryUtilization", config.memory_target_percent),
    ):
        t.add_resource(
            ScalingPolicy(
                f"{subject}ScalingPolicy",
                PolicyName=Sub(f"${{Prefix}}-{entry.slug}-{subject.lower()}"),
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
