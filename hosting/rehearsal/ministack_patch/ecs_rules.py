"""Refuses requests of ECS that ECS refuses: task definitions, services and tasks, with the texts of ECS.

Every function returns the error as (code, text), or None. `install` puts the checks before MiniStack's operations, so
they hold for templates, for EventBridge Scheduler and for calls of the API.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ec2, ecs, servicediscovery

from hosting.rehearsal.ministack_patch.patching import set_attribute

Request = dict[str, Any]
Refusal = tuple[str, str] | None

INVALID = "InvalidParameterException"
CLIENT = "ClientException"
# Amazon ECS endpoints and quotas: containers for each task definition.
CONTAINERS = 10
LONGEST_DEFINITION = 65536
LONGEST_OVERRIDES = 8192
EPHEMERAL_STORAGE = range(21, 201)
# CPU units, and the memory in MiB that Fargate offers for them (Amazon ECS Developer Guide, Task size).
FARGATE_SIZES = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}


def install() -> None:
    """Put the checks before the operations of ECS."""
    for action, name, check in (
        ("RegisterTaskDefinition", "_register_task_definition", definition_refusal),
        ("CreateService", "_create_service", creation_refusal),
        ("UpdateService", "_update_service", update_refusal),
    ):
        checked = refuse_before(getattr(ecs, name), check)
        set_attribute(ecs, name, checked)
        ecs._ACTION_MAP[action] = checked


def refuse_before(operation: Callable[[Request], Any], check: Callable[[Request], Refusal]) -> Callable[[Request], Any]:
    def checked(request: Request) -> Any:
        refusal = check(request)
        return error_response_json(*refusal, 400) if refusal else operation(request)

    return checked


def first(refusals: Iterator[Refusal]) -> Refusal:
    return next((refusal for refusal in refusals if refusal), None)


# --- Task definitions ---------------------------------------------------------------------------------------


def definition_refusal(request: Request) -> Refusal:
    """Return why ECS refuses to register a task definition."""
    containers = request.get("containerDefinitions") or []
    fargate = "FARGATE" in (request.get("requiresCompatibilities") or [])
    return first(iter((
        length_refusal(request),
        size_refusal(request) if fargate else None,
        storage_refusal(request),
        *(volume_refusal(volume.get("efsVolumeConfiguration") or {}) for volume in request.get("volumes") or []),
        *(container_refusal(container, request, fargate=fargate) for container in containers),
        *dependency_refusals(containers),
    )))  # fmt: skip


def length_refusal(request: Request) -> Refusal:
    if len(request.get("containerDefinitions") or []) > CONTAINERS:
        return CLIENT, f"A task definition may have at most {CONTAINERS} container definitions."
    length = len(json.dumps(request, separators=(",", ":")).encode())
    if length > LONGEST_DEFINITION:
        return CLIENT, f"Actual length: '{length}'. Max allowed length is '{LONGEST_DEFINITION}' bytes."
    return None


def size_refusal(request: Request) -> Refusal:
    cpu, memory = str(request.get("cpu") or ""), str(request.get("memory") or "")
    if not cpu or not memory:
        missing = "cpu" if not cpu else "memory"
        return CLIENT, f"Fargate requires that '{missing}' be defined at the task level."
    if cpu.isdigit() and memory.isdigit() and int(memory) not in FARGATE_SIZES.get(int(cpu), ()):
        return CLIENT, f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory."
    return None


def storage_refusal(request: Request) -> Refusal:
    size = (request.get("ephemeralStorage") or {}).get("sizeInGiB")
    if size is None or int(size) in EPHEMERAL_STORAGE:
        return None
    bound = "at least 21" if int(size) < EPHEMERAL_STORAGE.start else "at most 200"
    return CLIENT, f"EphemeralStorage size should be {bound}"


def volume_refusal(settings: Request) -> Refusal:
    """Return why ECS refuses a volume on a file system (Amazon ECS API Reference, EFSVolumeConfiguration)."""
    authorization = settings.get("authorizationConfig") or {}
    point = authorization.get("accessPointId")
    if point and settings.get("rootDirectory", "/") != "/":
        return CLIENT, 'When using an EFS access point, the root directory must either be set to "/" or be omitted.'
    if settings.get("transitEncryption") != "ENABLED" and (point or authorization.get("iam") == "ENABLED"):
        return CLIENT, "Transit encryption must be enabled for an EFS access point or IAM authorization."
    return None


def container_refusal(container: Request, request: Request, *, fargate: bool) -> Refusal:
    """Return why ECS refuses ports or system controls of a container."""
    for mapping in container.get("portMappings") or []:
        host = mapping.get("hostPort")
        if request.get("networkMode") == "awsvpc" and host not in (None, 0, mapping.get("containerPort")):
            return CLIENT, "When networkMode=awsvpc, the host ports and container ports in port mappings must match."
    for control in container.get("systemControls") or []:
        if fargate and not str(control.get("namespace")).startswith("net."):
            # Amazon ECS API Reference, SystemControl: Fargate supports the namespace net only.
            return CLIENT, f"Fargate does not support the system control {control.get('namespace')}."
    return None


def dependency_refusals(containers: list[Request]) -> Iterator[Refusal]:
    """Yield what ECS refuses in dependsOn: unknown containers, essential ones that have to end, and cycles."""
    by_name = {container["name"]: container for container in containers if "name" in container}
    for container in containers:
        for needed in container.get("dependsOn") or []:
            name, condition = needed.get("containerName"), needed.get("condition")
            if name not in by_name:
                yield (
                    CLIENT,
                    f"Container {container['name']} depends on {name}, which the task definition does not have.",
                )
            elif condition in ("COMPLETE", "SUCCESS") and by_name[name].get("essential", True):
                text = "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container"
                yield CLIENT, text
            elif condition == "HEALTHY" and not by_name[name].get("healthCheck"):
                yield (
                    CLIENT,
                    f"Container {container['name']} waits for the health of {name}, which has no health check.",
                )
    yield cycle_refusal(by_name)


def cycle_refusal(containers: dict[str, Request]) -> Refusal:
    waiting = {
        name: {needed.get("containerName") for needed in container.get("dependsOn") or []}
        for name, container in containers.items()
    }
    while free := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in free:
            del waiting[name]
    return (CLIENT, f"The containers {', '.join(sorted(waiting))} depend on each other.") if waiting else None


# --- Services -----------------------------------------------------------------------------------------------


def creation_refusal(request: Request) -> Refusal:
    # The default of a new service is ENABLED; the default of an update is the present value.
    return service_refusal({"availabilityZoneRebalancing": "ENABLED", **request})


def update_refusal(request: Request) -> Refusal:
    cluster = str(request.get("cluster", "default")).rpartition("/")[2]
    service = ecs._services.get(f"{cluster}/{str(request.get('service', '')).rpartition('/')[2]}")
    if service is None:
        return None
    # A service has the launch type or the strategy that it was created with.
    kept = {name: value for name, value in service.items() if name not in ("launchType", "capacityProviderStrategy")}
    return service_refusal({**kept, **request, "cluster": cluster})


def service_refusal(request: Request) -> Refusal:
    configuration = request.get("deploymentConfiguration") or {}
    if request.get("availabilityZoneRebalancing") == "ENABLED" and int(configuration.get("maximumPercent", 200)) <= 100:
        return INVALID, "AvailabilityZoneRebalancing does not support maximumPercent <= 100"
    if request.get("capacityProviderStrategy") and request.get("launchType"):
        return INVALID, ecs._BOTH_LAUNCH_CHOICES
    return first(iter((capacity_refusal(request), network_refusal(request), *registry_refusals(request))))


def capacity_refusal(request: Request) -> Refusal:
    """Refuse a capacity provider that the cluster does not have, and a Fargate task without Fargate capacity."""
    cluster = ecs._clusters.get(str(request.get("cluster", "default")).rpartition("/")[2]) or {}
    strategy = request.get("capacityProviderStrategy") or []
    associated = cluster.get("capacityProviders") or []
    if any(item["capacityProvider"] not in associated for item in strategy):
        return INVALID, (
            "The specified capacity provider strategy cannot contain a capacity provider that is not associated with "
            "the cluster. Associate the capacity provider with the cluster and try again."
        )
    return None


def network_refusal(request: Request) -> Refusal:
    """Refuse a missing network configuration, and one with subnets or security groups that do not exist."""
    definition = ecs._task_defs.get(ecs._resolve_td_key(request.get("taskDefinition", ""))) or {}
    network = (request.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    if definition.get("networkMode") == "awsvpc" and not network.get("subnets"):
        return INVALID, "Network Configuration must be provided when networkMode 'awsvpc' is specified."
    for subnet in network.get("subnets") or []:
        if subnet not in ec2._subnets:
            text = f"The subnet ID '{subnet}' does not exist (ErrorCode: InvalidSubnetID.NotFound)"
            return INVALID, f"Error retrieving subnet information for [{', '.join(network['subnets'])}]: {text}"
    for group in network.get("securityGroups") or []:
        if group not in ec2._security_groups:
            text = f"The security group '{group}' does not exist (ErrorCode: InvalidGroup.NotFound)"
            groups = ", ".join(network["securityGroups"])
            return INVALID, f"Error retrieving security group information for [{groups}]: {text}"
    return None


def registry_refusals(request: Request) -> Iterator[Refusal]:
    for registry in request.get("serviceRegistries") or []:
        arn = str(registry.get("registryArn", ""))
        service = servicediscovery._services.get(arn.rpartition("/")[2])
        if service is None or service["Arn"] != arn:
            yield INVALID, f"The service registry {arn} does not exist."


# --- Tasks --------------------------------------------------------------------------------------------------


def task_refusal(request: Request) -> Refusal:
    """Return why ECS refuses to run a task that no service started."""
    cluster = str(request.get("cluster", "default")).rpartition("/")[2]
    if cluster not in ecs._clusters:
        return "ClusterNotFoundException", "Cluster not found."
    definition = ecs._task_defs.get(ecs._resolve_td_key(request.get("taskDefinition", "")))
    if definition is None:
        return None  # MiniStack refuses it
    if definition["status"] != "ACTIVE":
        return CLIENT, "TaskDefinition is inactive"
    return first(iter((
        capacity_refusal(request),
        instance_refusal(request, definition, ecs._clusters[cluster]),
        network_refusal(request),
        override_refusal(request, definition),
    )))  # fmt: skip


def instance_refusal(request: Request, definition: Request, cluster: Request) -> Refusal:
    strategy = request.get("capacityProviderStrategy") or cluster.get("defaultCapacityProviderStrategy")
    if "FARGATE" in (definition.get("requiresCompatibilities") or []) and not (request.get("launchType") or strategy):
        # Without launch type and strategy the launch type is EC2 (Amazon ECS API Reference, RunTask).
        return INVALID, "No Container Instances were found in your cluster."
    return None


def override_refusal(request: Request, definition: Request) -> Refusal:
    """Return why ECS refuses the overrides of a task."""
    overrides = (request.get("overrides") or {}).get("containerOverrides") or []
    names = {container["name"] for container in definition["containerDefinitions"]}
    for override in overrides:
        if override.get("name") not in names:
            text = f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
            return INVALID, text
    if len(json.dumps(request.get("overrides") or {}, separators=(",", ":"))) > LONGEST_OVERRIDES:
        return INVALID, f"Container Overrides length must be at most {LONGEST_OVERRIDES}"
    return None
