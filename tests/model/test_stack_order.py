"""The order of the stacks and what reaches which."""

from __future__ import annotations

from hosting.model.stack_order import StackRole, resolve_upstream_outputs, stack_order, upstream_stacks

STACKS = stack_order("shop", "dev", "ap-northeast-1")
HOME, EAST, EDGE, ROOT, MONITORING = STACKS


def test_order_names_and_regions() -> None:
    assert [(stack.role, stack.name, stack.region) for stack in STACKS] == [
        (StackRole.BOOTSTRAP, "shop-bootstrap", "ap-northeast-1"),
        (StackRole.BOOTSTRAP, "shop-bootstrap", "us-east-1"),
        (StackRole.EDGE, "shop-dev-edge", "us-east-1"),
        (StackRole.ROOT, "shop-dev", "ap-northeast-1"),
        (StackRole.EDGE_MONITORING, "shop-dev-edge-monitoring", "us-east-1"),
    ]


def test_bootstrap_is_there_once_when_home_is_the_edge_region() -> None:
    assert [stack.role for stack in stack_order("shop", "dev", "us-east-1")].count(StackRole.BOOTSTRAP) == 1


def test_outputs_reach_later_stacks_and_buckets_stay_in_their_region() -> None:
    outputs = {
        HOME: {"ArtifactBucket": "home"},
        EAST: {"ArtifactBucket": "east"},
        EDGE: {"WebAclArn": "acl"},
        ROOT: {"SiteUrl": "url"},
    }
    assert resolve_upstream_outputs(HOME, STACKS, outputs) == {}
    assert resolve_upstream_outputs(EDGE, STACKS, outputs) == {"ArtifactBucket": "east"}
    assert resolve_upstream_outputs(ROOT, STACKS, outputs) == {"ArtifactBucket": "home", "WebAclArn": "acl"}
    assert resolve_upstream_outputs(MONITORING, STACKS, outputs) == {
        "ArtifactBucket": "east",
        "WebAclArn": "acl",
        "SiteUrl": "url",
    }
    assert upstream_stacks(ROOT, STACKS) == (HOME, EDGE)
