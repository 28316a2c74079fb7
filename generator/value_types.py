"""The kinds of value that may cross a stack boundary.

Two values of one kind can be swapped by mistake and no checker will notice, so what would be dangerous when swapped
has a kind of its own: the two keys, the two kinds of subnet, the writer's and the reader's endpoint.
"""

from __future__ import annotations

from generator.wiring import StackValue, StaticValue

# --- Settings: literals and root parameters, never a sibling's output -------------------------------------------


class NamePrefix(StaticValue):
    """``<project>-<environment>``, in front of every name that outsiders or AWS must be able to find."""


class ProjectName(StaticValue):
    """The project: shared by all its environments."""


class EnvironmentName(StaticValue):
    """dev, prod, or any other the user adds."""


class Flag(StaticValue):
    """``true`` or ``false``."""


class Flags(StaticValue):
    """Comma-separated flags."""

    parameter_type = "CommaDelimitedList"


class Count(StaticValue):
    """A whole number."""


class Capacity(StaticValue):
    """Aurora capacity units, in steps of a half."""


class Days(StaticValue):
    """A number of days."""


class Octets(StaticValue):
    """The first two octets of the VPC's /16, such as ``10.0``."""


class ZoneName(StaticValue):
    """An availability zone's name. Never its id, which differs between accounts."""


class DomainName(StaticValue):
    """A host name in DNS, or empty."""


class HostedZoneId(StaticValue):
    """A Route 53 public hosted zone, or empty."""


class PrefixListId(StaticValue):
    """A managed prefix list."""


class ArtifactKey(StaticValue):
    """Key of a content-addressed object in the artifact bucket."""


class ImageUri(StaticValue):
    """A container image, pinned by digest."""


class CpuUnits(StaticValue):
    """Fargate CPU units: 1024 are one vCPU."""


class MemoryMiB(StaticValue):
    """Memory in MiB."""


class Port(StaticValue):
    """A TCP port."""


class UrlPath(StaticValue):
    """An absolute path of a URL."""


class FolderPath(StaticValue):
    """An absolute path in a container, or empty."""


class UserIds(StaticValue):
    """User and group of a container's processes, as numbers: 10001:10001."""


class PathPatterns(StaticValue):
    """Up to three path patterns of a listener rule, separated by commas."""

    parameter_type = "CommaDelimitedList"


class Priority(StaticValue):
    """A listener rule's place: unique within the listener."""


class Architecture(StaticValue):
    """X86_64 or ARM64."""


class Choice(StaticValue):
    """One word of a closed list."""


class WorkspaceId(StaticValue):
    """A Slack workspace, or empty."""


class ChannelId(StaticValue):
    """A Slack channel, or empty."""


class Money(StaticValue):
    """US dollars."""


class SuppliedCertificateArn(StaticValue):
    """A certificate that the user brings or deploy.py imports, or empty."""


class ViewerCertificateArn(StaticValue):
    """The certificate of CloudFront, in us-east-1, or ``none``."""


class WebAclArn(StaticValue):
    """The web ACL of scope CLOUDFRONT, in us-east-1. An ARN, as CloudFront wants it."""


class EdgeTopicArn(StaticValue):
    """The topic for alarms in us-east-1."""


# --- Network -----------------------------------------------------------------------------------------------------


class VpcId(StackValue):
    """The VPC."""


class PublicSubnetId(StackValue):
    """A subnet with a route to the internet gateway."""


class AppSubnetId(StackValue):
    """A private subnet of the tasks, whose routes may not lead anywhere yet."""


class RoutedAppSubnetId(StackValue):
    """A private subnet of the tasks, with a route to the NAT gateway of its own zone and the ways to AWS."""


class AppRouteTableId(StackValue):
    """The routes of the tasks in one zone."""


class EndpointSecurityGroupId(StackValue):
    """The group of the interface endpoints."""


class DbSubnetId(StackValue):
    """A private subnet without any route out of the VPC."""


class NatGatewayId(StackValue):
    """The NAT gateway of one zone."""


# --- Security ----------------------------------------------------------------------------------------------------


class AlbSecurityGroupId(StackValue):
    """The group of the load balancer: HTTPS in, services out."""


class RedirectSecurityGroupId(StackValue):
    """The group that lets CloudFront reach port 80 of the load balancer."""


class DatabaseSecurityGroupId(StackValue):
    """The group of the database."""


class ServiceSecurityGroupId(StackValue):
    """The group of one service's tasks."""


class DataKeyArn(StackValue):
    """The key of what customers would miss: database and its secret."""


class TelemetryKeyArn(StackValue):
    """The key of logs, notifications and the archive."""


class TaskRoleArn(StackValue):
    """The role of a service's containers."""


class ExecutionRoleArn(StackValue):
    """The role with which ECS starts a service's tasks."""


class ExecutionRoleName(StackValue):
    """The name of that role, for policies made in later layers."""


class OriginSecretArn(StackValue):
    """The secret header value that only CloudFront sends."""


class AlarmTopicArn(StackValue):
    """The topic to which alarms of the home region are sent."""


class LogGroupName(StackValue):
    """A log group."""


class FlowLogGroupName(LogGroupName):
    """The log group of the VPC's flow log."""


class AlbLogBucketName(StackValue):
    """The bucket of the load balancer's access logs."""


class AccessLogBucketName(StackValue):
    """The bucket of the S3 server access logs."""


class ArchiveBucketName(StackValue):
    """The bucket of archived logs."""


# --- Archive -----------------------------------------------------------------------------------------------------


class ArchiveStreamArn(StackValue):
    """The Firehose stream that archives logs."""


class ArchiveStreamName(StackValue):
    """The name of that stream, for metrics."""


class SubscriptionRoleArn(StackValue):
    """The role with which CloudWatch Logs writes to the archive stream."""


class LogProcessorName(StackValue):
    """The function that transforms log records."""


# --- Database ----------------------------------------------------------------------------------------------------


class DbInstanceId(StackValue):
    """An instance of the Aurora cluster."""


class DbSubnetGroupName(StackValue):
    """The isolated subnets as RDS knows them."""


class MonitoringRoleArn(StackValue):
    """The role that writes the operating system's metrics of the database."""


class DbClusterId(StackValue):
    """The Aurora cluster."""


class WriterEndpoint(StackValue):
    """The host name that follows the writer."""


class ReaderEndpoint(StackValue):
    """The host name that spreads over the readers."""


class DatabasePort(StackValue):
    """The TCP port of the database."""


class DatabaseName(StackValue):
    """The schema that exists from the start."""


class DatabaseSecretArn(StackValue):
    """The secret with the master user's name and password, kept by RDS."""


# --- Application -------------------------------------------------------------------------------------------------


class ClusterName(StackValue):
    """The ECS cluster's name."""


class ClusterArn(StackValue):
    """The ECS cluster."""


class OriginListenerArn(StackValue):
    """The listener that CloudFront calls."""


class SessionPolicyArn(StackValue):
    """The policy by which a container writes the transcripts of sessions in it."""


class AlbFullName(StackValue):
    """The load balancer as metrics know it."""


class OriginHostName(StackValue):
    """The host name by which CloudFront reaches the load balancer."""


class ExecLogGroupName(LogGroupName):
    """The log group of ECS Exec sessions."""


class BastionLogGroupName(LogGroupName):
    """The log group of all bastions."""


class ServiceName(StackValue):
    """An ECS service's name."""


# --- Distribution ------------------------------------------------------------------------------------------------


class StaticBucketName(StackValue):
    """The bucket of static files and of the sorry page."""


class DistributionId(StackValue):
    """The CloudFront distribution."""


class DistributionArn(StackValue):
    """The CloudFront distribution as an ARN."""


class SiteUrl(StackValue):
    """The address of the site."""


class FunctionName(StackValue):
    """A Lambda function, for metrics."""


# --- Companions --------------------------------------------------------------------------------------------------


class BucketName(StackValue):
    """A bucket that deploy.py needs to know."""


class WebAclName(StackValue):
    """The web ACL as metrics know it."""


class DashboardName(StackValue):
    """The CloudWatch dashboard."""
