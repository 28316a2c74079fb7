"""The CloudWatch dashboard of an environment: requests, services, database on one page."""

from __future__ import annotations

import json
from typing import Any

from troposphere import Sub
from troposphere.cloudwatch import Dashboard

from generator.layers.operations.interface import Config


def dashboard(config: Config) -> Dashboard:
    """Return the dashboard of an environment. Fn::Sub puts the template's parameters into its body.

    A search expression finds the services of the cluster, so a further service needs no change here.
    """
    widgets = [
        widget("Requests", 0, 0, [["AWS/ApplicationELB", "RequestCount", "LoadBalancer", "${AlbFullName}"]], "Sum"),
        widget(
            "Answer time p99",
            8,
            0,
            [["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", "${AlbFullName}"]],
            "p99",
        ),
        widget(
            "Errors",
            16,
            0,
            [
                ["AWS/ApplicationELB", name, "LoadBalancer", "${AlbFullName}"]
                for name in ("HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count")
            ],
            "Sum",
        ),
        search("CPU of services", 0, 6, "AWS/ECS,ClusterName,ServiceName", "CPUUtilization"),
        search("Memory of services", 8, 6, "AWS/ECS,ClusterName,ServiceName", "MemoryUtilization"),
        search("Running tasks", 16, 6, "ECS/ContainerInsights,ClusterName,ServiceName", "RunningTaskCount"),
    ]
    if config.parts.database:
        widgets += [
            widget("Database CPU", 0, 12, [database("CPUUtilization")], "Maximum"),
            widget("Database capacity", 8, 12, [database("ServerlessDatabaseCapacity")], "Average"),
            widget("Database connections", 16, 12, [database("DatabaseConnections")], "Sum"),
        ]
    return Dashboard(
        "Dashboard",
        DashboardName=Sub("${Prefix}"),
        DashboardBody=Sub(json.dumps({"widgets": widgets}, sort_keys=True)),
    )


def database(metric: str) -> list[str]:
    return ["AWS/RDS", metric, "DBClusterIdentifier", "${DbClusterId}"]


def widget(title: str, x: int, y: int, metrics: list[Any], statistic: str) -> dict[str, Any]:
    """Return a widget with a third of the dashboard's width. ``x`` and ``y`` are units of the CloudWatch grid."""
    return {
        "type": "metric",
        "x": x,
        "y": y,
        "width": 8,
        "height": 6,
        "properties": {
            "title": title,
            "metrics": metrics,
            "stat": statistic,
            "period": 60,
            "region": "${AWS::Region}",
        },
    }


def search(title: str, x: int, y: int, schema: str, metric: str) -> dict[str, Any]:
    expression = f"SEARCH('{{{schema}}} ClusterName=\"${{ClusterName}}\" MetricName=\"{metric}\"', 'Average', 60)"
    return widget(title, x, y, [[{"expression": expression}]], "Average")
