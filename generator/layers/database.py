"""Database: the Aurora MySQL cluster, its parameters and its log groups.

RDS creates, stores and rotates the password, so CloudFormation never has it. The layer ``service_access`` adds the
rules for connections from services. The layer ``operations`` adds the alarms and the restart after a rotation.
"""

from typing import Annotated, Any

from troposphere import Equals, If, Not, NoValue, Sub, Tags, Template
from troposphere.iam import Role
from troposphere.logs import LogGroup
from troposphere.rds import (
    DBCluster,
    DBClusterParameterGroup,
    DBSubnetGroup,
    MasterUserSecret,
    ServerlessV2ScalingConfiguration,
)

from generator import value_types as v
from generator.interfaces import DatabaseConnection, DatabaseLogGroups, DbInstanceSettings, DbSubnets, LogSettings
from generator.resources import iam
from generator.resources.aurora import add_instance
from generator.resources.deletion_policies import deletion_policy
from generator.resources.logs import log_group
from generator.wiring import FrozenConfig, Layer, StackInterface

SERVERLESS = "db.serverless"

# The log's name in RDS -> in logical ids. The general log is off: it contains every statement with its data, and the
# audit log records logins and changes.
EXPORTED_LOGS = {
    "audit": "Audit",
    "error": "Error",
    "slowquery": "SlowQuery",
    "instance": "Instance",
    "iam-db-auth-error": "IamError",
}


class Config(FrozenConfig):
    """``family`` must match the engine versions that root accepts. Windows are in UTC: 03:00 and 04:00 in Tokyo."""

    family: str = "aurora-mysql8.0"
    schema: str = "app"
    # The RDS Data API, with which schemas and users of workloads are created.
    data_api: bool = False
    # Attackers try names such as "master" and "admin" first. "root", "mysql" and "rdsadmin" are reserved.
    user: str = "platform"
    backup_window: str = "18:00-18:30"
    maintenance_window: str = "sun:19:00-sun:19:30"
    pause_after_seconds: int = 600
    slow_query_seconds: int = 1


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    instances: DbInstanceSettings
    db_subnets: DbSubnets
    logs: LogSettings
    prefix: v.NamePrefix
    first_zone: v.FirstZoneName
    database_security_group_id: v.DatabaseSecurityGroupId
    db_engine_version: v.DbEngineVersion
    db_min_capacity: v.DbMinCapacity
    db_max_capacity: v.DbMaxCapacity
    data_key_arn: v.DataKeyArn
    db_insights: Annotated[v.Flag, "true if Database Insights is on."]
    db_backtrack_seconds: v.DbBacktrackSeconds
    db_backup_retention_days: v.DbBackupRetentionDays
    deletion_protection: Annotated[v.Flag, "true if the database cluster is protected against deletion."]


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    db_cluster_id: v.DbClusterId
    db_subnet_group_name: v.DbSubnetGroupName
    monitoring_role_arn: v.MonitoringRoleArn
    connection: DatabaseConnection
    log_groups: DatabaseLogGroups


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the cluster with its writer, its log groups, subnet group, parameter group and monitoring role."""
    t.add_condition("IsServerless", Equals(inputs.instances.db_instance_class, SERVERLESS))
    t.add_condition("Pauses", Equals(inputs.db_min_capacity, "0"))
    t.add_condition("HasInsights", Not(Equals(inputs.db_insights, "false")))
    t.add_condition("Backtracks", Not(Equals(inputs.db_backtrack_seconds, "0")))
    groups = {log: add_log_group(t, log, inputs) for log in EXPORTED_LOGS}
    subnets = t.add_resource(subnet_group(inputs))
    parameters = t.add_resource(parameter_group(config))
    cluster = t.add_resource(aurora_cluster(config, inputs, subnets, parameters, list(groups.values())))
    monitoring = t.add_resource(monitoring_role())
    cluster_id = v.DbClusterId(cluster.ref())
    subnet_group_name = v.DbSubnetGroupName(subnets.ref())
    monitoring_role_arn = v.MonitoringRoleArn(monitoring.get_att("Arn"))
    add_instance(
        t,
        "WriterInstance",
        inputs.instances,
        zone=inputs.first_zone,
        tier=0,
        cluster=cluster_id,
        subnets=subnet_group_name,
        monitoring_role=monitoring_role_arn,
    )
    return Outputs(
        db_cluster_id=cluster_id,
        db_subnet_group_name=subnet_group_name,
        monitoring_role_arn=monitoring_role_arn,
        connection=DatabaseConnection(
            writer_endpoint=v.WriterEndpoint(cluster.get_att("Endpoint.Address")),
            reader_endpoint=v.ReaderEndpoint(cluster.get_att("ReadEndpoint.Address")),
            database_port=v.DatabasePort(cluster.get_att("Endpoint.Port")),
            database_name=v.DatabaseName(config.schema),
            database_secret_arn=v.DatabaseSecretArn(cluster.get_att("MasterUserSecret.SecretArn")),
        ),
        log_groups=DatabaseLogGroups(
            audit_log_group_name=v.AuditLogGroupName(groups["audit"].ref()),
            error_log_group_name=v.ErrorLogGroupName(groups["error"].ref()),
            slow_query_log_group_name=v.SlowQueryLogGroupName(groups["slowquery"].ref()),
            instance_log_group_name=v.InstanceLogGroupName(groups["instance"].ref()),
            iam_error_log_group_name=v.IamErrorLogGroupName(groups["iam-db-auth-error"].ref()),
        ),
    )


def add_log_group(t: Template, log: str, inputs: Inputs) -> LogGroup:
    """Add a log group with the name to which RDS exports a log. A group that RDS creates itself never expires."""
    name = Sub(f"/aws/rds/cluster/${{Prefix}}/{log}")
    return t.add_resource(log_group(f"Database{EXPORTED_LOGS[log]}LogGroup", name, inputs.logs))


def subnet_group(inputs: Inputs) -> DBSubnetGroup:
    return DBSubnetGroup(
        "SubnetGroup",
        DBSubnetGroupDescription="Isolated subnets in two zones",
        SubnetIds=inputs.db_subnets.ids,
    )


def parameter_group(config: Config) -> DBClusterParameterGroup:
    """Return the parameters of the cluster: TLS only, audit log, slow query log and UTF-8."""
    return DBClusterParameterGroup(
        "ParameterGroup",
        Description="TLS only, audit and slow query log, UTF-8",
        Family=config.family,
        Parameters={
            "require_secure_transport": "ON",
            # Without these parameters the exported log groups stay empty.
            "server_audit_logging": "1",
            "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
            "slow_query_log": "1",
            "long_query_time": str(config.slow_query_seconds),
            "log_output": "FILE",
            "character_set_server": "utf8mb4",
            "collation_server": "utf8mb4_0900_ai_ci",
        },
    )


def aurora_cluster(
    config: Config, inputs: Inputs, subnets: DBSubnetGroup, parameters: DBClusterParameterGroup, groups: list[LogGroup]
) -> DBCluster:
    """Return the cluster, without AvailabilityZones.

    Aurora adds a third zone by itself, and the difference to a given list would replace the cluster.
    """
    data_api: dict[str, Any] = {"EnableHttpEndpoint": True} if config.data_api else {}
    return DBCluster(
        "Cluster",
        # A fixed name in lower case, so that RDS exports to the log groups above.
        DBClusterIdentifier=Sub("${Prefix}"),
        Engine="aurora-mysql",
        EngineVersion=inputs.db_engine_version,
        DatabaseName=config.schema,
        MasterUsername=config.user,
        ManageMasterUserPassword=True,
        MasterUserSecret=MasterUserSecret(KmsKeyId=inputs.data_key_arn),
        DBSubnetGroupName=subnets.ref(),
        DBClusterParameterGroupName=parameters.ref(),
        VpcSecurityGroupIds=[inputs.database_security_group_id],
        StorageEncrypted=True,
        KmsKeyId=inputs.data_key_arn,
        ServerlessV2ScalingConfiguration=If(
            "IsServerless",
            ServerlessV2ScalingConfiguration(
                MinCapacity=inputs.db_min_capacity,
                MaxCapacity=inputs.db_max_capacity,
                SecondsUntilAutoPause=If("Pauses", config.pause_after_seconds, NoValue),
            ),
            NoValue,
        ),
        EnableIAMDatabaseAuthentication=True,
        **data_api,
        EnableCloudwatchLogsExports=list(EXPORTED_LOGS),
        # At the cluster: CloudFormation replaces an instance whose key of Performance Insights is removed.
        DatabaseInsightsMode="standard",
        PerformanceInsightsEnabled=If("HasInsights", True, False),
        PerformanceInsightsKmsKeyId=If("HasInsights", inputs.data_key_arn, NoValue),
        PerformanceInsightsRetentionPeriod=If("HasInsights", 7, NoValue),
        # RDS rejects a window for a cluster that was created without one, so the default is no window.
        BacktrackWindow=If("Backtracks", inputs.db_backtrack_seconds, NoValue),
        BackupRetentionPeriod=inputs.db_backup_retention_days,
        PreferredBackupWindow=config.backup_window,
        PreferredMaintenanceWindow=config.maintenance_window,
        CopyTagsToSnapshot=True,
        DeletionProtection=inputs.deletion_protection,
        Tags=Tags(Name=Sub("${Prefix}")),
        # Created before the cluster and deleted after it: otherwise RDS creates groups that never expire.
        DependsOn=groups,
        **deletion_policy("database cluster"),
    )


def monitoring_role() -> Role:
    """Return the role for Enhanced Monitoring, with the managed policy that RDS prescribes."""
    return iam.service_role(
        "MonitoringRole",
        "monitoring.rds",
        iam.source_account_condition(),
        iam.source_arn_condition("arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:db:*"),
        description="Writes the operating system's metrics of the database.",
        managed=[Sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole")],
    )


LAYER = Layer("Database", "Database: Aurora MySQL, parameters, log groups.", Inputs, Outputs, build)
