"""Reads network, services and database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from hosting.analysis.graph import model
from hosting.analysis.graph.lookup import Lookup, days, is_in, is_true, key
from hosting.analysis.resolve import Resource
from hosting.model.stack_order import ROOT
from hosting.model.tokens import Json

TASK = "AWS::ECS::TaskDefinition"


def network(lookup: Lookup) -> model.Network | None:
    """Return the VPC with its subnets and endpoints, or None."""
    vpc = lookup.first("AWS::EC2::VPC")
    if vpc is None:
        return None
    nats = {
        key(nat): lookup.zone(lookup.follow_one(nat.get("SubnetId"), "AWS::EC2::Subnet"))
        for nat in lookup.all("AWS::EC2::NatGateway")
    }
    subnets = sorted(
        (subnet(lookup, item, nats) for item in lookup.all("AWS::EC2::Subnet")), key=lambda item: (item.zone, item.cidr)
    )
    endpoints = lookup.all("AWS::EC2::VPCEndpoint")
    return model.Network(
        cidr=str(vpc.get("CidrBlock", "")),
        zones=tuple(sorted({item.zone for item in subnets})),
        subnets=tuple(subnets),
        nat_zones=tuple(sorted(nats.values())),
        internet_gateway=lookup.first("AWS::EC2::InternetGateway") is not None,
        interface_endpoints=_endpoints(item for item in endpoints if item.get("VpcEndpointType") == "Interface"),
        gateway_endpoints=_endpoints(item for item in endpoints if item.get("VpcEndpointType") != "Interface"),
    )


def subnet(lookup: Lookup, subnet: Resource, nats: dict[tuple[str, str], str]) -> model.Subnet:
    """Return a subnet with its tier: public, egress only (app), or without default route (database)."""
    tier, nat_zone = "app", None
    if any(
        is_in(subnet, lookup.follow(group.get("SubnetIds"), "AWS::EC2::Subnet"))
        for group in lookup.all("AWS::RDS::DBSubnetGroup")
    ):
        tier = "database"
    for route in routes(lookup, subnet):
        if lookup.follow_one(route.get("GatewayId"), "AWS::EC2::InternetGateway"):
            tier = "public"
        if nat := lookup.follow_one(route.get("NatGatewayId"), "AWS::EC2::NatGateway"):
            nat_zone = nats[key(nat)]
    return model.Subnet(lookup.zone(subnet), str(subnet.get("CidrBlock", "")), tier, nat_zone)


def routes(lookup: Lookup, subnet: Resource) -> Iterator[Resource]:
    for association in lookup.all("AWS::EC2::SubnetRouteTableAssociation"):
        if is_in(subnet, lookup.follow(association.get("SubnetId"), "AWS::EC2::Subnet")):
            tables = lookup.follow(association.get("RouteTableId"), "AWS::EC2::RouteTable")
            for route in lookup.all("AWS::EC2::Route"):
                if any(
                    is_in(item, tables) for item in lookup.follow(route.get("RouteTableId"), "AWS::EC2::RouteTable")
                ):
                    yield route


def balancer(lookup: Lookup) -> model.Balancer | None:
    """Return the load balancer, or None."""
    balancer = lookup.first("AWS::ElasticLoadBalancingV2::LoadBalancer")
    if balancer is None:
        return None
    listeners = sorted(lookup.all("AWS::ElasticLoadBalancingV2::Listener"), key=lambda item: -int(item.get("Port", 0)))
    return model.Balancer(
        str(balancer.get("Scheme", "internet-facing")),
        lookup.zones(balancer.get("Subnets")),
        tuple(listener(lookup, item) for item in listeners),
    )


def listener(lookup: Lookup, listener: Resource) -> str:
    """Return one listener as text."""
    conditions = [
        rule.get("Conditions", [])
        for rule in lookup.all("AWS::ElasticLoadBalancingV2::ListenerRule")
        if lookup.follow_one(rule.get("ListenerArn"), listener.type) == listener
    ]
    secret = all(any("HttpHeaderConfig" in item for item in follow_one) for follow_one in conditions)
    action = listener.get("DefaultActions.0", {})
    match action.get("Type"):
        case "redirect":
            redirect = action.get("RedirectConfig", {})
            default = f"redirects to {redirect.get('Protocol')} {redirect.get('Port')}"
        case "fixed-response":
            default = f"answers {action.get('FixedResponseConfig', {}).get('StatusCode')}"
        case other:
            default = str(other)
    rules = f"forwards {'what carries the header' if secret else 'by rules'}, else " if conditions else ""
    return f"{listener.get('Protocol')} {listener.get('Port')}: {rules}{default}"


def cluster(lookup: Lookup) -> model.Cluster | None:
    cluster = lookup.first("AWS::ECS::Cluster")
    if cluster is None:
        return None
    settings = {item.get("Name"): item.get("Value") for item in cluster.get("ClusterSettings", [])}
    capacity = sorted({_launch(item) for item in lookup.all("AWS::ECS::Service")})
    return model.Cluster(", ".join(capacity), str(settings.get("containerInsights", "")))


def all_services(lookup: Lookup) -> tuple[model.Service, ...]:
    """Return the services and jobs in the order of the root's Metadata; unlisted services follow."""
    found = [service(lookup, item) for item in lookup.all("AWS::ECS::Service")]
    found += [job(lookup, item) for item in lookup.all("AWS::Scheduler::Schedule")]
    order = {name: place for place, name in enumerate(lookup.templates[ROOT].services)}
    return tuple(sorted(found, key=lambda item: (order.get(item.name, len(order)), item.name)))


def service(lookup: Lookup, service: Resource) -> model.Service:
    """Return one ECS service."""
    task = lookup.follow_one(service.get("TaskDefinition"), TASK)
    network = service.get("NetworkConfiguration.AwsvpcConfiguration", {})
    target = service.get("LoadBalancers.0", {})
    return model.Service(
        name=_workload(service),
        tasks=tasks(lookup, service),
        size=_size(task),
        port=str(target.get("ContainerPort", "")),
        paths=paths(lookup, target.get("TargetGroupArn")),
        containers=_containers(task, target.get("ContainerName")),
        zones=lookup.zones(network.get("Subnets")),
        exec=is_true(service.get("EnableExecuteCommand")),
        started_by=address(lookup, service),
        database_port=database_port(lookup, network.get("SecurityGroups")),
    )


def job(lookup: Lookup, schedule: Resource) -> model.Service:
    """Return one job: a task that a schedule starts."""
    ecs = schedule.get("Target.EcsParameters", {})
    network = schedule.get("Target.EcsParameters.NetworkConfiguration.AwsvpcConfiguration", {})
    task = lookup.follow_one(ecs.get("TaskDefinitionArn"), TASK)
    zone = str(schedule.get("ScheduleExpressionTimezone", "UTC"))
    off = "" if schedule.get("State", "ENABLED") == "ENABLED" else ", disabled"
    return model.Service(
        name=_workload(schedule),
        tasks=model.JOB,
        size=_size(task),
        port="",
        paths=(),
        containers=_containers(task, None),
        zones=lookup.zones(network.get("Subnets")),
        exec=is_true(ecs.get("EnableExecuteCommand")),
        started_by=f"Scheduler: {schedule.get('ScheduleExpression')} {zone}{off}",
        database_port=database_port(lookup, network.get("SecurityGroups")),
    )


def address(lookup: Lookup, service: Resource) -> str:
    """Return the name of an internal service in the private DNS of the VPC with its callers; empty without a name."""
    registry = lookup.follow_one(service.get("ServiceRegistries.0.RegistryArn"), "AWS::ServiceDiscovery::Service")
    namespace = lookup.first("AWS::ServiceDiscovery::PrivateDnsNamespace")
    if registry is None or namespace is None:
        return ""
    callers = lookup.templates[ROOT].callers_of(_workload(service))
    called = f", called by {', '.join(callers)}" if callers else ""
    return f"{registry.get('Name')}.{namespace.get('Name')}{called}"


def _workload(resource: Resource) -> str:
    return resource.stack.split("/")[-1].removesuffix("ServiceStack") or resource.logical_id


def _size(task: Resource | None) -> str:
    return ", ".join((_vcpu(task.get("Cpu")), _memory(task.get("Memory")))) if task else ""


def _containers(task: Resource | None, serving: Json) -> tuple[model.Container, ...]:
    return tuple(_container(item, serving) for item in (task.get("ContainerDefinitions", []) if task else []))


def tasks(lookup: Lookup, service: Resource) -> str:
    spot = ", spot" if "FARGATE_SPOT" in str(service.get("CapacityProviderStrategy", "")) else ""
    desired = str(service.get("DesiredCount", 1))
    for target in lookup.all("AWS::ApplicationAutoScaling::ScalableTarget"):
        if lookup.follow_one(target.get("ResourceId"), service.type) == service:
            least, most = target.get("MinCapacity"), target.get("MaxCapacity")
            return (f"{least} to {most} tasks" if least != most else f"{least} tasks") + spot
    return (f"{desired} tasks" if desired != "1" else "1 task") + spot


def paths(lookup: Lookup, target_group: Json) -> tuple[str, ...]:
    group = lookup.follow_one(target_group, "AWS::ElasticLoadBalancingV2::TargetGroup")
    found: list[str] = []
    for rule in lookup.all("AWS::ElasticLoadBalancingV2::ListenerRule"):
        if group and is_in(group, lookup.follow(rule.get("Actions"), group.type)):
            for condition in rule.get("Conditions", []):
                found += condition.get("PathPatternConfig", {}).get("Values", [])
    return tuple(dict.fromkeys(found))


def database_port(lookup: Lookup, groups: Json) -> str | None:
    """Return the port on which a service may reach the database, or None."""
    kind = "AWS::EC2::SecurityGroup"
    ours = lookup.follow(groups, kind)
    for cluster in lookup.all("AWS::RDS::DBCluster"):
        for guarded in lookup.follow(cluster.get("VpcSecurityGroupIds"), kind):
            rules = [dict(item) for item in guarded.get("SecurityGroupIngress", [])]
            rules += [
                dict(item.properties)
                for item in lookup.all("AWS::EC2::SecurityGroupIngress")
                if lookup.follow_one(item.get("GroupId"), kind) == guarded
            ]
            for rule in rules:
                if any(is_in(item, ours) for item in lookup.follow(rule.get("SourceSecurityGroupId"), kind)):
                    return str(rule.get("FromPort"))
    return None


def database(lookup: Lookup) -> model.Database | None:
    """Return the database cluster with its instances, or None."""
    cluster = lookup.first("AWS::RDS::DBCluster")
    if cluster is None:
        return None
    scaling = cluster.get("ServerlessV2ScalingConfiguration")
    facts = [
        f"serverless, {scaling.get('MinCapacity')} to {scaling.get('MaxCapacity')} ACU" if scaling else "",
        "encrypted" if is_true(cluster.get("StorageEncrypted")) else "not encrypted",
        f"backups {days(cluster.get('BackupRetentionPeriod', 1))}",
    ]
    group = lookup.follow_one(cluster.get("DBSubnetGroupName"), "AWS::RDS::DBSubnetGroup")
    members = [
        item
        for item in lookup.all("AWS::RDS::DBInstance")
        if lookup.follow_one(item.get("DBClusterIdentifier"), cluster.type) == cluster
    ]
    # The instance that Aurora prefers writes; the others take reads until a failover.
    members.sort(key=lambda item: (int(item.get("PromotionTier", 1)), item.logical_id))
    version = str(cluster.get("EngineVersion", "")).split("aurora.")[-1]
    return model.Database(
        engine=f"{_engine(str(cluster.get('Engine')))} {version}".strip(),
        facts=tuple(item for item in facts if item),
        zones=lookup.zones(group.get("SubnetIds")) if group else (),
        instances=tuple(
            model.Instance(
                "reader" if place else "writer", str(item.get("DBInstanceClass", "")), item.get("AvailabilityZone")
            )
            for place, item in enumerate(members)
        ),
    )


def _endpoints(endpoints: Iterable[Resource]) -> tuple[str, ...]:
    """Return the short name of an endpoint: com.amazonaws.ap-northeast-1.ecr.api -> ecr.api."""
    return tuple(sorted(str(item.get("ServiceName", "")).split(".", 3)[-1] for item in endpoints))


def _launch(service: Resource) -> str:
    providers = [str(item.get("CapacityProvider")) for item in service.get("CapacityProviderStrategy", [])]
    return " and ".join(providers or [str(service.get("LaunchType", "FARGATE"))]).replace("_", " ").title()


def _container(definition: dict[str, Any], serving: Json) -> model.Container:
    image = str(definition.get("Image", ""))
    name = image.partition("@")[0]
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first):
        name = rest
    name = name.partition(":")[0]
    script = " ".join(str(item) for item in definition.get("Command", []))
    # The relay's ports are arguments of its shell function; without any, its name has to do.
    ports = re.findall(r"\brelay (\d{2,5})\b", script) or re.findall(r"TCP-LISTEN:(\d+)", script)
    serves = definition.get("Name") == serving
    notes = [f"port {item.get('ContainerPort')}" for item in definition.get("PortMappings", [])]
    if "socat" in script:
        notes += ["socat relay", ", ".join(ports)]
    return model.Container(
        str(definition.get("Name", "")),
        name.removeprefix("docker/library/"),
        serves,
        tuple(item for item in notes if item),
    )


def _vcpu(units: Json) -> str:
    return f"{int(units) / 1024:g} vCPU" if str(units).isdigit() else f"{units} vCPU"


def _memory(mebibytes: Json) -> str:
    if not str(mebibytes).isdigit():
        return str(mebibytes)
    size = int(mebibytes)
    return f"{size / 1024:g} GB" if size >= 1024 else f"{size} MB"


def _engine(engine: str) -> str:
    return {"aurora-mysql": "Aurora MySQL", "aurora-postgresql": "Aurora PostgreSQL"}.get(engine, engine)
