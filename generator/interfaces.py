"""Values that always travel together between stacks. A layer names one field for all of them.

The fields keep their own names as parameters and outputs of the nested stacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from generator import value_types as v
from generator.wiring import StackInterface, StackValue

# --- Network -----------------------------------------------------------------------------------------------------


class PublicSubnets(StackInterface):
    """The public subnets of both zones."""

    public_subnet_1_id: Annotated[
        v.PublicSubnetId, "Public subnet in the first zone, with a route to the internet gateway."
    ]
    public_subnet_2_id: Annotated[
        v.PublicSubnetId, "Public subnet in the second zone, with a route to the internet gateway."
    ]

    @property
    def ids(self) -> list[v.PublicSubnetId]:
        return [self.public_subnet_1_id, self.public_subnet_2_id]


class AppSubnets(StackInterface):
    """The private subnets of the tasks in both zones, without their routes out of the VPC."""

    app_subnet_1_id: Annotated[v.AppSubnetId, "Private subnet of the tasks in the first zone."]
    app_subnet_2_id: Annotated[v.AppSubnetId, "Private subnet of the tasks in the second zone."]

    @property
    def ids(self) -> list[v.AppSubnetId]:
        return [self.app_subnet_1_id, self.app_subnet_2_id]


class RoutedAppSubnets(StackInterface):
    """The private subnets of the tasks in both zones, with their routes out of the VPC."""

    app_subnet_1_id: Annotated[
        v.RoutedAppSubnetId,
        "Private subnet of the tasks in the first zone, with routes to a NAT gateway and to AWS services.",
    ]
    app_subnet_2_id: Annotated[
        v.RoutedAppSubnetId,
        "Private subnet of the tasks in the second zone, with routes to a NAT gateway and to AWS services.",
    ]

    @property
    def ids(self) -> list[v.RoutedAppSubnetId]:
        return [self.app_subnet_1_id, self.app_subnet_2_id]


class AppRouteTables(StackInterface):
    """The route tables of the private subnets of the tasks."""

    app_route_table_1_id: Annotated[v.AppRouteTableId, "Route table of the private subnet in the first zone."]
    app_route_table_2_id: Annotated[v.AppRouteTableId, "Route table of the private subnet in the second zone."]

    @property
    def ids(self) -> list[v.AppRouteTableId]:
        return [self.app_route_table_1_id, self.app_route_table_2_id]


class DbSubnets(StackInterface):
    """The isolated subnets of the database in both zones."""

    db_subnet_1_id: Annotated[v.DbSubnetId, "Isolated subnet in the first zone, without a route out of the VPC."]
    db_subnet_2_id: Annotated[v.DbSubnetId, "Isolated subnet in the second zone, without a route out of the VPC."]

    @property
    def ids(self) -> list[v.DbSubnetId]:
        return [self.db_subnet_1_id, self.db_subnet_2_id]


class NatGateways(StackInterface):
    """The NAT gateways of both zones."""

    nat_gateway_1_id: Annotated[v.NatGatewayId, "NAT gateway in the first zone."]
    nat_gateway_2_id: Annotated[v.NatGatewayId, "NAT gateway in the second zone."]

    @property
    def ids(self) -> list[v.NatGatewayId]:
        return [self.nat_gateway_1_id, self.nat_gateway_2_id]


class SiteDomain(StackInterface):
    """The domain of the site, the host name that is redirected to it, and their hosted zone. Each may be empty."""

    domain_name: v.DomainName
    redirect_domain_name: v.RedirectDomainName
    hosted_zone_id: v.HostedZoneId


class OriginSecrets(StackInterface):
    """The values of the secret header that the load balancer accepts. CloudFront sends the first of them."""

    origin_secret_arn: v.OriginSecretArn
    next_origin_secret_arn: v.NextOriginSecretArn


# --- Logs --------------------------------------------------------------------------------------------------------


class LogSettings(StackInterface):
    """Encryption and retention of log groups."""

    telemetry_key_arn: v.TelemetryKeyArn
    log_retention_days: v.LogRetentionDays


class LogArchive(StackInterface):
    """The destination of log groups in environments that archive them."""

    archive_logs: Annotated[v.Flag, "true if logs are archived in S3 and Glacier."]
    archive_stream_arn: v.ArchiveStreamArn
    subscription_role_arn: v.SubscriptionRoleArn


# --- Database ----------------------------------------------------------------------------------------------------


class DbInstanceSettings(StackInterface):
    """Settings of every instance of the Aurora cluster."""

    db_instance_class: v.DbInstanceClass
    db_monitoring_seconds: v.DbMonitoringSeconds


class DatabaseConnection(StackInterface):
    """Everything that an app needs to connect to the database."""

    writer_endpoint: v.WriterEndpoint
    reader_endpoint: v.ReaderEndpoint
    database_port: v.DatabasePort
    database_name: v.DatabaseName
    database_secret_arn: v.DatabaseSecretArn


class DatabaseLogGroups(StackInterface):
    """The log groups to which RDS exports the logs of the cluster."""

    audit_log_group_name: v.AuditLogGroupName
    error_log_group_name: v.ErrorLogGroupName
    slow_query_log_group_name: v.SlowQueryLogGroupName
    instance_log_group_name: v.InstanceLogGroupName
    iam_error_log_group_name: v.IamErrorLogGroupName


# --- Services ----------------------------------------------------------------------------------------------------


class EcsCluster(StackInterface):
    """The ECS cluster, by name and ARN."""

    cluster_name: v.ClusterName
    cluster_arn: v.ClusterArn


class ServiceAccess(StackInterface):
    """Security group and roles of one service."""

    service_security_group_id: v.ServiceSecurityGroupId
    task_role_arn: v.TaskRoleArn
    task_role_name: v.TaskRoleName
    execution_role_arn: v.ExecutionRoleArn
    execution_role_name: v.ExecutionRoleName


class ServiceSize(StackInterface):
    """CPU, memory and number of tasks of a service."""

    cpu: v.CpuUnits
    memory: v.MemoryMiB
    min_tasks: v.MinTasks
    max_tasks: v.MaxTasks


# --- Stores ------------------------------------------------------------------------------------------------------


def store_values(values: Iterable[str], logical_id: str) -> dict[str, type[StackValue]]:
    """Return the type of each of the ``values`` of a store by the name of its output: ``UploadsBucketName``."""
    types: dict[str, type[StackValue]] = {"Arn": v.StoreArn, "SecurityGroupId": v.VolumeSecurityGroupId}
    return {f"{logical_id}{value}": types.get(value, v.StoreAddress) for value in values}
