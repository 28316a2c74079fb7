"""The kinds of value that may cross a stack boundary.

Two values of one kind can be swapped by mistake and no checker will notice, so what would be dangerous when swapped
has a kind of its own: the two keys, the two kinds of subnet, the writer's and the reader's endpoint.
"""

from __future__ import annotations

from generator.wiring import StackValue, StaticValue

# --- Settings: literals and root parameters, never a sibling's output -------------------------------------------


class NamePrefix(StaticValue):
    """Project and environment, in front of names.

    ``<project>-<environment>``, in front of every name that outsiders or AWS must be able to find.
    """


class ProjectName(StaticValue):
    """Project, in front of the names of image repositories.

    The project: shared by all its environments.
    """


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
    """First two octets of the VPC's /16.

    The first two octets of the VPC's /16, such as ``10.0``.
    """


class ZoneName(StaticValue):
    """An availability zone's name. Never its id, which differs between accounts."""


class DomainName(StaticValue):
    """Domain of the site, or empty.

    A host name in DNS, or empty.
    """


class HostedZoneId(StaticValue):
    """Hosted zone of the domain, or empty.

    A Route 53 public hosted zone, or empty.
    """


class PrefixListId(StaticValue):
    """Addresses from which CloudFront reaches origins.

    A managed prefix list.
    """


class ArtifactKey(StaticValue):
    """Key of a content-addressed object in the artifact bucket."""


class ImageUri(StaticValue):
    """Image of the app container, pinned by digest.

    A container image, pinned by digest.
    """


class CpuUnits(StaticValue):
    """CPU units of a task.

    Fargate CPU units: 1024 are one vCPU.
    """


class MemoryMiB(StaticValue):
    """Memory of a task in MiB.

    Memory in MiB.
    """


class Port(StaticValue):
    """Port on which the app container listens.

    A TCP port.
    """


class UrlPath(StaticValue):
    """Path that answers 200 to 399 when the app is well.

    An absolute path of a URL.
    """


class FolderPath(StaticValue):
    """An absolute path in a container, or empty."""


class UserIds(StaticValue):
    """User and group of the app's processes.

    User and group of a container's processes, as numbers: 10001:10001.
    """


class PathPatterns(StaticValue):
    """Paths that belong to the service.

    Up to three path patterns of a listener rule, separated by commas.
    """

    parameter_type = "CommaDelimitedList"


class Priority(StaticValue):
    """Place of the service's rule among all services.

    A listener rule's place: unique within the listener.
    """


class Architecture(StaticValue):
    """Machine that the images are built for.

    X86_64 or ARM64.
    """


class Choice(StaticValue):
    """One word of a closed list."""


class WorkspaceId(StaticValue):
    """Slack workspace, or empty.

    A Slack workspace, or empty.
    """


class ChannelId(StaticValue):
    """Slack channel, or empty.

    A Slack channel, or empty.
    """


class Money(StaticValue):
    """Budget of the account in US dollars a month; 0 for none.

    US dollars.
    """


class SuppliedCertificateArn(StaticValue):
    """Certificate of the load balancer, or empty.

    A certificate that the user brings or deploy.py imports, or empty.
    """


class ViewerCertificateArn(StaticValue):
    """Certificate of the domain in us-east-1, or none.

    The certificate of CloudFront, in us-east-1, or ``none``.
    """


class WebAclArn(StaticValue):
    """Web ACL in us-east-1.

    The web ACL of scope CLOUDFRONT, in us-east-1. An ARN, as CloudFront wants it.
    """


class EdgeTopicArn(StaticValue):
    """Topic of the alarms in us-east-1.

    The topic for alarms in us-east-1.
    """


# --- Network -----------------------------------------------------------------------------------------------------


class VpcId(StackValue):
    """The VPC."""


class PublicSubnetId(StackValue):
    """Public subnet of the second zone.

    A subnet with a route to the internet gateway.
    """


class AppSubnetId(StackValue):
    """Private subnet of the second zone.

    A private subnet of the tasks, whose routes may not lead anywhere yet.
    """


class RoutedAppSubnetId(StackValue):
    """Private subnet of the second zone.

    A private subnet of the tasks, with a route to the NAT gateway of its own zone and the ways to AWS.
    """


class AppRouteTableId(StackValue):
    """Routes of the tasks in the first zone.

    The routes of the tasks in one zone.
    """


class EndpointSecurityGroupId(StackValue):
    """Interface endpoints: HTTPS from tasks.

    The group of the interface endpoints.
    """


class DbSubnetId(StackValue):
    """Isolated subnet of the second zone.

    A private subnet without any route out of the VPC.
    """


class NatGatewayId(StackValue):
    """NAT gateway of the first zone.

    The NAT gateway of one zone.
    """


# --- Security ----------------------------------------------------------------------------------------------------


class AlbSecurityGroupId(StackValue):
    """Group of the load balancer.

    The group of the load balancer: HTTPS in, services out.
    """


class RedirectSecurityGroupId(StackValue):
    """Group that opens its port 80 to CloudFront.

    The group that lets CloudFront reach port 80 of the load balancer.
    """


class DatabaseSecurityGroupId(StackValue):
    """Group of the database."""


class ServiceSecurityGroupId(StackValue):
    """Group of the service's tasks.

    The group of one service's tasks.
    """


class DataKeyArn(StackValue):
    """Key of the storage and of the secret.

    The key of what customers would miss: database and its secret.
    """


class TelemetryKeyArn(StackValue):
    """Key of logs, notifications and the archive."""


class TaskRoleArn(StackValue):
    """Role of the service's containers.

    The role of a service's containers.
    """


class ExecutionRoleArn(StackValue):
    """Role with which ECS starts the tasks.

    The role with which ECS starts a service's tasks.
    """


class ExecutionRoleName(StackValue):
    """Name of that role.

    The name of that role, for policies made in later layers.
    """


class OriginSecretArn(StackValue):
    """Secret header value between CloudFront and load balancer.

    The secret header value that only CloudFront sends.
    """


class AlarmTopicArn(StackValue):
    """Topic of the alarms.

    The topic to which alarms of the home region are sent.
    """


class LogGroupName(StackValue):
    """A log group."""


class FlowLogGroupName(LogGroupName):
    """Log group of the VPC's flow log."""


class AlbLogBucketName(StackValue):
    """Bucket of its access logs.

    The bucket of the load balancer's access logs.
    """


class AccessLogBucketName(StackValue):
    """Bucket of S3 server access logs.

    The bucket of the S3 server access logs.
    """


class ArchiveBucketName(StackValue):
    """The bucket of archived logs."""


# --- Archive -----------------------------------------------------------------------------------------------------


class ArchiveStreamArn(StackValue):
    """Firehose stream of the archive.

    The Firehose stream that archives logs.
    """


class ArchiveStreamName(StackValue):
    """Firehose stream of the archive.

    The name of that stream, for metrics.
    """


class SubscriptionRoleArn(StackValue):
    """Role with which CloudWatch Logs writes to the stream.

    The role with which CloudWatch Logs writes to the archive stream.
    """


class LogProcessorName(StackValue):
    """Function that transforms log records."""


# --- Database ----------------------------------------------------------------------------------------------------


class DbInstanceId(StackValue):
    """The reader.

    An instance of the Aurora cluster.
    """


class DbSubnetGroupName(StackValue):
    """Isolated subnets in two zones.

    The isolated subnets as RDS knows them.
    """


class MonitoringRoleArn(StackValue):
    """Role that writes the operating system's metrics.

    The role that writes the operating system's metrics of the database.
    """


class DbClusterId(StackValue):
    """The Aurora cluster."""


class WriterEndpoint(StackValue):
    """Host name of the database's writer.

    The host name that follows the writer.
    """


class ReaderEndpoint(StackValue):
    """Host name of the database's readers.

    The host name that spreads over the readers.
    """


class DatabasePort(StackValue):
    """TCP port of the database."""


class DatabaseName(StackValue):
    """Schema that exists from the start."""


class DatabaseSecretArn(StackValue):
    """Secret with user and password of the database.

    The secret with the master user's name and password, kept by RDS.
    """


# --- Application -------------------------------------------------------------------------------------------------


class ClusterName(StackValue):
    """The ECS cluster's name."""


class ClusterArn(StackValue):
    """The ECS cluster."""


class OriginListenerArn(StackValue):
    """Listener that CloudFront calls: port 80 without a domain.

    The listener that CloudFront calls.
    """


class SessionPolicyArn(StackValue):
    """Policy by which containers write transcripts of sessions.

    The policy by which a container writes the transcripts of sessions in it.
    """


class AlbFullName(StackValue):
    """The load balancer, as metrics know it.

    The load balancer as metrics know it.
    """


class OriginHostName(StackValue):
    """Host name of the load balancer.

    The host name by which CloudFront reaches the load balancer.
    """


class ExecLogGroupName(LogGroupName):
    """Log group of ECS Exec sessions."""


class BastionLogGroupName(LogGroupName):
    """Log group of all bastions."""


class ServiceName(StackValue):
    """The ECS service's name.

    An ECS service's name.
    """


# --- Distribution ------------------------------------------------------------------------------------------------


class StaticBucketName(StackValue):
    """The bucket of static files.

    The bucket of static files and of the sorry page.
    """


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
    """The web ACL, as metrics know it.

    The web ACL as metrics know it.
    """


class DashboardName(StackValue):
    """The CloudWatch dashboard."""
