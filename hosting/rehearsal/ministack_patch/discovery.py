"""Registers the tasks of ECS services in AWS Cloud Map, with the DNS records that Cloud Map keeps for them."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ec2, ecs, route53, servicediscovery

from hosting.rehearsal.ministack_patch.patching import set_attribute
from hosting.rehearsal.ministack_patch.registry import Properties, wrap

Service = dict[str, Any]

NAMESPACE = "AWS::ServiceDiscovery::PrivateDnsNamespace"
SERVICE = "AWS::ServiceDiscovery::Service"

_sync_service_targets = ecs._sync_service_targets
_create_service = servicediscovery._create_service
_delete_service = servicediscovery._delete_service


def install() -> None:
    """Follow the running tasks of services, and refuse what Cloud Map refuses."""
    set_attribute(ecs, "_sync_service_targets", sync_service)
    set_attribute(servicediscovery, "_create_service", create_service)
    set_attribute(servicediscovery, "_delete_service", delete_service)
    wrap(NAMESPACE, before=check_network)
    wrap(SERVICE, before=typed)


def check_network(properties: Properties) -> Properties:
    """Raise ValueError if the VPC of a private namespace does not exist."""
    if properties.get("Vpc") not in ec2._vpcs:
        raise ValueError(f"The VPC {properties.get('Vpc')} does not exist.")
    return properties


def typed(properties: Properties) -> Properties:
    """Convert the TTL of records from a string to a number."""
    config = properties.get("DnsConfig")
    if not config:
        return properties
    records = [{**record, "TTL": int(record["TTL"])} for record in config.get("DnsRecords") or []]
    return {**properties, "DnsConfig": {**config, "DnsRecords": records}}


def create_service(data: dict[str, Any]) -> Any:
    taken = ((one["NamespaceId"], one["Name"]) for one in servicediscovery._services.values())
    if (data.get("NamespaceId"), data.get("Name")) in taken:
        return error_response_json("ServiceAlreadyExists", "Service already exists.", 400)
    return _create_service(data)


def delete_service(data: dict[str, Any]) -> Any:
    if servicediscovery._instances.get(data.get("Id")):
        return error_response_json(
            "ResourceInUse",
            "Service contains registered instances; delete the instances before deleting the service",
            400,
        )
    return _delete_service(data)


def sync_service(cluster: str, service: Service) -> None:
    """Register the running tasks of an ECS service in its target groups and in its service registries."""
    _sync_service_targets(cluster, service)
    for registry in service.get("serviceRegistries") or []:
        found = servicediscovery._services.get(registry["registryArn"].rpartition("/")[2])
        if found is not None:
            sync_registry(found, cluster, service)


def sync_registry(registry: Service, cluster: str, service: Service) -> None:
    """Register the running tasks of an ECS service as instances, and deregister its other ones."""
    wanted = {
        task["taskArn"].rpartition("/")[2]: attributes(task, cluster, service)
        for task in ecs._tasks.values()
        if task.get("group") == f"service:{service['serviceName']}"
        and task.get("clusterArn") == service["clusterArn"]
        and task.get("lastStatus") == "RUNNING"
        and ecs._task_ip(task)
    }
    present = {
        identifier
        for identifier, instance in (servicediscovery._instances.get(registry["Id"]) or {}).items()
        if instance["Attributes"].get("ECS_SERVICE_NAME") == service["serviceName"]
    }
    for identifier in present - wanted.keys():
        servicediscovery._deregister_instance({"ServiceId": registry["Id"], "InstanceId": identifier})
    for identifier in wanted.keys() - present:
        servicediscovery._register_instance(
            {"ServiceId": registry["Id"], "InstanceId": identifier, "Attributes": wanted[identifier]}
        )
    write_records(registry)


def attributes(task: dict[str, Any], cluster: str, service: Service) -> dict[str, str]:
    """Return the attributes that ECS gives an instance (Amazon ECS Developer Guide, Service discovery)."""
    return {
        "AWS_INSTANCE_IPV4": ecs._task_ip(task),
        "AVAILABILITY_ZONE": task["availabilityZone"],
        "REGION": task["availabilityZone"][:-1],
        "ECS_CLUSTER_NAME": cluster,
        "ECS_SERVICE_NAME": service["serviceName"],
        "ECS_TASK_DEFINITION_FAMILY": task["taskDefinitionArn"].rpartition("/")[2].rpartition(":")[0],
    }


def write_records(registry: Service) -> None:
    """Write one A record for each instance into the hosted zone of the namespace; Cloud Map answers with several."""
    namespace = servicediscovery._namespaces[registry["NamespaceId"]]
    zone = (namespace["Properties"].get("DnsProperties") or {}).get("HostedZoneId")
    records = {record["Type"]: record for record in (registry.get("DnsConfig") or {}).get("DnsRecords") or []}
    if zone is None or "A" not in records:
        return
    name = route53._normalise_name(f"{registry['Name']}.{namespace['Name']}")
    others = [record for record in route53._records.get(zone) or [] if record["Name"] != name]
    route53._records[zone] = others + [
        {
            "Name": name,
            "Type": "A",
            "SetIdentifier": identifier,
            "MultiValueAnswer": True,
            "TTL": str(records["A"]["TTL"]),
            "ResourceRecords": [instance["Attributes"]["AWS_INSTANCE_IPV4"]],
        }
        for identifier, instance in (servicediscovery._instances.get(registry["Id"]) or {}).items()
    ]
