"""Aurora: values that RDS rejects late, and values that RDS accepts although they are wrong here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.network import GROUP, covers, egress, ingress
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.services import starters
from hosting.analysis.rules.values import (
    depends_on_resource,
    flag,
    follow,
    follow_all,
    listed,
    number,
    waits_for,
)

CLUSTER = "AWS::RDS::DBCluster"
INSTANCE = "AWS::RDS::DBInstance"
MYSQL = 3306


def instances(env: ResolvedEnvironment, cluster: Resource) -> list[Resource]:
    return [item for item in env.of_type(INSTANCE) if follow(env, item.get("DBClusterIdentifier")) == cluster]


def serverless(env: ResolvedEnvironment, cluster: Resource) -> bool:
    return any(item.get("DBInstanceClass") == "db.serverless" for item in instances(env, cluster))


_FAMILIES = {"8.0": "aurora-mysql8.0", "8.4": "aurora-mysql8.4"}


@environment_rule(
    "DB-01",
    "The engine version is a supported release, and its parameter groups fit it",
    why="A group of another family, or an engine version given without its patch, is refused when the cluster is "
    "created (Amazon Aurora User Guide, Aurora MySQL database engine updates).",
    hint="use 8.0.mysql_aurora.3.10.x, the long-term support release, with family aurora-mysql8.0",
)
def engine_and_family(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        version = str(cluster.get("EngineVersion", ""))
        match = re.fullmatch(r"(8\.0)\.mysql_aurora\.3\.10\.\d+|(8\.4)\.\d+", version)
        if cluster.get("Engine") != "aurora-mysql" or match is None:
            yield RuleMatch(
                cluster, "Properties.EngineVersion", f"{cluster.get('Engine')} {version} is not supported here"
            )
            continue
        family = _FAMILIES[match[1] or match[2]]
        groups = [follow(env, cluster.get("DBClusterParameterGroupName"))]
        groups += [follow(env, item.get("DBParameterGroupName")) for item in instances(env, cluster)]
        for group in groups:
            if group and group.get("Family") != family:
                yield RuleMatch(group, "Properties.Family", f"{group.get('Family')} does not fit {version}")


@environment_rule(
    "DB-02",
    "Serverless instances have a range of capacity",
    why="Instances of db.serverless are refused without a range on the cluster; 0 needs Aurora 3.08, and EngineMode "
    "serverless is the retired version 1 (Amazon Aurora User Guide, Using Aurora Serverless v2).",
    hint="set MinCapacity <= MaxCapacity in halves, MaxCapacity at least 1",
)
def capacity_range(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        if cluster.get("EngineMode") == "serverless":
            yield RuleMatch(cluster, "Properties.EngineMode", "Aurora Serverless v1")
        if not serverless(env, cluster):
            continue
        low = number(cluster.get("ServerlessV2ScalingConfiguration.MinCapacity"))
        high = number(cluster.get("ServerlessV2ScalingConfiguration.MaxCapacity"))
        path = "Properties.ServerlessV2ScalingConfiguration"
        if low is None or high is None:
            yield RuleMatch(cluster, path, "no range of capacity")
        elif not (0 <= low <= high and 1 <= high <= 256) or (low * 2) % 1 or (high * 2) % 1:
            yield RuleMatch(cluster, path, f"{low:g} to {high:g} ACU is refused")
        pause = number(cluster.get("ServerlessV2ScalingConfiguration.SecondsUntilAutoPause"))
        if pause is not None and (low or not 300 <= pause <= 86400):
            yield RuleMatch(cluster, path, "auto-pause needs MinCapacity 0 and 300 to 86400 seconds")


@environment_rule(
    "DB-03",
    "RDS manages the master password",
    why="A password in a template or a parameter can be read by every principal that may describe the stack (Amazon "
    "Aurora User Guide, Password management with Amazon Aurora and AWS Secrets Manager).",
    hint="set ManageMasterUserPassword with a key of ours, remove MasterUserPassword",
)
def managed_password(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        if not flag(cluster.get("ManageMasterUserPassword")) or cluster.get("MasterUserPassword") is not None:
            yield RuleMatch(cluster, "Properties.ManageMasterUserPassword", "the password is not managed by RDS")
        elif not follow(env, cluster.get("MasterUserSecret.KmsKeyId"), "AWS::KMS::Key"):
            yield RuleMatch(cluster, "Properties.MasterUserSecret.KmsKeyId", "the secret has no key of ours")
        if str(cluster.get("MasterUsername", "rdsadmin")) in ("rdsadmin", "mysql", "root", "mysql.sys"):
            yield RuleMatch(cluster, "Properties.MasterUsername", "missing or reserved user name")


_EXPORTS = {"audit", "error", "general", "slowquery", "instance", "iam-db-auth-error"}
_SWITCHES = {"audit": "server_audit_logging", "slowquery": "slow_query_log", "general": "general_log"}


@environment_rule(
    "DB-05",
    "Every exported log is also written",
    why="Exporting alone leaves the group empty: audit, slow query and general log are off by default (Amazon Aurora "
    "User Guide, Publishing Aurora MySQL logs to CloudWatch Logs).",
    hint="enable it in the cluster parameter group",
)
def exports_are_written(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        exports = [str(item) for item in listed(cluster.get("EnableCloudwatchLogsExports"))]
        path = "Properties.EnableCloudwatchLogsExports"
        if not exports:
            yield RuleMatch(cluster, path, "no log is exported")
        group = follow(env, cluster.get("DBClusterParameterGroupName"))
        parameters = group.get("Parameters", {}) if group else {}
        for export in exports:
            switch = _SWITCHES.get(export)
            if export not in _EXPORTS:
                yield RuleMatch(cluster, path, f"Aurora MySQL has no log {export}")
            elif switch and str(parameters.get(switch)).lower() not in ("1", "on", "true"):
                yield RuleMatch(cluster, path, f"{export} is exported, but {switch} is off")
            elif export == "audit" and not parameters.get("server_audit_events"):
                yield RuleMatch(cluster, path, "audit is exported, but server_audit_events names nothing")


@environment_rule(
    "DB-06",
    "The database's log groups exist before it, and expire",
    why="RDS creates a missing group without retention, and creates it again when the stack is deleted (Amazon Aurora "
    "User Guide, Publishing Aurora MySQL logs to CloudWatch Logs).",
    hint="create /aws/rds/cluster/<identifier>/<log> for each export and put it in the cluster's DependsOn",
)
def log_groups_first(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        groups = {str(group.get("LogGroupName")): group for group in stack.of_type("AWS::Logs::LogGroup")}
        for cluster in stack.of_type(CLUSTER):
            identifier = str(cluster.get("DBClusterIdentifier", ""))
            for export in listed(cluster.get("EnableCloudwatchLogsExports")):
                group = groups.get(f"/aws/rds/cluster/{identifier}/{export}")
                if group is None:
                    yield RuleMatch(cluster, "Properties.DBClusterIdentifier", f"no log group of ours for {export}")
                elif not depends_on_resource(stack, cluster, group.logical_id):
                    yield RuleMatch(cluster, "DependsOn", f"does not wait for {group.logical_id}")


@environment_rule(
    "DB-07",
    "The database is private, and its zones are left to Aurora",
    why="Aurora adds a third zone to a list of two, which reads as a change that replaces the cluster (CloudFormation "
    "Template Reference, AWS::RDS::DBCluster).",
    hint="drop AvailabilityZones; set PubliclyAccessible to false and a subnet group",
)
def private_database(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        if cluster.get("AvailabilityZones") is not None:
            yield RuleMatch(cluster, "Properties.AvailabilityZones", "zones are listed")
        if not follow(env, cluster.get("DBSubnetGroupName"), "AWS::RDS::DBSubnetGroup"):
            yield RuleMatch(cluster, "Properties.DBSubnetGroupName", "no subnet group of ours")
        if not instances(env, cluster):
            yield RuleMatch(cluster, "", "no instance")
        for instance in instances(env, cluster):
            if instance.get("PubliclyAccessible") is None or flag(instance.get("PubliclyAccessible")):
                yield RuleMatch(instance, "Properties.PubliclyAccessible", "not set to false")


@environment_rule(
    "DB-08",
    "Storage is encrypted with a key of ours from the start",
    why="Encryption cannot be added later: the cluster would be replaced (Amazon Aurora User Guide, Encrypting Amazon "
    "Aurora resources).",
    hint="set StorageEncrypted and KmsKeyId",
)
def encrypted_storage(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        if not flag(cluster.get("StorageEncrypted")) or not follow(env, cluster.get("KmsKeyId"), "AWS::KMS::Key"):
            yield RuleMatch(cluster, "Properties.StorageEncrypted", "storage is not encrypted with a key of ours")


@environment_rule(
    "DB-09",
    "Database insights and their retention fit together",
    why="Mode advanced needs Performance Insights kept for 465 days; Performance Insights needs 2 ACU to be of use; an "
    "instance is replaced when its key is removed (Amazon Aurora User Guide, CloudWatch Database Insights, and Aurora "
    "Serverless v2 capacity).",
    hint="set PerformanceInsightsRetentionPeriod to 465, or the mode to standard; MinCapacity to 2; set all of it at "
    "the cluster",
)
def insights(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        low = number(cluster.get("ServerlessV2ScalingConfiguration.MinCapacity"))
        for holder in (cluster, *instances(env, cluster)):
            enabled = flag(holder.get("EnablePerformanceInsights")) or flag(holder.get("PerformanceInsightsEnabled"))
            kept = number(holder.get("PerformanceInsightsRetentionPeriod"))
            if holder.get("DatabaseInsightsMode") == "advanced" and not (enabled and kept == 465):
                yield RuleMatch(holder, "Properties.DatabaseInsightsMode", "advanced without 465 days")
            if holder.type == INSTANCE and flag(holder.get("EnablePerformanceInsights")):
                yield RuleMatch(holder, "Properties.EnablePerformanceInsights", "belongs to the cluster")
            if enabled and serverless(env, cluster) and low is not None and low < 2:
                yield RuleMatch(holder, "Properties", f"Performance Insights with MinCapacity {low:g}")


@environment_rule(
    "DB-10",
    "Enhanced monitoring has a role",
    why="MonitoringInterval without MonitoringRoleArn is refused (Amazon RDS API Reference, CreateDBInstance).",
    hint="add a role that monitoring.rds.amazonaws.com assumes, with AmazonRDSEnhancedMonitoringRole",
)
def monitoring_role(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for holder in env.of_type(CLUSTER, INSTANCE):
        if not number(holder.get("MonitoringInterval")):
            continue
        role = follow(env, holder.get("MonitoringRoleArn"), "AWS::IAM::Role")
        managed = [str(item) for item in listed(role.get("ManagedPolicyArns"))] if role else []
        if not any(item.endswith(":policy/service-role/AmazonRDSEnhancedMonitoringRole") for item in managed):
            yield RuleMatch(holder, "Properties.MonitoringRoleArn", "no role that may monitor")


@environment_rule(
    "DB-11",
    "AWS does not upgrade a pinned engine version",
    why="After an automatic minor upgrade the template contains an older version, and every later update fails (Amazon "
    "Aurora User Guide, Automatic minor version upgrades).",
    hint="set AutoMinorVersionUpgrade to false",
)
def no_silent_upgrade(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        for instance in instances(env, cluster):
            value = instance.get("AutoMinorVersionUpgrade", cluster.get("AutoMinorVersionUpgrade"))
            if cluster.get("EngineVersion") is not None and (value is None or flag(value)):
                yield RuleMatch(instance, "Properties.AutoMinorVersionUpgrade", "not set to false")


def _minutes(window: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(?:\w{3}:)?(\d\d):(\d\d)-(?:\w{3}:)?(\d\d):(\d\d)", window)
    if match is None:
        return None
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    return start, end if end > start else end + 24 * 60


@environment_rule(
    "DB-12",
    "Backups are kept, in a window apart from maintenance",
    why="Backup and maintenance windows may not overlap (Amazon RDS API Reference, CreateDBCluster).",
    hint="choose BackupRetentionPeriod 1 to 35 and two separate windows",
)
def backups(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        kept = number(cluster.get("BackupRetentionPeriod"))
        if kept is None or not 1 <= kept <= 35:
            yield RuleMatch(cluster, "Properties.BackupRetentionPeriod", f"{kept} days")
        backup = _minutes(str(cluster.get("PreferredBackupWindow", "")))
        for holder in (cluster, *instances(env, cluster)):
            window = _minutes(str(holder.get("PreferredMaintenanceWindow", "")))
            if backup and window and backup[0] < window[1] and window[0] < backup[1]:
                yield RuleMatch(holder, "Properties.PreferredMaintenanceWindow", "overlaps the backup window")


@environment_rule(
    "DB-13",
    "The database takes encrypted connections only",
    why="Without it a client without TLS sends its password unencrypted (Amazon Aurora User Guide, "
    "Requiring an SSL/TLS connection to an Aurora MySQL DB cluster).",
    hint="set require_secure_transport to ON in the cluster parameter group",
)
def secure_transport(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        group = follow(env, cluster.get("DBClusterParameterGroupName"), "AWS::RDS::DBClusterParameterGroup")
        if group is None:
            yield RuleMatch(cluster, "Properties.DBClusterParameterGroupName", "no parameter group of ours")
        elif str(group.get("Parameters.require_secure_transport")).upper() not in ("ON", "1", "TRUE"):
            yield RuleMatch(group, "Properties.Parameters", "require_secure_transport is not ON")


def task_groups(env: ResolvedEnvironment) -> list[Resource]:
    """Return the security groups of the tasks."""
    found: list[Resource] = []
    for starter, path in starters(env):
        groups = starter.get(f"{path}NetworkConfiguration.AwsvpcConfiguration.SecurityGroups")
        found += [group for group in follow_all(env, groups, GROUP) if group not in found]
    return found


@environment_rule(
    "SEC-08",
    "The database is reached by tasks only, on its port only",
    why="Any other rule is a path that bypasses the tasks (Amazon Aurora User Guide, Controlling access with security "
    "groups).",
    hint="allow tcp 3306 with SourceSecurityGroupId of a service's group, nothing else",
)
def database_ingress(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        for group in follow_all(env, cluster.get("VpcSecurityGroupIds"), GROUP):
            rules = ingress(env, group)
            if not rules:
                yield RuleMatch(group, "", "has no ingress rule, so no task reaches the database")
            for rule in rules:
                port = number(cluster.get("Port")) or MYSQL
                exact = (number(rule.get("FromPort")), number(rule.get("ToPort"))) == (port, port)
                source = follow(env, rule.get("SourceSecurityGroupId"), GROUP)
                if not (str(rule.get("IpProtocol")) in ("tcp", "6") and exact and source in task_groups(env)):
                    yield RuleMatch(group, "", f"is open to {_source(rule)}")
            for rule in egress(env, group):
                if rule.get("CidrIp") in ("0.0.0.0/0",) or (covers(rule, 443) and rule.get("CidrIp") != "127.0.0.1/32"):
                    yield RuleMatch(group, "Properties.SecurityGroupEgress", "the database may call out")


def _source(rule: dict[str, object]) -> str:
    keys = ("CidrIp", "CidrIpv6", "SourcePrefixListId", "SourceSecurityGroupId")
    source = next((str(rule[key]) for key in keys if key in rule), "an unknown source")
    return f"{source}, {rule.get('IpProtocol')} {rule.get('FromPort')} to {rule.get('ToPort')}"


@environment_rule(
    "DB-14",
    "The instances of a cluster are created and changed one after the other",
    why="If both are created at once, the first one becomes the writer, in an arbitrary zone. If both are changed at "
    "once, they restart together (Amazon Aurora User Guide, High availability for Amazon Aurora).",
    hint="create the reader in a later stack than the writer, or name the writer's instance in its DependsOn",
)
def instances_in_turn(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(CLUSTER):
        for first, second in combinations(instances(env, cluster), 2):
            if not waits_for(env, first, second) and not waits_for(env, second, first):
                yield RuleMatch(second, "DependsOn", f"is made at once with {first.logical_id}")
