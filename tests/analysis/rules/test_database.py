"""Each rule of the database is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

import json
from typing import Any

import pytest

from hosting.analysis.rules import database

CLUSTER, WRITER, GROUP = "RDS::DBCluster", "RDS::DBInstance", "RDS::DBClusterParameterGroup"


def at_once(b: Any) -> None:
    """A third instance beside the writer."""
    b.add(WRITER, "ThirdInstance", json.loads(json.dumps(b.one(WRITER, "FirstZone"))), has="FirstZone")


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("DB-01", "lab", lambda b: b.put(GROUP, "Family", "aurora-mysql5.7"), set()),
    ("DB-01", "lab", lambda b: b.put(CLUSTER, "EngineVersion", "8.0.mysql_aurora.3.02.0"), set()),
    ("DB-02", "lab", lambda b: b.put(CLUSTER, "ServerlessV2ScalingConfiguration", {"MinCapacity": 4, "MaxCapacity": 2}), set()),
    ("DB-02", "lab", lambda b: b.put(CLUSTER, "EngineMode", "serverless"), set()),
    ("DB-03", "lab", lambda b: b.put(CLUSTER, "MasterUserPassword", "secret"), set()),
    ("DB-03", "lab", lambda b: b.put(CLUSTER, "MasterUsername", "rdsadmin"), set()),
    ("DB-05", "lab", lambda b: b.put(GROUP, "Parameters.slow_query_log", "0"), set()),
    ("DB-05", "lab", lambda b: b.drop(GROUP, "Parameters.server_audit_events"), set()),
    ("DB-06", "lab", lambda b: b.drop(CLUSTER, "/DependsOn"), set()),
    ("DB-06", "lab", lambda b: b.replace("Logs::LogGroup", "/slowquery", "/slow-query"), set()),
    ("DB-07", "lab", lambda b: b.put(CLUSTER, "AvailabilityZones", ["ap-northeast-1c", "ap-northeast-1d"]), set()),
    ("DB-07", "lab", lambda b: b.drop(WRITER, "PubliclyAccessible", has="FirstZone"), set()),
    ("DB-08", "lab", lambda b: b.drop(CLUSTER, "KmsKeyId"), set()),
    ("DB-14", "live", at_once, set()),
    ("DB-09", "live", lambda b: b.put(WRITER, "DatabaseInsightsMode", "advanced"), set()),
    ("DB-09", "live", lambda b: b.parameters.update(DbMinCapacity="1"), {"CF-21"}),
    ("DB-09", "live", lambda b: b.put(WRITER, "EnablePerformanceInsights", True), set()),
    ("DB-10", "lab", lambda b: b.drop(WRITER, "MonitoringRoleArn", has="FirstZone"), set()),
    ("DB-11", "lab", lambda b: b.put(WRITER, "AutoMinorVersionUpgrade", True, has="FirstZone"), set()),
    ("DB-12", "lab", lambda b: b.put(CLUSTER, "PreferredMaintenanceWindow", "sun:18:00-sun:18:30"), set()),
    ("DB-12", "lab", lambda b: b.put(CLUSTER, "BackupRetentionPeriod", 36), set()),
    ("DB-13", "lab", lambda b: b.put(GROUP, "Parameters.require_secure_transport", "OFF"), set()),
    ("SEC-08", "lab", lambda b: b.rule("Ingress", has="3306").update(ToPort=3307), set()),
    (
        "SEC-08",
        "lab",
        lambda b: b.put(
            "EC2::SecurityGroup",
            "SecurityGroupIngress",
            [{"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306, "CidrIp": "10.44.0.0/16", "Description": "The VPC"}],
            has="-database",
        ),
        set(),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(database)
