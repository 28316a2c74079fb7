"""Plans as people and programs read them."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from commands import views
from deployer.chain import Role, Stack
from deployer.changesets import Change, ChangeSet, Detail
from deployer.deployment import Kind, StackPlan
from deployer.stacks import STACK_TYPE

ROOT = Stack(Role.ROOT, "shop-dev", "eu-west-1")
EDGE = Stack(Role.EDGE, "shop-dev-edge", "us-east-1")


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


def text(*plans: StackPlan, verbose: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=150)
    for part in views.plan_trees(plans, verbose=verbose):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_worst_comes_first_and_what_is_only_added_or_derived_is_folded() -> None:
    assert text(UPDATE) == [
        "shop-dev (eu-west-1)  update  1 replace, 1 delete, 1 modify, 1 add",
        "├── BStack  1 replace, 1 delete, 1 modify",
        "│   ├── -/+ Bucket  AWS::X::Y  replace, the old one is kept outside the stack",
        "│   ├── - Gone  AWS::X::Y",
        "│   └── ~ Size  AWS::X::Y",
        "│       └── Cpu: 256 -> 512",
        "└── AStack  1 add",
        "",
        "Changes: 1 replace, 1 delete, 1 modify, 1 add",
        "2 resources are listed by CloudFormation but will not change (-v shows them).",
    ]


def test_verbose_shows_everything() -> None:
    lines = text(UPDATE, verbose=True)
    assert "│   └── + New  AWS::X::Y" in lines
    assert [line for line in lines if "derived, will not change" in line] == [
        "│   └── = Same  AWS::X::Y  derived, will not change",
        "    └── = Only  AWS::X::Y  derived, will not change",
    ]
    assert not any("-v shows them" in line for line in lines)


def test_what_has_to_wait_says_for_what() -> None:
    later = StackPlan(ROOT, Kind.LATER, after=(EDGE,), declares={"AStack": 3, "": 1})
    assert text(later) == [
        "shop-dev (eu-west-1)  will be created; exact change set after shop-dev-edge is deployed",
        "├── AStack: about 3",
        "└── resources: about 1",
        "",
        "Changes: none computed yet, and 1 stack with about 4 resources afterwards",
    ]
    assert "will be updated" in text(StackPlan(ROOT, Kind.LATER, exists=True, after=(EDGE,)))[0]


def test_nothing() -> None:
    assert text(StackPlan(ROOT, Kind.NOTHING)) == [
        "shop-dev (eu-west-1)  nothing to change",
        "",
        "Nothing to change.",
    ]


def test_json_has_every_change_with_its_place() -> None:
    (stack,) = views.plan_json([UPDATE])["stacks"]
    assert stack["counts"] == {"replace": 1, "delete": 1, "modify": 1, "add": 1}
    assert [one["path"] for one in stack["changes"]] == [
        ["AStack", "New"],
        ["BStack", "Size"],
        ["BStack", "Bucket"],
        ["BStack", "Gone"],
    ]
    assert stack["changes"][1]["properties"] == [{"name": "Cpu", "before": "256", "after": "512"}]


def test_markdown_names_what_is_more_than_an_addition() -> None:
    assert views.plan_markdown([UPDATE], "dev").splitlines() == [
        "### Plan for `dev`",
        "",
        "| Stack | Region | |",
        "| --- | --- | --- |",
        "| `shop-dev` | eu-west-1 | update: 1 replace, 1 delete, 1 modify, 1 add |",
        "",
        "- replace `BStack/Bucket` (AWS::X::Y)",
        "- delete `BStack/Gone` (AWS::X::Y)",
        "- modify `BStack/Size` (AWS::X::Y)",
    ]
