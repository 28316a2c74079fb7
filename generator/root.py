"""Root: the order of the layers and the wires between them. Root contains nested stacks only.

A layer receives only values that an earlier layer returned, so the order below is the order of dependencies.
"""

from collections.abc import Callable, Mapping

from troposphere import And, AWSHelperFn, Condition, Equals, Not, Ref, Select, Sub, Template

from generator import value_types as v
from generator.config import Config
from generator.edge_settings import Edge
from generator.interfaces import DbInstanceSettings, LogArchive, LogSettings, ServiceAccess, ServiceSize, SiteDomain
from generator.layers import (
    application,
    database,
    database_users,
    db_reader,
    discovery,
    distribution,
    egress,
    functions,
    log_archive,
    network,
    operations,
    security,
    service,
    service_access,
    stores,
)
from generator.parameter_specs import NAME_PREFIX
from generator.resources.rules import root_rules
from generator.root_parameters import (
    ArchiveParameters,
    DatabaseParameters,
    Parameters,
    add_environment_parameters,
    add_image_parameters,
    add_migration_code_key,
    add_schedule_switch,
    add_size_parameters,
)
from generator.wiring import (
    FrozenConfig,
    OwnTemplate,
    ParameterSpec,
    StackInterface,
    StackValue,
    add_outputs,
    add_parameter,
    add_parameters,
    interface_values,
    value_if,
)
from generator.workloads import EcsService, InternalService, Job, WebService, Workload, image_owners


class Outputs(StackInterface):
    """Outputs for operators and deploy.py, and parameters of the stack ``edge-monitoring``."""

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


class Platform(FrozenConfig):
    """Parameters of root and outputs of earlier layers that services need."""

    prefix: v.NamePrefix
    parameters: Parameters
    images: dict[str, v.AppImageUri]
    sizes: dict[str, ServiceSize]
    values: dict[str, v.EnvironmentValue]
    network: network.Outputs
    security: security.Outputs
    egress: egress.Outputs
    logs: LogSettings
    archive: LogArchive
    database: database.Outputs
    application: application.Outputs
    distribution: distribution.Outputs
    # Values of the layers ``stores`` and ``database_users`` by the name of the output.
    stored: dict[str, StackValue]
    registry_arns: dict[str, v.RegistryArn]
    migration_code_key: v.MigrationCodeKey
    # Security group and roles of each workload.
    access: dict[str, ServiceAccess]


def build(config: Config, own_templates: Mapping[str, Template]) -> Template:
    """Return the root template. ``own_templates`` are those of the workloads and of the stores, by file name."""
    parts = config.parts
    t = Template(Description="Hosting platform: one environment, one nested stack per layer.")
    t.set_version()
    # deploy.py fills ServiceIsNew, ServiceIsIncluded and WorkloadTemplates in the order of Services, and uploads static
    # files to StaticPath. A rehearsal expects of requests what Edge and Workloads declare.
    t.set_metadata(
        {
            "Services": [entry.name for entry in config.workloads],
            "Workloads": describe_workloads(config),
            "StaticPath": config.edge.static_path,
            **({"Without": parts.left_out} if parts.left_out else {}),
            **describe_functions(config),
            "Edge": describe_edge(config.edge),
        }
    )
    without = [*([] if parts.database else [DatabaseParameters]), *([] if parts.archive else [ArchiveParameters])]
    p = add_parameters(t, Parameters, without)
    prefix = v.NamePrefix(Sub(NAME_PREFIX))
    # A first deployment has two operations. The first creates what services need, and keeps what is finished if it
    # fails. CloudFormation replaces nothing in such an operation, and a new image replaces a task definition: so
    # services, and the reader that nothing waits for, are created by the second, an ordinary update with rollback
    # (CloudFormation User Guide, "Choose how to handle failures when provisioning resources").
    if parts.database:
        t.add_condition("HasReader", And(Equals(p.database.db_reader, "true"), Not(Equals(p.platform_only, "true"))))
    for name, content in root_rules(parts).items():
        t.add_rule(name, content)
    images = add_image_parameters(t, config)
    sizes = add_size_parameters(t, config)
    values = add_environment_parameters(t, config)

    network_outputs = network.LAYER.nest(
        t,
        network.Inputs(prefix=prefix, vpc_network=p.vpc_network, first_zone=p.first_zone, second_zone=p.second_zone),
    )
    egress_outputs = egress.LAYER.nest(
        t,
        egress.Inputs(
            prefix=prefix,
            vpc_id=network_outputs.vpc_id,
            public_subnets=network_outputs.public_subnets,
            app_subnets=network_outputs.app_subnets,
            app_route_tables=network_outputs.app_route_tables,
            endpoint_security_group_id=network_outputs.endpoint_security_group_id,
        ),
    )
    security_outputs = security.LAYER.nest(
        t,
        security.Inputs(
            prefix=prefix,
            vpc_id=network_outputs.vpc_id,
            cloud_front_prefix_list_id=p.cloud_front_prefix_list_id,
            log_retention_days=p.log_retention_days,
            archive_glacier_days=p.archive.archive_glacier_days,
            archive_expire_days=p.archive.archive_expire_days,
            archive_lock_days=p.archive.archive_lock_days,
        ),
    )
    logs = LogSettings(telemetry_key_arn=security_outputs.telemetry_key_arn, log_retention_days=p.log_retention_days)
    archive_outputs = log_archive.LAYER.nest(
        t,
        log_archive.Inputs(
            prefix=prefix,
            artifact_bucket=p.artifact_bucket,
            log_processor_code_key=p.archive.log_processor_code_key,
            logs=logs,
            archive_bucket_name=security_outputs.archive_bucket_name,
        ),
        included=parts.archive,
    )
    archive = LogArchive(
        archive_logs=p.archive.archive_logs,
        archive_stream_arn=archive_outputs.archive_stream_arn,
        subscription_role_arn=archive_outputs.subscription_role_arn,
    )
    instances = DbInstanceSettings(
        db_instance_class=p.database.db_instance_class, db_monitoring_seconds=p.database.db_monitoring_seconds
    )
    database_outputs = database.LAYER.nest(
        t,
        database.Inputs(
            prefix=prefix,
            first_zone=p.first_zone,
            db_subnets=network_outputs.db_subnets,
            database_security_group_id=security_outputs.database_security_group_id,
            instances=instances,
            db_engine_version=p.database.db_engine_version,
            db_min_capacity=p.database.db_min_capacity,
            db_max_capacity=p.database.db_max_capacity,
            data_key_arn=security_outputs.data_key_arn,
            db_insights=p.database.db_insights,
            db_backtrack_seconds=p.database.db_backtrack_seconds,
            db_backup_retention_days=p.database.db_backup_retention_days,
            deletion_protection=p.deletion_protection,
            logs=logs,
        ),
        included=parts.database,
    )
    db_reader.LAYER.nest(
        t,
        db_reader.Inputs(
            second_zone=p.second_zone,
            db_cluster_id=database_outputs.db_cluster_id,
            db_subnet_group_name=database_outputs.db_subnet_group_name,
            monitoring_role_arn=database_outputs.monitoring_role_arn,
            instances=instances,
        ),
        condition="HasReader",
        included=parts.database,
    )
    stored = nest_stores(
        t,
        config,
        stores.Inputs(
            prefix=prefix,
            environment=p.environment,
            domain_name=p.domain_name,
            data_key_arn=security_outputs.data_key_arn,
            access_log_bucket_name=security_outputs.access_log_bucket_name,
            alarm_topic_arn=security_outputs.alarm_topic_arn,
            vpc_id=network_outputs.vpc_id,
            app_subnets=egress_outputs.routed_app_subnets,
        ),
        own_templates,
    )
    stored |= nest_database_users(
        t,
        config,
        lambda code: database_users.Inputs(
            prefix=prefix,
            environment=p.environment,
            artifact_bucket=p.artifact_bucket,
            database_user_code_key=code,
            logs=logs,
            db_cluster_id=database_outputs.db_cluster_id,
            database_secret_arn=database_outputs.connection.database_secret_arn,
            data_key_arn=security_outputs.data_key_arn,
            alarm_topic_arn=security_outputs.alarm_topic_arn,
            log_archive=value_if(parts.archive, archive),
        ),
    )
    domain = SiteDomain(
        domain_name=p.domain_name, redirect_domain_name=p.redirect_domain_name, hosted_zone_id=p.hosted_zone_id
    )
    application_outputs = application.LAYER.nest(
        t,
        application.Inputs(
            prefix=prefix,
            domain=domain,
            origin_certificate_arn=p.origin_certificate_arn,
            container_insights=p.container_insights,
            deletion_protection=p.deletion_protection,
            public_subnets=network_outputs.public_subnets,
            alb_security_group_id=security_outputs.alb_security_group_id,
            redirect_security_group_id=security_outputs.redirect_security_group_id,
            alb_log_bucket_name=security_outputs.alb_log_bucket_name,
            logs=logs,
        ),
    )
    distribution_outputs = distribution.LAYER.nest(
        t,
        distribution.Inputs(
            prefix=prefix,
            artifact_bucket=p.artifact_bucket,
            custom_resource_code_key=p.custom_resource_code_key,
            domain=domain,
            viewer_certificate_arn=p.viewer_certificate_arn,
            web_acl_arn=p.web_acl_arn,
            empty_bucket_on_delete=p.empty_bucket_on_delete,
            access_log_bucket_name=security_outputs.access_log_bucket_name,
            origin_host_name=application_outputs.origin_host_name,
            origin_secret_arn=security_outputs.origin_secrets.origin_secret_arn,
            logs=logs,
        ),
    )
    platform = Platform(
        prefix=prefix,
        parameters=p,
        images=images,
        sizes=sizes,
        values=values,
        network=network_outputs,
        security=security_outputs,
        egress=egress_outputs,
        archive=archive,
        logs=logs,
        database=database_outputs,
        application=application_outputs,
        distribution=distribution_outputs,
        stored=stored,
        registry_arns=nest_discovery(t, config, discovery.Inputs(prefix=prefix, vpc_id=network_outputs.vpc_id)),
        migration_code_key=add_migration_code_key(t, config),
        access={},
    )
    nest_functions(t, config, platform)
    for entry in config.workloads:
        platform.access[entry.name] = nest_access(t, config, entry, platform)
    waits = migrating_workloads(config)
    for position, entry in enumerate(config.workloads):
        nest_workload(t, entry, position, platform, own_templates, waits.get(entry.name, ""))
    operations_outputs = operations.LAYER.nest(
        t,
        operations.Inputs(
            prefix=prefix,
            artifact_bucket=p.artifact_bucket,
            environment=p.environment,
            slack_notifier_code_key=p.slack_notifier_code_key,
            alarm_fallback_code_key=p.alarm_fallback_code_key,
            credentials_watch_code_key=p.credentials_watch_code_key,
            slack_workspace_id=p.slack_workspace_id,
            slack_channel_id=p.slack_channel_id,
            monthly_budget=p.monthly_budget,
            db_reader=p.database.db_reader,
            edge_topic_arn=p.edge_topic_arn,
            alarm_topic_arn=security_outputs.alarm_topic_arn,
            nat_gateways=egress_outputs.nat_gateways,
            log_archive=archive,
            # The archive subscribes them. An alarm reads the log of the bastions, if they have relays.
            flow_log_group_name=value_if(parts.archive, security_outputs.flow_log_group_name),
            exec_log_group_name=value_if(parts.archive, application_outputs.exec_log_group_name),
            bastion_log_group_name=value_if(
                parts.archive or parts.database, application_outputs.bastion_log_group_name
            ),
            database_log_groups=value_if(parts.archive, database_outputs.log_groups),
            archive_stream_name=archive_outputs.archive_stream_name,
            log_processor_name=archive_outputs.log_processor_name,
            log_processor_log_group_name=archive_outputs.log_processor_log_group_name,
            delivery_log_group_name=archive_outputs.delivery_log_group_name,
            db_cluster_id=database_outputs.db_cluster_id,
            cluster=application_outputs.cluster,
            alb_full_name=application_outputs.alb_full_name,
            listener_certificate_arn=application_outputs.listener_certificate_arn,
            site_content_function_name=distribution_outputs.site_content_function_name,
            logs=logs,
        ),
    )
    add_outputs(
        t,
        Outputs(
            vpc_id=network_outputs.vpc_id,
            site_url=distribution_outputs.site_url,
            distribution_id=distribution_outputs.distribution_id,
            distribution_arn=distribution_outputs.distribution_arn,
            static_bucket_name=distribution_outputs.static_bucket_name,
            cluster_name=application_outputs.cluster.cluster_name,
            database_name=database_outputs.connection.database_name,
            database_secret_arn=database_outputs.connection.database_secret_arn,
            writer_endpoint=database_outputs.connection.writer_endpoint,
            reader_endpoint=database_outputs.connection.reader_endpoint,
            archive_bucket_name=value_if(parts.archive, security_outputs.archive_bucket_name),
            dashboard_name=operations_outputs.dashboard_name,
        ),
    )
    # Only services with a variable number of tasks read it.
    if not any(isinstance(entry, EcsService) and not entry.one_task for entry in config.workloads):
        del t.parameters["ServiceIsNew"]
    # Only the reader reads it.
    if not parts.database:
        del t.parameters["PlatformOnly"]
    return t


def describe_workloads(config: Config) -> dict[str, dict[str, object]]:
    """Return what tools need to know of each workload and cannot read from one template."""
    owners = image_owners(config.workloads)
    described: dict[str, dict[str, object]] = {}
    for entry in config.workloads:
        owner = owners[entry.name]
        described[entry.name] = {"Kind": entry.kind, "Image": f"{owner}Image", "Repository": owner.lower()}
        if isinstance(entry, WebService):
            described[entry.name] |= {"Paths": list(entry.paths), "Priority": entry.priority}
            if entry.host:
                described[entry.name]["Host"] = entry.host
        if entry.egress:
            described[entry.name]["Egress"] = [
                {"Port": rule.port, "Cidr": rule.cidr, "Description": rule.description} for rule in entry.egress
            ]
        if entry.uses:
            described[entry.name]["Uses"] = [{"Use": type(use).__name__, "Store": use.store} for use in entry.uses]
        if isinstance(entry, InternalService):
            described[entry.name]["CalledBy"] = list(entry.called_by)
        if isinstance(entry, EcsService) and entry.one_task:
            described[entry.name]["OneTask"] = True
        if entry.spot:
            described[entry.name]["Spot"] = True
    return described


def describe_functions(config: Config) -> dict[str, dict[str, str]]:
    """Return the folder of each function of the project by its name, which deploy.py packages."""
    folders = {entry.name: entry.folder for entry in config.own_functions}
    return {"Functions": folders} if folders else {}


def describe_edge(edge: Edge) -> dict[str, object]:
    """Return the settings of the edge that a viewer can see in responses of apps."""
    return {
        "SorryCodes": list(edge.sorry_codes),
        "ContentSecurityPolicy": edge.content_security_policy,
        "CspReportOnly": edge.csp_report_only,
        "FrameOptions": edge.frame_options,
        "HstsSubdomains": edge.hsts_subdomains,
        "HiddenHeaders": list(edge.hidden_headers),
    }


def nest_stores(
    t: Template, config: Config, inputs: stores.Inputs, own_templates: Mapping[str, Template]
) -> dict[str, StackValue]:
    """Add the stack of what workloads keep, if there is any. Returns its outputs by name."""
    layer = stores.layer_of(stores.Contents(config.own_stores, config.workloads))
    if layer is None:
        return {}
    outputs = layer.nest(t, inputs, used=own_templates[layer.file].parameters)
    return {field.title: value for field, value in interface_values(outputs)}


def nest_database_users(
    t: Template, config: Config, inputs: Callable[[v.DatabaseUserCodeKey], database_users.Inputs]
) -> dict[str, StackValue]:
    """Add the stack of the schemas of workloads, if there are any. Returns the secret of each by the output's name."""
    layer = database_users.layer_of(config.workloads)
    if layer is None:
        return {}
    spec = ParameterSpec("S3 key of the package of function database_user.")
    outputs = layer.nest(t, inputs(add_parameter(t, "DatabaseUserCodeKey", v.DatabaseUserCodeKey, spec)))
    return {field.title: value for field, value in interface_values(outputs)}


def nest_discovery(t: Template, config: Config, inputs: discovery.Inputs) -> dict[str, v.RegistryArn]:
    """Add the stack of the names of internal services, if there are any. Returns each by the output's name."""
    layer = discovery.layer_of(config.workloads)
    if layer is None:
        return {}
    outputs = layer.nest(t, inputs)
    return {field.title: v.RegistryArn(value.data) for field, value in interface_values(outputs)}


def nest_functions(t: Template, config: Config, platform: Platform) -> None:
    """Add the stack of the project's own functions, if there are any, with a parameter for the package of each."""
    layer = functions.layer_of(config.own_functions)
    if layer is None:
        return
    own: dict[str, StackValue] = {}
    for entry in config.own_functions:
        spec = ParameterSpec(f"S3 key of the package of function {entry.name}.")
        own[functions.code_field(entry)] = add_parameter(t, functions.code_field(entry), v.OwnCodeKey, spec)
        own |= {parameter.name: platform.values[parameter.name] for parameter in entry.root_parameters}
        if entry.own_queue:
            own[functions.queue_output(entry)] = platform.stored[functions.queue_output(entry)]
    layer.nest(
        t,
        layer.inputs(
            prefix=platform.prefix,
            environment=platform.parameters.environment,
            artifact_bucket=platform.parameters.artifact_bucket,
            logs=platform.logs,
            alarm_topic_arn=platform.security.alarm_topic_arn,
            data_key_arn=value_if(
                any(entry.own_queue for entry in config.own_functions), platform.security.data_key_arn
            ),
            log_archive=platform.archive,
            **own,
        ),
    )


def nest_access(t: Template, config: Config, entry: Workload, platform: Platform) -> ServiceAccess:
    """Add the stack with the security group and the roles of one workload."""
    outputs = service_access.LAYER.nest(
        t,
        service_access.Inputs(
            prefix=platform.prefix,
            service_slug=v.ServiceSlug(entry.slug),
            container_port=v.Port(str(entry.port) if isinstance(entry, WebService) else ""),
            vpc_id=platform.network.vpc_id,
            alb_security_group_id=platform.security.alb_security_group_id,
            database_security_group_id=value_if(config.parts.database, platform.security.database_security_group_id),
            session_policy_arn=platform.application.session_policy_arn,
        ),
        instance=entry.name,
    )
    return outputs.access


def migrating_workloads(config: Config) -> dict[str, str]:
    """Return for each workload the one that migrates the database for its image, unless it is the workload itself."""
    owners = image_owners(config.workloads)
    migrating: dict[str, str] = {}
    for entry in config.workloads:
        if isinstance(entry, EcsService) and entry.migrate:
            migrating.setdefault(owners[entry.name], entry.name)
    found = {entry.name: migrating.get(owners[entry.name], "") for entry in config.workloads}
    return {name: other for name, other in found.items() if other and other != name}


def nest_workload(
    t: Template,
    entry: Workload,
    position: int,
    platform: Platform,
    own_templates: Mapping[str, Template],
    migrating: str,
) -> None:
    """Add the stack of one workload: its task, and its ECS service or schedule.

    It waits for the workload ``migrating``, if there is one, and is not created without it: its new version runs with
    the new schema.
    """
    p = platform.parameters
    included = f"Has{entry.name}Service"
    is_included: AWSHelperFn = Equals(Select(position, Ref("ServiceIsIncluded")), "true")
    if migrating:
        is_included = And(Condition(f"Has{migrating}Service"), is_included)
    t.add_condition(included, is_included)
    own: dict[str, StackValue] = {}
    own |= {parameter.name: platform.values[parameter.name] for parameter in entry.root_parameters}
    own |= {name: platform.stored[name] for name in service.stored_values(entry)}
    if isinstance(entry, Job):
        own["enabled"] = add_schedule_switch(t, entry)
    if isinstance(entry, InternalService):
        own["registry_arn"] = platform.registry_arns[discovery.registry_output(entry.name)]
        for caller in entry.called_by:
            group = platform.access[caller].service_security_group_id
            own[f"{caller}SecurityGroupId"] = v.CallerSecurityGroupId(group.data)
    layer = service.layer_of(entry)
    layer.nest(
        t,
        layer.inputs(
            prefix=platform.prefix,
            project=p.project,
            environment=p.environment,
            image=platform.images[entry.name],
            bastion_image=p.bastion_image,
            size=platform.sizes[entry.name],
            cpu_architecture=p.cpu_architecture,
            service_is_new=v.Flag(Select(position, Ref("ServiceIsNew"))),
            vpc_id=platform.network.vpc_id,
            app_subnets=platform.egress.routed_app_subnets,
            access=platform.access[entry.name],
            data_key_arn=platform.security.data_key_arn,
            cluster=platform.application.cluster,
            bastion_log_group_name=platform.application.bastion_log_group_name,
            alb_full_name=platform.application.alb_full_name,
            origin_listener_arn=platform.application.origin_listener_arn,
            origin_secrets=platform.security.origin_secrets,
            database=platform.database.connection,
            site_url=platform.distribution.site_url,
            domain_name=p.domain_name,
            alarm_topic_arn=platform.security.alarm_topic_arn,
            logs=platform.logs,
            log_archive=platform.archive,
            artifact_bucket=p.artifact_bucket,
            migration_code_key=platform.migration_code_key,
            **own,
        ),
        instance=entry.name,
        condition=included,
        own=OwnTemplate(Select(position, Ref("WorkloadTemplates")), own_templates[layer.file].parameters),
        after=f"{migrating}{layer.name}Stack" if migrating else "",
    )
