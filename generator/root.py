"""Root: the parameters of an environment, and the order of the layers. It owns nothing but nested stacks.

A layer receives only what an earlier one returned, so the order below is the order of dependencies.
"""

from typing import Annotated

from troposphere import Equals, Ref, Select, Sub, Template

from generator import parameter_specs as shared
from generator import value_types as v
from generator.config import Config, ServiceEntry
from generator.layers import (
    application,
    database,
    db_reader,
    distribution,
    egress,
    log_archive,
    network,
    operations,
    security,
    service,
    service_access,
)
from generator.layers.service import task
from generator.resources.rules import fargate_size, root_rules
from generator.wiring import (
    FrozenConfig,
    ParameterSpec,
    StackInterface,
    add_outputs,
    add_parameter,
    add_parameters,
)

_ACCOUNT = r"[0-9]{12}"
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DIGEST_PATTERN = r"^[a-z0-9-]+(\.[a-z0-9-]+)+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}$"
_DIGEST_CONSTRAINT = (
    "An image with its registry and by digest, not by tag, such as "
    "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/platform/frontend@sha256: and 64 hexadecimal digits."
)

IMAGE = "Image of the app container, pinned by digest: a tag could mean another image tomorrow."
CPU = ParameterSpec(
    "CPU units of a task: 1024 are one vCPU.",
    allowed=("256", "512", "1024", "2048", "4096"),
    constraint="256, 512, 1024, 2048 or 4096.",
)
MEMORY = ParameterSpec(
    "Memory of a task in MiB, as Fargate sells it with the CPU units.",
    minimum=512,
    maximum=30720,
    constraint="512 to 30720 MiB.",
)
MIN_TASKS = ParameterSpec(
    "Least number of tasks, and the number to start with: two, one in each zone.",
    minimum=2,
    maximum=1000,
    constraint="2 or more, so that a zone may fail.",
)
MAX_TASKS = ParameterSpec("Greatest number of tasks.", minimum=2, maximum=1000, constraint="2 or more.")


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
            pattern=rf"^(none|arn:aws[a-z-]*:acm:us-east-1:{_ACCOUNT}:certificate/{_UUID})$",
            constraint="The ARN of an ACM certificate in us-east-1, or none.",
        ),
    ]
    origin_certificate_arn: Annotated[
        v.SuppliedCertificateArn,
        ParameterSpec(
            "Certificate of origin.<domain> in the home region; empty to have one made where there is a hosted zone. "
            "Without a domain deploy.py imports a self-signed one.",
            default="",
            pattern=rf"^(arn:aws[a-z-]*:acm:[a-z0-9-]+:{_ACCOUNT}:certificate/{_UUID})?$",
            constraint="The ARN of an ACM certificate in the home region, or empty.",
        ),
    ]
    web_acl_arn: Annotated[
        v.WebAclArn,
        ParameterSpec(
            "Web ACL of CloudFront: an output of the edge stack.",
            pattern=rf"^arn:aws[a-z-]*:wafv2:us-east-1:{_ACCOUNT}:global/webacl/[A-Za-z0-9_-]+/{_UUID}$",
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


class Outputs(StackInterface):
    """What people and deploy.py look for, and what the edge-monitoring stack takes."""

    vpc_id: v.VpcId
    site_url: v.SiteUrl
    distribution_id: v.DistributionId
    distribution_arn: v.DistributionArn
    static_bucket_name: v.StaticBucketName
    cluster_name: v.ClusterName
    database_name: v.DatabaseName
    database_secret_arn: v.DatabaseSecretArn
    writer_endpoint: v.WriterEndpoint
    reader_endpoint: v.ReaderEndpoint
    archive_bucket_name: v.ArchiveBucketName
    dashboard_name: v.DashboardName


class Size(FrozenConfig):
    """CPU, memory and number of tasks of a service."""

    cpu: v.CpuUnits
    memory: v.MemoryMiB
    min_tasks: v.Count
    max_tasks: v.Count


class Platform(FrozenConfig):
    """What the layers returned so far, as far as services need it."""

    network: network.Outputs
    security: security.Outputs
    egress: egress.Outputs
    archive: log_archive.Outputs
    database: database.Outputs
    application: application.Outputs


def build(config: Config) -> Template:
    """The root template."""
    t = Template(Description="Hosting platform: one environment, one nested stack per layer.")
    t.set_version()
    # deploy.py fills ServiceIsNew in this order.
    t.set_metadata({"Services": [entry.name for entry in config.services]})
    p = add_parameters(t, Parameters)
    prefix = v.NamePrefix(Sub("${Project}-${Environment}"))
    t.add_condition("HasReader", Equals(p.db_reader, "true"))
    for name, content in root_rules().items():
        t.add_rule(name, content)
    sizes = declare_sizes(t, config)

    net = network.LAYER.nest(
        t,
        network.Inputs(prefix=prefix, vpc_network=p.vpc_network, first_zone=p.first_zone, second_zone=p.second_zone),
    )
    out = egress.LAYER.nest(
        t,
        egress.Inputs(
            prefix=prefix,
            vpc_id=net.vpc_id,
            public_subnet_1_id=net.public_subnet_1_id,
            public_subnet_2_id=net.public_subnet_2_id,
            app_subnet_1_id=net.app_subnet_1_id,
            app_subnet_2_id=net.app_subnet_2_id,
            app_route_table_1_id=net.app_route_table_1_id,
            app_route_table_2_id=net.app_route_table_2_id,
            endpoint_security_group_id=net.endpoint_security_group_id,
        ),
    )
    sec = security.LAYER.nest(
        t,
        security.Inputs(
            prefix=prefix,
            vpc_id=net.vpc_id,
            cloud_front_prefix_list_id=p.cloud_front_prefix_list_id,
            log_retention_days=p.log_retention_days,
            archive_glacier_days=p.archive_glacier_days,
            archive_expire_days=p.archive_expire_days,
            archive_lock_days=p.archive_lock_days,
        ),
    )
    arc = log_archive.LAYER.nest(
        t,
        log_archive.Inputs(
            prefix=prefix,
            artifact_bucket=p.artifact_bucket,
            log_processor_code_key=p.log_processor_code_key,
            log_retention_days=p.log_retention_days,
            telemetry_key_arn=sec.telemetry_key_arn,
            archive_bucket_name=sec.archive_bucket_name,
        ),
    )
    data = database.LAYER.nest(
        t,
        database.Inputs(
            prefix=prefix,
            first_zone=p.first_zone,
            db_subnet_1_id=net.db_subnet_1_id,
            db_subnet_2_id=net.db_subnet_2_id,
            database_security_group_id=sec.database_security_group_id,
            data_key_arn=sec.data_key_arn,
            db_engine_version=p.db_engine_version,
            db_instance_class=p.db_instance_class,
            db_min_capacity=p.db_min_capacity,
            db_max_capacity=p.db_max_capacity,
            db_insights=p.db_insights,
            db_backtrack_seconds=p.db_backtrack_seconds,
            db_backup_retention_days=p.db_backup_retention_days,
            deletion_protection=p.deletion_protection,
            telemetry_key_arn=sec.telemetry_key_arn,
            log_retention_days=p.log_retention_days,
        ),
    )
    db_reader.LAYER.nest(
        t,
        db_reader.Inputs(
            second_zone=p.second_zone,
            db_cluster_id=data.db_cluster_id,
            db_subnet_group_name=data.db_subnet_group_name,
            monitoring_role_arn=data.monitoring_role_arn,
            data_key_arn=sec.data_key_arn,
            db_instance_class=p.db_instance_class,
            db_insights=p.db_insights,
        ),
        condition="HasReader",
    )
    app = application.LAYER.nest(
        t,
        application.Inputs(
            prefix=prefix,
            domain_name=p.domain_name,
            hosted_zone_id=p.hosted_zone_id,
            origin_certificate_arn=p.origin_certificate_arn,
            container_insights=p.container_insights,
            deletion_protection=p.deletion_protection,
            public_subnet_1_id=net.public_subnet_1_id,
            public_subnet_2_id=net.public_subnet_2_id,
            alb_security_group_id=sec.alb_security_group_id,
            redirect_security_group_id=sec.redirect_security_group_id,
            alb_log_bucket_name=sec.alb_log_bucket_name,
            telemetry_key_arn=sec.telemetry_key_arn,
            log_retention_days=p.log_retention_days,
        ),
    )
    platform = Platform(network=net, security=sec, egress=out, archive=arc, database=data, application=app)
    for position, entry in enumerate(config.services):
        nest_service(t, entry, position, sizes, prefix, p, platform)
    dist = distribution.LAYER.nest(
        t,
        distribution.Inputs(
            prefix=prefix,
            artifact_bucket=p.artifact_bucket,
            custom_resource_code_key=p.custom_resource_code_key,
            domain_name=p.domain_name,
            hosted_zone_id=p.hosted_zone_id,
            viewer_certificate_arn=p.viewer_certificate_arn,
            web_acl_arn=p.web_acl_arn,
            empty_bucket_on_delete=p.empty_bucket_on_delete,
            access_log_bucket_name=sec.access_log_bucket_name,
            origin_host_name=app.origin_host_name,
            origin_secret_arn=sec.origin_secret_arn,
            telemetry_key_arn=sec.telemetry_key_arn,
            log_retention_days=p.log_retention_days,
        ),
    )
    ops = operations.LAYER.nest(
        t,
        operations.Inputs(
            prefix=prefix,
            artifact_bucket=p.artifact_bucket,
            slack_notifier_code_key=p.slack_notifier_code_key,
            credentials_watch_code_key=p.credentials_watch_code_key,
            slack_workspace_id=p.slack_workspace_id,
            slack_channel_id=p.slack_channel_id,
            monthly_budget=p.monthly_budget,
            db_reader=p.db_reader,
            edge_topic_arn=p.edge_topic_arn,
            alarm_topic_arn=sec.alarm_topic_arn,
            nat_gateway_1_id=out.nat_gateway_1_id,
            nat_gateway_2_id=out.nat_gateway_2_id,
            archive_logs=p.archive_logs,
            archive_stream_arn=arc.archive_stream_arn,
            subscription_role_arn=arc.subscription_role_arn,
            flow_log_group_name=sec.flow_log_group_name,
            exec_log_group_name=app.exec_log_group_name,
            bastion_log_group_name=app.bastion_log_group_name,
            audit_log_group_name=data.audit_log_group_name,
            error_log_group_name=data.error_log_group_name,
            slow_query_log_group_name=data.slow_query_log_group_name,
            instance_log_group_name=data.instance_log_group_name,
            iam_error_log_group_name=data.iam_error_log_group_name,
            archive_stream_name=arc.archive_stream_name,
            log_processor_name=arc.log_processor_name,
            delivery_log_group_name=arc.delivery_log_group_name,
            db_cluster_id=data.db_cluster_id,
            database_secret_arn=data.database_secret_arn,
            cluster_name=app.cluster_name,
            cluster_arn=app.cluster_arn,
            alb_full_name=app.alb_full_name,
            site_content_function_name=dist.site_content_function_name,
            telemetry_key_arn=sec.telemetry_key_arn,
            log_retention_days=p.log_retention_days,
        ),
    )
    add_outputs(
        t,
        Outputs(
            vpc_id=net.vpc_id,
            site_url=dist.site_url,
            distribution_id=dist.distribution_id,
            distribution_arn=dist.distribution_arn,
            static_bucket_name=dist.static_bucket_name,
            cluster_name=app.cluster_name,
            database_name=data.database_name,
            database_secret_arn=data.database_secret_arn,
            writer_endpoint=data.writer_endpoint,
            reader_endpoint=data.reader_endpoint,
            archive_bucket_name=sec.archive_bucket_name,
            dashboard_name=ops.dashboard_name,
        ),
    )
    return t


def declare_sizes(t: Template, config: Config) -> dict[str, Size]:
    """Parameters for the size of each service that has its own, and one set for all that do not."""
    sizes: dict[str, Size] = {}
    for entry in config.services:
        subject = entry.name if entry.own_size else "Service"
        if subject not in sizes:
            sizes[subject] = Size(
                cpu=add_parameter(t, f"{subject}Cpu", v.CpuUnits, CPU),
                memory=add_parameter(t, f"{subject}Memory", v.MemoryMiB, MEMORY),
                min_tasks=add_parameter(t, f"{subject}MinTasks", v.Count, MIN_TASKS),
                max_tasks=add_parameter(t, f"{subject}MaxTasks", v.Count, MAX_TASKS),
            )
            t.add_rule(f"{subject}Size", fargate_size(f"{subject}Cpu", f"{subject}Memory"))
        sizes[entry.name] = sizes[subject]
    return sizes


def nest_service(
    t: Template,
    entry: ServiceEntry,
    position: int,
    sizes: dict[str, Size],
    prefix: v.NamePrefix,
    p: Parameters,
    platform: Platform,
) -> None:
    """The two stacks of one service: who it is and may reach, and what it runs."""
    net, sec, arc, data, app = (
        platform.network,
        platform.security,
        platform.archive,
        platform.database,
        platform.application,
    )
    size = sizes[entry.name]
    port = v.Port(str(entry.port))
    unused = ("",) * (task.WRITABLE_PATHS - len(entry.writable_paths))
    writable = [v.FolderPath(path) for path in (*entry.writable_paths, *unused)]
    image = add_parameter(
        t,
        f"{entry.name}Image",
        v.ImageUri,
        ParameterSpec(IMAGE, pattern=_DIGEST_PATTERN, constraint=_DIGEST_CONSTRAINT),
    )
    own = service_access.LAYER.nest(
        t,
        service_access.Inputs(
            prefix=prefix,
            service_slug=v.Choice(entry.slug),
            container_port=port,
            vpc_id=net.vpc_id,
            alb_security_group_id=sec.alb_security_group_id,
            database_security_group_id=sec.database_security_group_id,
            session_policy_arn=app.session_policy_arn,
        ),
        instance=entry.name,
    )
    service.LAYER.nest(
        t,
        service.Inputs(
            prefix=prefix,
            project=p.project,
            service_slug=v.Choice(entry.slug),
            image=image,
            bastion_image=p.bastion_image,
            cpu=size.cpu,
            memory=size.memory,
            cpu_architecture=p.cpu_architecture,
            min_tasks=size.min_tasks,
            max_tasks=size.max_tasks,
            service_is_new=v.Flag(Select(position, Ref("ServiceIsNew"))),
            container_port=port,
            app_user=v.UserIds(entry.user),
            read_only_root=v.Flag("true" if entry.read_only else "false"),
            writable_path_1=writable[0],
            writable_path_2=writable[1],
            writable_path_3=writable[2],
            health_check_path=v.UrlPath(entry.health_check_path),
            path_patterns=v.PathPatterns(",".join(entry.path_patterns)),
            priority=v.Priority(str(entry.priority)),
            vpc_id=net.vpc_id,
            app_subnet_1_id=platform.egress.app_subnet_1_id,
            app_subnet_2_id=platform.egress.app_subnet_2_id,
            service_security_group_id=own.service_security_group_id,
            task_role_arn=own.task_role_arn,
            execution_role_arn=own.execution_role_arn,
            execution_role_name=own.execution_role_name,
            data_key_arn=sec.data_key_arn,
            cluster_name=app.cluster_name,
            cluster_arn=app.cluster_arn,
            bastion_log_group_name=app.bastion_log_group_name,
            alb_full_name=app.alb_full_name,
            origin_listener_arn=app.origin_listener_arn,
            origin_secret_arn=sec.origin_secret_arn,
            writer_endpoint=data.writer_endpoint,
            reader_endpoint=data.reader_endpoint,
            database_port=data.database_port,
            database_name=data.database_name,
            database_secret_arn=data.database_secret_arn,
            alarm_topic_arn=sec.alarm_topic_arn,
            telemetry_key_arn=sec.telemetry_key_arn,
            log_retention_days=p.log_retention_days,
            archive_logs=p.archive_logs,
            archive_stream_arn=arc.archive_stream_arn,
            subscription_role_arn=arc.subscription_role_arn,
        ),
        instance=entry.name,
    )
