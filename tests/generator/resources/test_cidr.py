"""Subnets never overlap, never leave the VPC and are always aligned, for all tiers."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from generator.layers.network import ZONES, Config
from generator.resources.cidr import Block, CidrError, plan_subnets

TIERS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(18, 28), min_size=1, max_size=6)
OCTETS = st.one_of(
    st.integers(0, 255).map("10.{}".format), st.integers(16, 31).map("172.{}".format), st.just("192.168")
)


@given(tiers=TIERS, zones=st.integers(1, 4), octets=OCTETS)
def test_every_plan_has_aligned_and_separate_subnets(tiers: dict[str, int], zones: int, octets: str) -> None:
    # Alignment can waste at most as much as the blocks themselves take.
    wanted = sum(zones * 2 ** (32 - length) for length in tiers.values())
    assume(wanted <= 2**15)
    planned = plan_subnets(tiers, zones)
    vpc = IPv4Network(f"{octets}.0.0/16")
    # IPv4Network refuses a block that is not aligned to its size.
    networks = [block.network(octets) for blocks in planned.values() for block in blocks]
    assert len(networks) == zones * len(tiers)
    assert all(network.subnet_of(vpc) for network in networks)
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))
    assert all(block.length == tiers[tier] for tier, blocks in planned.items() for block in blocks)


def test_the_platform_has_its_documented_subnets() -> None:
    planned = plan_subnets(Config().tiers, ZONES)
    assert {tier: [str(block.network("10.0")) for block in blocks] for tier, blocks in planned.items()} == {
        "Public": ["10.0.0.0/24", "10.0.1.0/24"],
        "App": ["10.0.2.0/23", "10.0.4.0/23"],
        "Db": ["10.0.6.0/24", "10.0.7.0/24"],
    }


def test_a_misaligned_block_is_rejected() -> None:
    with pytest.raises(ValueError, match="host bits set"):
        Block(third=1, fourth=0, length=23).network("10.0")


@pytest.mark.parametrize("length", [15, 29])
def test_a_prefix_length_outside_of_16_to_28_is_rejected(length: int) -> None:
    with pytest.raises(CidrError, match="outside of /16 to /28"):
        plan_subnets({"App": length}, 1)


def test_a_full_vpc_is_rejected() -> None:
    with pytest.raises(CidrError, match="no longer fit"):
        plan_subnets({"App": 17, "Db": 17}, 2)
