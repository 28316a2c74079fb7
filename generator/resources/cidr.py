"""CIDR blocks of the subnets in the /16 network of the VPC.

The first two octets are a root parameter. The rest is planned here, so one value moves the whole network, and no value
can misalign or overlap a subnet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from troposphere import Sub

# AWS accepts VPCs and subnets from /16 to /28 (Amazon VPC User Guide, "Subnet CIDR blocks").
VPC_PREFIX_LENGTH = 16
SMALLEST_PREFIX_LENGTH = 28
ANY_ADDRESS = "0.0.0.0/0"


class CidrError(ValueError):
    """The subnets of the tiers do not fit into the VPC."""


@dataclass(frozen=True)
class Block:
    """Position of a subnet in a /16 network: third octet, fourth octet and prefix length."""

    third: int
    fourth: int
    length: int

    def sub(self) -> Sub:
        """Return the CIDR block for a template with the parameter VpcNetwork."""
        return Sub(f"${{VpcNetwork}}.{self.third}.{self.fourth}/{self.length}")

    def network(self, octets: str) -> IPv4Network:
        """Return the CIDR block for octets such as ``10.0``. Raises ValueError if it is misaligned."""
        return IPv4Network(f"{octets}.{self.third}.{self.fourth}/{self.length}")


def plan_subnets(tiers: Mapping[str, int], zones: int) -> dict[str, tuple[Block, ...]]:
    """Return one block per tier and zone, in the given order, each aligned to its own size.

    ``tiers`` maps the name of a tier to its prefix length (16 to 28). Raises CidrError if a length is out of range or
    the /16 network is full.
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
