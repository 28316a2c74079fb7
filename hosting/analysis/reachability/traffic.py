"""What security groups, routes and gateways let through, each with the rule or route that does it.

Two answers are kept apart: what passes for certain, which a claim that a way is open needs, and what could pass, which
a claim that it is closed needs. A rule that cannot be read (an unknown prefix list, a port that is no number) could let
anything pass and lets nothing pass for certain.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hosting.analysis.reachability.network_model import (
    CLOUDFRONT,
    GROUP,
    SUBNET,
    Outside,
    Peer,
    Place,
    World,
)
from hosting.analysis.reachability.ports import EVERYTHING, Range, common, of_rule
from hosting.analysis.resolve import Resource
from hosting.analysis.rules.values import listed
from hosting.model.tokens import Json

Block = ipaddress.IPv4Network

# Blocks that nobody reaches from the internet (RFC 1122, 1918, 3927, 6598).
_INTERNAL = tuple(
    Block(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16")
)
_ALL = Block("0.0.0.0/0")


@dataclass(frozen=True)
class Evidence:
    """A rule, a route, or a setting, and what it means here."""

    resource: Resource
    path: str  # "Properties.SecurityGroupIngress.0"; "" for the resource as a whole
    says: str


@dataclass(frozen=True)
class Pass:
    """One rule that lets, or could let, a peer through."""

    ports: Range
    certain_for: frozenset[int]  # which of the peer's subnets it covers for certain; 0 alone for who is outside
    by: Evidence


@dataclass(frozen=True)
class Flow:
    """Everything that passes between two on one side: out of the source, or into the destination."""

    passes: tuple[Pass, ...]
    subnets: int  # how many subnets the peer stands in

    def certain(self, ports: Range) -> bool:
        """Whether these ports pass in every subnet; another rule may do it for each."""
        return all(
            any(index in item.certain_for and ports.within([item.ports]) for item in self.passes)
            for index in range(self.subnets)
        )

    @property
    def possible(self) -> frozenset[Range]:
        return frozenset(item.ports for item in self.passes)

    def carrying(self, ports: Iterable[Range]) -> list[Evidence]:
        """The rules behind any of these ports."""
        ports = tuple(ports)
        return [item.by for item in self.passes if common([item.ports], ports)]


# --- Security groups ---------------------------------------------------------------------------------------------


def leaving(world: World, source: Place, peer: Peer) -> Flow:
    return Flow(tuple(_passes(world, source, peer, "SecurityGroupEgress")), _parts(peer))


def arriving(world: World, target: Place, peer: Peer) -> Flow:
    return Flow(tuple(_passes(world, target, peer, "SecurityGroupIngress")), _parts(peer))


def _parts(peer: Peer) -> int:
    return max(len(peer.subnets), 1) if isinstance(peer, Place) else 1


def _passes(world: World, place: Place, peer: Peer, direction: str) -> Iterator[Pass]:
    if not place.groups:
        # It then gets the default group of the VPC, which no template describes.
        says = "no security group of its own, so the default group of the VPC applies"
        yield Pass(EVERYTHING, frozenset(), Evidence(place.resource, "", says))
    for group in place.groups:
        for rule, evidence in _rules(world, group, direction):
            certain, possible = _admits(world, rule, peer)
            if possible:
                ports, known = of_rule(rule)
                yield Pass(ports, certain if known else frozenset(), evidence)


def _rules(world: World, group: Resource, direction: str) -> Iterator[tuple[Mapping[str, Json], Evidence]]:
    """A group's rules in one direction: those inside it, those that are resources, and the one that nobody wrote."""
    separate = world.find(f"AWS::EC2::{direction}", lambda rule: world.same(rule.get("GroupId"), group))
    inline = group.get(direction)
    for index, rule in enumerate(listed(inline)):
        yield rule, Evidence(group, f"Properties.{direction}.{index}", _described(world, rule, direction))
    for resource in separate:
        yield resource.properties, Evidence(resource, "", _described(world, resource.properties, direction))
    if direction == "SecurityGroupEgress" and not listed(inline):
        # EC2 gives every group a rule that lets everything out. It surely goes only where the group itself has another.
        rule = {"IpProtocol": "-1", "CidrIp": "unread" if separate else "0.0.0.0/0"}
        yield rule, Evidence(group, "", "names no rule of its own for what leaves, so EC2 lets everything out")


def _described(world: World, rule: Mapping[str, Json], direction: str) -> str:
    ports, known = of_rule(rule)
    inwards = direction == "SecurityGroupIngress"
    return f"{'lets in' if inwards else 'lets out'} {ports if known else 'an unknown port'} {_peer_text(world, rule)}"


def _peer_text(world: World, rule: Mapping[str, Json]) -> str:
    for key, value in rule.items():
        way = "from" if key.startswith("Source") else "to"
        if key in ("SourceSecurityGroupId", "DestinationSecurityGroupId"):
            group = world.behind(value, GROUP)
            return f"{way} members of {f'{_short(group)}' if group else value}"
        if key in ("SourcePrefixListId", "DestinationPrefixListId"):
            return (
                f"{way} {'CloudFront' if value == world.cloudfront_list else 'an unknown list'} (prefix list {value})"
            )
    return f"for {rule.get('CidrIp') or rule.get('CidrIpv6')}"


def _short(resource: Resource) -> str:
    return f"{resource.stack.rsplit('/', 1)[-1]}/{resource.logical_id}"


def _admits(world: World, rule: Mapping[str, Json], peer: Peer) -> tuple[frozenset[int], bool]:
    """For which subnets of a peer a rule counts for certain, and whether it could count at all."""
    nowhere: frozenset[int] = frozenset()
    everywhere = frozenset(range(_parts(peer)))
    group = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    if group is not None:
        if isinstance(peer, Outside):
            return nowhere, False
        found = world.behind(group, GROUP)
        if found is None:
            return nowhere, True
        return (everywhere, True) if any(item is found for item in peer.groups) else (nowhere, False)
    prefixes = rule.get("SourcePrefixListId") or rule.get("DestinationPrefixListId")
    if prefixes is not None:
        if prefixes == world.cloudfront_list:
            return (everywhere, True) if peer is CLOUDFRONT else (nowhere, False)
        return nowhere, True
    if rule.get("CidrIpv6") is not None:
        # Without addresses of version 6 in the VPC it opens nothing, but nobody meant it to stand here either.
        return nowhere, isinstance(peer, Outside)
    block = _block(rule.get("CidrIp"))
    if block is None:
        return nowhere, True
    if isinstance(peer, Outside):
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
class Way:
    """A route out of the VPC."""

    kind: str  # "internet gateway", "NAT gateway", or the property that names another kind of target
    route: Resource
    target: Resource | None

    def evidence(self) -> Evidence:
        destination = (
            self.route.get("DestinationCidrBlock") or self.route.get("DestinationIpv6CidrBlock") or "elsewhere"
        )
        name = self.target.logical_id if self.target else "something outside of these templates"
        return Evidence(self.route, "", f"sends {destination} to {self.kind} {name}")


_TARGETS = {"GatewayId": "internet gateway", "NatGatewayId": "NAT gateway"}


def table_of(world: World, subnet: Resource) -> tuple[Resource | None, Resource | None]:
    """A subnet's route table, and what associates the two. None: the VPC's main table, which has no way out."""
    for item in world.env.of_type("AWS::EC2::SubnetRouteTableAssociation"):
        if world.same(item.get("SubnetId"), subnet):
            return world.behind(item.get("RouteTableId")), item
    return None, None


def ways_out(world: World, subnet: Resource) -> list[Way]:
    table, _ = table_of(world, subnet)
    ways = []
    for route in world.env.of_type("AWS::EC2::Route"):
        if table is None or not world.same(route.get("RouteTableId"), table):
            continue
        key = next((key for key in route.properties if key.endswith("Id") and key != "RouteTableId"), "")
        ways.append(Way(_TARGETS.get(key, key), route, world.behind(route.get(key))))
    return ways


def gateway_ways(world: World, subnet: Resource) -> list[Way]:
    """The routes of a subnet to an internet gateway: what makes it public."""
    return [way for way in ways_out(world, subnet) if way.kind == "internet gateway"]


def is_attached(world: World, gateway: Resource | None) -> Resource | None:
    """What attaches an internet gateway to its VPC."""
    found = world.find(
        "AWS::EC2::VPCGatewayAttachment",
        lambda item: gateway is not None and world.same(item.get("InternetGatewayId"), gateway),
    )
    return found[0] if found else None


@dataclass(frozen=True)
class Answer:
    """A way that is there, or what it lacks; with what was seen on it."""

    evidence: tuple[Evidence, ...]
    problems: tuple[Evidence, ...]

    def __bool__(self) -> bool:
        return not self.problems


def public_way(world: World, subnet: Resource) -> Answer:
    """From a public subnet to the internet and back: a default route to a gateway that is attached."""
    _, association = table_of(world, subnet)
    for way in gateway_ways(world, subnet):
        attachment = is_attached(world, way.target)
        if way.route.get("DestinationCidrBlock") == "0.0.0.0/0" and attachment:
            seen = [way.evidence(), Evidence(attachment, "", "attaches the internet gateway to the VPC")]
            if association:
                seen.insert(0, Evidence(association, "", f"gives {subnet.logical_id} its route table"))
            return Answer(tuple(seen), ())
    return Answer((), (Evidence(subnet, "", "has no default route to an internet gateway that is attached"),))


def nat_way(world: World, subnet: Resource) -> Answer:
    """From a private subnet to the internet: through a NAT gateway that stands in the same zone, in a public subnet."""
    ways = [way for way in ways_out(world, subnet) if way.route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    if not ways:
        return Answer((), (Evidence(subnet, "", "has no default route"),))
    way = ways[0]
    if way.kind != "NAT gateway" or way.target is None:
        return Answer((), (Evidence(way.route, "", f"leaves {subnet.logical_id} by {way.kind}, not by a NAT gateway"),))
    stand = world.behind(way.target.get("SubnetId"), SUBNET)
    if stand is None:
        return Answer((), (Evidence(way.target, "Properties.SubnetId", "stands in no subnet of these templates"),))
    if way.target.get("ConnectivityType", "public") != "public" or not way.target.get("AllocationId"):
        return Answer((), (Evidence(way.target, "", "has no address of the internet"),))
    zone, own = stand.get("AvailabilityZone"), subnet.get("AvailabilityZone")
    if zone != own:
        says = f"leads {subnet.logical_id} of zone {own} to a NAT gateway of zone {zone}"
        return Answer((), (Evidence(way.route, "Properties.NatGatewayId", says),))
    onwards = public_way(world, stand)
    nat = Evidence(way.target, "", f"stands in {stand.logical_id}, in the same zone {own}")
    return Answer((way.evidence(), nat, *onwards.evidence), onwards.problems)


def exposure(world: World, place: Place) -> Answer:
    """Whether packets of the internet could come to a place at all, whatever its groups say.

    The problems are what is missing for that: the locks of a place that is to be private.
    """
    missing = []
    if not place.public:
        resource, path = place.public_at or (place.resource, "")
        missing.append(Evidence(resource, path, "has no address of the internet"))
    ways = [way for subnet in place.subnets for way in gateway_ways(world, subnet)]
    if not ways:
        names = ", ".join(subnet.logical_id for subnet in place.subnets) or "its subnets"
        shown = place.subnets[0] if place.subnets else place.resource
        missing.append(Evidence(shown, "", f"no route leads from an internet gateway to {names}"))
    return Answer(tuple(way.evidence() for way in ways), tuple(missing))
