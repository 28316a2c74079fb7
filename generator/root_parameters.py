"""Parameters of the root template: an environment sets them in params/<env>.json.

A value that differs between environments is a root parameter. Structure that is the same everywhere is configuration.
"""

from typing import Annotated

from troposphere import Ref, Template

from generator import parameter_specs as shared
from generator import value_types as v
from generator.config import Config
from generator.interfaces import ServiceSize
from generator.resources.rules import fargate_size
from generator.wiring import ParameterSpec, StackInterface, Value, add_parameter
from generator.workloads import EcsService, Existing, Function, Job, RootParameter, Workload, image_owners
from generator.workloads.functions import QUEUE_ARN
from generator.workloads.values import SECRET_ARN

_DIGEST_PATTERN = r"^[a-z0-9-]+(\.[a-z0-9-]+)+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}$"
_DIGEST_CONSTRAINT = (
    "An image with registry and digest, without a tag, such as "
    "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/platform/frontend@sha256: and 64 hexadecimal digits."
)

_IMAGE = "Image of the app container, pinned by digest because a tag can move to another image."
_CPU = ParameterSpec(
    "CPU units of a task. 1024 units are one vCPU.",
    allowed=("256", "512", "1024", "2048", "4096"),
    constraint="256, 512, 1024, 2048 or 4096.",
)
_MEMORY = ParameterSpec(
    "Memory of a task in MiB. Fargate offers certain sizes for each number of CPU units.",
    minimum=512,
    maximum=30720,
    constraint="512 to 30720 MiB.",
)
_MIN_TASKS = ParameterSpec(
    "Minimum number of tasks, and the initial number. With two, each zone has one.",
    minimum=2,
    maximum=1000,
    constraint="2 or more, so that the service survives the failure of a zone.",
)
_MAX_TASKS = ParameterSpec("Maximum number of tasks.", minimum=2, maximum=1000, constraint="2 or more.")


class DatabaseParameters(StackInterface):
    """Values of the database."""

    db_instance_class: Annotated[
        v.DbInstanceClass,
        ParameterSpec(
            "Instance class of the database. db.serverless scales by itself.",
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
        v.DbEngineVersion,
        ParameterSpec(
            "Engine version of Aurora MySQL. 3.10 has long-term support.",
            default="8.0.mysql_aurora.3.10.6",
            pattern=r"^8\.0\.mysql_aurora\.3\.10\.[0-9]+$",
            constraint="A version of Aurora MySQL 3.10, such as 8.0.mysql_aurora.3.10.6.",
        ),
    ]
    db_min_capacity: Annotated[
        v.DbMinCapacity,
        ParameterSpec(
            "Minimum capacity of a serverless instance in ACU. With 0 an idle instance pauses.",
            default="0.5",
            pattern=r"^(0|0\.5|[1-9][0-9]?(\.5)?|1[0-9]{2}(\.5)?|2[0-4][0-9](\.5)?|25[0-5](\.5)?|256)$",
            constraint="0 to 256 in steps of 0.5.",
        ),
    ]
    db_max_capacity: Annotated[
        v.DbMaxCapacity,
        ParameterSpec(
            "Maximum capacity of a serverless instance in ACU.",
            default="2",
            pattern=r"^([1-9][0-9]?(\.5)?|1[0-9]{2}(\.5)?|2[0-4][0-9](\.5)?|25[0-5](\.5)?|256)$",
            constraint="1 to 256 in steps of 0.5.",
        ),
    ]
    db_reader: Annotated[v.Flag, shared.flag("true if the database has a reader in the second zone.")]
    db_insights: Annotated[
        v.Flag,
        shared.flag(
            "true if Database Insights collects the load of the database by statement, for 7 days. It requires "
            "DbMinCapacity 2 or more. A change replaces nothing.",
            default="false",
        ),
    ]
    db_monitoring_seconds: Annotated[
        v.DbMonitoringSeconds,
        ParameterSpec(
            "Interval of Enhanced Monitoring in seconds. 0 for none. RDS writes to the log group RDSOSMetrics, which "
            "all databases of the account share. RDS creates it with a retention of 30 days and without a KMS key.",
            default="60",
            allowed=("0", "1", "5", "10", "15", "30", "60"),
            constraint="0, 1, 5, 10, 15, 30 or 60 seconds.",
        ),
    ]
    db_backtrack_seconds: Annotated[
        v.DbBacktrackSeconds,
        ParameterSpec(
            "Backtrack window of a provisioned database in seconds. 0 for none. Aurora enables it only when it creates "
            "the cluster.",
            default=0,
            minimum=0,
            maximum=259200,
            constraint="0 to 259200 seconds, which are 72 hours.",
        ),
    ]
    db_backup_retention_days: Annotated[
        v.DbBackupRetentionDays,
        ParameterSpec("Days of point-in-time recovery.", minimum=1, maximum=35, constraint="1 to 35 days."),
    ]


class ArchiveParameters(StackInterface):
    """Values of the archive of logs."""

    archive_logs: Annotated[v.Flag, shared.flag("true if logs are archived in S3 and Glacier.")]
    archive_glacier_days: Annotated[
        v.ArchiveGlacierDays,
        ParameterSpec(
            "Age in days at which archived logs move to Glacier.",
            default=30,
            minimum=1,
            # Rules cannot compare numbers. This maximum is below the minimum of ArchiveExpireDays.
            maximum=120,
            constraint="1 to 120 days.",
        ),
    ]
    archive_expire_days: Annotated[
        v.ArchiveExpireDays,
        ParameterSpec(
            "Age in days at which archived logs are deleted. Glacier charges at least 90 days.",
            default=400,
            minimum=121,
            maximum=3651,
            constraint="121 to 3651 days.",
        ),
    ]
    archive_lock_days: Annotated[
        v.ArchiveLockDays,
        ParameterSpec(
            "Days for which S3 Object Lock protects an archived log. 0 for no lock. Object Lock of a bucket cannot be "
            "disabled later.",
            default=0,
            minimum=0,
            maximum=3650,
            constraint="0 to 3650 days.",
        ),
    ]
    log_processor_code_key: v.LogProcessorCodeKey


class Parameters(StackInterface):
    """Values that differ between environments. They are set in params/<env>.json."""

    project: Annotated[v.ProjectName, shared.PROJECT]
    environment: Annotated[v.EnvironmentName, shared.ENVIRONMENT]
    vpc_network: Annotated[
        v.Octets,
        ParameterSpec(
            "First two octets of the /16 network of the VPC. Connected networks need different values.",
            default="10.0",
            pattern=r"^(10\.(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])|172\.(1[6-9]|2[0-9]|3[01])|192\.168)$",
            constraint="Two octets of a private network: 10.0 to 10.255, 172.16 to 172.31, or 192.168.",
        ),
    ]
    first_zone: Annotated[
        v.FirstZoneName,
        ParameterSpec(
            "Name of the first availability zone.",
            default="ap-northeast-1a",
            pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$",
            constraint="The name of a zone such as ap-northeast-1a, not its id.",
        ),
    ]
    second_zone: Annotated[
        v.SecondZoneName,
        ParameterSpec(
            "Name of the second availability zone.",
            default="ap-northeast-1c",
            pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$",
            constraint="The name of a zone such as ap-northeast-1c, not its id.",
        ),
    ]
    domain_name: Annotated[v.DomainName, shared.DOMAIN_NAME]
    redirect_domain_name: Annotated[v.RedirectDomainName, shared.REDIRECT_DOMAIN_NAME]
    hosted_zone_id: Annotated[v.HostedZoneId, shared.HOSTED_ZONE_ID]
    viewer_certificate_arn: Annotated[
        v.ViewerCertificateArn,
        ParameterSpec(
            "Certificate of CloudFront in us-east-1, or none. An output of the edge stack.",
            pattern=rf"^(none|arn:aws[a-z-]*:acm:us-east-1:{shared.ACCOUNT}:certificate/{shared.UUID})$",
            constraint="The ARN of an ACM certificate in us-east-1, or none.",
        ),
    ]
    origin_certificate_arn: Annotated[
        v.SuppliedCertificateArn,
        ParameterSpec(
            "Certificate of origin.<domain> and <domain> in the home region. If it is empty and HostedZoneId is set, "
            "the stack creates one. Without a domain deploy.py imports a self-signed certificate.",
            default="",
            pattern=rf"^(arn:aws[a-z-]*:acm:[a-z0-9-]+:{shared.ACCOUNT}:certificate/{shared.UUID})?$",
            constraint="The ARN of an ACM certificate in the home region, or empty.",
        ),
    ]
    web_acl_arn: Annotated[
        v.WebAclArn,
        ParameterSpec(
            "Web ACL of CloudFront. An output of the edge stack.",
            pattern=rf"^arn:aws[a-z-]*:wafv2:us-east-1:{shared.ACCOUNT}:global/webacl/[A-Za-z0-9_-]+/{shared.UUID}$",
            constraint="The ARN of a web ACL of scope CLOUDFRONT in us-east-1.",
        ),
    ]
    edge_topic_arn: Annotated[v.EdgeTopicArn, shared.EDGE_TOPIC_ARN]
    cloud_front_prefix_list_id: Annotated[
        v.PrefixListId,
        ParameterSpec(
            "Managed prefix list with the addresses from which CloudFront calls origins. deploy.py looks it up.",
            pattern=r"^pl-[0-9a-f]{8,17}$",
            constraint="The id of a prefix list, such as pl-58a04531.",
        ),
    ]
    bastion_image: Annotated[
        v.BastionImageUri,
        ParameterSpec(
            "Image of the bastion container. It must contain sh, and socat or apk.",
            pattern=_DIGEST_PATTERN,
            constraint=_DIGEST_CONSTRAINT,
        ),
    ]
    cpu_architecture: Annotated[
        v.Architecture,
        ParameterSpec(
            "CPU architecture of all images.",
            default="X86_64",
            allowed=("X86_64", "ARM64"),
            constraint="X86_64 or ARM64.",
        ),
    ]
    container_insights: Annotated[
        v.ContainerInsightsMode,
        ParameterSpec(
            "Container Insights of the ECS cluster.",
            default="enabled",
            allowed=("enabled", "enhanced"),
            constraint="enabled or enhanced.",
        ),
    ]
    service_is_new: Annotated[
        v.Flags,
        ParameterSpec(
            "true for each service that does not exist yet, in the order of Metadata.Services. deploy.py looks it up.",
        ),
    ]
    workload_templates: Annotated[
        v.TemplateDigests,
        ParameterSpec(
            "Digest in the S3 key of the template of each workload, in the order of Metadata.Services. deploy.py sets "
            "it.",
        ),
    ]
    platform_only: Annotated[
        v.Flag,
        ParameterSpec(
            "true during the first operation of a first deployment, which leaves out the services. deploy.py sets it.",
            allowed=("true", "false"),
            constraint="true or false.",
        ),
    ]
    service_is_included: Annotated[
        v.Flags,
        ParameterSpec(
            "true for each service that this operation deploys, in the order of Metadata.Services. deploy.py sets it.",
        ),
    ]
    database: DatabaseParameters
    deletion_protection: Annotated[
        v.Flag, shared.flag("true if database and load balancer are protected against deletion.", default="true")
    ]
    log_retention_days: Annotated[v.LogRetentionDays, shared.LOG_RETENTION_DAYS]
    archive: ArchiveParameters
    empty_bucket_on_delete: Annotated[
        v.Flag,
        shared.flag("true if deleting the environment also deletes its static files.", default="false"),
    ]
    slack_workspace_id: Annotated[
        v.WorkspaceId,
        ParameterSpec(
            "Slack workspace, authorized once in the AWS console. Empty for no Slack. To change it, deploy once with "
            "an empty value: CloudFormation cannot replace a channel configuration under the same name.",
            default="",
            pattern=r"^(T[0-9A-Z]{8,14})?$",
            constraint="A workspace id such as T0123456789, or empty.",
        ),
    ]
    slack_channel_id: Annotated[
        v.ChannelId,
        ParameterSpec(
            "Slack channel. Each environment needs its own. Empty for no Slack.",
            default="",
            pattern=r"^([CG][0-9A-Z]{8,14})?$",
            constraint="A channel id such as C0123456789, or empty.",
        ),
    ]
    monthly_budget: Annotated[
        v.Money,
        ParameterSpec(
            "Monthly budget of the account in US dollars. 0 for none.",
            default=0,
            minimum=0,
            maximum=1000000,
            constraint="0 to 1000000 dollars.",
        ),
    ]
    artifact_bucket: Annotated[
        v.BucketName, ParameterSpec("Bucket of templates and Lambda packages. An output of the bootstrap stack.")
    ]
    custom_resource_code_key: v.CustomResourceCodeKey
    slack_notifier_code_key: v.SlackNotifierCodeKey
    alarm_fallback_code_key: v.AlarmFallbackCodeKey
    credentials_watch_code_key: v.CredentialsWatchCodeKey


def add_size_parameters(t: Template, config: Config) -> dict[str, ServiceSize]:
    """Add the size parameters of each workload with its own size, and one set for the workloads that share a size.

    Returns the size of each workload by its name.
    """

    def once(title: str, value_type: type[Value], spec: ParameterSpec) -> Value:
        return value_type(Ref(title)) if title in t.parameters else add_parameter(t, title, value_type, spec)

    sizes: dict[str, ServiceSize] = {}
    for entry in config.workloads:
        subject = entry.name if entry.own_size else "Service"
        is_scaled = isinstance(entry, EcsService) and not entry.one_task
        sizes[entry.name] = ServiceSize(
            cpu=once(f"{subject}Cpu", v.CpuUnits, _CPU),
            memory=once(f"{subject}Memory", v.MemoryMiB, _MEMORY),
            min_tasks=once(f"{subject}MinTasks", v.MinTasks, _MIN_TASKS) if is_scaled else v.MinTasks("1"),
            max_tasks=once(f"{subject}MaxTasks", v.MaxTasks, _MAX_TASKS) if is_scaled else v.MaxTasks("1"),
        )
        if f"{subject}Size" not in t.rules:
            t.add_rule(f"{subject}Size", fargate_size(f"{subject}Cpu", f"{subject}Memory"))
    return sizes


def add_image_parameters(t: Template, config: Config) -> dict[str, v.AppImageUri]:
    """Add a parameter for each image. Returns the image of each workload by its name."""
    spec = ParameterSpec(_IMAGE, pattern=_DIGEST_PATTERN, constraint=_DIGEST_CONSTRAINT)
    owners = image_owners(config.workloads)
    images = {owner: add_parameter(t, f"{owner}Image", v.AppImageUri, spec) for owner in dict.fromkeys(owners.values())}
    return {name: images[owner] for name, owner in owners.items()}


def add_migration_code_key(t: Template, config: Config) -> v.MigrationCodeKey:
    """Add the parameter of the function of migrations, if a workload has one, and return its value."""
    if not any(isinstance(entry, EcsService) and entry.migrate for entry in config.workloads):
        return v.MigrationCodeKey("")
    return add_parameter(
        t, "MigrationCodeKey", v.MigrationCodeKey, ParameterSpec("S3 key of the package of function migration.")
    )


def add_environment_parameters(t: Template, config: Config) -> dict[str, v.EnvironmentValue]:
    """Add a parameter for each value that a declaration leaves to the environment. Returns the values by parameter."""
    values: dict[str, v.EnvironmentValue] = {}
    entries: list[Workload | Function] = [*config.workloads, *config.own_functions]
    for entry in entries:
        for name, value in entry.variables.items():
            if isinstance(value, RootParameter) and value.name not in values:
                spec = ParameterSpec(f"Variable {name} of {entry.name}.")
                values[value.name] = add_parameter(t, value.name, v.EnvironmentValue, spec)
        for name, secret in entry.secrets.items():
            arn = secret.arn if isinstance(secret, Existing) else ""
            if isinstance(arn, RootParameter) and arn.name not in values:
                spec = ParameterSpec(
                    f"ARN of the secret {name} of {entry.name}.",
                    pattern=f"^{SECRET_ARN}$",
                    constraint="The complete ARN of a secret of Secrets Manager.",
                )
                values[arn.name] = add_parameter(t, arn.name, v.EnvironmentValue, spec)
        if isinstance(entry, Function) and isinstance(entry.queue, RootParameter):
            spec = ParameterSpec(
                f"ARN of the queue whose messages {entry.name} receives.",
                pattern=f"^{QUEUE_ARN}$",
                constraint="The ARN of a queue of SQS.",
            )
            values[entry.queue.name] = add_parameter(t, entry.queue.name, v.EnvironmentValue, spec)
    return values


def add_schedule_switch(t: Template, entry: Job) -> v.Flag:
    """Add the parameter that switches the schedule of a job on or off."""
    return add_parameter(t, f"{entry.name}Enabled", v.Flag, shared.flag(f"true if {entry.name} runs.", default="true"))
