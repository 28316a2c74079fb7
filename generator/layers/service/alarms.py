"""Alarms of one service. The alarm on the bastions, which share one log group, is in ``operations.alarms``."""

from __future__ import annotations

from troposphere import Template
from troposphere.ecs import Service
from troposphere.elasticloadbalancingv2 import TargetGroup

from generator.layers.service.interface import Config, Inputs
from generator.resources.alarms import MISSING_DATA_IS_BREACHING, alarm
from generator.workloads import EcsService, WebService


def add_target_alarms(t: Template, config: Config, entry: WebService, inputs: Inputs, target: TargetGroup) -> None:
    """Add the alarms on healthy hosts and errors of a web service."""
    topic = inputs.alarm_topic_arn
    hosts = 1 if entry.one_task else 2
    behind_alb = {
        "LoadBalancer": inputs.alb_full_name,
        "TargetGroup": target.get_att("TargetGroupFullName"),
    }
    t.add_resource(
        alarm(
            "HealthyHostsAlarm",
            f"{entry.slug}-healthy-hosts",
            topic,
            description=f"The load balancer has fewer than {hosts} healthy tasks of the service.",
            command="status",
            section="healthy-hosts",
            workload=entry.slug,
            namespace="AWS/ApplicationELB",
            metric="HealthyHostCount",
            dimensions=behind_alb,
            statistic="Minimum",
            threshold=hosts,
            comparison="LessThanThreshold",
            missing=MISSING_DATA_IS_BREACHING,
        )
    )
    t.add_resource(
        alarm(
            "ServerErrorsAlarm",
            f"{entry.slug}-5xx",
            topic,
            description="The app returns server errors.",
            command=f"logs --service {entry.slug} --since 1h",
            section="server-errors",
            workload=entry.slug,
            namespace="AWS/ApplicationELB",
            metric="HTTPCode_Target_5XX_Count",
            dimensions=behind_alb,
            statistic="Sum",
            threshold=config.errors_per_minute,
            periods=3,
        )
    )


def add_service_alarms(t: Template, entry: EcsService, inputs: Inputs, service: Service) -> None:
    """Add the alarms on running tasks and CPU of a service."""
    topic = inputs.alarm_topic_arn
    in_ecs = {
        "ClusterName": inputs.cluster.cluster_name,
        "ServiceName": service.get_att("Name"),
    }
    t.add_resource(
        alarm(
            "RunningTasksAlarm",
            f"{entry.slug}-running-tasks",
            topic,
            description="Fewer tasks are running than the minimum.",
            command=f"logs --service {entry.slug} --previous",
            section="running-tasks",
            workload=entry.slug,
            namespace="ECS/ContainerInsights",
            metric="RunningTaskCount",
            dimensions=in_ecs,
            statistic="Minimum",
            threshold=1 if entry.one_task else inputs.size.min_tasks,
            comparison="LessThanThreshold",
            missing=MISSING_DATA_IS_BREACHING,
        )
    )
    t.add_resource(
        alarm(
            "CpuAlarm",
            f"{entry.slug}-cpu",
            topic,
            description="CPU utilization stays high although the service scales. MaxTasks may be too low.",
            command="status",
            section="service-cpu",
            workload=entry.slug,
            namespace="AWS/ECS",
            metric="CPUUtilization",
            dimensions=in_ecs,
            statistic="Average",
            threshold=90,
            periods=10,
        )
    )
