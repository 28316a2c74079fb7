"""What this platform means to be open and to be closed, and whether the templates make it so.

Every pair of places is claimed to be closed unless it is listed as open, so that a new place starts out closed. An
open way has to be open on exactly its ports. A closed one has to be closed at each of its locks (address, route, what
leaves, what is let in): one that holds while another is gone is one mistake away from open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from hosting.analysis.reachability import edge
from hosting.analysis.reachability.network_model import (
    BUCKET,
    CLOUDFRONT,
    DISTRIBUTION,
    ENDPOINT,
    HTTPS,
    INTERNET,
    VPC,
    Outside,
    Peer,
    Place,
    World,
)
from hosting.analysis.reachability.ports import EVERYTHING, Range, common, described, tcp
from hosting.analysis.reachability.traffic import (
    Evidence,
    arriving,
    exposure,
    leaving,
    nat_way,
    public_way,
    table_of,
    ways_out,
)
from hosting.analysis.resolve import Resource
from hosting.analysis.rules.values import flag, listed, number, statements

WAY_IN, CLOSED, NEEDS, WHOLE = "The way in", "Closed", "What tasks need", "The whole network"


@dataclass(frozen=True)
class Claim:
    """One statement about two places, what carries it, and what contradicts it."""

    id: str  # "internet -> alb"
    section: str
    says: str
    because: tuple[Evidence, ...]
    problems: tuple[Evidence, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


def claims(world: World) -> list[Claim]:
    """The proof, in the order in which a request travels."""
    return [
        *_way_in(world),
        *_closed_pairs(world),
        *_buckets(world),
        *_needs(world),
        *_whole(world),
    ]


# --- The way in --------------------------------------------------------------------------------------------------


def _way_in(world: World) -> Iterator[Claim]:
    for distribution in world.env.of_type(DISTRIBUTION):
        seen, wrong = edge.viewers(distribution)
        yield _claim("internet -> cloudfront", WAY_IN, "Browsers reach CloudFront, over HTTPS only", seen, wrong)
        for balancer in world.load_balancers:
            yield _cloudfront_to_alb(world, distribution, balancer)
            yield _secret(world, distribution, balancer)
        for origin, bucket in edge.bucket_origins(world, distribution):
            seen, wrong = edge.signed_reads(world, origin, bucket)
            says = f"CloudFront alone reads {bucket.logical_id}, with signed requests"
            yield _claim(f"cloudfront -> s3:{bucket.logical_id}", WAY_IN, says, seen, wrong)
    for balancer, service in product(world.load_balancers, world.services):
        if service.listens:
            yield _alb_to_service(world, balancer, service)
    for service, database in product(world.services, world.databases):
        yield _open_pair(world, service, database, WAY_IN)
    for caller, callee in product(world.services, world.services):
        if (caller.name, callee.name) in world.calls:
            yield _open_pair(world, caller, callee, WAY_IN)


def _cloudfront_to_alb(world: World, distribution: Resource, balancer: Place) -> Claim:
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    says = f"CloudFront reaches {balancer.title}"
    found = edge.origin_of(world, distribution, balancer)
    if found is None:
        path = "Properties.DistributionConfig.Origins"
        wrong.append(Evidence(distribution, path, f"no origin leads to {balancer.title}"))
    else:
        origin, evidence = found
        seen += evidence
        listening = {number(item.get("Port")): item for item in world.listeners(balancer.resource)}
        for port in origin.ports:
            if port in listening:
                seen.append(Evidence(listening[port], "", f"listens on port {port}"))
            else:
                wrong.append(Evidence(distribution, origin.path, f"calls port {port}, on which nothing listens"))
        flow = arriving(world, balancer, CLOUDFRONT)
        wanted = [tcp(port) for port in origin.ports]
        seen += flow.carrying(wanted)
        wrong += [
            Evidence(balancer.resource, "Properties.SecurityGroups", f"no group lets {ports} in")
            for ports in wanted
            if not flow.certain(ports)
        ]
        wrong += _too_much(flow.possible, [tcp(port) for port in balancer.listens], balancer, "CloudFront")
    if not balancer.public:
        wrong.append(Evidence(balancer.resource, "Properties.Scheme", "is internal, so CloudFront cannot call it"))
    for subnet in balancer.subnets:
        answer = public_way(world, subnet)
        seen += answer.evidence
        wrong += answer.problems
    return _claim(f"cloudfront -> {balancer.name}", WAY_IN, says, seen, wrong)


def _secret(world: World, distribution: Resource, balancer: Place) -> Claim:
    """The prefix list is that of everybody's distributions; the secret header is what makes it ours."""
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    found = edge.origin_of(world, distribution, balancer)
    for listener in world.listeners(balancer.resource):
        for forward in edge.forwards(world, listener):
            name = f"port {listener.get('Port')} {', '.join(forward.paths) or 'everything'}"
            if found and edge.demands(forward, found[0]):
                seen.append(Evidence(forward.resource, forward.path, f"forwards {name} only with the secret header"))
            else:
                says = f"forwards {name} without asking for the secret header that CloudFront adds"
                wrong.append(Evidence(forward.resource, forward.path, says))
        if not any(item.resource is listener for item in edge.forwards(world, listener)):
            kinds = ", ".join(str(item.get("Type")) for item in listed(listener.get("DefaultActions")))
            seen.append(Evidence(listener, "Properties.DefaultActions", f"answers everything else itself ({kinds})"))
    says = f"{balancer.title.capitalize()} forwards only what our own distribution sends"
    return _claim(f"secret -> {balancer.name}", WAY_IN, says, seen, wrong)


def _alb_to_service(world: World, balancer: Place, service: Place) -> Claim:
    claim = _open_pair(world, balancer, service, WAY_IN)
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    distributions = world.env.of_type(DISTRIBUTION)
    found = edge.origin_of(world, distributions[0], balancer) if distributions else None
    called = set(found[0].ports) if found else set(balancer.listens)
    for listener in world.listeners(balancer.resource):
        if number(listener.get("Port")) not in called:
            continue
        ours = [item for item in edge.forwards(world, listener) if edge.leads_to(item, service, world)]
        seen += [
            Evidence(item.resource, item.path, f"forwards {', '.join(item.paths) or 'everything'}") for item in ours
        ]
        if not ours:
            wrong.append(Evidence(listener, "", f"no rule forwards to {service.title}"))
    for entry in listed(service.resource.get("LoadBalancers")):
        group = world.behind(entry.get("TargetGroupArn"))
        if group is not None and str(group.get("Port")) != str(entry.get("ContainerPort")):
            says = f"sends to port {group.get('Port')}, the container listens on {entry.get('ContainerPort')}"
            wrong.append(Evidence(group, "Properties.Port", says))
    return _claim(claim.id, WAY_IN, claim.says, [*seen, *claim.because], [*wrong, *claim.problems])


# --- Pairs -------------------------------------------------------------------------------------------------------


def _open_pair(world: World, source: Place, target: Place, section: str) -> Claim:
    """Open on the target's ports, in both groups, and on nothing else."""
    wanted = [tcp(port) for port in target.listens]
    out, into = leaving(world, source, target), arriving(world, target, source)
    wrong = []
    for port in wanted:
        if not out.certain(port):
            wrong.append(_group(source, f"no rule lets {port} out to {target.title}"))
        if not into.certain(port):
            wrong.append(_group(target, f"no rule lets {port} in from {source.title}"))
    wrong += _too_much(into.possible, wanted, target, source.title)
    # What may leave to anywhere (443 to AWS) is claimed elsewhere; here counts what passes both groups.
    wrong += _too_much(common(out.possible, into.possible), wanted, source, target.title)
    if not wanted:
        wrong.append(Evidence(target.resource, "", "listens on no port that is known"))
    says = f"{_capital(source)} reaches {target.title} on {described(wanted)}, and on nothing else"
    return _claim(_id(source, target), section, says, [*out.carrying(wanted), *into.carrying(wanted)], wrong)


def _closed_pairs(world: World) -> Iterator[Claim]:
    targets = [*world.load_balancers, *world.services, *world.databases, *world.endpoint_sets]
    # An endpoint answers and never calls anybody: no source.
    sources = [*world.load_balancers, *world.services, *world.databases]
    for target in targets:
        yield _closed(INTERNET, target, _locks_from_outside(world, INTERNET, target))
    for target in targets:
        if target not in world.load_balancers:
            yield _closed(CLOUDFRONT, target, _locks_from_outside(world, CLOUDFRONT, target))
    for source, target in product(sources, targets):
        if source is not target and not _is_open(world, source, target):
            yield _closed(source, target, _locks(world, source, target))
    for source in sources:
        if source not in world.services:
            yield _no_way_out(world, source)


def _is_open(world: World, source: Place, target: Place) -> bool:
    """The pairs that are meant to talk. Everything else that has addresses is claimed to be closed."""
    if source in world.load_balancers:
        return target in world.services and bool(target.listens)
    if source in world.services:
        called = (source.name, target.name) in world.calls
        return called or target in world.databases or target in world.endpoint_sets
    return False


Locks = tuple[list[Evidence], list[Evidence]]


def _locks_from_outside(world: World, source: Outside, target: Place) -> Locks:
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    if target not in world.load_balancers:
        # A load balancer of the internet has an address and a route on purpose; its groups are the only lock.
        missing = exposure(world, target)
        seen += missing.problems
        if target.public:
            resource, path = target.public_at or (target.resource, "")
            wrong.append(Evidence(resource, path, "has an address of the internet"))
        wrong += [item for item in missing.evidence if item not in seen]
    let_in, refused = _let_in(world, source, target)
    return [*seen, *let_in], [*wrong, *refused]


def _locks(world: World, source: Place, target: Place) -> Locks:
    """Between two places in the VPC there is always a route: the groups of both are the locks."""
    seen, wrong = _let_in(world, source, target)
    # What may go to any address on purpose is not a rule about this target; its own group is the lock then.
    own_way_out = {tcp(HTTPS)} if source in world.services else set()
    for port in target.listens:
        if tcp(port) in own_way_out:
            continue
        flow = leaving(world, source, target)
        leaks = flow.carrying([tcp(port)])
        wrong += leaks
        if not leaks:
            seen += _groups(source, f"no rule lets {tcp(port)} out to {target.title}")
    return seen, wrong


def _let_in(world: World, source: Peer, target: Place) -> Locks:
    into = arriving(world, target, source)
    if into.passes:
        return [], into.carrying([EVERYTHING])
    return _groups(target, f"no rule lets {source.title} in"), []


def _no_way_out(world: World, source: Place) -> Claim:
    out = leaving(world, source, INTERNET)
    seen: list[Evidence] = []
    wrong = [*out.carrying([EVERYTHING])]
    if not wrong:
        seen += _groups(source, "no rule lets anything out to the internet")
    if source in world.databases:
        ways = [way.evidence() for subnet in source.subnets for way in ways_out(world, subnet)]
        wrong += ways
        if not ways:
            seen += [Evidence(subnet, "", "its route table leads nowhere outside the VPC") for subnet in source.subnets]
    return _closed(source, INTERNET, (seen, wrong))


def _closed(source: Peer, target: Peer, locks: Locks) -> Claim:
    says = f"{_capital(source)} does not reach {target.title}"
    if source is INTERNET and target.name.startswith("alb"):
        says += " but through CloudFront"
    return _claim(_id(source, target), CLOSED, says, *locks)


def _buckets(world: World) -> Iterator[Claim]:
    for bucket in world.env.of_type(BUCKET):
        seen, wrong = edge.closed_bucket(world, bucket)
        where = bucket.stack.rsplit("/", 1)[-1]
        says = f"Nobody outside reads {bucket.logical_id} ({where})"
        yield _claim(f"internet -> s3:{where}/{bucket.logical_id}", CLOSED, says, seen, wrong)


# --- What tasks need ---------------------------------------------------------------------------------------------

# Service in the endpoint's name, and what a Fargate task needs it for.
NEEDED = {
    "ecr.api": "to ask for its image",
    "ecr.dkr": "to pull its image",
    "s3": "to pull the image's layers",
    "logs": "to write its logs",
    "ssm": "to register for sessions",
    "ssmmessages": "to carry sessions (ECS Exec)",
    "ec2messages": "to take commands of Systems Manager",
    "secretsmanager": "to read the database's password",
}


def _needs(world: World) -> Iterator[Claim]:
    for service in world.services:
        for name, why in NEEDED.items():
            yield _reaches_aws(world, service, name, why)
        yield _out_by_nat(world, service)


def _reaches_aws(world: World, service: Place, name: str, why: str) -> Claim:
    """By an endpoint where there is one: private DNS leads there whether it works or not. Else by NAT, zone by zone."""
    interface = [
        item
        for item in world.endpoints
        if world.service_of(item.resource) == name and flag(item.resource.get("PrivateDnsEnabled"))
    ]
    gateway = world.find(
        ENDPOINT,
        lambda item: item.get("VpcEndpointType", "Gateway") == "Gateway" and world.service_of(item) == name,
    )
    how = "an endpoint" if interface or gateway else "the NAT gateway of the zone"
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    if not service.subnets:
        wrong.append(Evidence(service.resource, "", "stands in no subnet of these templates"))
    if interface:
        seen, wrong = _by_interface(world, service, interface[0])
    else:
        for subnet in service.subnets:
            more, less = _by_gateway(world, service, subnet, gateway[0]) if gateway else _by_nat(world, service, subnet)
            seen, wrong = [*seen, *more], [*wrong, *less]
    says = f"{_capital(service)} reaches {name} by {how}, {why}"
    return _claim(f"{service.name} -> aws:{name}", NEEDS, says, _once(seen), _once(wrong))


def _by_interface(world: World, service: Place, endpoint: Place) -> Locks:
    seen = [Evidence(endpoint.resource, "Properties.PrivateDnsEnabled", "answers under the service's public name")]
    wrong = []
    vpc = world.vpc_of(endpoint.resource)
    for key in ("EnableDnsSupport", "EnableDnsHostnames"):
        if vpc is None or not flag(vpc.get(key)):
            shown = vpc or endpoint.resource
            wrong.append(Evidence(shown, f"Properties.{key}", f"{key} is off, so the endpoint's name does not answer"))
    zones = {subnet.get("AvailabilityZone") for subnet in endpoint.subnets}
    wrong += [
        Evidence(endpoint.resource, "Properties.SubnetIds", f"has no address in zone {zone}")
        for subnet in service.subnets
        if (zone := subnet.get("AvailabilityZone")) not in zones
    ]
    pair = _open_pair(world, service, endpoint, NEEDS)
    wrong += pair.problems
    wrong += _policy(endpoint.resource)
    return [*seen, *pair.because], wrong


def _by_gateway(world: World, service: Place, subnet: Resource, endpoint: Resource) -> Locks:
    table, association = table_of(world, subnet)
    tables = [world.behind(item) for item in listed(endpoint.get("RouteTableIds"))]
    wrong = _policy(endpoint)
    out = leaving(world, service, INTERNET)  # the addresses behind a gateway endpoint are public ones
    seen = out.carrying([tcp(HTTPS)])
    if not out.certain(tcp(HTTPS)):
        wrong.append(_group(service, f"no rule lets {tcp(HTTPS)} out to the public addresses of S3"))
    if table is None or association is None or not any(item is table for item in tables):
        wrong.append(Evidence(endpoint, "Properties.RouteTableIds", f"is in no route table of {subnet.logical_id}"))
    else:
        says = f"adds its route to {table.logical_id}, that of {subnet.logical_id}"
        seen += [Evidence(endpoint, "Properties.RouteTableIds", says), Evidence(association, "", "associates the two")]
    return seen, wrong


def _by_nat(world: World, service: Place, subnet: Resource) -> Locks:
    out = leaving(world, service, INTERNET)
    wrong = [] if out.certain(tcp(HTTPS)) else [_group(service, f"no rule lets {tcp(HTTPS)} out to anywhere")]
    answer = nat_way(world, subnet)
    return [*out.carrying([tcp(HTTPS)]), *answer.evidence], [*wrong, *answer.problems]


def _out_by_nat(world: World, service: Place) -> Claim:
    seen: list[Evidence] = []
    wrong: list[Evidence] = []
    for subnet in service.subnets:
        more, less = _by_nat(world, service, subnet)
        seen, wrong = [*seen, *more], [*wrong, *less]
    out = leaving(world, service, INTERNET)
    wrong += _too_much(out.possible, [tcp(HTTPS)], service, "the internet")
    says = f"{_capital(service)} reaches the internet on {tcp(HTTPS)} alone, by the NAT gateway of its own zone"
    return _claim(_id(service, INTERNET), NEEDS, says, _once(seen), _once(wrong))


def _policy(endpoint: Resource) -> list[Evidence]:
    """An endpoint without a policy lets everything pass; one that we did not read could refuse what a task needs."""
    document = endpoint.get("PolicyDocument")
    allowed = [item for item in statements(document) if item.effect == "Allow"]
    denied = [item for item in statements(document) if item.effect != "Allow"]
    open_to_all = any("*" in item.actions and "*" in item.resources and not item.conditions for item in allowed)
    if document is None or (open_to_all and not denied):
        return []
    return [Evidence(endpoint, "Properties.PolicyDocument", "its policy lets only part of what passes through")]


# --- The whole ---------------------------------------------------------------------------------------------------

# Types that this proof knows how to read, or that open no way. Another type with a foot in the network would be a way
# that no claim looks at, so it fails one.
_AWSVPC = "NetworkConfiguration.AwsvpcConfiguration"
_READ = {
    "VPC", "Subnet", "RouteTable", "Route", "SubnetRouteTableAssociation", "InternetGateway", "VPCGatewayAttachment",
    "EIP", "NatGateway", "VPCEndpoint", "SecurityGroup", "SecurityGroupIngress", "SecurityGroupEgress", "FlowLog",
}  # fmt: skip

# What has to lead to a resource of ours: a rule that opens an unknown group would be a rule that no claim sees.
_ANCHORS = {
    "AWS::EC2::SecurityGroupIngress": ("GroupId",),
    "AWS::EC2::SecurityGroupEgress": ("GroupId",),
    "AWS::EC2::Route": ("RouteTableId",),
    "AWS::EC2::SubnetRouteTableAssociation": ("RouteTableId", "SubnetId"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("SecurityGroups", "Subnets"),
    "AWS::ElasticLoadBalancingV2::Listener": ("LoadBalancerArn",),
    "AWS::ElasticLoadBalancingV2::ListenerRule": ("ListenerArn",),
    "AWS::ECS::Service": (f"{_AWSVPC}.SecurityGroups", f"{_AWSVPC}.Subnets"),
    "AWS::RDS::DBCluster": ("VpcSecurityGroupIds", "DBSubnetGroupName"),
    "AWS::RDS::DBSubnetGroup": ("SubnetIds",),
}


def _whole(world: World) -> Iterator[Claim]:
    unread = [
        Evidence(item, "", f"{item.type} could open a way that this proof does not look at")
        for stack in world.env.stacks.values()
        for item in stack.resources.values()
        if (item.type.startswith("AWS::EC2::") and item.type.removeprefix("AWS::EC2::") not in _READ)
        or item.get("VpcConfig.SubnetIds")
    ]
    unread += [
        Evidence(item, f"Properties.{key}", "names nothing in these templates, so no claim takes it into account")
        for kind, keys in _ANCHORS.items()
        for item in world.env.of_type(kind)
        for key in keys
        if not (values := listed(item.get(key))) or len(world.all_behind(values)) != len(values)
    ]
    vpcs = world.env.of_type(VPC)
    unread += [Evidence(item, "", "a second VPC, which no claim tells apart") for item in vpcs[1:]]
    stray = [
        way.evidence()
        for subnet in world.env.of_type("AWS::EC2::Subnet")
        for way in ways_out(world, subnet)
        if way.kind not in ("internet gateway", "NAT gateway") or way.target is None
    ]
    seen = [Evidence(item, "", "is the one network, and every resource in it is known to this proof") for item in vpcs]
    yield _claim("network -> known", WHOLE, "Nothing else opens a way into or out of the network", seen, unread + stray)


# --- Helpers -----------------------------------------------------------------------------------------------------


def _claim(name: str, section: str, says: str, because: list[Evidence], problems: list[Evidence]) -> Claim:
    return Claim(name, section, says, tuple(_once(because)), tuple(_once(problems)))


def _once(items: list[Evidence]) -> list[Evidence]:
    """Both zones of a service are often carried by the same rule."""
    seen: list[Evidence] = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return seen


def _group(place: Place, says: str) -> Evidence:
    """What is wrong with the groups of a place as a whole: the first stands for them."""
    return Evidence(place.groups[0] if place.groups else place.resource, "", says)


def _groups(place: Place, says: str) -> list[Evidence]:
    return [Evidence(group, "", says) for group in place.groups]


def _too_much(possible: frozenset[Range], wanted: list[Range], place: Place, other: str) -> list[Evidence]:
    excess = [item for item in possible if not item.within(wanted)]
    return [_group(place, f"{described(excess)} could pass, too, between it and {other}")] if excess else []


def _id(source: Peer, target: Peer) -> str:
    return f"{source.name} -> {target.name}"


def _capital(peer: Peer) -> str:
    return peer.title[:1].upper() + peer.title[1:]
