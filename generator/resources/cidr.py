"""Where each subnet lies in the VPC's /16.

The first two octets are a root parameter, the rest is planned here: so the whole network moves with one value, and
no choice of that value can misalign or overlap a subnet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from troposphere import Sub

# AWS takes VPCs and subnets from /16 to /28 (Amazon VPC User Guide, "Subnet CIDR blocks").
VPC_PREFIX_LENGTH = 16
SMALLEST_PREFIX_LENGTH = 28
INTERNET = "0.0.0.0/0"


class CidrError(ValueError):
    """The tiers do not fit into the VPC."""


@dataclass(frozen=True)
class Block:
    """A subnet as its place in a /16: the third and fourth octet and the prefix length."""

    third: int
    fourth: int
    length: int

    def sub(self) -> Sub:
        """The CIDR for a template with the parameter VpcNetwork."""
        return Sub(f"${{VpcNetwork}}.{self.third}.{self.fourth}/{self.length}")

    def network(self, octets: str) -> IPv4Network:
        """The CIDR for real octets such as ``10.0``; raises ValueError when misaligned."""
        return IPv4Network(f"{octets}.{self.third}.{self.fourth}/{self.length}")


def plan_subnets(tiers: Mapping[str, int], zones: int) -> dict[str, tuple[Block, ...]]:
    """One block per tier and zone, in the order given, each aligned to its own size.

    ``tiers`` maps a tier's name to its prefix length (16 to 28). Raises CidrError when a length is outside of that or
    the /16 is full.
    """
    planned: dict[str, tuple[Block, ...]] = {}
    cursor = 0
    for tier, length in tiers.items():
        if not VPC_PREFIX_LENGTH <= length <= SMALLEST_PREFIX_LENGTH:
            raise CidrError(f"tier {tier}: /{length} is outside of /{VPC_PREFIX_LENGTH} to /{SMALLEST_PREFIX_LENGTH}")
        size = 2 ** (32 - length)
        blocks = []
        for _ in range(zones):
            start = -(-cursor // size) * size
            cursor = start + size
            if cursor > 2 ** (32 - VPC_PREFIX_LENGTH):
                raise CidrError(f"tier {tier}: {zones} blocks of /{length} no longer fit into the /{VPC_PREFIX_LENGTH}")
            blocks.append(Block(start >> 8, start & 0xFF, length))
        planned[tier] = tuple(blocks)
    return planned
