"""What may not be lost unasked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.change_sets import Change, ChangeSet
from hosting.deployer.errors import RefusedError
from hosting.deployer.safeguards import gates
from hosting.deployer.safeguards.gates import Allowed
from hosting.model import effects
from hosting.model.errors import InputError
from hosting.model.stack_order import Stack, StackRole
from hosting.model.templates import Template

ROOT = Stack(StackRole.ROOT, "shop-prod", "eu-west-1")
EDGE = Stack(StackRole.EDGE, "shop-prod-edge", "us-east-1")


def whole(*changes: Change) -> ChangeSet:
    return ChangeSet("", "", "", "", "CREATE_COMPLETE", "", changes)


def lost(kind: str, action: str = "Modify", replacement: str = "True", **properties: Any) -> list[gates.Loss]:
    policy = properties.pop("policy", "")
    before = json.dumps({"Properties": properties})
    change = Change(action, "It", "", kind, replacement, policy_action=policy, before=before)
    layer = Change("Modify", "DataStack", "", STACK_TYPE, nested=whole(change))
    return list(gates.find_losses(ROOT, whole(layer)))


@pytest.mark.parametrize("kind", [*effects.HOLDS_DATA, *effects.CONTAINS_STATEFUL])
@pytest.mark.parametrize(
    ("action", "replacement", "effect"),
    [("Modify", "True", "replace"), ("Modify", "Conditional", "may replace"), ("Remove", "", "delete")],
)
def test_everything_in_the_table_is_gated(kind: str, action: str, replacement: str, effect: str) -> None:
    (found,) = lost(kind, action, replacement, policy="Retain")
    assert (found.name, found.effect) == ("Data/It", effect)
    assert found.option == f"--allow-{'delete' if effect == 'delete' else 'replace'} Data/It"
    with pytest.raises(RefusedError, match=found.option):
        gates.require_allowed([found], Allowed())
    gates.require_allowed([found], Allowed.named(["DataStack/It"], ["Data/It"]))


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("AWS::Logs::LogGroup", {"policy": "Delete"}),
        ("AWS::RDS::DBInstance", {"DBClusterIdentifier": "c"}),
        ("AWS::ECS::TaskDefinition", {}),
    ],
    ids=["logs that are given up", "an instance of a cluster", "anything else"],
)
def test_resources_without_data_are_not_gated(kind: str, more: dict[str, Any]) -> None:
    assert lost(kind, **more) == []


def test_a_change_in_place_is_no_loss() -> None:
    assert lost("AWS::S3::Bucket", replacement="False") == []
    assert list(gates.find_losses(ROOT, None)) == []


def test_one_allowance_is_not_the_other() -> None:
    (replaced,) = lost("AWS::KMS::Key")
    with pytest.raises(RefusedError):
        gates.require_allowed([replaced], Allowed.named(delete=["Data/It"]))


@pytest.mark.parametrize(
    ("stack", "path", "name"),
    [
        (ROOT, ("DatabaseStack",), "Database/Cluster"),
        (ROOT, ("FrontendServiceStack",), "FrontendService/Cluster"),
        (ROOT, (), "Cluster"),
        (EDGE, (), "edge/Cluster"),
    ],
)
def test_names(stack: Stack, path: tuple[str, ...], name: str) -> None:
    assert gates.format_resource_name(stack, path, "Cluster") == name


def test_known_names_include_templates_and_deleted_resources() -> None:
    url = {"Fn::Sub": "https://x/${DataTemplateKey}"}
    nested = {"Type": STACK_TYPE, "Properties": {"TemplateURL": url}}
    root = Template("root.json", json.dumps({"Resources": {"DataStack": nested}}))
    data = Template("data.json", json.dumps({"Resources": {"Bucket": {}}}))
    edge = Template("edge.json", json.dumps({"Resources": {"Key": {}}}))
    assert set(gates.list_template_resources({ROOT: root, EDGE: edge}, {"data.json": data})) == {
        "Data/Bucket",
        "edge/Key",
    }
    gone = whole(Change("Remove", "Old", "", "AWS::S3::Bucket"))
    assert list(gates.list_changed_resources([(EDGE, gone), (ROOT, None)])) == ["edge/Old"]


def test_a_name_that_nothing_has_is_an_error() -> None:
    gates.check_names(Allowed.named(["Data/Bucket"]), ["Data/Bucket"])
    with pytest.raises(
        InputError, match=r'--allow-delete: resource "Data/Buckett" does not exist; did you mean "Data/B'
    ):
        gates.check_names(Allowed.named(delete=["Data/Buckett"]), ["Data/Bucket"])
    with pytest.raises(InputError, match="LAYER/RESOURCE"):
        gates.check_names(Allowed.named(["Xyz"]), ["Data/Bucket"])


def test_allowances_without_an_effect_are_reported() -> None:
    (replaced,) = lost("AWS::KMS::Key")
    allowed = Allowed.named(["Data/It", "Data/Other"], ["Data/It"])
    assert gates.find_unused(allowed, [replaced]) == ["--allow-replace Data/Other", "--allow-delete Data/It"]
