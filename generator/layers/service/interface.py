"""Configuration, inputs and outputs of the layer ``service``."""

from typing import Annotated, Any

from generator import value_types as v
from generator.interfaces import (
    DatabaseConnection,
    EcsCluster,
    LogArchive,
    OriginSecrets,
    RoutedAppSubnets,
    ServiceAccess,
    ServiceSize,
    store_values,
)
from generator.platform_parts import COMPLETE, Parts
from generator.resources.lambda_functions import FunctionInputs, Size
from generator.wiring import FrozenConfig, StackInterface, StackValue
from generator.workloads import InternalService, Job, OwnSchema, RootParameter, StoredSecret, Workload
from generator.workloads.stores import access_point_output


class Config(FrozenConfig):
    """Times in seconds, targets in percent and counts for all workloads, the same in every environment."""

    # ECS deregisters a task from the target group before it stops it. The default of 300 makes deployments slow.
    deregistration_seconds: int = 30
    # Checks in a row after which the load balancer changes the state of a task.
    healthy_checks: int = 2
    unhealthy_checks: int = 3
    # A migration may take longer: then the function invokes itself again.
    migration: Size = Size(memory=256, timeout=900)
    parts: Parts = COMPLETE


class Inputs(FunctionInputs):
    """Values that a workload may need. Its template has a parameter for each value that it uses."""

    project: v.ProjectName
    environment: v.EnvironmentName
    image: v.AppImageUri
    bastion_image: v.BastionImageUri
    size: ServiceSize
    cpu_architecture: v.Architecture
    service_is_new: Annotated[
        v.Flag, "true if the service does not exist yet, so that this deployment sets its desired count."
    ]
    vpc_id: v.VpcId
    app_subnets: RoutedAppSubnets
    access: ServiceAccess
    data_key_arn: v.DataKeyArn
    cluster: EcsCluster
    bastion_log_group_name: v.BastionLogGroupName
    alb_full_name: v.AlbFullName
    origin_listener_arn: v.OriginListenerArn
    origin_secrets: OriginSecrets
    database: DatabaseConnection
    site_url: v.SiteUrl
    domain_name: v.DomainName
    alarm_topic_arn: v.AlarmTopicArn
    log_archive: LogArchive
    migration_code_key: v.MigrationCodeKey


class Outputs(StackInterface):
    """Outputs of the nested stack of a service."""

    service_name: v.ServiceName


class JobOutputs(StackInterface):
    """Outputs of the nested stack of a job."""

    schedule_name: v.ScheduleName


def inputs_of(entry: Workload) -> type[Inputs]:
    """Return the inputs of one workload: those of every workload, and the values and secrets that it declares."""
    own: dict[str, type[StackValue]] = {one.name: v.EnvironmentValue for one in entry.root_parameters}
    own |= {f"{caller}SecurityGroupId": v.CallerSecurityGroupId for caller in callers_of(entry)}
    if isinstance(entry, InternalService):
        own["registry_arn"] = v.RegistryArn
    if isinstance(entry, Job):
        own["enabled"] = v.Flag
    own |= stored_values(entry)
    return type(f"{entry.name}Inputs", (Inputs,), {"__annotations__": own, "__module__": __name__})


def stored_values(entry: Workload) -> dict[str, type[StackValue]]:
    """Return the types of the values of the layer ``stores`` that a workload may need, by name."""
    types: dict[str, type[StackValue]] = {secret.arn_output: v.AppSecretArn for secret in entry.stored_secrets}
    if entry.schema:
        types[OwnSchema(entry.schema).arn_output] = v.DatabaseUserSecretArn
    for use in entry.uses:
        types |= store_values(use.of.values, use.logical_id)
    return types | {access_point_output(entry.name, use.store): v.StoreAddress for use in entry.mounts}


def store_value(inputs: Inputs, name: str) -> Any:
    """Return a value of a store, such as ``UploadsBucketName``."""
    return getattr(inputs, name)


def is_enabled(inputs: Inputs) -> v.Flag:
    """Return whether the environment runs the job."""
    value: v.Flag = getattr(inputs, "enabled")  # noqa: B009 -- only jobs have this input
    return value


def registry_arn(inputs: Inputs) -> v.RegistryArn:
    """Return the Cloud Map service of an internal service."""
    value: v.RegistryArn = getattr(inputs, "registry_arn")  # noqa: B009 -- only internal services have this input
    return value


def callers_of(entry: Workload) -> tuple[str, ...]:
    """Return the workloads that call an internal service; empty for other kinds."""
    return entry.called_by if isinstance(entry, InternalService) else ()


def caller_group(inputs: Inputs, caller: str) -> v.CallerSecurityGroupId:
    """Return the security group of a workload that calls an internal service."""
    value: v.CallerSecurityGroupId = getattr(inputs, f"{caller}SecurityGroupId")
    return value


def environment_value(inputs: Inputs, parameter: RootParameter) -> v.EnvironmentValue:
    """Return a value that the environment sets."""
    value: v.EnvironmentValue = getattr(inputs, parameter.name)
    return value


def stored_secret_arn(inputs: Inputs, secret: StoredSecret) -> v.AppSecretArn:
    """Return the ARN of a generated or supplied secret."""
    value: v.AppSecretArn = getattr(inputs, secret.arn_output)
    return value
