"""Subnets, routes, endpoints and flow log: traffic that has to pass, and traffic that must not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.services import starters
from hosting.analysis.rules.values import (
    flag,
    follow,
    follow_all,
    listed,
    matches,
    permissions,
    statements,
    waits_for,
)

ANYWHERE = ("0.0.0.0/0", "::/0")
SUBNET = "AWS::EC2::Subnet"
TABLE = "AWS::EC2::RouteTable"
ENDPOINT = "AWS::EC2::VPCEndpoint"
GROUP = "AWS::EC2::SecurityGroup"


# --- Lookups in the network that rules of several modules use ------------------------------------------------------


def default_routes(env: ResolvedEnvironment, table: Resource | None) -> list[Resource]:
    """Return the routes of a route table to the internet."""
    return [
        route
        for route in env.of_type("AWS::EC2::Route")
        if table is not None
        and follow(env, route.get("RouteTableId")) == table
        and (route.get("DestinationCidrBlock") in ANYWHERE or route.get("DestinationIpv6CidrBlock") in ANYWHERE)
    ]


def find_route_tables(env: ResolvedEnvironment, subnet: Resource) -> list[Resource]:
    """Return the route tables that are associated with a subnet; one is correct."""
    return [
        table
        for association in env.of_type("AWS::EC2::SubnetRouteTableAssociation")
        if follow(env, association.get("SubnetId")) == subnet
        and (table := follow(env, association.get("RouteTableId"), TABLE))
    ]


def is_public(env: ResolvedEnvironment, subnet: Resource) -> bool:
    return any(
        route.get("GatewayId") for table in find_route_tables(env, subnet) for route in default_routes(env, table)
    )


def has_default_route(env: ResolvedEnvironment, subnet: Resource) -> bool:
    return any(default_routes(env, table) for table in find_route_tables(env, subnet))


def zones(subnets: list[Resource]) -> set[str]:
    return {str(subnet.get("AvailabilityZone")) for subnet in subnets}


def task_subnets(env: ResolvedEnvironment) -> list[Resource]:
    """Return the subnets of all ECS services and jobs."""
    found: list[Resource] = []
    for starter, path in starters(env):
        subnets = starter.get(f"{path}NetworkConfiguration.AwsvpcConfiguration.Subnets")
        found += [subnet for subnet in follow_all(env, subnets, SUBNET) if subnet not in found]
    return found


def endpoints(env: ResolvedEnvironment, kind: str) -> list[Resource]:
    return [item for item in env.of_type(ENDPOINT) if item.get("VpcEndpointType", "Gateway") == kind]


# --- Rules -------------------------------------------------------------------------------------------------------


@environment_rule(
    "NET-01",
    "Interface endpoints answer under the public names",
    why="Private DNS of an endpoint needs both DNS flags of the VPC; without it tasks keep using the NAT gateway "
    "(AWS PrivateLink Guide, Access an AWS service using an interface VPC endpoint).",
    hint="set EnableDnsSupport and EnableDnsHostnames on the VPC, PrivateDnsEnabled on the endpoint",
)
def private_dns(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for endpoint in endpoints(env, "Interface"):
        if not flag(endpoint.get("PrivateDnsEnabled")):
            yield RuleMatch(endpoint, "Properties.PrivateDnsEnabled", "private DNS is off")
    if endpoints(env, "Interface"):
        for vpc in env.of_type("AWS::EC2::VPC"):
            for key in ("EnableDnsSupport", "EnableDnsHostnames"):
                if not flag(vpc.get(key)):
                    yield RuleMatch(vpc, f"Properties.{key}", f"{key} is off")


# What Fargate tasks, their sessions and their logs need to work without the internet.
_NEEDED = {"ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs"}
_KNOWN = _NEEDED | {"s3", "dynamodb", "secretsmanager", "kms", "sts", "monitoring", "ecs", "ecs-agent", "ecs-telemetry"}


@environment_rule(
    "NET-02",
    "The endpoints that tasks need exist, under names that AWS knows",
    why="A misspelt service is refused only when the endpoint is created; a missing one sends image pulls, sessions "
    "and logs over the internet (AWS PrivateLink Guide, AWS services that integrate).",
    hint="use com.amazonaws.<region>.<service> for ssm, ssmmessages, ec2messages, ecr.api, ecr.dkr, logs and s3",
)
def endpoint_services(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    found = set()
    for endpoint in env.of_type(ENDPOINT):
        name = str(endpoint.get("ServiceName"))
        service = name.removeprefix(f"com.amazonaws.{env.stacks[endpoint.stack].region}.")
        found.add((endpoint.get("VpcEndpointType", "Gateway"), service))
        if service not in _KNOWN:
            yield RuleMatch(endpoint, "Properties.ServiceName", f"{name} is not a service in this region")
    if task_subnets(env):
        missing = {("Interface", item) for item in _NEEDED} | {("Gateway", "s3")}
        for kind, service in sorted(missing - found):
            for vpc in env.of_type("AWS::EC2::VPC"):
                yield RuleMatch(vpc, "", f"no {kind.lower()} endpoint for {service}")


@environment_rule(
    "NET-03",
    "Interface endpoints have one subnet in every zone of the tasks",
    why="An endpoint takes one subnet per zone, and a zone without one depends on the other (AWS PrivateLink Guide, "
    "Subnets and Availability Zones).",
    hint="give the endpoint the app subnets",
)
def endpoint_zones(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    wanted = zones(task_subnets(env))
    for endpoint in endpoints(env, "Interface"):
        subnets = follow_all(env, endpoint.get("SubnetIds"), SUBNET)
        if len(zones(subnets)) != len(listed(endpoint.get("SubnetIds"))):
            yield RuleMatch(endpoint, "Properties.SubnetIds", "two subnets in one zone")
        elif missing := wanted - zones(subnets):
            yield RuleMatch(endpoint, "Properties.SubnetIds", f"none in {', '.join(sorted(missing))}")


@environment_rule(
    "NET-04",
    "Tasks may reach the interface endpoints",
    why="Private DNS replaces the public names, so without this rule pulls, sessions and logs time out although the "
    "NAT gateway works (Amazon ECS Developer Guide, VPC endpoints).",
    hint="allow tcp 443 from every app subnet, or from the tasks' groups, in the endpoint's security group",
)
def endpoints_admit_tasks(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for endpoint in endpoints(env, "Interface"):
        rules = [
            rule for group in follow_all(env, endpoint.get("SecurityGroupIds"), GROUP) for rule in ingress(env, group)
        ]
        blocks = [
            ipaddress.IPv4Network(str(rule["CidrIp"])) for rule in rules if covers(rule, 443) and "CidrIp" in rule
        ]
        for subnet in task_subnets(env):
            own = ipaddress.IPv4Network(str(subnet.get("CidrBlock")))
            if not any(own.subnet_of(block) for block in blocks) and not _groups_admitted(env, rules):
                yield RuleMatch(endpoint, "Properties.SecurityGroupIds", f"no ingress rule for {subnet.logical_id}")


def _groups_admitted(env: ResolvedEnvironment, rules: list[dict[str, object]]) -> bool:
    admitted = [follow(env, rule.get("SourceSecurityGroupId")) for rule in rules if covers(rule, 443)]
    groups = [
        follow_all(env, starter.get(f"{path}NetworkConfiguration.AwsvpcConfiguration.SecurityGroups"), GROUP)
        for starter, path in starters(env)
    ]
    return bool(groups) and all(any(group in admitted for group in items) for items in groups)


def covers(rule: dict[str, object], port: int) -> bool:
    """Return whether a rule of a security group allows a TCP port."""
    if str(rule.get("IpProtocol")) == "-1":
        return True
    try:
        return str(rule.get("IpProtocol")) in ("tcp", "6") and (
            int(str(rule.get("FromPort"))) <= port <= int(str(rule.get("ToPort")))
        )
    except ValueError:
        return False


def ingress(env: ResolvedEnvironment, group: Resource) -> list[dict[str, object]]:
    """Return the ingress rules of a group, inline and separate."""
    return _rules(env, group, "SecurityGroupIngress")


def egress(env: ResolvedEnvironment, group: Resource) -> list[dict[str, object]]:
    return _rules(env, group, "SecurityGroupEgress")


def _rules(env: ResolvedEnvironment, group: Resource, direction: str) -> list[dict[str, object]]:
    separate = [
        dict(rule.properties)
        for rule in env.of_type(f"AWS::EC2::{direction}")
        if follow(env, rule.get("GroupId")) == group
    ]
    return [*(dict(rule) for rule in listed(group.get(direction))), *separate]


@environment_rule(
    "NET-05",
    "Tasks reach S3 over the gateway endpoint, image layers included",
    why="ECR keeps image layers in a bucket of its own; a table that is left out pays for NAT, a policy that leaves "
    "it out makes pulls hang (Amazon ECR User Guide, Amazon ECR interface VPC endpoints).",
    hint="list every route table of the app subnets; leave PolicyDocument out, or allow s3:GetObject on "
    "prod-<region>-starport-layer-bucket",
)
def s3_gateway(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    needed = [table for subnet in task_subnets(env) for table in find_route_tables(env, subnet)]
    for endpoint in endpoints(env, "Gateway"):
        if not str(endpoint.get("ServiceName")).endswith(".s3"):
            continue
        given = follow_all(env, endpoint.get("RouteTableIds"), TABLE)
        for table in needed:
            if table not in given:
                yield RuleMatch(endpoint, "Properties.RouteTableIds", f"{table.logical_id} is missing")
        layers = f"arn:aws:s3:::prod-{env.stacks[endpoint.stack].region}-starport-layer-bucket/x"
        document = endpoint.get("PolicyDocument")
        if document is not None and not any(
            item.allows("s3:GetObject") and any(matches(pattern, layers) for pattern in item.resources)
            for item in statements(document)
        ):
            yield RuleMatch(endpoint, "Properties.PolicyDocument", "image layers of ECR cannot be read")


@environment_rule(
    "NET-06",
    "Users of the internet gateway depend on its attachment",
    why="The gateway's attachment is no property of theirs, so nothing else orders it (CloudFormation Template "
    "Reference, DependsOn attribute, When a DependsOn attribute is required).",
    hint="add the VPCGatewayAttachment to DependsOn, or take an output of the stack that holds it",
)
def wait_for_gateway(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    users = env.of_type("AWS::EC2::EIP", "AWS::EC2::NatGateway")
    users += [route for route in env.of_type("AWS::EC2::Route") if route.get("GatewayId") is not None]
    for attachment in env.of_type("AWS::EC2::VPCGatewayAttachment"):
        for user in users:
            if not waits_for(env, user, attachment):
                yield RuleMatch(user, "DependsOn", f"does not wait for {attachment.logical_id}")


@environment_rule(
    "NET-07",
    "Each zone has its own NAT gateway",
    why="A default route into another zone's NAT gateway fails with that zone, and pays for traffic between zones "
    "(Amazon VPC User Guide, NAT gateway basics).",
    hint="route each app subnet to a NAT gateway in a public subnet of its own zone",
)
def nat_per_zone(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for nat in env.of_type("AWS::EC2::NatGateway"):
        home = follow(env, nat.get("SubnetId"), SUBNET)
        if home and not is_public(env, home):
            yield RuleMatch(nat, "Properties.SubnetId", f"{home.logical_id} has no route to the internet gateway")
    for subnet in env.of_type(SUBNET):
        for table in find_route_tables(env, subnet):
            for route in default_routes(env, table):
                nat = follow(env, route.get("NatGatewayId"), "AWS::EC2::NatGateway") or route
                place = follow(env, nat.get("SubnetId"), SUBNET) if nat != route else None
                if place and place.get("AvailabilityZone") != subnet.get("AvailabilityZone"):
                    yield RuleMatch(
                        route, "Properties.NatGatewayId", f"{subnet.logical_id} uses the NAT gateway of another zone"
                    )


@environment_rule(
    "NET-14",
    "The database's subnets have no default route",
    why="A default route, even through NAT, is a path for exfiltration (Amazon Aurora User Guide, Working with a DB "
    "cluster in a VPC).",
    hint="associate them with a route table without a default route",
)
def isolated_database(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type("AWS::RDS::DBSubnetGroup"):
        for subnet in follow_all(env, group.get("SubnetIds"), SUBNET):
            for table in find_route_tables(env, subnet):
                for route in default_routes(env, table):
                    yield RuleMatch(route, "Properties.DestinationCidrBlock", f"default route of {subnet.logical_id}")


@environment_rule(
    "NET-15",
    "Each subnet has exactly one route table of ours",
    why="A subnet without an association uses the VPC's main table, which no template defines. A second association "
    "fails (Amazon VPC User Guide, Route table concepts).",
    hint="add or remove a SubnetRouteTableAssociation",
)
def one_table_per_subnet(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for subnet in env.of_type(SUBNET):
        if len(find_route_tables(env, subnet)) != 1:
            yield RuleMatch(subnet, "", f"{len(find_route_tables(env, subnet))} route table associations")


@environment_rule(
    "NET-08",
    "Subnets are inside the VPC, do not overlap, and are large enough",
    why="Overlapping, unaligned or foreign blocks are refused at creation; a load balancer's subnet needs a /27 with 8 "
    "free addresses (Amazon VPC User Guide, Subnet CIDR blocks).",
    hint="correct the plan of addresses in the generator",
)
def address_plan(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    placed: list[tuple[Resource, ipaddress.IPv4Network]] = []
    for subnet in env.of_type(SUBNET):
        vpc = follow(env, subnet.get("VpcId"), "AWS::EC2::VPC")
        try:
            block = ipaddress.IPv4Network(str(subnet.get("CidrBlock")))
            whole = ipaddress.IPv4Network(str(vpc.get("CidrBlock"))) if vpc else block
        except ValueError as problem:
            yield RuleMatch(subnet, "Properties.CidrBlock", str(problem))
            continue
        if not block.subnet_of(whole):
            yield RuleMatch(subnet, "Properties.CidrBlock", f"{block} is outside of {whole}")
        if block.prefixlen > 27:
            yield RuleMatch(subnet, "Properties.CidrBlock", f"{block} is too small")
        for other, taken in placed:
            if block.overlaps(taken) and follow(env, other.get("VpcId")) == vpc:
                yield RuleMatch(subnet, "Properties.CidrBlock", f"{block} overlaps {other.logical_id}")
        placed.append((subnet, block))


@environment_rule(
    "NET-09",
    "No resource gets a public address automatically",
    why="Load balancer and NAT gateway have their own public addresses; no other resource needs one (Amazon VPC User "
    "Guide, Modify the IP addressing attributes of your subnet).",
    hint="set MapPublicIpOnLaunch to false, AssignPublicIp to DISABLED",
)
def no_public_addresses(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for subnet in env.of_type(SUBNET):
        if flag(subnet.get("MapPublicIpOnLaunch")):
            yield RuleMatch(subnet, "Properties.MapPublicIpOnLaunch", "instances get a public address")
    for starter, settings in starters(env):
        path = f"{settings}NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp"
        if starter.get(path) != "DISABLED":
            yield RuleMatch(starter, f"Properties.{path}", f"AssignPublicIp is {starter.get(path)}")


_FLOW_LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams")


@environment_rule(
    "NET-10",
    "Every VPC has a flow log that can be written",
    why="A flow log without a role, or whose role lacks an action, is created and stays empty (Amazon VPC User Guide, "
    "IAM role for publishing flow logs to CloudWatch Logs).",
    hint="give it a log group of these templates and a role with " + ", ".join(_FLOW_LOG_ACTIONS),
)
def flow_logs(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    logs = env.of_type("AWS::EC2::FlowLog")
    for vpc in env.of_type("AWS::EC2::VPC"):
        if not any(follow(env, log.get("ResourceId")) == vpc for log in logs):
            yield RuleMatch(vpc, "", "no flow log")
    for log in logs:
        if log.get("LogDestinationType") != "cloud-watch-logs":
            yield RuleMatch(log, "Properties.LogDestinationType", "does not deliver to CloudWatch Logs")
            continue
        if not follow(env, log.get("LogGroupName"), "AWS::Logs::LogGroup"):
            yield RuleMatch(log, "Properties.LogGroupName", "is not a log group of these templates")
        role = follow(env, log.get("DeliverLogsPermissionArn"), "AWS::IAM::Role")
        granted = permissions(env, role)
        missing = [action for action in _FLOW_LOG_ACTIONS if not any(item.allows(action) for item in granted)]
        if role is None or missing:
            yield RuleMatch(log, "Properties.DeliverLogsPermissionArn", f"role lacks {', '.join(missing)}")


@environment_rule(
    "NET-12",
    "Gateway endpoints have routes only; NAT gateways have an address",
    why="EC2 refuses security groups, subnets and private DNS on a gateway endpoint, and a public NAT gateway without "
    "an address (Amazon EC2 API Reference, CreateVpcEndpoint and CreateNatGateway).",
    hint="remove the property, or add AllocationId and Domain vpc",
)
def gateway_shapes(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for endpoint in endpoints(env, "Gateway"):
        for key in ("SecurityGroupIds", "SubnetIds", "PrivateDnsEnabled"):
            if endpoint.get(key) is not None:
                yield RuleMatch(endpoint, f"Properties.{key}", f"gateway endpoint with {key}")
    for nat in env.of_type("AWS::EC2::NatGateway"):
        address = follow(env, nat.get("AllocationId"), "AWS::EC2::EIP")
        if address is None and nat.get("ConnectivityType", "public") == "public":
            yield RuleMatch(nat, "Properties.AllocationId", "no address")
        elif address and address.get("Domain") != "vpc":
            yield RuleMatch(address, "Properties.Domain", "address is not for a VPC")


@environment_rule(
    "NET-18",
    "A route table has one gateway endpoint of each service",
    why="The second is refused: the route table already has a route with that prefix list (Amazon EC2 API Reference, "
    "CreateVpcEndpoint).",
    hint="remove one of the endpoints, or give each its own route tables",
)
def single_gateway_endpoint(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    users: dict[tuple[str, str, str], Resource] = {}
    for endpoint in endpoints(env, "Gateway"):
        service = str(endpoint.get("ServiceName"))
        for table in follow_all(env, endpoint.get("RouteTableIds"), TABLE):
            first = users.setdefault((service, table.stack, table.logical_id), endpoint)
            if first is not endpoint:
                yield RuleMatch(
                    endpoint, "Properties.RouteTableIds", f"{table.logical_id} has {first.logical_id} for {service}"
                )


@environment_rule(
    "NET-16",
    "Load balancer, tasks, database and endpoints use the subnets meant for them, in two zones",
    why="Subnets of the wrong kind still deploy: a load balancer without a route to the internet gateway is "
    "unreachable, tasks in a public subnet have no egress (Elastic Load Balancing User Guide, Subnets).",
    hint="public subnets for the load balancer, subnets behind NAT for tasks, two zones for each",
)
def right_subnets(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for balancer in env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        subnets = follow_all(env, balancer.get("Subnets"), SUBNET)
        if len(zones(subnets)) < 2:
            yield RuleMatch(balancer, "Properties.Subnets", "fewer than two zones")
        for subnet in subnets:
            if not is_public(env, subnet):
                yield RuleMatch(balancer, "Properties.Subnets", f"{subnet.logical_id} is not public")
    for starter, settings in starters(env):
        path = f"{settings}NetworkConfiguration.AwsvpcConfiguration.Subnets"
        subnets = follow_all(env, starter.get(path), SUBNET)
        if len(zones(subnets)) < 2:
            yield RuleMatch(starter, f"Properties.{path}", "fewer than two zones")
        for subnet in subnets:
            if is_public(env, subnet) or not has_default_route(env, subnet):
                yield RuleMatch(starter, f"Properties.{path}", f"{subnet.logical_id} is not private behind NAT")
    for group in env.of_type("AWS::RDS::DBSubnetGroup"):
        if len(zones(follow_all(env, group.get("SubnetIds"), SUBNET))) < 2:
            yield RuleMatch(group, "Properties.SubnetIds", "fewer than two zones")


@environment_rule(
    "NET-17",
    "Services depend on the routes and endpoints of their subnets",
    why="A task that cannot reach the registry, Secrets Manager and CloudWatch Logs fails with "
    "ResourceInitializationError, and after some of them the deployment is rolled back (Amazon ECS Developer Guide, "
    "Stopped tasks error messages). A subnet does not depend on its routes, so no other reference orders them.",
    hint="take the subnets from the layer that creates NAT gateways and endpoints",
)
def wait_for_ways_out(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for starter, settings in starters(env):
        path = f"{settings}NetworkConfiguration.AwsvpcConfiguration.Subnets"
        subnets = follow_all(env, starter.get(path), SUBNET)
        ways = [
            route
            for subnet in subnets
            for table in find_route_tables(env, subnet)
            for route in default_routes(env, table)
        ]
        for way in [*ways, *env.of_type(ENDPOINT)]:
            if not waits_for(env, starter, way):
                yield RuleMatch(starter, f"Properties.{path}", f"does not wait for {way.logical_id} of {way.stack}")
