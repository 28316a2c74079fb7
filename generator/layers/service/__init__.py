"""Service: one service of the platform: task with app and bastion, target group, listener rule, scaling and alarms.

Root nests this template once per service. The layer ``service_access`` contains the security group and the roles. This
layer adds the permissions for its own log groups.
"""

from troposphere import Equals, Not, Sub, Template

from generator import value_types as v
from generator.layers.service.alarms import add_alarms
from generator.layers.service.ecs_service import add_scaling, ecs_service
from generator.layers.service.interface import Config, Inputs, Outputs
from generator.layers.service.load_balancing import listener_rule, target_group
from generator.layers.service.permissions import execution_grants
from generator.layers.service.task import APP_MEMORY, app_memory, task_definition, writable_paths
from generator.resources.logs import add_archive_filter, log_group
from generator.wiring import Layer

__all__ = ["LAYER", "Config", "Inputs", "Outputs", "build"]


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the task definition, the ECS service with its target group and rule, scaling and alarms."""
    t.add_condition("IsNew", Equals(inputs.service_is_new, "true"))
    for number, path in enumerate(writable_paths(inputs), start=1):
        t.add_condition(f"HasWritablePath{number}", Not(Equals(path, "")))
    t.add_mapping(APP_MEMORY, app_memory())
    logs = t.add_resource(log_group("AppLogGroup", Sub("/${Prefix}/${ServiceSlug}/app"), inputs.logs))
    add_archive_filter(t, "App", logs, inputs.log_archive)
    grants = t.add_resource(execution_grants(inputs, logs))
    task = t.add_resource(task_definition(config, inputs, logs))
    target = t.add_resource(target_group(config, inputs))
    rule = t.add_resource(listener_rule(inputs, target))
    service = t.add_resource(ecs_service(config, inputs, task, target, [rule, grants]))
    add_scaling(t, config, inputs, service)
    add_alarms(t, config, inputs, service, target)
    return Outputs(service_name=v.ServiceName(service.get_att("Name")))


LAYER = Layer("Service", "Service: task with app and bastion, load balancing, scaling, alarms.", Inputs, Outputs, build)
