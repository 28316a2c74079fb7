"""Port ranges in the rules of security groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hosting.model.tokens import Json

ANY = "any"
_NAMES = {"-1": ANY, "6": "tcp", "17": "udp", "1": "icmp"}
_LAST = 65535


@dataclass(frozen=True, order=True)
class Range:
    """A range of ports of one protocol; ANY means all protocols."""

    protocol: str
    first: int
    last: int

    def __str__(self) -> str:
        if self.protocol == ANY:
            return "everything"
        if (self.first, self.last) == (0, _LAST):
            return f"all of {self.protocol}"
        return f"{self.protocol} {self.first}" + (f"-{self.last}" if self.last != self.first else "")

    def intersect(self, other: Range) -> Range | None:
        """Return the ports that both ranges contain, or None."""
        if ANY not in (self.protocol, other.protocol) and self.protocol != other.protocol:
            return None
        first, last = max(self.first, other.first), min(self.last, other.last)
        if first > last:
            return None
        return Range(other.protocol if self.protocol == ANY else self.protocol, first, last)

    def within(self, others: Iterable[Range]) -> bool:
        return any(self.intersect(other) == self for other in others)


ALL_TRAFFIC = Range(ANY, 0, _LAST)


def tcp(port: int) -> Range:
    return Range("tcp", port, port)


def common(some: Iterable[Range], others: Iterable[Range]) -> frozenset[Range]:
    others = tuple(others)
    return frozenset(found for one in some for other in others if (found := one.intersect(other)))


def parse_ports(rule: Mapping[str, Json]) -> tuple[Range, bool]:
    """Return the ports of a rule, and whether they are known. A port that is not a number may be any port."""
    protocol = str(rule.get("IpProtocol", "-1"))
    name = _NAMES.get(protocol, protocol)
    if name not in ("tcp", "udp"):
        # ICMP has types instead of ports, other protocols have neither. A rule allows such a protocol completely.
        return Range(name, 0, _LAST), True
    try:
        first, last = int(rule.get("FromPort", 0)), int(rule.get("ToPort", _LAST))
    except (TypeError, ValueError):
        return Range(name, 0, _LAST), False
    return (Range(name, 0, _LAST) if first == -1 else Range(name, first, last)), True


def format_ranges(ranges: Iterable[Range]) -> str:
    return ", ".join(str(item) for item in sorted(set(ranges))) or "nothing"
