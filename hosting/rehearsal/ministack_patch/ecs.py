"""ECS types through the service's own operations, with every property the API knows, in the API's types."""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

from datetime import datetime
from typing import Any

from ministack.services import cloudwatch, ecs

from hosting.rehearsal.ministack_patch import shapes
from hosting.rehearsal.ministack_patch.patching import set_attribute
from hosting.rehearsal.ministack_patch.registry import (
    REPLACES,
    Properties,
    Provisioned,
    checked,
    physical_name,
    register,
    wrap,
)
from hosting.rehearsal.ministack_patch.seeding import alarming_images, failing_images
from hosting.rehearsal.ministack_patch.tasks import network_of, start_failure

# Properties of a request that MiniStack's CreateService does not store.
KEPT = (
    "availabilityZoneRebalancing",
    "placementConstraints",
    "placementStrategy",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)


def install() -> None:
    """Register the types of ECS, and replace the conversion of times."""
    register(
        "AWS::ECS::TaskDefinition",
        create=create_task_definition,
        update=update_task_definition,
        delete=delete_task_definition,
        replaces=REPLACES["AWS::ECS::TaskDefinition"],
    )
    register(
        "AWS::ECS::Service",
        create=create_service,
        update=update_service,
        delete=delete_service,
        replaces=REPLACES["AWS::ECS::Service"],
    )
    register(
        "AWS::ECS::ClusterCapacityProviderAssociations",
        create=associate,
        update=reassociate,
        delete=dissociate,
        replaces=("Cluster",),
    )
    wrap("AWS::ECS::Cluster", before=cluster_properties)
    set_attribute(ecs, "_ts_to_epoch", convert_time)


def cluster_properties(properties: Properties) -> Properties:
    """Convert base and weight of the capacity provider strategy from strings to numbers."""
    strategy = properties.get("DefaultCapacityProviderStrategy")
    if not strategy:
        return properties
    typed = [
        {name: int(value) if name in ("Base", "Weight") else value for name, value in item.items()} for item in strategy
    ]
    return {**properties, "DefaultCapacityProviderStrategy": typed}


def create_task_definition(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Register a task definition with all its properties."""
    request = shapes.request("ecs", "RegisterTaskDefinition", properties)
    request.setdefault("family", physical_name(stack_name, logical_id, 255))
    definition = checked(ecs._register_task_definition(request), "RegisterTaskDefinition")["taskDefinition"]
    arn = definition["taskDefinitionArn"]
    stored = ecs._task_defs[arn.rpartition("/")[2]]
    stored |= {name: value for name, value in request.items() if name not in stored and name != "tags"}
    return arn, {"TaskDefinitionArn": arn}


def update_task_definition(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    """Update the tags. Every other property registers a new revision, which replaces the resource."""
    tags = shapes.request("ecs", "TagResource", {"Tags": new.get("Tags") or []})["tags"]
    ecs._tags[physical_id] = tags
    return physical_id, {"TaskDefinitionArn": physical_id}


def delete_task_definition(physical_id: str, properties: Properties) -> None:
    ecs._deregister_task_definition({"taskDefinition": physical_id})


def cluster_name(properties: Properties) -> str:
    cluster = str(properties.get("Cluster", "default")).rpartition("/")[2]
    if cluster not in ecs._clusters:
        raise ValueError(f"Cluster not found: {cluster}")
    return cluster


def create_service(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    request = shapes.request("ecs", "CreateService", properties)
    request["cluster"] = cluster_name(properties)
    request.setdefault("serviceName", physical_name(stack_name, logical_id, 255))
    refuse_missing_target_groups(request)
    refuse_failing_tasks(request.get("taskDefinition", ""), request.get("desiredCount", 1), request)
    service = checked(ecs._create_service(request), "CreateService")["service"]
    keep(request)
    return identity(service["serviceArn"])


def refuse_missing_target_groups(request: dict[str, Any]) -> None:
    """Raise ValueError if a target group is missing or is not associated with a load balancer."""
    from ministack.services import alb

    for balancer in request.get("loadBalancers", []):
        arn = balancer.get("targetGroupArn", "")
        group = alb._tgs.get(arn)
        if group is None:
            raise ValueError(f"The target group with targetGroupArn {arn} does not exist.")
        if not group.get("LoadBalancerArns") and not used_by_rule(arn):
            raise ValueError(f"The target group with targetGroupArn {arn} does not have an associated load balancer.")


def refuse_failing_tasks(definition: str, desired_count: int, service: dict[str, Any]) -> None:
    """Raise ValueError if a task of the service ends at once, as the deployment circuit breaker reports it."""
    found = ecs._task_defs.get(ecs._resolve_td_key(definition)) or {}
    images = {container.get("image", "").partition("@")[2] for container in found.get("containerDefinitions", [])}
    if desired_count and found and (images & failing_images or start_failure(found, network_of(service))):
        raise ValueError(
            "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker "
            "was triggered'.\" (HandlerErrorCode: GeneralServiceException)"
        )


def watch_deployment(service: dict[str, Any], definition: str, configuration: dict[str, Any]) -> None:
    """Raise ValueError if an alarm of the service changes to ALARM during the deployment of a task definition.

    ECS ignores names without an alarm, and alarms that are in ALARM when the deployment starts. It watches updates
    only: a first deployment has no version to return to.
    """
    alarms = configuration.get("alarms") or {}
    if not alarms.get("enable") or definition == service["taskDefinition"]:
        return
    watched = [name for name in alarms["alarmNames"] if alarm_state(name) not in ("ALARM", "")]
    found = ecs._task_defs.get(ecs._resolve_td_key(definition)) or {}
    images = {container.get("image", "").partition("@")[2] for container in found.get("containerDefinitions", [])}
    raised = {alarm for digest, alarm in alarming_images.items() if digest in images}
    for name in alarms["alarmNames"]:
        if name in set(alarming_images.values()) and alarm_state(name):
            state = "ALARM" if name in raised else "OK"
            request = {"AlarmName": name, "StateValue": state, "StateReason": f"an image of {definition} is deployed"}
            cloudwatch._set_alarm_state({}, request, False, True)
    triggered = [name for name in watched if alarm_state(name) == "ALARM"]
    if triggered and alarms.get("rollback"):
        raise ValueError(
            f"The deployment failed: alarm detected: {', '.join(triggered)}. ECS rolled back to "
            f"{service['taskDefinition']}."
        )


def alarm_state(name: str) -> str:
    """Return the state of an alarm, or an empty string if it does not exist."""
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}
    return str(alarm.get("StateValue", ""))


def used_by_rule(target_group: str) -> bool:
    from ministack.services import alb

    return any(
        target_group == action.get("TargetGroupArn") for rule in alb._rules.values() for action in rule["Actions"]
    )


def keep(request: dict[str, Any]) -> None:
    service = ecs._services[f"{request['cluster']}/{request['serviceName']}"]
    service |= {name: request[name] for name in KEPT if name in request}
    ecs._sync_service_targets(request["cluster"], service)


def identity(arn: str) -> Provisioned:
    return arn, {"ServiceArn": arn, "Name": arn.rpartition("/")[2]}


def update_service(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    """Update the changed properties of a service, and its tags."""
    changed = {name: value for name, value in new.items() if value != old.get(name) and name != "Tags"}
    request = shapes.request("ecs", "UpdateService", changed)
    request |= {"cluster": cluster_name(new), "service": physical_id.rpartition("/")[2]}
    refuse_missing_target_groups(request)
    service = ecs._services[f"{request['cluster']}/{request['service']}"]
    if "taskDefinition" in request:
        desired = request.get("desiredCount", service["desiredCount"])
        refuse_failing_tasks(request["taskDefinition"], desired, service | request)
        configuration = request.get("deploymentConfiguration", service["deploymentConfiguration"])
        watch_deployment(service, request["taskDefinition"], configuration)
    checked(ecs._update_service(request), "UpdateService")
    keep(request | {"serviceName": request["service"]})
    tags = shapes.request("ecs", "TagResource", {"Tags": new.get("Tags") or []})["tags"]
    ecs._tags[physical_id] = tags
    return identity(physical_id)


def delete_service(physical_id: str, properties: Properties) -> None:
    cluster, _, name = physical_id.partition(":service/")[2].rpartition("/")
    ecs._delete_service({"cluster": cluster, "service": name, "force": True})


def associate(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = cluster_name(properties)
    request = shapes.request("ecs", "PutClusterCapacityProviders", properties)
    ecs._clusters[name] |= {
        "capacityProviders": request.get("capacityProviders", []),
        "defaultCapacityProviderStrategy": request.get("defaultCapacityProviderStrategy", []),
    }
    return name, {}


def reassociate(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    return associate(logical_id, new, stack_name)


def dissociate(physical_id: str, properties: Properties) -> None:
    if physical_id in ecs._clusters:
        ecs._clusters[physical_id] |= {"capacityProviders": [], "defaultCapacityProviderStrategy": []}


def convert_time(value: Any) -> Any:
    """Return an ISO time in seconds with fractions, as ECS does. MiniStack cuts the fractions."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return value
