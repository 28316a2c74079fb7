"""The order of the stacks and what reaches which."""

from __future__ import annotations

from hosting.deployer.stack_order import Role, chain, feeders, wired

STACKS = chain("shop", "dev", "ap-northeast-1")
HOME, EAST, EDGE, ROOT, MONITORING = STACKS


def test_order_names_and_regions() -> None:
    assert [(stack.role, stack.name, stack.region) for stack in STACKS] == [
        (Role.BOOTSTRAP, "shop-bootstrap", "ap-northeast-1"),
        (Role.BOOTSTRAP, "shop-bootstrap", "us-east-1"),
        (Role.EDGE, "shop-dev-edge", "us-east-1"),
        (Role.ROOT, "shop-dev", "ap-northeast-1"),
        (Role.EDGE_MONITORING, "shop-dev-edge-monitoring", "us-east-1"),
    ]


def test_bootstrap_is_there_once_when_home_is_the_edge_region() -> None:
    assert [stack.role for stack in chain("shop", "dev", "us-east-1")].count(Role.BOOTSTRAP) == 1


def test_outputs_reach_later_stacks_and_buckets_stay_in_their_region() -> None:
    outputs = {
        HOME: {"ArtifactBucket": "home"},
        EAST: {"ArtifactBucket": "east"},
        EDGE: {"WebAclArn": "acl"},
        ROOT: {"SiteUrl": "url"},
    }
    assert wired(HOME, STACKS, outputs) == {}
    assert wired(EDGE, STACKS, outputs) == {"ArtifactBucket": "east"}
    assert wired(ROOT, STACKS, outputs) == {"ArtifactBucket": "home", "WebAclArn": "acl"}
    assert wired(MONITORING, STACKS, outputs) == {"ArtifactBucket": "east", "WebAclArn": "acl", "SiteUrl": "url"}
    assert feeders(ROOT, STACKS) == (HOME, EDGE)
