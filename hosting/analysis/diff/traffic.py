"""Compares rules of security groups by the traffic that they allow."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hosting.analysis.diff.statements import PermissionDifference
from hosting.model.tokens import Json

GROUP = "AWS::EC2::SecurityGroup"
INGRESS = "AWS::EC2::SecurityGroupIngress"
EGRESS = "AWS::EC2::SecurityGroupEgress"

_PEERS = (
    "CidrIp",
    "CidrIpv6",
    "SourceSecurityGroupId",
    "DestinationSecurityGroupId",
    "SourcePrefixListId",
    "DestinationPrefixListId",
    "SourceSecurityGroupName",
)
_EVERYWHERE = ("0.0.0.0/0", "::/0")
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "-1": "all", "all": "all"}


@dataclass(frozen=True)
class TrafficRule:
    """One rule of ingress or egress."""

    incoming: bool
    protocol: str
    first: int
    last: int
    peer: str

    def __str__(self) -> str:
        ports = "all ports" if (self.first, self.last) == (0, 65535) else f"{self.first}-{self.last}"
        if self.first == self.last:
            ports = str(self.first)
        what = "everything" if self.protocol == "all" else f"{self.protocol} {ports}"
        return f"{what} {'from' if self.incoming else 'to'} {self.peer}"

    def covers(self, other: TrafficRule) -> bool:
        return (
            self.incoming == other.incoming
            and self.protocol in {"all", other.protocol}
            and self.first <= other.first
            and other.last <= self.last
            and _contains(self.peer, other.peer)
        )


def read_rules(kind: str, properties: Mapping[str, Json]) -> list[TrafficRule]:
    """Return the rules of a resource, which is a group or a separate rule."""
    if kind in {INGRESS, EGRESS}:
        return list(_rules([properties], incoming=kind == INGRESS))
    if kind != GROUP:
        return []
    found = list(_rules(properties.get("SecurityGroupIngress"), incoming=True))
    found += _rules(properties.get("SecurityGroupEgress"), incoming=False)
    if not properties.get("SecurityGroupEgress"):
        # Amazon VPC User Guide, Security group rules: a group without egress rules allows all egress.
        found.append(TrafficRule(False, "all", 0, 65535, _EVERYWHERE[0]))
    return found


def compare_rules(before: Iterable[TrafficRule], after: Iterable[TrafficRule]) -> list[PermissionDifference]:
    """Compare all rules of one group, inline or separate."""
    old, new = list(dict.fromkeys(before)), list(dict.fromkeys(after))
    lines = []
    for rule in new:
        if rule in old:
            continue
        wider = not any(known.covers(rule) for known in old)
        public = wider and rule.incoming and rule.peer in _EVERYWHERE
        reason = (
            ("open to the internet" if public else f"new {'ingress' if rule.incoming else 'egress'}") if wider else ""
        )
        lines.append(PermissionDifference("+", str(rule), reason, public))
    lines += [PermissionDifference("-", str(rule)) for rule in old if rule not in new]
    return lines


def _rules(items: Json, *, incoming: bool) -> Iterator[TrafficRule]:
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, Mapping):
            continue
        protocol = str(item.get("IpProtocol", "-1")).lower()
        protocol = _PROTOCOLS.get(protocol, protocol)
        first, last = _port(item.get("FromPort"), 0), _port(item.get("ToPort"), 65535)
        if protocol not in {"tcp", "udp"} or first < 0:
            first, last = 0, 65535
        peer = next((str(item[name]) for name in _PEERS if item.get(name)), "no peer")
        yield TrafficRule(incoming, protocol, first, last, peer)


def _port(value: Json, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


def _contains(outer: str, inner: str) -> bool:
    if outer == inner:
        return True
    try:
        one, other = ipaddress.ip_network(outer, strict=False), ipaddress.ip_network(inner, strict=False)
    except ValueError:
        return False
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return other.subnet_of(one)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return other.subnet_of(one)
    return False
