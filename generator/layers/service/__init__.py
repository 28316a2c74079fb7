"""Service: one workload of the platform: task with app and bastion, load balancing, scaling and alarms.

Each workload has a template of its own, because lists such as its variables cannot be parameters. The layer
``service_access`` contains the security group and the roles. This layer adds the permissions for its own log groups.
"""

from functools import partial

from troposphere import Equals, Sub, Template

from generator import value_types as v
from generator.layers.service.alarms import add_alarms
from generator.layers.service.ecs_service import add_scaling, ecs_service
from generator.layers.service.interface import Config, Inputs, Outputs, inputs_of
from generator.layers.service.load_balancing import add_listener_rules, target_group
from generator.layers.service.permissions import execution_grants
from generator.layers.service.task import APP_MEMORY, app_memory, task_definition
from generator.resources.logs import add_archive_filter, log_group
from generator.wiring import Layer
from generator.workloads import WebService, Workload

__all__ = ["Config", "Inputs", "Outputs", "layer_of"]


def build(entry: Workload, t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the task definition, the ECS service with its target group and rules, scaling and alarms.

    Raises TypeError for a kind that is not known.
    """
    if not isinstance(entry, WebService):
        raise TypeError(f"{entry.name} is a {entry.kind}")
    # Rules accept root and a writable root file system only if the project declares them.
    t.set_metadata({"Container": {"User": entry.user, "ReadOnly": entry.read_only}})
    t.add_condition("IsNew", Equals(inputs.service_is_new, "true"))
    t.add_mapping(APP_MEMORY, app_memory())
    logs = t.add_resource(log_group("AppLogGroup", Sub(f"/${{Prefix}}/{entry.slug}/app"), inputs.logs))
    add_archive_filter(t, "App", logs, inputs.log_archive)
    grants = t.add_resource(execution_grants(entry, inputs, logs))
    task = t.add_resource(task_definition(entry, inputs, logs))
    target = t.add_resource(target_group(config, entry, inputs))
    rules = add_listener_rules(t, entry, inputs, target)
    service = t.add_resource(ecs_service(entry, inputs, task, target, [*rules, grants]))
    add_scaling(t, config, entry, inputs, service)
    add_alarms(t, config, entry, inputs, service, target)
    return Outputs(service_name=v.ServiceName(service.get_att("Name")))


def layer_of(entry: Workload) -> Layer[Config, Inputs, Outputs]:
    """Return the layer of one workload."""
    return Layer(
        "Service",
        f"Service {entry.name}: task with app and bastion, load balancing, scaling, alarms.",
        inputs_of(entry),
        Outputs,
        partial(build, entry),
        template=f"workload-{entry.slug}.json",
    )
