"""Saved plans: they are executed exactly, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer import change_sets, deployment, saved_plan
from hosting.deployer.deployment import Context, Kind, StackPlan
from hosting.deployer.errors import RefusedError
from hosting.deployer.safeguards.gates import Allowed
from hosting.model.errors import InputError
from hosting.model.stack_order import StackRole
from tests import small_project

Connect = Callable[..., Context]
WHEN = "2026-11-22T10:00:00+00:00"


def plan(context: Context, *overrides: str, allowed: Allowed | None = None) -> saved_plan.SavedPlan:
    states = deployment.describe_stacks(context)
    list(deployment.upload(context, states, list(StackRole)))
    plans = [deployment.plan_stack(context, stack, states, verb="saved", final=True) for stack in context.chain]
    return saved_plan.save(context, plans, allowed or Allowed(), overrides, WHEN)


def execute(context: Context, found: saved_plan.SavedPlan) -> Sequence[StackPlan]:
    plans = saved_plan.restore(context, found, deployment.describe_stacks(context), "x.plan")
    for one in plans:
        if one.change_set is not None:
            operation = deployment.execute(context, one)
            for _ in operation.follow():
                pass
            deployment.require_success(context, operation)
    return plans


@pytest.fixture
def deployed(connected: Connect, deploy: Callable[..., Any], project: Path) -> Path:
    deploy(connected(project))
    return project


def test_exactly_what_was_approved_is_executed_once(connected: Connect, deployed: Path, tmp_path: Path) -> None:
    context = connected(deployed, Note="approved")
    file = tmp_path / "x.plan"
    saved_plan.write(file, plan(context, "Note=approved", allowed=Allowed.named(["Operations/Data"])))
    assert file.stat().st_mode & 0o077 == 0, "for its owner only"
    found = saved_plan.read(file)
    assert found.overrides == ("Note=approved",)
    assert found.allowed == Allowed.named(["Operations/Data"])
    plans = execute(connected(deployed, Note="approved"), found)
    assert [one.kind for one in plans] == [Kind.NOTHING, Kind.NOTHING, Kind.NOTHING, Kind.UPDATE, Kind.NOTHING]
    root = deployment.describe_stacks(context)[context.stack(StackRole.ROOT)]
    assert root is not None
    assert root.parameters["Note"] == "approved"
    with pytest.raises(RefusedError, match=r"shop-dev \(ap-northeast-1\) has changed since the plan was saved"):
        execute(context, found)


def test_a_first_plan_saves_only_the_stacks_that_can_be_planned(connected: Connect, project: Path) -> None:
    context = connected(project)
    found = plan(context)
    assert [one.kind for one in found.stacks] == ["create", "create", "create", "later", "later"]
    plans = execute(context, found)
    assert [one.stack.role for one in plans if one.kind is Kind.LATER] == [StackRole.ROOT, StackRole.EDGE_MONITORING]
    states = deployment.describe_stacks(context)
    assert states[context.stack(StackRole.EDGE)].status == "CREATE_COMPLETE"  # type: ignore[union-attr] # deployed above


def test_the_file_contains_no_parameter_value(connected: Connect, deployed: Path, tmp_path: Path) -> None:
    body = small_project.templates()["root.json"]
    body["Parameters"]["Note"]["NoEcho"] = True
    small_project.write(deployed, changed={"root.json": body}, Note="hunter2-hunter2")
    context = connected(deployed)
    file = tmp_path / "x.plan"
    one = plan(context)
    saved_plan.write(file, one)
    text = file.read_text()
    for secret in ("hunter2", small_project.DIGEST, "arn:aws:sns"):
        assert secret not in text
    small_project.write(deployed, changed={"root.json": body}, Note="another-one")
    assert plan(connected(deployed)).inputs == one.inputs, "no digest depends on it"
    with pytest.raises(InputError, match="Note is a secret"):
        plan(context, "Note=hunter2-hunter2")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[:400], "is not a complete saved plan"),
        (lambda _: "", "is not a complete saved plan"),
        (lambda _: "[1, 2]", "is not a saved plan"),
        (lambda _: '{"Parameters": {}}', "is not a saved plan"),
        (lambda text: text.replace('"Note=approved"', '"Note=other"'), "was changed after it was saved"),
        (lambda text: text.replace("saved-plan/1", "saved-plan/9"), "was written by another version"),
        (lambda _: json.dumps({"format": saved_plan.FORMAT, "digest": ""}), "was changed after it was saved"),
        (lambda _: "\xff\xfe", "is not a complete saved plan"),
    ],
    ids=["truncated", "empty", "a list", "foreign", "tampered", "newer", "hollow", "not text"],
)
def test_a_file_that_is_not_as_it_was_written(
    connected: Connect, deployed: Path, tmp_path: Path, spoil: Callable[[str], str], words: str
) -> None:
    file = tmp_path / "x.plan"
    saved_plan.write(file, plan(connected(deployed, Note="approved"), "Note=approved"))
    file.write_text(spoil(file.read_text()), encoding="latin-1")
    with pytest.raises(InputError, match=words) as caught:
        saved_plan.read(file)
    assert len(str(caught.value).splitlines()) == 1


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of one value of a plan, whose path has the form stacks.0.kind."""

    def change(document: dict[str, Any]) -> None:
        target: Any = document
        *steps, last = path.split(".")
        for step in steps:
            target = target[int(step)] if isinstance(target, list) else target[step]
        target[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("environment", None),
        ("environment", ["dev"]),
        ("created", 7),
        ("templates", ["root.json"]),
        ("templates", {"root.json": 1}),
        ("overrides", "Note=x"),
        ("overrides", [1]),
        ("allow_replace", {"Database/Cluster": True}),
        ("allow_delete", [None]),
        ("stacks", {}),
        ("stacks", ["root"]),
        ("stacks.0.kind", "destroy"),
        ("stacks.0.kind", None),
        ("stacks.0.name", 3),
        ("stacks.3.keep", "false"),
        ("stacks.3.last", [1]),
        ("stacks.3.change_set", ""),
        ("stacks.3.more", "x"),
    ],
)
def test_a_value_of_another_type_with_a_new_digest_is_refused(tmp_path: Path, path: str, value: Any) -> None:
    empty = saved_plan.SavedStack("bootstrap", "shop-bootstrap", "ap-northeast-1", "nothing")
    root = saved_plan.SavedStack("root", "shop-dev", "ap-northeast-1", "update", "arn:cs", "arn:s", last={"arn:s": "1"})
    file = tmp_path / "x.plan"
    found = saved_plan.SavedPlan(
        "dev",
        "shop",
        "1" * 12,
        "ap-northeast-1",
        WHEN,
        {"root.json": "0"},
        "1",
        ("Note=x",),
        (),
        (),
        (*[empty] * 3, root),
    )
    saved_plan.write(file, found)
    assert saved_plan.read(file) == found
    document = json.loads(file.read_text())
    del document["digest"]
    _set(path, value)(document)
    file.write_text(json.dumps({**document, "digest": saved_plan._digest(document)}))
    with pytest.raises(InputError, match="is not a complete saved plan"):
        saved_plan.read(file)


def test_a_forged_digest_is_no_way_in(connected: Connect, deployed: Path, tmp_path: Path) -> None:
    """A forged file with a valid digest must still refer to the approved change sets."""
    context = connected(deployed, Note="approved")
    one, other = plan(context, "Note=approved"), plan(connected(deployed, Note="evil"), "Note=evil")
    forged = [
        replace(mine, change_set=theirs.change_set) for mine, theirs in zip(one.stacks, other.stacks, strict=True)
    ]
    file = tmp_path / "x.plan"
    saved_plan.write(file, replace(one, stacks=tuple(forged)))
    with pytest.raises(RefusedError, match="differs from the approved one"):
        execute(context, saved_plan.read(file))


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        saved_plan.read(tmp_path / "x.plan")


def change_template(context: Context, project: Path) -> None:
    body = small_project.templates()["workload-frontend.json"]
    body["Resources"]["Topic"]["Properties"]["KmsMasterKeyId"] = "alias/x"
    small_project.write(project, changed={"workload-frontend.json": body})


def change_parameters(context: Context, project: Path) -> None:
    small_project.write(project, Size="5")


def change_tags(context: Context, project: Path) -> None:
    path = project / "params" / "dev.json"
    path.write_text(path.read_text().replace('"web"', '"other"'))


def change_code(context: Context, project: Path) -> None:
    (project / "lambda" / "hello" / "index.py").write_text("def handler(event, context):\n    return None\n")


def delete_change_set(context: Context, project: Path) -> None:
    client = context.clients.cloudformation(context.home)
    for arn in change_sets.list_pending_change_sets(client, "shop-dev"):
        change_sets.discard(client, arn, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (change_template, "templates have changed: workload-frontend.json"),
        (change_parameters, r"params/dev\.json or the Lambda packages have changed"),
        (change_tags, r"params/dev\.json or the Lambda packages have changed"),
        (change_code, r"params/dev\.json or the Lambda packages have changed"),
        (delete_change_set, r"the change set of shop-dev \(ap-northeast-1\) was deleted, executed or made obsolete"),
    ],
)
def test_any_change_makes_the_plan_stale(
    connected: Connect, deployed: Path, move: Callable[[Context, Path], None], words: str
) -> None:
    context = connected(deployed, Note="approved")
    found = plan(context, "Note=approved")
    move(context, deployed)
    with pytest.raises(RefusedError, match=words) as caught:
        execute(connected(deployed, Note="approved"), found)
    assert "plan -e dev --out" in str(caught.value)


def test_an_operation_on_a_nested_stack_alone_refuses_the_plan(
    connected: Connect, deployed: Path, aws: Callable[..., Any]
) -> None:
    context = connected(deployed, Note="approved")
    found = plan(context, "Note=approved")
    client = aws("cloudformation")
    (child,) = [one["StackName"] for one in client.describe_stacks()["Stacks"] if "NetworkStack" in one["StackName"]]
    client.update_stack(
        StackName=child, UsePreviousTemplate=True, Parameters=[{"ParameterKey": "Size", "ParameterValue": "7"}]
    )
    client.get_waiter("stack_update_complete").wait(StackName=child, WaiterConfig={"Delay": 1})
    with pytest.raises(RefusedError, match="has changed since the plan was saved"):
        execute(context, found)


@pytest.mark.parametrize("field", ["account", "project", "region"])
def test_a_plan_of_another_account_or_region_is_an_input_error(connected: Connect, deployed: Path, field: str) -> None:
    context = connected(deployed, Note="approved")
    found: saved_plan.SavedPlan = replace(plan(context, "Note=approved"), **{field: "other"})  # type: ignore[arg-type] # by name
    with pytest.raises(InputError, match=f"is a plan for {field} other, but the {field} is"):
        execute(context, found)
