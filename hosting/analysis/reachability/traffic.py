"""Evaluates security groups, routes and gateways, each result with the rule or route that causes it.

Two results are separate: traffic that certainly passes, for claims that a path is open, and traffic that may pass, for
claims that a path is closed. An unreadable rule (an unknown prefix list, a port that is not a number) may allow any
traffic and certainly allows none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hosting.analysis.reachability.network_model import (
    CLOUDFRONT,
    GROUP,
    SUBNET,
    Endpoint,
    ExternalPeer,
    NetworkModel,
    Peer,
)
from hosting.analysis.reachability.ports import ALL_TRAFFIC, Range, common, parse_ports
from hosting.analysis.resolve import Resource
from hosting.analysis.rules.values import listed
from hosting.model.tokens import Json

Block = ipaddress.IPv4Network

# Address ranges that are not routed on the internet (RFC 1122, 1918, 3927, 6598).
_INTERNAL = tuple(
    Block(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16")
)
_ALL = Block("0.0.0.0/0")


@dataclass(frozen=True)
class Evidence:
    """A rule, route or setting, and its meaning for a claim."""

    resource: Resource
    path: str  # "Properties.SecurityGroupIngress.0"; "" for the resource as a whole
    text: str


@dataclass(frozen=True)
class AllowedTraffic:
    """A rule that allows, or may allow, traffic of a peer."""

    ports: Range
    certain_for: frozenset[int]  # indexes of the peer's subnets that it certainly covers; only 0 for an external peer
    by: Evidence
    block: Block | None = None  # the addresses of the rule; None for a rule without any, or with unknown ones


@dataclass(frozen=True)
class Flow:
    """All traffic between two peers in one direction, on one side."""

    allowed: tuple[AllowedTraffic, ...]
    subnets: int  # number of the peer's subnets

    def certain(self, ports: Range) -> bool:
        """Return whether these ports certainly pass in every subnet of the peer."""
        return all(
            any(index in item.certain_for and ports.within([item.ports]) for item in self.allowed)
            for index in range(self.subnets)
        )

    @property
    def possible(self) -> frozenset[Range]:
        return frozenset(item.ports for item in self.allowed)

    def evidence_for(self, ports: Iterable[Range]) -> list[Evidence]:
        """Return the rules that allow any of these ports."""
        ports = tuple(ports)
        return [item.by for item in self.allowed if common([item.ports], ports)]


# --- Security groups ---------------------------------------------------------------------------------------------


def outbound_flow(network: NetworkModel, source: Endpoint, peer: Peer) -> Flow:
    return Flow(tuple(_allowed_traffic(network, source, peer, "SecurityGroupEgress")), _subnet_count(peer))


def inbound_flow(network: NetworkModel, target: Endpoint, peer: Peer) -> Flow:
    return Flow(tuple(_allowed_traffic(network, target, peer, "SecurityGroupIngress")), _subnet_count(peer))


def _subnet_count(peer: Peer) -> int:
    return max(len(peer.subnets), 1) if isinstance(peer, Endpoint) else 1


def _allowed_traffic(network: NetworkModel, endpoint: Endpoint, peer: Peer, direction: str) -> Iterator[AllowedTraffic]:
    if not endpoint.groups:
        # EC2 then uses the default group of the VPC, which no template describes.
        text = "has no security group, so the default group of the VPC applies"
        yield AllowedTraffic(ALL_TRAFFIC, frozenset(), Evidence(endpoint.resource, "", text))
    for group in endpoint.groups:
        for rule, evidence in _rules(network, group, direction):
            certain, possible = _match_peer(network, rule, peer)
            if possible:
                ports, known = parse_ports(rule)
                yield AllowedTraffic(ports, certain if known else frozenset(), evidence, _block(rule.get("CidrIp")))


def _rules(network: NetworkModel, group: Resource, direction: str) -> Iterator[tuple[Mapping[str, Json], Evidence]]:
    """Yield the rules of a group in one direction: inline rules, separate resources, and EC2's default egress rule."""
    separate = network.find(f"AWS::EC2::{direction}", lambda rule: network.refers_to(rule.get("GroupId"), group))
    inline = group.get(direction)
    for index, rule in enumerate(listed(inline)):
        yield rule, Evidence(group, f"Properties.{direction}.{index}", _describe_rule(network, rule, direction))
    for resource in separate:
        yield resource.properties, Evidence(resource, "", _describe_rule(network, resource.properties, direction))
    if direction == "SecurityGroupEgress" and not listed(inline):
        # EC2 creates a rule that allows all egress in every group. Only an inline rule certainly replaces it.
        rule = {"IpProtocol": "-1", "CidrIp": "unread" if separate else "0.0.0.0/0"}
        yield rule, Evidence(group, "", "has no egress rule, so EC2 allows all egress")


def _describe_rule(network: NetworkModel, rule: Mapping[str, Json], direction: str) -> str:
    ports, known = parse_ports(rule)
    inwards = direction == "SecurityGroupIngress"
    verb = "allows" if inwards else "allows egress of"
    return f"{verb} {ports if known else 'an unknown port'} {_peer_text(network, rule)}"


def _peer_text(network: NetworkModel, rule: Mapping[str, Json]) -> str:
    for key, value in rule.items():
        preposition = "from" if key.startswith("Source") else "to"
        if key in ("SourceSecurityGroupId", "DestinationSecurityGroupId"):
            group = network.follow(value, GROUP)
            return f"{preposition} members of {f'{_short(group)}' if group else value}"
        if key in ("SourcePrefixListId", "DestinationPrefixListId"):
            name = "CloudFront" if value == network.cloudfront_list else "an unknown list"
            return f"{preposition} {name} (prefix list {value})"
    return f"for {rule.get('CidrIp') or rule.get('CidrIpv6')}"


def _short(resource: Resource) -> str:
    return f"{resource.stack.rsplit('/', 1)[-1]}/{resource.logical_id}"


def _match_peer(network: NetworkModel, rule: Mapping[str, Json], peer: Peer) -> tuple[frozenset[int], bool]:
    """Return the subnets of a peer that a rule certainly covers, and whether it may cover the peer at all."""
    nowhere: frozenset[int] = frozenset()
    everywhere = frozenset(range(_subnet_count(peer)))
    group = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    if group is not None:
        if isinstance(peer, ExternalPeer):
            return nowhere, False
        found = network.follow(group, GROUP)
        if found is None:
            return nowhere, True
        return (everywhere, True) if any(item is found for item in peer.groups) else (nowhere, False)
    prefixes = rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId")
    if prefixes is not None:
        if prefixes == network.cloudfront_list:
            return (everywhere, True) if peer is CLOUDFRONT else (nowhere, False)
        return nowhere, True
    if rule.get("CidrIpv6") is not None:
        # The VPC has no IPv6 addresses, so the rule has no effect, but it is not intended either.
        return nowhere, isinstance(peer, ExternalPeer)
    block = _block(rule.get("CidrIp"))
    if block is None:
        return nowhere, True
    if isinstance(peer, ExternalPeer):
        return (everywhere if block == _ALL else nowhere), not any(block.subnet_of(inner) for inner in _INTERNAL)
    own = [_block(subnet.get("CidrBlock")) for subnet in peer.subnets]
    covered = frozenset(index for index, item in enumerate(own) if item is not None and item.subnet_of(block))
    return covered, not own or any(item is None or item.overlaps(block) for item in own)


def _block(value: Json) -> Block | None:
    try:
        return Block(str(value), strict=False)
    except ValueError:
        return None


# --- Routes ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OutboundRoute:
    """A route that leaves the VPC."""

    kind: str  # "internet gateway", "NAT gateway", or the property that names another kind of target
    resource: Resource
    target: Resource | None

    def evidence(self) -> Evidence:
        destination = (
            self.resource.get("DestinationCidrBlock")
            or self.resource.get("DestinationIpv6CidrBlock")
            or "an unknown destination"
        )
        name = self.target.logical_id if self.target else "a target outside these templates"
        return Evidence(self.resource, "", f"sends {destination} to {self.kind} {name}")


_TARGETS = {"GatewayId": "internet gateway", "NatGatewayId": "NAT gateway"}


def find_route_table(network: NetworkModel, subnet: Resource) -> tuple[Resource | None, Resource | None]:
    """Return a subnet's route table and the association. None means the main table, which has no outbound route."""
    for item in network.env.of_type("AWS::EC2::SubnetRouteTableAssociation"):
        if network.refers_to(item.get("SubnetId"), subnet):
            return network.follow(item.get("RouteTableId")), item
    return None, None


def outbound_routes(network: NetworkModel, subnet: Resource) -> list[OutboundRoute]:
    table, _ = find_route_table(network, subnet)
    routes = []
    for route in network.env.of_type("AWS::EC2::Route"):
        if table is None or not network.refers_to(route.get("RouteTableId"), table):
            continue
        key = next((key for key in route.properties if key.endswith("Id") and key != "RouteTableId"), "")
        routes.append(OutboundRoute(_TARGETS.get(key, key), route, network.follow(route.get(key))))
    return routes


def internet_gateway_routes(network: NetworkModel, subnet: Resource) -> list[OutboundRoute]:
    """Return the routes of a subnet to an internet gateway. Such a route makes a subnet public."""
    return [route for route in outbound_routes(network, subnet) if route.kind == "internet gateway"]


def find_attachment(network: NetworkModel, gateway: Resource | None) -> Resource | None:
    """Return the attachment of an internet gateway to its VPC, or None."""
    found = network.find(
        "AWS::EC2::VPCGatewayAttachment",
        lambda item: gateway is not None and network.refers_to(item.get("InternetGatewayId"), gateway),
    )
    return found[0] if found else None


@dataclass(frozen=True)
class PathCheck:
    """The result of checking a path: the evidence, and the problems. It is true if there are no problems."""

    evidence: tuple[Evidence, ...]
    problems: tuple[Evidence, ...]

    def __bool__(self) -> bool:
        return not self.problems


def check_public_path(network: NetworkModel, subnet: Resource) -> PathCheck:
    """Check that a public subnet has a default route to an attached internet gateway."""
    _, association = find_route_table(network, subnet)
    for route in internet_gateway_routes(network, subnet):
        attachment = find_attachment(network, route.target)
        if route.resource.get("DestinationCidrBlock") == "0.0.0.0/0" and attachment:
            seen = [route.evidence(), Evidence(attachment, "", "attaches the internet gateway to the VPC")]
            if association:
                seen.insert(0, Evidence(association, "", f"gives {subnet.logical_id} its route table"))
            return PathCheck(tuple(seen), ())
    return PathCheck((), (Evidence(subnet, "", "has no default route to an internet gateway that is attached"),))


def check_nat_path(network: NetworkModel, subnet: Resource) -> PathCheck:
    """Check that a private subnet reaches the internet through a NAT gateway in a public subnet of the same zone."""
    routes = [
        route for route in outbound_routes(network, subnet) if route.resource.get("DestinationCidrBlock") == "0.0.0.0/0"
    ]
    if not routes:
        return PathCheck((), (Evidence(subnet, "", "has no default route"),))
    route = routes[0]
    if route.kind != "NAT gateway" or route.target is None:
        return PathCheck(
            (), (Evidence(route.resource, "", f"routes {subnet.logical_id} to {route.kind}, not to a NAT gateway"),)
        )
    nat_subnet = network.follow(route.target.get("SubnetId"), SUBNET)
    if nat_subnet is None:
        return PathCheck((), (Evidence(route.target, "Properties.SubnetId", "is in no subnet of these templates"),))
    if route.target.get("ConnectivityType", "public") != "public" or not route.target.get("AllocationId"):
        return PathCheck((), (Evidence(route.target, "", "has no public address"),))
    zone, own = nat_subnet.get("AvailabilityZone"), subnet.get("AvailabilityZone")
    if zone != own:
        text = f"routes {subnet.logical_id} of zone {own} to a NAT gateway of zone {zone}"
        return PathCheck((), (Evidence(route.resource, "Properties.NatGatewayId", text),))
    onward = check_public_path(network, nat_subnet)
    nat = Evidence(route.target, "", f"is in {nat_subnet.logical_id}, in the same zone {own}")
    return PathCheck((route.evidence(), nat, *onward.evidence), onward.problems)


def check_exposure(network: NetworkModel, endpoint: Endpoint) -> PathCheck:
    """Check whether packets of the internet could arrive at an endpoint, without regard to its groups.

    The problems are the missing conditions, which are the controls of a private endpoint.
    """
    missing = []
    if not endpoint.public:
        resource, path = endpoint.public_setting or (endpoint.resource, "")
        missing.append(Evidence(resource, path, "has no public address"))
    routes = [route for subnet in endpoint.subnets for route in internet_gateway_routes(network, subnet)]
    if not routes:
        names = ", ".join(subnet.logical_id for subnet in endpoint.subnets) or "its subnets"
        shown = endpoint.subnets[0] if endpoint.subnets else endpoint.resource
        missing.append(Evidence(shown, "", f"no route table has an internet gateway for {names}"))
    return PathCheck(tuple(route.evidence() for route in routes), tuple(missing))
