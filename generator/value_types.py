"""The types of value that may cross a stack boundary.

The first paragraph of a docstring is the description of every parameter and output of that type. Further paragraphs
are for the readers of Python. mypy cannot tell two values of one type apart, so values that would be dangerous when
swapped have types of their own: the two keys, the two kinds of subnet, the endpoints of writer and reader.
"""

from __future__ import annotations

from generator.wiring import StackValue, StaticValue

# --- Static values: literals and root parameters, never an output of another stack --------------------------------


class NamePrefix(StaticValue):
    """Prefix of names: <project>-<environment>."""


class ProjectName(StaticValue):
    """Project, which is the prefix of image repository names."""


class EnvironmentName(StaticValue):
    """Environment, such as dev or prod."""


class ServiceSlug(StaticValue):
    """Name of the service in lower case."""


class EnvironmentValue(StaticValue):
    """Value of a variable of an app, or the ARN of a secret, that differs between environments."""


class TemplateDigests(StaticValue):
    """Comma-separated list of the first halves of SHA-256 digests."""

    parameter_type = "CommaDelimitedList"


class Flag(StaticValue):
    """true or false."""


class Flags(StaticValue):
    """Comma-separated list of true and false."""

    parameter_type = "CommaDelimitedList"


class LogRetentionDays(StaticValue):
    """Days for which CloudWatch Logs keeps log events."""


class ArchiveGlacierDays(StaticValue):
    """Age in days at which archived logs move to Glacier."""


class ArchiveExpireDays(StaticValue):
    """Age in days at which archived logs are deleted."""


class ArchiveLockDays(StaticValue):
    """Days for which archived logs cannot be deleted; 0 for no lock."""


class Octets(StaticValue):
    """First two octets of the /16 network of the VPC, such as 10.0."""


class ZoneName(StaticValue):
    """Name of an availability zone.

    Never the zone id, which names another zone in another account.
    """


class FirstZoneName(ZoneName):
    """Name of the availability zone of the first subnets and of the database writer."""


class SecondZoneName(ZoneName):
    """Name of the availability zone of the second subnets and of the database reader."""


class DomainName(StaticValue):
    """Domain of the site; empty for the domain name of CloudFront."""


class RedirectDomainName(StaticValue):
    """Host name whose requests are redirected to the domain of the site, or empty."""


class HostedZoneId(StaticValue):
    """Route 53 hosted zone of the domain; empty if another provider hosts the DNS."""


class PrefixListId(StaticValue):
    """Managed prefix list with the addresses from which CloudFront calls origins."""


class ArtifactKey(StaticValue):
    """S3 key of an object in the artifact bucket.

    The key contains the SHA-256 of the content.
    """


class LogProcessorCodeKey(ArtifactKey):
    """S3 key of the package of function log_processor."""


class CustomResourceCodeKey(ArtifactKey):
    """S3 key of the package of function custom_resource."""


class DatabaseUserCodeKey(ArtifactKey):
    """S3 key of the package of function database_user."""


class MigrationCodeKey(ArtifactKey):
    """S3 key of the package of function migration."""


class SlackNotifierCodeKey(ArtifactKey):
    """S3 key of the package of function slack_notifier."""


class AlarmFallbackCodeKey(ArtifactKey):
    """S3 key of the package of function alarm_fallback."""


class CredentialsWatchCodeKey(ArtifactKey):
    """S3 key of the package of function credentials_watch."""


class OwnCodeKey(ArtifactKey):
    """S3 key of the package of a function of the project."""


class ImageUri(StaticValue):
    """Container image, pinned by digest."""


class AppImageUri(ImageUri):
    """Image of the app container, pinned by digest."""


class BastionImageUri(ImageUri):
    """Image of the bastion container, pinned by digest."""


class CpuUnits(StaticValue):
    """CPU units of a task; 1024 units are one vCPU."""


class MemoryMiB(StaticValue):
    """Memory of a task in MiB."""


class MinTasks(StaticValue):
    """Minimum number of tasks, and the initial number."""


class MaxTasks(StaticValue):
    """Maximum number of tasks."""


class ContainerInsightsMode(StaticValue):
    """Container Insights of the cluster: enabled or enhanced."""


class Port(StaticValue):
    """TCP port on which the app container listens."""


class UrlPath(StaticValue):
    """Path of the health check; a healthy app answers it with a status from 200 to 399."""


class FolderPath(StaticValue):
    """Absolute path of a folder in a container, or empty."""


class UserIds(StaticValue):
    """User and group ids of the processes in the app container, such as 10001:10001."""


class PathPatterns(StaticValue):
    """Path patterns of the listener rule, separated by commas."""

    parameter_type = "CommaDelimitedList"


class Priority(StaticValue):
    """Priority of the listener rule, unique within the listener."""


class Architecture(StaticValue):
    """CPU architecture of the images: X86_64 or ARM64."""


class WorkspaceId(StaticValue):
    """Slack workspace; empty for no Slack."""


class ChannelId(StaticValue):
    """Slack channel; empty for no Slack."""


class Money(StaticValue):
    """Monthly budget of the account in US dollars; 0 for none."""


class DbEngineVersion(StaticValue):
    """Engine version of Aurora MySQL."""


class DbInstanceClass(StaticValue):
    """Instance class of the database; db.serverless scales by itself."""


class DbMinCapacity(StaticValue):
    """Minimum capacity of a serverless instance in ACU; with 0 an idle instance pauses."""


class DbMaxCapacity(StaticValue):
    """Maximum capacity of a serverless instance in ACU."""


class DbBacktrackSeconds(StaticValue):
    """Backtrack window of the cluster in seconds; 0 for none."""


class DbMonitoringSeconds(StaticValue):
    """Interval of Enhanced Monitoring in seconds; 0 for none."""


class DbBackupRetentionDays(StaticValue):
    """Days of point-in-time recovery."""


class RegionName(StaticValue):
    """Region of the environments."""


class WafMode(StaticValue):
    """Mode of the managed rules of the web ACL: block or count."""


class RequestLimit(StaticValue):
    """Requests from one IP address in five minutes."""


class SuppliedCertificateArn(StaticValue):
    """Certificate that the user supplies or deploy.py imports; empty for none."""


class ViewerCertificateArn(StaticValue):
    """Certificate of the domain in us-east-1, or none."""


class WebAclArn(StaticValue):
    """Web ACL of CloudFront, in us-east-1.

    An ARN, because CloudFront takes the ARN of a web ACL and not its id.
    """


class TopicArn(StackValue):
    """SNS topic of alarms."""


class EdgeTopicArn(StaticValue, TopicArn):
    """SNS topic of the alarms in us-east-1."""


# --- Network -----------------------------------------------------------------------------------------------------


class VpcId(StackValue):
    """VPC of the environment."""


class SubnetId(StackValue):
    """Subnet."""


class PublicSubnetId(SubnetId):
    """Public subnet, with a route to the internet gateway."""


class AppSubnetId(SubnetId):
    """Private subnet of the tasks.

    The routes to the NAT gateway and to AWS may not exist yet: see RoutedAppSubnetId.
    """


class RoutedAppSubnetId(SubnetId):
    """Private subnet of the tasks, with routes to a NAT gateway and to AWS services."""


class AppRouteTableId(StackValue):
    """Route table of the private subnet of the tasks."""


class EndpointSecurityGroupId(StackValue):
    """Security group of the interface endpoints: HTTPS from the tasks."""


class DbSubnetId(SubnetId):
    """Isolated subnet of the database, without a route out of the VPC."""


class NatGatewayId(StackValue):
    """NAT gateway."""


# --- Security ----------------------------------------------------------------------------------------------------


class AlbSecurityGroupId(StackValue):
    """Security group of the load balancer: HTTPS from CloudFront, egress to the services."""


class RedirectSecurityGroupId(StackValue):
    """Security group of the load balancer: HTTP from CloudFront."""


class DatabaseSecurityGroupId(StackValue):
    """Security group of the database: ingress from services only, by rules in their stacks."""


class ServiceSecurityGroupId(StackValue):
    """Security group of the tasks of the service."""


class DataKeyArn(StackValue):
    """KMS key of the database and its secret."""


class TelemetryKeyArn(StackValue):
    """KMS key of logs, notifications and the archive."""


class TelemetryKeyId(StackValue):
    """KMS key of logs, notifications and the archive, as its id."""


class TaskRoleArn(StackValue):
    """IAM role of the containers of the service."""


class TaskRoleName(StackValue):
    """Name of the IAM role of the containers of the service."""


class ExecutionRoleArn(StackValue):
    """IAM role with which ECS starts the tasks of the service."""


class ExecutionRoleName(StackValue):
    """Name of the IAM role with which ECS starts the tasks of the service."""


class OriginSecretArn(StackValue):
    """Secret with the value of the header that CloudFront sends to the load balancer."""


class NextOriginSecretArn(StackValue):
    """Secret with the value of that header after the next rotation."""


class AlarmTopicArn(TopicArn):
    """SNS topic of the alarms in the home region."""


class LogGroupName(StackValue):
    """Log group."""


class FlowLogGroupName(LogGroupName):
    """Log group of the VPC flow log."""


class AlbLogBucketName(StackValue):
    """Bucket of the access logs of the load balancer."""


class AccessLogBucketName(StackValue):
    """Bucket of the S3 server access logs."""


class ArchiveBucketName(StackValue):
    """Bucket of archived logs."""


# --- Archive -----------------------------------------------------------------------------------------------------


class ArchiveStreamArn(StackValue):
    """Firehose stream that archives logs."""


class ArchiveStreamName(StackValue):
    """Name of the Firehose stream that archives logs."""


class SubscriptionRoleArn(StackValue):
    """IAM role with which CloudWatch Logs writes to the Firehose stream."""


class LogProcessorName(StackValue):
    """Lambda function that transforms log records."""


class LogProcessorLogGroupName(LogGroupName):
    """Log group of the function that transforms log records."""


class DeliveryLogGroupName(LogGroupName):
    """Log group of the delivery errors of Firehose."""


# --- Database ----------------------------------------------------------------------------------------------------


class DbInstanceId(StackValue):
    """Instance of the Aurora cluster."""


class DbSubnetGroupName(StackValue):
    """DB subnet group with the isolated subnets of two zones."""


class MonitoringRoleArn(StackValue):
    """IAM role with which RDS writes operating system metrics of the database."""


class DbClusterId(StackValue):
    """Aurora cluster."""


class WriterEndpoint(StackValue):
    """Host name of the database writer."""


class ReaderEndpoint(StackValue):
    """Host name of the database readers."""


class DatabasePort(StackValue):
    """TCP port of the database."""


class DatabaseName(StackValue):
    """Initial schema of the database."""


class RegistryArn(StackValue):
    """Cloud Map service with the addresses of the tasks of an internal service."""


class CallerSecurityGroupId(StackValue):
    """Security group of a workload that calls an internal service."""


class AppSecretArn(StackValue):
    """Secret of an app, generated or supplied by a person."""


class StoreArn(StackValue):
    """ARN of a store of workloads."""


class StoreAddress(StackValue):
    """Name of a bucket, URL of a queue, or id of a volume or of its access point."""


class VolumeSecurityGroupId(StackValue):
    """Security group of a volume: NFS from the workloads that mount it, by rules in their stacks."""


class DatabaseUserSecretArn(StackValue):
    """Secret with the user name and password of the users of one schema."""


class DatabaseSecretArn(StackValue):
    """Secret with the user name and password of the database's master user.

    RDS creates and rotates it.
    """


class AuditLogGroupName(LogGroupName):
    """Log group of the database's audit log."""


class ErrorLogGroupName(LogGroupName):
    """Log group of the database's error log."""


class SlowQueryLogGroupName(LogGroupName):
    """Log group of slow database queries."""


class InstanceLogGroupName(LogGroupName):
    """Log group of database instances: reasons why an instance did not pause."""


class IamErrorLogGroupName(LogGroupName):
    """Log group of rejected IAM logins to the database."""


# --- Application -------------------------------------------------------------------------------------------------


class ClusterName(StackValue):
    """Name of the ECS cluster."""


class ClusterArn(StackValue):
    """ECS cluster."""


class ListenerCertificateArn(StackValue):
    """Certificate of the load balancer: the one of the platform or the supplied one."""


class OriginListenerArn(StackValue):
    """Listener that CloudFront calls: port 443 with a domain, port 80 without."""


class SessionPolicyArn(StackValue):
    """IAM policy with which containers write transcripts of ECS Exec sessions."""


class AlbFullName(StackValue):
    """Full name of the load balancer, the dimension of its metrics."""


class OriginHostName(StackValue):
    """Host name at which CloudFront calls the load balancer."""


class ExecLogGroupName(LogGroupName):
    """Log group of ECS Exec sessions."""


class BastionLogGroupName(LogGroupName):
    """Log group of all bastion containers."""


class ScheduleName(StackValue):
    """Name of the schedule of a job."""


class ServiceName(StackValue):
    """Name of the ECS service."""


# --- Distribution ------------------------------------------------------------------------------------------------


class StaticBucketName(StackValue):
    """Bucket of static files and of the sorry page."""


class DistributionId(StackValue):
    """CloudFront distribution."""


class DistributionArn(StackValue):
    """ARN of the CloudFront distribution."""


class SiteUrl(StackValue):
    """URL of the site."""


class FunctionName(StackValue):
    """Lambda function that writes the sorry page and the first index page."""


# --- Companions --------------------------------------------------------------------------------------------------


class BucketName(StackValue):
    """Bucket of templates and Lambda packages."""


class WebAclName(StackValue):
    """Name of the web ACL, the dimension of its metrics."""


class DashboardName(StackValue):
    """CloudWatch dashboard."""
