"""Network, services and database of the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from hosting.analysis.graph import model
from hosting.analysis.graph.lookup import Lookup, days, is_in, key, true
from hosting.analysis.resolve import Resource
from hosting.model.stack_order import ROOT
from hosting.model.tokens import Json


def network(look: Lookup) -> model.Network | None:
    vpc = look.first("AWS::EC2::VPC")
    if vpc is None:
        return None
    nats = {
        key(nat): look.zone(look.one(nat.get("SubnetId"), "AWS::EC2::Subnet"))
        for nat in look.all("AWS::EC2::NatGateway")
    }
    subnets = sorted(
        (subnet(look, item, nats) for item in look.all("AWS::EC2::Subnet")), key=lambda item: (item.zone, item.cidr)
    )
    endpoints = look.all("AWS::EC2::VPCEndpoint")
    return model.Network(
        cidr=str(vpc.get("CidrBlock", "")),
        zones=tuple(sorted({item.zone for item in subnets})),
        subnets=tuple(subnets),
        nat_zones=tuple(sorted(nats.values())),
        internet_gateway=look.first("AWS::EC2::InternetGateway") is not None,
        interface_endpoints=_endpoints(item for item in endpoints if item.get("VpcEndpointType") == "Interface"),
        gateway_endpoints=_endpoints(item for item in endpoints if item.get("VpcEndpointType") != "Interface"),
    )


def subnet(look: Lookup, subnet: Resource, nats: dict[tuple[str, str], str]) -> model.Subnet:
    """Its tier is what its traffic may do: out and in, out only, or neither and for a database."""
    tier, nat_zone = "app", None
    if any(
        is_in(subnet, look.behind(group.get("SubnetIds"), "AWS::EC2::Subnet"))
        for group in look.all("AWS::RDS::DBSubnetGroup")
    ):
        tier = "database"
    for route in routes(look, subnet):
        if look.one(route.get("GatewayId"), "AWS::EC2::InternetGateway"):
            tier = "public"
        if nat := look.one(route.get("NatGatewayId"), "AWS::EC2::NatGateway"):
            nat_zone = nats[key(nat)]
    return model.Subnet(look.zone(subnet), str(subnet.get("CidrBlock", "")), tier, nat_zone)


def routes(look: Lookup, subnet: Resource) -> Iterator[Resource]:
    for association in look.all("AWS::EC2::SubnetRouteTableAssociation"):
        if is_in(subnet, look.behind(association.get("SubnetId"), "AWS::EC2::Subnet")):
            tables = look.behind(association.get("RouteTableId"), "AWS::EC2::RouteTable")
            for route in look.all("AWS::EC2::Route"):
                if any(is_in(item, tables) for item in look.behind(route.get("RouteTableId"), "AWS::EC2::RouteTable")):
                    yield route


def balancer(look: Lookup) -> model.Balancer | None:
    balancer = look.first("AWS::ElasticLoadBalancingV2::LoadBalancer")
    if balancer is None:
        return None
    listeners = sorted(look.all("AWS::ElasticLoadBalancingV2::Listener"), key=lambda item: -int(item.get("Port", 0)))
    return model.Balancer(
        str(balancer.get("Scheme", "internet-facing")),
        look.zones(balancer.get("Subnets")),
        tuple(listener(look, item) for item in listeners),
    )


def listener(look: Lookup, listener: Resource) -> str:
    conditions = [
        rule.get("Conditions", [])
        for rule in look.all("AWS::ElasticLoadBalancingV2::ListenerRule")
        if look.one(rule.get("ListenerArn"), listener.type) == listener
    ]
    secret = all(any("HttpHeaderConfig" in item for item in one) for one in conditions)
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


def cluster(look: Lookup) -> model.Cluster | None:
    cluster = look.first("AWS::ECS::Cluster")
    if cluster is None:
        return None
    settings = {item.get("Name"): item.get("Value") for item in cluster.get("ClusterSettings", [])}
    capacity = sorted({_launch(item) for item in look.all("AWS::ECS::Service")})
    return model.Cluster(", ".join(capacity), str(settings.get("containerInsights", "")))


def all_services(look: Lookup) -> tuple[model.Service, ...]:
    """In the order of the root's list, which is the generator's; whatever is not listed comes after."""
    found = [service(look, item) for item in look.all("AWS::ECS::Service")]
    order = {name: place for place, name in enumerate(look.templates[ROOT].services)}
    return tuple(sorted(found, key=lambda item: (order.get(item.name, len(order)), item.name)))


def service(look: Lookup, service: Resource) -> model.Service:
    task = look.one(service.get("TaskDefinition"), "AWS::ECS::TaskDefinition")
    network = service.get("NetworkConfiguration.AwsvpcConfiguration", {})
    target = service.get("LoadBalancers.0", {})
    size = ", ".join((_vcpu(task.get("Cpu")), _memory(task.get("Memory")))) if task else ""
    containers = task.get("ContainerDefinitions", []) if task else []
    return model.Service(
        name=service.stack.split("/")[-1].removesuffix("ServiceStack") or service.logical_id,
        tasks=tasks(look, service),
        size=size,
        port=str(target.get("ContainerPort", "")),
        paths=paths(look, target.get("TargetGroupArn")),
        containers=tuple(_container(item, target.get("ContainerName")) for item in containers),
        zones=look.zones(network.get("Subnets")),
        exec=true(service.get("EnableExecuteCommand")),
        database_port=database_port(look, network.get("SecurityGroups")),
    )


def tasks(look: Lookup, service: Resource) -> str:
    desired = str(service.get("DesiredCount", 1))
    for target in look.all("AWS::ApplicationAutoScaling::ScalableTarget"):
        if look.one(target.get("ResourceId"), service.type) == service:
            least, most = target.get("MinCapacity"), target.get("MaxCapacity")
            return f"{least} to {most} tasks" if least != most else f"{least} tasks"
    return f"{desired} tasks" if desired != "1" else "1 task"


def paths(look: Lookup, target_group: Json) -> tuple[str, ...]:
    group = look.one(target_group, "AWS::ElasticLoadBalancingV2::TargetGroup")
    found: list[str] = []
    for rule in look.all("AWS::ElasticLoadBalancingV2::ListenerRule"):
        if group and is_in(group, look.behind(rule.get("Actions"), group.type)):
            for condition in rule.get("Conditions", []):
                found += condition.get("PathPatternConfig", {}).get("Values", [])
    return tuple(dict.fromkeys(found))


def database_port(look: Lookup, groups: Json) -> str | None:
    kind = "AWS::EC2::SecurityGroup"
    ours = look.behind(groups, kind)
    for cluster in look.all("AWS::RDS::DBCluster"):
        for guarded in look.behind(cluster.get("VpcSecurityGroupIds"), kind):
            rules = [dict(item) for item in guarded.get("SecurityGroupIngress", [])]
            rules += [
                dict(item.properties)
                for item in look.all("AWS::EC2::SecurityGroupIngress")
                if look.one(item.get("GroupId"), kind) == guarded
            ]
            for rule in rules:
                if any(is_in(item, ours) for item in look.behind(rule.get("SourceSecurityGroupId"), kind)):
                    return str(rule.get("FromPort"))
    return None


def database(look: Lookup) -> model.Database | None:
    cluster = look.first("AWS::RDS::DBCluster")
    if cluster is None:
        return None
    scaling = cluster.get("ServerlessV2ScalingConfiguration")
    facts = [
        f"serverless, {scaling.get('MinCapacity')} to {scaling.get('MaxCapacity')} ACU" if scaling else "",
        "encrypted" if true(cluster.get("StorageEncrypted")) else "not encrypted",
        f"backups {days(cluster.get('BackupRetentionPeriod', 1))}",
    ]
    group = look.one(cluster.get("DBSubnetGroupName"), "AWS::RDS::DBSubnetGroup")
    members = [
        item
        for item in look.all("AWS::RDS::DBInstance")
        if look.one(item.get("DBClusterIdentifier"), cluster.type) == cluster
    ]
    # The instance that Aurora prefers writes; the others take reads until a failover.
    members.sort(key=lambda item: (int(item.get("PromotionTier", 1)), item.logical_id))
    version = str(cluster.get("EngineVersion", "")).split("aurora.")[-1]
    return model.Database(
        engine=f"{_engine(str(cluster.get('Engine')))} {version}".strip(),
        facts=tuple(item for item in facts if item),
        zones=look.zones(group.get("SubnetIds")) if group else (),
        instances=tuple(
            model.Instance(
                "reader" if place else "writer", str(item.get("DBInstanceClass", "")), item.get("AvailabilityZone")
            )
            for place, item in enumerate(members)
        ),
    )


def _endpoints(endpoints: Iterable[Resource]) -> tuple[str, ...]:
    """com.amazonaws.ap-northeast-1.ecr.api -> ecr.api"""
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
