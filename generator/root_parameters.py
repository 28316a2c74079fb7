"""Parameters of the root template: an environment sets them in params/<env>.json.

A value that differs between environments is a root parameter. Structure that is the same everywhere is configuration.
"""

from typing import Annotated

from troposphere import Template

from generator import parameter_specs as shared
from generator import value_types as v
from generator.config import Config
from generator.resources.rules import fargate_size
from generator.wiring import FrozenConfig, ParameterSpec, StackInterface, add_parameter
from generator.workloads import Service

_DIGEST_PATTERN = r"^[a-z0-9-]+(\.[a-z0-9-]+)+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}$"
_DIGEST_CONSTRAINT = (
    "An image with its registry and by digest, not by tag, such as "
    "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/platform/frontend@sha256: and 64 hexadecimal digits."
)

_IMAGE = "Image of the app container, pinned by digest: a tag could mean another image tomorrow."
_CPU = ParameterSpec(
    "CPU units of a task: 1024 are one vCPU.",
    allowed=("256", "512", "1024", "2048", "4096"),
    constraint="256, 512, 1024, 2048 or 4096.",
)
_MEMORY = ParameterSpec(
    "Memory of a task in MiB, as Fargate sells it with the CPU units.",
    minimum=512,
    maximum=30720,
    constraint="512 to 30720 MiB.",
)
_MIN_TASKS = ParameterSpec(
    "Least number of tasks, and the number to start with: two, one in each zone.",
    minimum=2,
    maximum=1000,
    constraint="2 or more, so that a zone may fail.",
)
_MAX_TASKS = ParameterSpec("Greatest number of tasks.", minimum=2, maximum=1000, constraint="2 or more.")


class Parameters(StackInterface):
    """What differs between environments: set in params/<env>.json."""

    project: Annotated[v.ProjectName, shared.PROJECT]
    environment: Annotated[v.EnvironmentName, shared.ENVIRONMENT]
    vpc_network: Annotated[
        v.Octets,
        ParameterSpec(
            "First two octets of the VPC's /16; differs where networks are to be connected.",
            default="10.0",
            pattern=r"^(10\.(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])|172\.(1[6-9]|2[0-9]|3[01])|192\.168)$",
            constraint="Two octets of a private network: 10.0 to 10.255, 172.16 to 172.31, or 192.168.",
        ),
    ]
    first_zone: Annotated[
        v.ZoneName,
        ParameterSpec(
            "First availability zone, by name.",
            default="ap-northeast-1a",
            pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$",
            constraint="A zone's name such as ap-northeast-1a; not its id.",
        ),
    ]
    second_zone: Annotated[
        v.ZoneName,
        ParameterSpec(
            "Second availability zone, by name.",
            default="ap-northeast-1c",
            pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$",
            constraint="A zone's name such as ap-northeast-1c; not its id.",
        ),
    ]
    domain_name: Annotated[v.DomainName, shared.DOMAIN_NAME]
    hosted_zone_id: Annotated[v.HostedZoneId, shared.HOSTED_ZONE_ID]
    viewer_certificate_arn: Annotated[
        v.ViewerCertificateArn,
        ParameterSpec(
            "Certificate of CloudFront in us-east-1, or none: an output of the edge stack.",
            pattern=rf"^(none|arn:aws[a-z-]*:acm:us-east-1:{shared.ACCOUNT}:certificate/{shared.UUID})$",
            constraint="The ARN of an ACM certificate in us-east-1, or none.",
        ),
    ]
    origin_certificate_arn: Annotated[
        v.SuppliedCertificateArn,
        ParameterSpec(
            "Certificate of origin.<domain> in the home region; empty to have one made where there is a hosted zone. "
            "Without a domain deploy.py imports a self-signed one.",
            default="",
            pattern=rf"^(arn:aws[a-z-]*:acm:[a-z0-9-]+:{shared.ACCOUNT}:certificate/{shared.UUID})?$",
            constraint="The ARN of an ACM certificate in the home region, or empty.",
        ),
    ]
    web_acl_arn: Annotated[
        v.WebAclArn,
        ParameterSpec(
            "Web ACL of CloudFront: an output of the edge stack.",
            pattern=rf"^arn:aws[a-z-]*:wafv2:us-east-1:{shared.ACCOUNT}:global/webacl/[A-Za-z0-9_-]+/{shared.UUID}$",
            constraint="The ARN of a web ACL of scope CLOUDFRONT, which is in us-east-1 and global.",
        ),
    ]
    edge_topic_arn: Annotated[v.EdgeTopicArn, shared.EDGE_TOPIC_ARN]
    cloud_front_prefix_list_id: Annotated[
        v.PrefixListId,
        ParameterSpec(
            "Managed prefix list of CloudFront's origin-facing addresses; deploy.py looks it up.",
            pattern=r"^pl-[0-9a-f]{8,17}$",
            constraint="The id of a prefix list, such as pl-58a04531.",
        ),
    ]
    bastion_image: Annotated[
        v.ImageUri,
        ParameterSpec(
            "Image of the bastion container: any with sh, and socat or apk.",
            pattern=_DIGEST_PATTERN,
            constraint=_DIGEST_CONSTRAINT,
        ),
    ]
    cpu_architecture: Annotated[
        v.Architecture,
        ParameterSpec(
            "Machine that all images are built for.",
            default="X86_64",
            allowed=("X86_64", "ARM64"),
            constraint="X86_64 or ARM64.",
        ),
    ]
    container_insights: Annotated[
        v.Choice,
        ParameterSpec(
            "Container Insights of the cluster.",
            default="enabled",
            allowed=("enabled", "enhanced"),
            constraint="enabled or enhanced.",
        ),
    ]
    service_is_new: Annotated[
        v.Flags,
        ParameterSpec(
            "For each service, in the order of Metadata.Services, whether it does not exist yet: deploy.py looks.",
        ),
    ]
    db_instance_class: Annotated[
        v.Choice,
        ParameterSpec(
            "Instance class of the database; db.serverless scales by itself.",
            default="db.serverless",
            allowed=(
                "db.serverless",
                "db.r7g.large",
                "db.r7g.xlarge",
                "db.r7g.2xlarge",
                "db.r8g.large",
                "db.r8g.xlarge",
                "db.r8g.2xlarge",
            ),
            constraint="db.serverless, or db.r7g or db.r8g in large, xlarge or 2xlarge.",
        ),
    ]
    db_engine_version: Annotated[
        v.Choice,
        ParameterSpec(
            "Version of Aurora MySQL; 3.10 has long-term support.",
            default="8.0.mysql_aurora.3.10.6",
            pattern=r"^8\.0\.mysql_aurora\.3\.10\.[0-9]+$",
            constraint="A version of Aurora MySQL 3.10, such as 8.0.mysql_aurora.3.10.6.",
        ),
    ]
    db_min_capacity: Annotated[
        v.Capacity,
        ParameterSpec(
            "Least capacity of a serverless instance in ACU; 0 lets an idle database pause.",
            default="0.5",
            pattern=r"^(0|0\.5|[1-9][0-9]?(\.5)?|1[0-9]{2}(\.5)?|2[0-4][0-9](\.5)?|25[0-5](\.5)?|256)$",
            constraint="0 to 256 in steps of 0.5.",
        ),
    ]
    db_max_capacity: Annotated[
        v.Capacity,
        ParameterSpec(
            "Greatest capacity of a serverless instance in ACU.",
            default="2",
            pattern=r"^([1-9][0-9]?(\.5)?|1[0-9]{2}(\.5)?|2[0-4][0-9](\.5)?|25[0-5](\.5)?|256)$",
            constraint="1 to 256 in steps of 0.5.",
        ),
    ]
    db_reader: Annotated[v.Flag, shared.flag("Whether the database has a reader in the second zone.")]
    db_insights: Annotated[
        v.Flag,
        shared.flag(
            "Whether Performance Insights is on; it wants DbMinCapacity 2 or more. Turning it off later replaces the "
            "database's instances, not its data.",
            default="false",
        ),
    ]
    db_backtrack_seconds: Annotated[
        v.Count,
        ParameterSpec(
            "How far a provisioned database can be wound back in place; 0 for not at all. Decided when the database is "
            "created: Aurora cannot turn it on later.",
            default=0,
            minimum=0,
            maximum=259200,
            constraint="0 to 259200 seconds, which are 72 hours.",
        ),
    ]
    db_backup_retention_days: Annotated[
        v.Count,
        ParameterSpec("Days of point-in-time recovery.", minimum=1, maximum=35, constraint="1 to 35 days."),
    ]
    deletion_protection: Annotated[
        v.Flag, shared.flag("Whether database and load balancer refuse to be deleted.", default="true")
    ]
    log_retention_days: Annotated[v.Days, shared.LOG_RETENTION_DAYS]
    archive_logs: Annotated[v.Flag, shared.flag("Whether logs are archived in S3 and Glacier.")]
    archive_glacier_days: Annotated[
        v.Days,
        ParameterSpec(
            "Age in days at which archived logs move to Glacier.",
            default=30,
            minimum=1,
            # Rules cannot compare numbers; below the least ArchiveExpireDays the order is certain.
            maximum=120,
            constraint="1 to 120 days.",
        ),
    ]
    archive_expire_days: Annotated[
        v.Days,
        ParameterSpec(
            "Age in days at which archived logs are deleted; Glacier charges 90 days at least.",
            default=400,
            minimum=121,
            maximum=3651,
            constraint="121 to 3651 days.",
        ),
    ]
    archive_lock_days: Annotated[
        v.Days,
        ParameterSpec(
            "Days during which an archived log can be neither changed nor deleted; 0 for no lock. Once locked, the "
            "bucket keeps its lock for ever.",
            default=0,
            minimum=0,
            maximum=3650,
            constraint="0 to 3650 days.",
        ),
    ]
    empty_bucket_on_delete: Annotated[
        v.Flag,
        shared.flag(
            "Whether deleting the environment, and nothing else, also deletes its static files.", default="false"
        ),
    ]
    slack_workspace_id: Annotated[
        v.WorkspaceId,
        ParameterSpec(
            "Slack workspace, authorised once by hand in the console; empty for no Slack. To change it, deploy once "
            "without Slack: the channel's configuration cannot be replaced under its own name.",
            default="",
            pattern=r"^(T[0-9A-Z]{8,14})?$",
            constraint="A workspace id such as T0123456789, or empty.",
        ),
    ]
    slack_channel_id: Annotated[
        v.ChannelId,
        ParameterSpec(
            "Slack channel; each environment needs its own. Empty for no Slack.",
            default="",
            pattern=r"^([CG][0-9A-Z]{8,14})?$",
            constraint="A channel id such as C0123456789, or empty.",
        ),
    ]
    monthly_budget: Annotated[
        v.Money,
        ParameterSpec(
            "Budget of the account in US dollars a month; 0 for none.",
            default=0,
            minimum=0,
            maximum=1000000,
            constraint="0 to 1000000 dollars.",
        ),
    ]
    artifact_bucket: Annotated[
        v.BucketName, ParameterSpec("Bucket of templates and packaged functions: an output of the bootstrap stack.")
    ]
    log_processor_code_key: Annotated[v.ArtifactKey, ParameterSpec("S3 key of lambda/log_processor.")]
    custom_resource_code_key: Annotated[v.ArtifactKey, ParameterSpec("S3 key of lambda/custom_resource.")]
    slack_notifier_code_key: Annotated[v.ArtifactKey, ParameterSpec("S3 key of lambda/slack_notifier.")]
    credentials_watch_code_key: Annotated[v.ArtifactKey, ParameterSpec("S3 key of lambda/credentials_watch.")]


class ServiceSize(FrozenConfig):
    """CPU, memory and number of tasks of a service."""

    cpu: v.CpuUnits
    memory: v.MemoryMiB
    min_tasks: v.Count
    max_tasks: v.Count


def add_size_parameters(t: Template, config: Config) -> dict[str, ServiceSize]:
    """Add the size parameters of each service with its own size, and one set for the services that share a size.

    Returns the size of each service by its name.
    """
    sizes: dict[str, ServiceSize] = {}
    for entry in config.services:
        subject = entry.name if entry.own_size else "Service"
        if subject not in sizes:
            sizes[subject] = ServiceSize(
                cpu=add_parameter(t, f"{subject}Cpu", v.CpuUnits, _CPU),
                memory=add_parameter(t, f"{subject}Memory", v.MemoryMiB, _MEMORY),
                min_tasks=add_parameter(t, f"{subject}MinTasks", v.Count, _MIN_TASKS),
                max_tasks=add_parameter(t, f"{subject}MaxTasks", v.Count, _MAX_TASKS),
            )
            t.add_rule(f"{subject}Size", fargate_size(f"{subject}Cpu", f"{subject}Memory"))
        sizes[entry.name] = sizes[subject]
    return sizes


def add_image_parameter(t: Template, entry: Service) -> v.ImageUri:
    """Add the parameter with the image of a service."""
    spec = ParameterSpec(_IMAGE, pattern=_DIGEST_PATTERN, constraint=_DIGEST_CONSTRAINT)
    return add_parameter(t, f"{entry.name}Image", v.ImageUri, spec)
