"""ECS types through the service's own operations, with every property the API knows, in the API's types."""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from datetime import datetime
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ec2, ecs

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

_run_task = ecs._run_task

# Properties of a request that MiniStack's CreateService does not store.
KEPT = (
    "availabilityZoneRebalancing",
    "placementConstraints",
    "placementStrategy",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)


def install() -> None:
    """Register the types of ECS, and replace RunTask and the conversion of times."""
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
    set_attribute(ecs, "_run_task", run_task)
    ecs._ACTION_MAP["RunTask"] = run_task


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
    """Register a task definition. Raise ValueError for a Fargate task without size."""
    request = shapes.request("ecs", "RegisterTaskDefinition", properties)
    request.setdefault("family", physical_name(stack_name, logical_id, 255))
    compatible = "FARGATE" in request.get("requiresCompatibilities", [])
    if compatible and not (request.get("cpu") and request.get("memory")):
        raise ValueError("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
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
    refuse_failing_images(request)
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


def refuse_failing_images(request: dict[str, Any]) -> None:
    """Raise ValueError if a task of the service ends at once, as the deployment circuit breaker reports it."""
    from hosting.rehearsal.ministack_patch.seeding import failing_images

    definition = ecs._task_defs.get(ecs._resolve_td_key(request.get("taskDefinition", ""))) or {}
    for container in definition.get("containerDefinitions", []):
        if container.get("image", "").partition("@")[2] in failing_images:
            raise ValueError(
                "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker "
                "was triggered'.\" (HandlerErrorCode: GeneralServiceException)"
            )


def used_by_rule(target_group: str) -> bool:
    from ministack.services import alb

    return any(
        target_group == action.get("TargetGroupArn") for rule in alb._rules.values() for action in rule["Actions"]
    )


def keep(request: dict[str, Any]) -> None:
    service = ecs._services[f"{request['cluster']}/{request['serviceName']}"]
    service |= {name: request[name] for name in KEPT if name in request}


def identity(arn: str) -> Provisioned:
    return arn, {"ServiceArn": arn, "Name": arn.rpartition("/")[2]}


def update_service(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    """Update the changed properties of a service, and its tags."""
    changed = {name: value for name, value in new.items() if value != old.get(name) and name != "Tags"}
    request = shapes.request("ecs", "UpdateService", changed)
    request |= {"cluster": cluster_name(new), "service": physical_id.rpartition("/")[2]}
    refuse_missing_target_groups(request)
    refuse_failing_images(request)
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


def run_task(data: dict[str, Any]) -> Any:
    """Give tasks in awsvpc mode the network interface that AWS gives them, spread over the subnets.

    Without a container MiniStack has no address for a task, and without an address no target is registered.
    """
    # Amazon ECS API Reference, RunTask: the service refuses other characters, MiniStack accepts them.
    if not re.fullmatch(r"[A-Za-z0-9/_-]{0,128}", data.get("startedBy") or ""):
        return error_response_json("InvalidParameterException", "startedBy has characters that are not allowed", 400)
    reply = _run_task(data)
    if reply[0] >= 400:
        return reply
    subnets = ((data.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}).get("subnets") or []
    for index, listed in enumerate(json.loads(reply[2])["tasks"]):
        task = ecs._tasks[listed["taskArn"]]
        if task["_network_mode"] != "awsvpc" or task["attachments"] or not subnets:
            continue
        subnet = ec2._subnets.get(subnets[index % len(subnets)])
        if subnet is None:
            continue
        task["availabilityZone"] = subnet["AvailabilityZone"]
        task["attachments"] = [network_interface(subnet, listed["taskArn"])]
    return reply


def network_interface(subnet: dict[str, Any], task: str) -> dict[str, Any]:
    """Return the attachment of a task's network interface, with a stable address of its subnet."""
    number = uuid.uuid5(uuid.NAMESPACE_URL, task).int
    network = ipaddress.ip_network(subnet["CidrBlock"])
    # AWS reserves the first four addresses of a subnet and its last one.
    address = network[4 + number % (network.num_addresses - 5)]
    details = {
        "subnetId": subnet["SubnetId"],
        "networkInterfaceId": f"eni-{number:032x}"[:21],
        "privateIPv4Address": str(address),
    }
    return {
        "id": str(uuid.UUID(int=number)),
        "type": "ElasticNetworkInterface",
        "status": "ATTACHED",
        "details": [{"name": name, "value": value} for name, value in details.items()],
    }
