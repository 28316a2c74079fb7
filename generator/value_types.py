"""The kinds of value that may cross a stack boundary.

Two values of one kind can be swapped by mistake and no checker will notice, so what would be dangerous when swapped
has a kind of its own: the two keys, the two kinds of subnet, the writer's and the reader's endpoint.
"""

from __future__ import annotations

from generator.wiring import Setting, Value

# --- Settings: literals and root parameters, never a sibling's output -------------------------------------------


class NamePrefix(Setting):
    """``<project>-<environment>``, in front of every name that outsiders or AWS must be able to find."""


class ProjectName(Setting):
    """The project: shared by all its environments."""


class EnvironmentName(Setting):
    """dev, prod, or any other the user adds."""


class Flag(Setting):
    """``true`` or ``false``."""


class Flags(Setting):
    """Comma-separated flags."""

    parameter_type = "CommaDelimitedList"


class Count(Setting):
    """A whole number."""


class Capacity(Setting):
    """Aurora capacity units, in steps of a half."""


class Days(Setting):
    """A number of days."""


class Octets(Setting):
    """The first two octets of the VPC's /16, such as ``10.0``."""


class ZoneName(Setting):
    """An availability zone's name. Never its id, which differs between accounts."""


class DomainName(Setting):
    """A host name in DNS, or empty."""


class HostedZoneId(Setting):
    """A Route 53 public hosted zone, or empty."""


class PrefixListId(Setting):
    """A managed prefix list."""


class ArtifactKey(Setting):
    """Key of a content-addressed object in the artifact bucket."""


class ImageUri(Setting):
    """A container image, pinned by digest."""


class CpuUnits(Setting):
    """Fargate CPU units: 1024 are one vCPU."""


class MemoryMiB(Setting):
    """Memory in MiB."""


class Port(Setting):
    """A TCP port."""


class UrlPath(Setting):
    """An absolute path of a URL."""


class FolderPath(Setting):
    """An absolute path in a container, or empty."""


class UserIds(Setting):
    """User and group of a container's processes, as numbers: 10001:10001."""


class PathPatterns(Setting):
    """Up to three path patterns of a listener rule, separated by commas."""

    parameter_type = "CommaDelimitedList"


class Priority(Setting):
    """A listener rule's place: unique within the listener."""


class Architecture(Setting):
    """X86_64 or ARM64."""


class Choice(Setting):
    """One word of a closed list."""


class WorkspaceId(Setting):
    """A Slack workspace, or empty."""


class ChannelId(Setting):
    """A Slack channel, or empty."""


class Money(Setting):
    """US dollars."""


class SuppliedCertificateArn(Setting):
    """A certificate that the user brings or deploy.py imports, or empty."""


class ViewerCertificateArn(Setting):
    """The certificate of CloudFront, in us-east-1, or ``none``."""


class WebAclArn(Setting):
    """The web ACL of scope CLOUDFRONT, in us-east-1. An ARN, as CloudFront wants it."""


class EdgeTopicArn(Setting):
    """The topic for alarms in us-east-1."""


# --- Network -----------------------------------------------------------------------------------------------------


class VpcId(Value):
    """The VPC."""


class PublicSubnetId(Value):
    """A subnet with a route to the internet gateway."""


class AppSubnetId(Value):
    """A private subnet of the tasks, whose routes may not lead anywhere yet."""


class RoutedSubnetId(Value):
    """A private subnet of the tasks, with a route to the NAT gateway of its own zone and the ways to AWS."""


class AppRouteTableId(Value):
    """The routes of the tasks in one zone."""


class EndpointSecurityGroupId(Value):
    """The group of the interface endpoints."""


class DbSubnetId(Value):
    """A private subnet without any route out of the VPC."""


class NatGatewayId(Value):
    """The NAT gateway of one zone."""


# --- Security ----------------------------------------------------------------------------------------------------


class AlbSecurityGroupId(Value):
    """The group of the load balancer: HTTPS in, services out."""


class RedirectSecurityGroupId(Value):
    """The group that lets CloudFront reach port 80 of the load balancer."""


class DatabaseSecurityGroupId(Value):
    """The group of the database."""


class ServiceSecurityGroupId(Value):
    """The group of one service's tasks."""


class DataKeyArn(Value):
    """The key of what customers would miss: database and its secret."""


class TelemetryKeyArn(Value):
    """The key of logs, notifications and the archive."""


class TaskRoleArn(Value):
    """The role of a service's containers."""


class ExecutionRoleArn(Value):
    """The role with which ECS starts a service's tasks."""


class ExecutionRoleName(Value):
    """The name of that role, for policies made in later layers."""


class OriginSecretArn(Value):
    """The secret header value that only CloudFront sends."""


class AlarmTopicArn(Value):
    """The topic to which alarms of the home region are sent."""


class LogGroupName(Value):
    """A log group."""


class FlowLogGroupName(LogGroupName):
    """The log group of the VPC's flow log."""


class AlbLogBucketName(Value):
    """The bucket of the load balancer's access logs."""


class AccessLogBucketName(Value):
    """The bucket of the S3 server access logs."""


class ArchiveBucketName(Value):
    """The bucket of archived logs."""


# --- Archive -----------------------------------------------------------------------------------------------------


class ArchiveStreamArn(Value):
    """The Firehose stream that archives logs."""


class ArchiveStreamName(Value):
    """The name of that stream, for metrics."""


class SubscriptionRoleArn(Value):
    """The role with which CloudWatch Logs writes to the archive stream."""


class LogProcessorName(Value):
    """The function that transforms log records."""


# --- Database ----------------------------------------------------------------------------------------------------


class DbInstanceId(Value):
    """An instance of the Aurora cluster."""


class DbSubnetGroupName(Value):
    """The isolated subnets as RDS knows them."""


class MonitoringRoleArn(Value):
    """The role that writes the operating system's metrics of the database."""


class DbClusterId(Value):
    """The Aurora cluster."""


class WriterEndpoint(Value):
    """The host name that follows the writer."""


class ReaderEndpoint(Value):
    """The host name that spreads over the readers."""


class DatabasePort(Value):
    """The TCP port of the database."""


class DatabaseName(Value):
    """The schema that exists from the start."""


class DatabaseSecretArn(Value):
    """The secret with the master user's name and password, kept by RDS."""


# --- Application -------------------------------------------------------------------------------------------------


class ClusterName(Value):
    """The ECS cluster's name."""


class ClusterArn(Value):
    """The ECS cluster."""


class OriginListenerArn(Value):
    """The listener that CloudFront calls."""


class SessionPolicyArn(Value):
    """The policy by which a container writes the transcripts of sessions in it."""


class AlbFullName(Value):
    """The load balancer as metrics know it."""


class OriginHostName(Value):
    """The host name by which CloudFront reaches the load balancer."""


class ExecLogGroupName(LogGroupName):
    """The log group of ECS Exec sessions."""


class BastionLogGroupName(LogGroupName):
    """The log group of all bastions."""


class ServiceName(Value):
    """An ECS service's name."""


# --- Distribution ------------------------------------------------------------------------------------------------


class StaticBucketName(Value):
    """The bucket of static files and of the sorry page."""


class DistributionId(Value):
    """The CloudFront distribution."""


class DistributionArn(Value):
    """The CloudFront distribution as an ARN."""


class SiteUrl(Value):
    """The address of the site."""


class FunctionName(Value):
    """A Lambda function, for metrics."""


# --- Companions --------------------------------------------------------------------------------------------------


class BucketName(Value):
    """A bucket that deploy.py needs to know."""


class WebAclName(Value):
    """The web ACL as metrics know it."""


class DashboardName(Value):
    """The CloudWatch dashboard."""
