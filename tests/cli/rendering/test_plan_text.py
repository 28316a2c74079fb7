"""Plans as text."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from hosting.analysis.diff.impossible import Impossible
from hosting.analysis.diff.prediction import NewSecret
from hosting.cli.rendering.plan_text import PlanReview, describe_replacement, render_plan, render_summary
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.change_sets import Change, ChangeSet, Detail
from hosting.deployer.deployment import Kind, StackPlan
from hosting.deployer.safeguards.gates import Allowed
from hosting.model.stack_order import Stack, StackRole

ROOT = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")
NOTHING = Allowed()
EDGE = Stack(StackRole.EDGE, "shop-dev-edge", "us-east-1")


def detail(name: str, before: str | None, after: str | None, *, derived: bool = False) -> Detail:
    return Detail("Properties", f"/Properties/{name}", before, after, "Never", "Static", "", "", derived)


def change(action: str, name: str, **more: Any) -> Change:
    return Change(action, name, "", "AWS::X::Y", **more)


def whole(*changes: Change) -> ChangeSet:
    return ChangeSet("", "", "", "", "CREATE_COMPLETE", "", changes)


def nested(name: str, *changes: Change) -> Change:
    return Change("Modify", name, "", STACK_TYPE, nested=whole(*changes))


UPDATE = StackPlan(
    ROOT,
    Kind.UPDATE,
    whole(
        nested("AStack", change("Add", "New")),
        nested(
            "BStack",
            change("Modify", "Size", details=(detail("Cpu", "256", "512"), detail("Role", "r", "r", derived=True))),
            change("Modify", "Same", details=(detail("Vpc", "v", "{{x}}", derived=True),)),
            change("Modify", "Bucket", replacement="True", policy_action="ReplaceAndRetain"),
            change("Remove", "Gone"),
        ),
        nested("CStack", change("Modify", "Only", details=(detail("Vpc", "v", "{{x}}", derived=True),))),
    ),
)


def text(*plans: StackPlan, verbose: bool = False, allowed: Allowed = NOTHING) -> list[str]:
    console = Console(file=io.StringIO(), width=150)
    for part in render_plan(PlanReview(plans, allowed), verbose=verbose):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_most_severe_change_is_first_and_additions_are_folded() -> None:
    assert text(UPDATE) == [
        "shop-dev (eu-west-1)  update  1 replace, 1 delete, 1 modify, 1 add",
        "├── BStack  1 replace, 1 delete, 1 modify",
        "│   ├── -/+ Bucket  AWS::X::Y  replace, the old resource is retained outside the stack",
        "│   ├── - Gone  AWS::X::Y",
        "│   └── ~ Size  AWS::X::Y",
        "│       └── Cpu: 256 -> 512",
        "└── AStack  1 add",
        "",
        "Changes: 1 replace, 1 delete, 1 modify, 1 add",
        "2 resources are listed by CloudFormation but will not change (-v shows them).",
    ]


def test_verbose_lists_additions_and_derived_entries() -> None:
    lines = text(UPDATE, verbose=True)
    assert "│   └── + New  AWS::X::Y" in lines
    assert [line for line in lines if "derived, will not change" in line] == [
        "│   └── = Same  AWS::X::Y  derived, will not change",
        "    └── = Only  AWS::X::Y  derived, will not change",
    ]
    assert not any("-v shows them" in line for line in lines)


def test_a_deferred_stack_names_the_stacks_it_depends_on() -> None:
    later = StackPlan(ROOT, Kind.LATER, after=(EDGE,), declares={"AStack": 3, "": 1})
    assert text(later) == [
        "shop-dev (eu-west-1)  will be created; the change set is computed after shop-dev-edge is deployed",
        "├── AStack: about 3",
        "└── resources: about 1",
        "",
        "Changes: none computed yet, and later 1 stack with about 4 resources",
    ]
    assert "will be updated" in text(StackPlan(ROOT, Kind.LATER, exists=True, after=(EDGE,)))[0]


def test_a_plan_without_changes_has_one_line() -> None:
    assert text(StackPlan(ROOT, Kind.NOTHING)) == [
        "shop-dev (eu-west-1)  nothing to change",
        "",
        "Nothing to change.",
    ]


def bucket(**more: Any) -> Change:
    return Change("Modify", "Bucket", "", "AWS::S3::Bucket", **more)


def updated(*changes: Change) -> StackPlan:
    return StackPlan(ROOT, Kind.UPDATE, whole(*changes))


def test_data_loss_is_printed_first() -> None:
    plan = updated(nested("DataStack", bucket(replacement="True", policy_action="ReplaceAndRetain")))
    title, line = text(plan)[:2]
    assert title == "Data loss"
    assert line == (
        "\u2514\u2500\u2500 -/+ Data/Bucket  replace: stored objects, the old resource is retained outside the stack"
        "  refused without --allow-replace Data/Bucket"
    )
    allowed = text(plan, allowed=Allowed.named(replace=["DataStack/Bucket"]))
    assert allowed[1].endswith("  allowed")
    assert render_summary(PlanReview([plan])).plain == "Changes: 1 replace; 1 of them loses data"


def test_a_removed_layer_lists_its_resources() -> None:
    inner = whole(change("Remove", "Queue"), Change("Remove", "Bucket", "", "AWS::S3::Bucket", policy_action="Delete"))
    lines = text(updated(Change("Remove", "DataStack", "arn", STACK_TYPE, nested=inner)))
    assert "--allow-delete Data/Bucket" in lines[1]
    assert "DataStack  2 delete  the whole layer is deleted" in lines[3]
    assert any("- Queue" in line for line in lines)


def cause(name: str, recreation: str, evaluation: str) -> Detail:
    return Detail("Properties", f"/Properties/{name}", "a", "b", recreation, evaluation, "", "")


@pytest.mark.parametrize(
    ("details", "replacement", "words"),
    [
        (
            (cause("Engine", "Always", "Static"), cause("Port", "Never", "Static")),
            "True",
            "Engine cannot be changed in place",
        ),
        (
            (cause("Cluster", "Always", "Dynamic"),),
            "Conditional",
            "if Cluster changes, which is known only during the deployment",
        ),
        ((cause("Size", "Conditionally", "Static"),), "Conditional", "Size cannot always be changed in place"),
        ((cause("Containers/0/Image", "Always", "Static"),), "True", "Containers cannot be changed in place"),
        ((), "True", ""),
    ],
)
def test_a_replacement_has_a_reason(details: tuple[Detail, ...], replacement: str, words: str) -> None:
    assert describe_replacement(change("Modify", "X", details=details, replacement=replacement)) == words


def tagged(name: str) -> Change:
    tags = Detail("Tags", "", None, None, "Never", "Static", "DirectModification", "")
    return change("Modify", name, details=(tags,))


def test_many_resources_that_only_change_their_tags_are_one_line() -> None:
    other = change("Modify", "Size", details=(detail("Cpu", "256", "512"),))
    plan = StackPlan(ROOT, Kind.UPDATE, whole(*(tagged(f"R{number}") for number in range(9)), other))
    lines = text(plan)
    assert any("~ 9 resources  only their tags" in line for line in lines)
    assert any("Cpu: 256 -> 512" in line for line in lines)
    assert not any("R1" in line for line in lines)
    assert any("~ R1" in line for line in text(plan, verbose=True))
    few = StackPlan(ROOT, Kind.UPDATE, whole(tagged("R1"), tagged("R2")))
    assert any("~ R1" in line for line in text(few))


def test_resources_that_a_first_deployment_adds_are_no_wider_permissions() -> None:
    document = '{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    after = f'{{"Properties": {{"PolicyDocument": {document}}}}}'
    added = Change("Add", "Grant", "", "AWS::IAM::ManagedPolicy", after=after)
    update = StackPlan(ROOT, Kind.UPDATE, whole(nested("AStack", added)))
    assert any("Permissions widen" in line for line in text(update))
    continued = replace(update, completes_creation=True)
    assert not any("Permissions widen" in line for line in text(continued))


def test_impossible_updates_and_new_secrets_come_before_data_loss() -> None:
    refused = Impossible("root/AStack", "Key", "AWS::KMS::Key", "KMS cannot change KeySpec", "Add a second key")
    secret = NewSecret("root/AStack", "Secret", "it is replaced", (("root/BStack", "Rule"),))
    bucket = Change("Remove", "Bucket", "", "AWS::S3::Bucket")
    review = PlanReview([StackPlan(ROOT, Kind.UPDATE, whole(bucket))], impossible=[refused], new_secrets=[secret])
    console = Console(file=io.StringIO(), width=150)
    for part in render_plan(review):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    titles = [line for line in lines if line and line[0].isalpha()]
    assert titles[:3] == ["Impossible: AWS refuses these updates", "Data loss", "New secret values"]
    assert lines[1:4] == [
        "└── AStack/Key  AWS::KMS::Key",
        "    ├── KMS cannot change KeySpec.",
        "    └── Add a second key.",
    ]
    assert "used by BStack/Rule" in "\n".join(lines)
    assert "1 of them is impossible" in lines[-1]
