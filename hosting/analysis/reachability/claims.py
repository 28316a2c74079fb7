"""States which paths of this platform have to be open or closed, and checks the templates for each.

Every pair of endpoints has to be closed unless it is listed as open, so a new endpoint is closed by default. An open
path has to be open on exactly its ports. A closed path has to be closed at each control (address, route, egress rule,
ingress rule), because a single remaining control is one mistake away from an open path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from hosting.analysis.reachability import edge
from hosting.analysis.reachability.network_model import (
    BUCKET,
    CLOUDFRONT,
    DISTRIBUTION,
    HTTPS,
    INTERNET,
    VPC,
    VPC_ENDPOINT,
    Endpoint,
    ExternalPeer,
    NetworkModel,
    Peer,
)
from hosting.analysis.reachability.ports import ALL_TRAFFIC, Range, common, format_ranges, tcp
from hosting.analysis.reachability.traffic import (
    AllowedTraffic,
    Block,
    Evidence,
    check_exposure,
    check_nat_path,
    check_public_path,
    find_route_table,
    inbound_flow,
    outbound_flow,
    outbound_routes,
)
from hosting.analysis.resolve import Resource
from hosting.analysis.rules.values import flag, listed, number, statements
from hosting.model.templates import DeclaredEgress

ANYWHERE = "0.0.0.0/0"
INBOUND, CLOSED, NEEDS, WHOLE = "The way in", "Closed", "What tasks need", "The whole network"


@dataclass(frozen=True)
class Claim:
    """A statement about two peers, with the evidence for it and the problems that contradict it."""

    id: str  # "internet -> alb"
    section: str
    text: str
    because: tuple[Evidence, ...]
    problems: tuple[Evidence, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


def list_claims(network: NetworkModel) -> list[Claim]:
    """Return all claims, in the order of a request's path."""
    return [
        *_inbound_claims(network),
        *_closed_pair_claims(network),
        *_bucket_claims(network),
        *_task_claims(network),
        *_network_claims(network),
    ]


# --- The way in --------------------------------------------------------------------------------------------------


def _inbound_claims(network: NetworkModel) -> Iterator[Claim]:
    for distribution in network.env.of_type(DISTRIBUTION):
        seen, wrong = edge.check_viewers(distribution)
        yield _claim("internet -> cloudfront", INBOUND, "Browsers reach CloudFront, over HTTPS only", seen, wrong)
        for balancer in network.load_balancers:
            yield _load_balancer_claim(network, distribution, balancer)
            yield _secret_claim(network, distribution, balancer)
        for origin, bucket in edge.list_bucket_origins(network, distribution):
            seen, wrong = edge.check_signed_reads(network, origin, bucket)
            text = f"CloudFront alone reads {bucket.logical_id}, with signed requests"
            yield _claim(f"cloudfront -> s3:{bucket.logical_id}", INBOUND, text, seen, wrong)
    for balancer, service in product(network.load_balancers, network.services):
        if is_behind_load_balancer(service):
            yield _service_claim(network, balancer, service)
    for service, database in product(network.services, network.databases):
        yield _open_claim(network, service, database, INBOUND)
    for service, volume in product(network.services, network.volumes):
        if network.mounts(service, volume):
            yield _open_claim(network, service, volume, INBOUND)
    for caller, callee in product(network.services, network.services):
        if (caller.name, callee.name) in network.declared_calls:
            yield _open_claim(network, caller, callee, INBOUND)


def is_behind_load_balancer(service: Endpoint) -> bool:
    """Return whether a load balancer sends requests to the service."""
    return bool(listed(service.resource.get("LoadBalancers")))


def _load_balancer_claim(network: NetworkModel, distribution: Resource, balancer: Endpoint) -> Claim:
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    text = f"CloudFront reaches {balancer.title}"
    found = edge.find_origin(network, distribution, balancer)
    if found is None:
        path = "Properties.DistributionConfig.Origins"
        wrong.append(Evidence(distribution, path, f"no origin points to {balancer.title}"))
    else:
        origin, evidence = found
        seen += evidence
        listening = {number(item.get("Port")): item for item in network.listeners(balancer.resource)}
        for port in origin.ports:
            if port in listening:
                seen.append(Evidence(listening[port], "", f"listens on port {port}"))
            else:
                wrong.append(Evidence(distribution, origin.path, f"calls port {port}, which has no listener"))
        flow = inbound_flow(network, balancer, CLOUDFRONT)
        wanted = [tcp(port) for port in origin.ports]
        seen += flow.evidence_for(wanted)
        wrong += [
            Evidence(balancer.resource, "Properties.SecurityGroups", f"no group allows {ports}")
            for ports in wanted
            if not flow.certain(ports)
        ]
        wrong += _excess(flow.possible, [tcp(port) for port in balancer.ports], balancer, "CloudFront")
    if not balancer.public:
        wrong.append(Evidence(balancer.resource, "Properties.Scheme", "is internal, so CloudFront cannot reach it"))
    for subnet in balancer.subnets:
        answer = check_public_path(network, subnet)
        seen += answer.evidence
        wrong += answer.problems
    return _claim(f"cloudfront -> {balancer.name}", INBOUND, text, seen, wrong)


def _secret_claim(network: NetworkModel, distribution: Resource, balancer: Endpoint) -> Claim:
    """Check the secret header. CloudFront's prefix list admits the distributions of all accounts."""
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    found = edge.find_origin(network, distribution, balancer)
    for listener in network.listeners(balancer.resource):
        for forward in edge.list_forwards(network, listener):
            name = f"port {listener.get('Port')} {', '.join(forward.paths) or 'every path'}"
            if found and edge.requires_secret(forward, found[0]):
                seen.append(Evidence(forward.resource, forward.path, f"forwards {name} only with the secret header"))
            else:
                text = f"forwards {name} without requiring the secret header that CloudFront adds"
                wrong.append(Evidence(forward.resource, forward.path, text))
        if not any(item.resource is listener for item in edge.list_forwards(network, listener)):
            kinds = ", ".join(str(item.get("Type")) for item in listed(listener.get("DefaultActions")))
            seen.append(
                Evidence(listener, "Properties.DefaultActions", f"answers every other request itself ({kinds})")
            )
    text = f"{balancer.title.capitalize()} forwards only requests of our own distribution"
    return _claim(f"secret -> {balancer.name}", INBOUND, text, seen, wrong)


def _service_claim(network: NetworkModel, balancer: Endpoint, service: Endpoint) -> Claim:
    claim = _open_claim(network, balancer, service, INBOUND)
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    distributions = network.env.of_type(DISTRIBUTION)
    found = edge.find_origin(network, distributions[0], balancer) if distributions else None
    called = set(found[0].ports) if found else set(balancer.ports)
    for listener in network.listeners(balancer.resource):
        if number(listener.get("Port")) not in called:
            continue
        ours = [item for item in edge.list_forwards(network, listener) if edge.forwards_to(item, service, network)]
        seen += [
            Evidence(item.resource, item.path, f"forwards {', '.join(item.paths) or 'every path'}") for item in ours
        ]
        if not ours:
            wrong.append(Evidence(listener, "", f"no rule forwards to {service.title}"))
    for entry in listed(service.resource.get("LoadBalancers")):
        group = network.follow(entry.get("TargetGroupArn"))
        if group is not None and str(group.get("Port")) != str(entry.get("ContainerPort")):
            text = f"sends to port {group.get('Port')}, the container listens on {entry.get('ContainerPort')}"
            wrong.append(Evidence(group, "Properties.Port", text))
    return _claim(claim.id, INBOUND, claim.text, [*seen, *claim.because], [*wrong, *claim.problems])


# --- Pairs -------------------------------------------------------------------------------------------------------


def _open_claim(network: NetworkModel, source: Endpoint, target: Endpoint, section: str) -> Claim:
    """Check that a path is open on the target's ports, in both groups, and on no other port."""
    wanted = [tcp(port) for port in target.ports]
    out, into = outbound_flow(network, source, target), inbound_flow(network, target, source)
    wrong = []
    for port in wanted:
        if not out.certain(port):
            wrong.append(_group(source, f"no egress rule allows {port} to {target.title}"))
        if not into.certain(port):
            wrong.append(_group(target, f"no ingress rule allows {port} from {source.title}"))
    wrong += _excess(into.possible, wanted, target, source.title)
    # Egress to any address (443 to AWS) has a claim of its own. This one covers traffic that both groups allow.
    wrong += _excess(common(out.possible, into.possible), wanted, source, target.title)
    if not wanted:
        wrong.append(Evidence(target.resource, "", "has no known port"))
    text = f"{_capitalize(source)} reaches {target.title} on {format_ranges(wanted)}, and on no other port"
    return _claim(_id(source, target), section, text, [*out.evidence_for(wanted), *into.evidence_for(wanted)], wrong)


def _closed_pair_claims(network: NetworkModel) -> Iterator[Claim]:
    sources = [*network.load_balancers, *network.services, *network.databases]
    # Volumes and VPC endpoints open no connections, so they are not sources.
    targets = [*sources, *network.volumes, *network.interface_endpoint_groups]
    for target in targets:
        yield _closed_claim(INTERNET, target, _external_controls(network, INTERNET, target))
    for target in targets:
        if target not in network.load_balancers:
            yield _closed_claim(CLOUDFRONT, target, _external_controls(network, CLOUDFRONT, target))
    for source, target in product(sources, targets):
        if source is not target and not _is_open(network, source, target):
            yield _closed_claim(source, target, _internal_controls(network, source, target))
    for source in sources:
        if source not in network.services:
            yield _no_outbound_path(network, source)


def _is_open(network: NetworkModel, source: Endpoint, target: Endpoint) -> bool:
    """Return whether a pair has to be open. Every other pair has to be closed."""
    if source in network.load_balancers:
        return target in network.services and is_behind_load_balancer(target)
    if source in network.services:
        called = (source.name, target.name) in network.declared_calls
        if target in network.volumes:
            return network.mounts(source, target)
        return called or target in network.databases or target in network.interface_endpoint_groups
    return False


Controls = tuple[list[Evidence], list[Evidence]]


def _external_controls(network: NetworkModel, source: ExternalPeer, target: Endpoint) -> Controls:
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    if target not in network.load_balancers:
        # An internet-facing load balancer has a public address and a route on purpose; its groups are the only control.
        missing = check_exposure(network, target)
        seen += missing.problems
        if target.public:
            resource, path = target.public_setting or (target.resource, "")
            wrong.append(Evidence(resource, path, "has a public address"))
        wrong += [item for item in missing.evidence if item not in seen]
    admitted, refused = _inbound_controls(network, source, target)
    return [*seen, *admitted], [*wrong, *refused]


def _internal_controls(network: NetworkModel, source: Endpoint, target: Endpoint) -> Controls:
    """Check the groups of both endpoints. Two endpoints in the VPC always have a route."""
    seen, wrong = _inbound_controls(network, source, target)
    # Egress to any address is allowed on purpose, so it is no control for this target; the target's group is.
    intended_egress = set()
    if source in network.services:
        declared = {tcp(rule.port) for rule in network.declared_egress(source) if rule.cidr == ANYWHERE}
        intended_egress = {tcp(HTTPS), *declared}
    for port in target.ports:
        if tcp(port) in intended_egress:
            continue
        flow = outbound_flow(network, source, target)
        leaks = flow.evidence_for([tcp(port)])
        wrong += leaks
        if not leaks:
            seen += _groups(source, f"no egress rule allows {tcp(port)} to {target.title}")
    return seen, wrong


def _inbound_controls(network: NetworkModel, source: Peer, target: Endpoint) -> Controls:
    into = inbound_flow(network, target, source)
    if into.allowed:
        return [], into.evidence_for([ALL_TRAFFIC])
    return _groups(target, f"no ingress rule allows {source.title}"), []


def _no_outbound_path(network: NetworkModel, source: Endpoint) -> Claim:
    out = outbound_flow(network, source, INTERNET)
    seen: list[Evidence] = []
    wrong = [*out.evidence_for([ALL_TRAFFIC])]
    if not wrong:
        seen += _groups(source, "no egress rule allows traffic to the internet")
    if source in network.databases:
        routes = [route.evidence() for subnet in source.subnets for route in outbound_routes(network, subnet)]
        wrong += routes
        if not routes:
            seen += [Evidence(subnet, "", "its route table has no route out of the VPC") for subnet in source.subnets]
    return _closed_claim(source, INTERNET, (seen, wrong))


def _closed_claim(source: Peer, target: Peer, locks: Controls) -> Claim:
    text = f"{_capitalize(source)} does not reach {target.title}"
    if source is INTERNET and target.name.startswith("alb"):
        text += " except through CloudFront"
    return _claim(_id(source, target), CLOSED, text, *locks)


def _bucket_claims(network: NetworkModel) -> Iterator[Claim]:
    for bucket in network.env.of_type(BUCKET):
        seen, wrong = edge.check_bucket_is_private(network, bucket)
        where = bucket.stack.rsplit("/", 1)[-1]
        text = f"No external principal reads {bucket.logical_id} ({where})"
        yield _claim(f"internet -> s3:{where}/{bucket.logical_id}", CLOSED, text, seen, wrong)


# --- What tasks need ---------------------------------------------------------------------------------------------

# Service in the endpoint's name, and why a Fargate task needs it.
NEEDED = {
    "ecr.api": "to authenticate for its image",
    "ecr.dkr": "to pull its image",
    "s3": "to pull the image's layers",
    "logs": "to write its logs",
    "ssm": "to register for sessions",
    "ssmmessages": "to carry sessions of ECS Exec",
    "ec2messages": "to receive commands of Systems Manager",
    "secretsmanager": "to read the secrets of its containers",
}


def _task_claims(network: NetworkModel) -> Iterator[Claim]:
    for service in network.services:
        for name, why in NEEDED.items():
            yield _aws_service_claim(network, service, name, why)
        yield _internet_claim(network, service)


def _aws_service_claim(network: NetworkModel, service: Endpoint, name: str, why: str) -> Claim:
    """Check the path of a service to an AWS service.

    An endpoint with private DNS receives the traffic even if it does not work; without one the NAT gateway of each
    zone does.
    """
    interface = [
        item
        for item in network.interface_endpoints
        if network.service_name(item.resource) == name and flag(item.resource.get("PrivateDnsEnabled"))
    ]
    gateway = network.find(
        VPC_ENDPOINT,
        lambda item: item.get("VpcEndpointType", "Gateway") == "Gateway" and network.service_name(item) == name,
    )
    how = "an endpoint" if interface or gateway else "the NAT gateway of the zone"
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    if not service.subnets:
        wrong.append(Evidence(service.resource, "", "is in no subnet of these templates"))
    if interface:
        seen, wrong = _interface_endpoint_controls(network, service, interface[0])
    else:
        for subnet in service.subnets:
            more, less = (
                _gateway_endpoint_controls(network, service, subnet, gateway[0])
                if gateway
                else _nat_controls(network, service, subnet)
            )
            seen, wrong = [*seen, *more], [*wrong, *less]
    text = f"{_capitalize(service)} reaches {name} through {how}, {why}"
    return _claim(f"{service.name} -> aws:{name}", NEEDS, text, _unique(seen), _unique(wrong))


def _interface_endpoint_controls(network: NetworkModel, service: Endpoint, endpoint: Endpoint) -> Controls:
    seen = [Evidence(endpoint.resource, "Properties.PrivateDnsEnabled", "answers under the service's public name")]
    wrong = []
    vpc = network.find_vpc(endpoint.resource)
    for key in ("EnableDnsSupport", "EnableDnsHostnames"):
        if vpc is None or not flag(vpc.get(key)):
            shown = vpc or endpoint.resource
            wrong.append(
                Evidence(shown, f"Properties.{key}", f"{key} is off, so the endpoint's private name is not resolved")
            )
    zones = {subnet.get("AvailabilityZone") for subnet in endpoint.subnets}
    wrong += [
        Evidence(endpoint.resource, "Properties.SubnetIds", f"has no address in zone {zone}")
        for subnet in service.subnets
        if (zone := subnet.get("AvailabilityZone")) not in zones
    ]
    pair = _open_claim(network, service, endpoint, NEEDS)
    wrong += pair.problems
    wrong += _policy(endpoint.resource)
    return [*seen, *pair.because], wrong


def _gateway_endpoint_controls(
    network: NetworkModel, service: Endpoint, subnet: Resource, endpoint: Resource
) -> Controls:
    table, association = find_route_table(network, subnet)
    tables = [network.follow(item) for item in listed(endpoint.get("RouteTableIds"))]
    wrong = _policy(endpoint)
    out = outbound_flow(network, service, INTERNET)  # the addresses behind a gateway endpoint are public ones
    seen = out.evidence_for([tcp(HTTPS)])
    if not out.certain(tcp(HTTPS)):
        wrong.append(_group(service, f"no egress rule allows {tcp(HTTPS)} to the public addresses of S3"))
    if table is None or association is None or not any(item is table for item in tables):
        wrong.append(Evidence(endpoint, "Properties.RouteTableIds", f"is in no route table of {subnet.logical_id}"))
    else:
        text = f"adds its route to {table.logical_id}, the table of {subnet.logical_id}"
        seen += [Evidence(endpoint, "Properties.RouteTableIds", text), Evidence(association, "", "associates the two")]
    return seen, wrong


def _nat_controls(network: NetworkModel, service: Endpoint, subnet: Resource) -> Controls:
    out = outbound_flow(network, service, INTERNET)
    wrong = [] if out.certain(tcp(HTTPS)) else [_group(service, f"no egress rule allows {tcp(HTTPS)} to any address")]
    answer = check_nat_path(network, subnet)
    return [*out.evidence_for([tcp(HTTPS)]), *answer.evidence], [*wrong, *answer.problems]


def _internet_claim(network: NetworkModel, service: Endpoint) -> Claim:
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    for subnet in service.subnets:
        more, less = _nat_controls(network, service, subnet)
        seen, wrong = [*seen, *more], [*wrong, *less]
    out = outbound_flow(network, service, INTERNET)
    declared = network.declared_egress(service)
    for rule in declared:
        found = [item.by for item in out.allowed if item.block == Block(rule.cidr) and item.ports == tcp(rule.port)]
        seen += found
        if not found:
            wrong.append(_group(service, f"no egress rule allows {tcp(rule.port)} to {rule.cidr}"))
    undeclared = frozenset(item.ports for item in out.allowed if not _is_declared(item, declared))
    wrong += _excess(undeclared, [tcp(HTTPS)], service, "the internet")
    ports = [str(tcp(HTTPS))]
    ports += [f"{tcp(rule.port)}" + (f" of {rule.cidr}" if rule.cidr != ANYWHERE else "") for rule in declared]
    only = f"{', '.join(ports)} only"
    text = f"{_capitalize(service)} reaches the internet on {only}, through the NAT gateway of its own zone"
    return _claim(_id(service, INTERNET), NEEDS, text, _unique(seen), _unique(wrong))


def _is_declared(item: AllowedTraffic, declared: Iterable[DeclaredEgress]) -> bool:
    """Return whether a rule allows only ports and addresses that the project declares."""
    return item.block is not None and any(
        item.ports == tcp(rule.port) and item.block.subnet_of(Block(rule.cidr)) for rule in declared
    )


def _policy(endpoint: Resource) -> list[Evidence]:
    """Return a problem if an endpoint's policy allows only a part. An endpoint without a policy allows everything."""
    document = endpoint.get("PolicyDocument")
    allowed = [item for item in statements(document) if item.effect == "Allow"]
    denied = [item for item in statements(document) if item.effect != "Allow"]
    open_to_all = any("*" in item.actions and "*" in item.resources and not item.conditions for item in allowed)
    if document is None or (open_to_all and not denied):
        return []
    return [Evidence(endpoint, "Properties.PolicyDocument", "its policy allows only a part of the requests")]


# --- The whole ---------------------------------------------------------------------------------------------------

# Types that this proof evaluates, or that open no path. A resource of another type in the network could open a path
# that no claim covers, so it fails a claim.
_AWSVPC = "NetworkConfiguration.AwsvpcConfiguration"
_OF_JOB = f"Target.EcsParameters.{_AWSVPC}"
_READ = {
    "VPC", "Subnet", "RouteTable", "Route", "SubnetRouteTableAssociation", "InternetGateway", "VPCGatewayAttachment",
    "EIP", "NatGateway", "VPCEndpoint", "SecurityGroup", "SecurityGroupIngress", "SecurityGroupEgress", "FlowLog",
}  # fmt: skip

# References that have to point into these templates. A rule of an unknown group would be a rule that no claim covers.
_ANCHORS = {
    "AWS::EC2::SecurityGroupIngress": ("GroupId",),
    "AWS::EC2::SecurityGroupEgress": ("GroupId",),
    "AWS::EC2::Route": ("RouteTableId",),
    "AWS::EC2::SubnetRouteTableAssociation": ("RouteTableId", "SubnetId"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("SecurityGroups", "Subnets"),
    "AWS::ElasticLoadBalancingV2::Listener": ("LoadBalancerArn",),
    "AWS::ElasticLoadBalancingV2::ListenerRule": ("ListenerArn",),
    "AWS::ECS::Service": (f"{_AWSVPC}.SecurityGroups", f"{_AWSVPC}.Subnets"),
    "AWS::Scheduler::Schedule": (f"{_OF_JOB}.SecurityGroups", f"{_OF_JOB}.Subnets"),
    "AWS::RDS::DBCluster": ("VpcSecurityGroupIds", "DBSubnetGroupName"),
    "AWS::RDS::DBSubnetGroup": ("SubnetIds",),
    "AWS::EFS::MountTarget": ("FileSystemId", "SecurityGroups", "SubnetId"),
}


def _network_claims(network: NetworkModel) -> Iterator[Claim]:
    unread = [
        Evidence(item, "", f"{item.type} could open a path that this proof does not evaluate")
        for stack in network.env.stacks.values()
        for item in stack.resources.values()
        if (item.type.startswith("AWS::EC2::") and item.type.removeprefix("AWS::EC2::") not in _READ)
        or item.get("VpcConfig.SubnetIds")
    ]
    unread += [
        Evidence(item, f"Properties.{key}", "refers to no resource of these templates, so no claim covers it")
        for kind, keys in _ANCHORS.items()
        for item in network.env.of_type(kind)
        for key in keys
        if not (values := listed(item.get(key))) or len(network.follow_all(values)) != len(values)
    ]
    vpcs = network.env.of_type(VPC)
    unread += [Evidence(item, "", "is a second VPC; claims support one") for item in vpcs[1:]]
    stray = [
        route.evidence()
        for subnet in network.env.of_type("AWS::EC2::Subnet")
        for route in outbound_routes(network, subnet)
        if route.kind not in ("internet gateway", "NAT gateway") or route.target is None
    ]
    seen = [Evidence(item, "", "is the only VPC, and this proof evaluates every resource in it") for item in vpcs]
    yield _claim(
        "network -> known", WHOLE, "No other resource opens a path into or out of the network", seen, unread + stray
    )


# --- Helpers -----------------------------------------------------------------------------------------------------


def _claim(name: str, section: str, text: str, because: list[Evidence], problems: list[Evidence]) -> Claim:
    return Claim(name, section, text, tuple(_unique(because)), tuple(_unique(problems)))


def _unique(items: list[Evidence]) -> list[Evidence]:
    """Return the items without duplicates; both zones of a service often have the same rule."""
    seen: list[Evidence] = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return seen


def _group(endpoint: Endpoint, text: str) -> Evidence:
    """Return evidence about all groups of an endpoint, located at the first one."""
    return Evidence(endpoint.groups[0] if endpoint.groups else endpoint.resource, "", text)


def _groups(endpoint: Endpoint, text: str) -> list[Evidence]:
    return [Evidence(group, "", text) for group in endpoint.groups]


def _excess(possible: frozenset[Range], wanted: list[Range], endpoint: Endpoint, other: str) -> list[Evidence]:
    excess = [item for item in possible if not item.within(wanted)]
    return [_group(endpoint, f"{format_ranges(excess)} could also pass between it and {other}")] if excess else []


def _id(source: Peer, target: Peer) -> str:
    return f"{source.name} -> {target.name}"


def _capitalize(peer: Peer) -> str:
    return peer.title[:1].upper() + peer.title[1:]
