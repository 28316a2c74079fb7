"""Alarms of one service. The alarm on the bastions, which share one log group, is in ``operations.alarms``."""

from __future__ import annotations

from troposphere import Template
from troposphere.cloudwatch import Alarm
from troposphere.ecs import Service
from troposphere.elasticloadbalancingv2 import TargetGroup

from generator.layers.service.interface import Inputs
from generator.resources.alarms import MISSING_DATA_IS_BREACHING, alarm
from generator.workloads import EcsService, WebService


def add_target_alarms(t: Template, entry: WebService, inputs: Inputs, target: TargetGroup) -> list[Alarm]:
    """Add the alarms on healthy hosts, errors and latency of a web service.

    Returns those that are signs of a bad version. They are quiet without traffic, and none refers to the ECS service,
    which refers to them.
    """
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
    errors = t.add_resource(
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
            threshold=entry.errors_per_minute,
            periods=3,
        )
    )
    if not entry.latency_milliseconds:
        return [errors]
    slow = t.add_resource(
        alarm(
            "SlowAlarm",
            f"{entry.slug}-slow",
            topic,
            description="The slowest responses of the app take too long.",
            command=f"logs --service {entry.slug} --since 1h",
            section="slow-responses",
            workload=entry.slug,
            namespace="AWS/ApplicationELB",
            metric="TargetResponseTime",
            dimensions=behind_alb,
            statistic="p99",
            threshold=entry.latency_milliseconds / 1000,
            periods=3,
        )
    )
    return [errors, slow]


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
