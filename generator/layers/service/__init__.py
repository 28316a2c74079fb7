"""Service: one workload of the platform: task with app and bastion, and what runs it.

Each workload has a template of its own, because lists such as its variables cannot be parameters. The layer
``service_access`` contains the security group and the roles. This layer adds the permissions for its own log groups.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from troposphere import Equals, Not, Sub, Template
from troposphere.cloudwatch import Alarm
from troposphere.ecs import LoadBalancer, ServiceRegistry, TaskDefinition
from troposphere.elasticloadbalancingv2 import TargetGroup

from generator import value_types as v
from generator.layers.service.alarms import add_service_alarms, add_target_alarms
from generator.layers.service.calls import add_call_rules
from generator.layers.service.ecs_service import add_scaling, ecs_service
from generator.layers.service.egress_rules import add_egress_rules
from generator.layers.service.interface import (
    Config,
    Inputs,
    JobOutputs,
    Outputs,
    inputs_of,
    registry_arn,
    stored_values,
)
from generator.layers.service.load_balancing import add_listener_rules, target_group
from generator.layers.service.migration import add_migration
from generator.layers.service.mounts import add_mount_rules
from generator.layers.service.permissions import execution_grants, task_grants
from generator.layers.service.schedule import add_schedule
from generator.layers.service.task import APP, APP_MEMORY, app_memory, task_definition
from generator.resources.logs import add_archive_filter, log_group
from generator.wiring import Layer
from generator.workloads import EcsService, InternalService, Job, WebService, Workload

__all__ = ["Config", "Inputs", "JobOutputs", "Outputs", "layer_of", "stored_values"]


def build(entry: Workload, t: Template, config: Config, inputs: Inputs) -> Outputs | JobOutputs:
    """Add the task definition, and the ECS service or the schedule that runs it.

    Raises TypeError for a kind that is not known.
    """
    # Rules accept root, a writable root file system and a single task only if the project declares them.
    declared: dict[str, Any] = {"Container": {"User": entry.user, "ReadOnly": entry.read_only}}
    if isinstance(entry, EcsService) and entry.one_task:
        declared["OneTask"] = True
    t.set_metadata(declared)
    t.add_mapping(APP_MEMORY, app_memory())
    logs = t.add_resource(log_group("AppLogGroup", Sub(f"/${{Prefix}}/{entry.slug}/app"), inputs.logs))
    if config.parts.archive:
        add_archive_filter(t, "App", logs, inputs.log_archive)
    grants = t.add_resource(execution_grants(entry, inputs, logs))
    task = t.add_resource(task_definition(config, entry, inputs, logs))
    prerequisites: list[Any] = [grants, *add_egress_rules(t, entry, inputs), *add_mount_rules(t, entry, inputs)]
    if entry.uses:
        prerequisites.append(t.add_resource(task_grants(entry, inputs)))
    if isinstance(entry, EcsService) and entry.migrate:
        # troposphere takes the name of a custom resource, not the resource.
        prerequisites.append(add_migration(t, config, entry, inputs, task, logs, prerequisites).title)
    match entry:
        case Job():
            schedule = add_schedule(t, entry, inputs, task, prerequisites)
            return JobOutputs(schedule_name=v.ScheduleName(schedule.ref()))
        case WebService():
            return add_web_service(t, config, entry, inputs, task, prerequisites)
        case InternalService():
            add_call_rules(t, entry, inputs)
            registries = [ServiceRegistry(RegistryArn=registry_arn(inputs))]
            return add_service(t, entry, inputs, task, prerequisites, ServiceRegistries=registries)
        case EcsService():
            return add_service(t, entry, inputs, task, prerequisites)
    raise TypeError(f"{entry.name} is a {entry.kind}")


def add_web_service(
    t: Template, config: Config, entry: WebService, inputs: Inputs, task: TaskDefinition, prerequisites: list[Any]
) -> Outputs:
    """Add a service behind the load balancer: target group, rules, ECS service, scaling and alarms."""
    if entry.host:
        t.add_condition("HasDomain", Not(Equals(inputs.domain_name, "")))
    target = t.add_resource(target_group(config, entry, inputs))
    rules = add_listener_rules(t, entry, inputs, target)
    return add_service(
        t,
        entry,
        inputs,
        task,
        [*rules, *prerequisites],
        target,
        add_target_alarms(t, entry, inputs, target),
        HealthCheckGracePeriodSeconds=entry.health_check.grace_seconds,
        LoadBalancers=[LoadBalancer(ContainerName=APP, ContainerPort=entry.port, TargetGroupArn=target.ref())],
    )


def add_service(
    t: Template,
    entry: EcsService,
    inputs: Inputs,
    task: TaskDefinition,
    prerequisites: list[Any],
    target: TargetGroup | None = None,
    deployment_alarms: Sequence[Alarm] = (),
    **attributes: Any,
) -> Outputs:
    """Add the ECS service with its scaling and alarms. A web service has a target group and deployment alarms."""
    if not entry.one_task:
        t.add_condition("IsNew", Equals(inputs.service_is_new, "true"))
    service = t.add_resource(ecs_service(entry, inputs, task, prerequisites, deployment_alarms, **attributes))
    if not entry.one_task:
        add_scaling(t, entry, inputs, service, target)
    add_service_alarms(t, entry, inputs, service)
    return Outputs(service_name=v.ServiceName(service.get_att("Name")))


def layer_of(entry: Workload) -> Layer[Config, Inputs, Any]:
    """Return the layer of one workload."""
    return Layer(
        "Service",
        f"Workload {entry.name}: {entry.kind} with app and bastion.",
        inputs_of(entry),
        JobOutputs if isinstance(entry, Job) else Outputs,
        partial(build, entry),
        template=f"workload-{entry.slug}.json",
    )
