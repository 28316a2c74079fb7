"""The deployment of a chain with somebody watching who may say no, or press Ctrl-C."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hosting.cli.rendering import progress
from hosting.cli.support import flow
from hosting.cli.support.operation_monitor import Detached
from hosting.deployer import certificate, deployment, destroy
from hosting.deployer.change_sets import Change, ChangeSet
from hosting.deployer.deployment import Context, Kind, StackPlan
from hosting.deployer.errors import ChangeSetError, DeploymentFailedError
from hosting.model.stack_order import Stack, StackRole
from hosting.rehearsal.emulator import Emulator
from tests import small_project


@pytest.fixture
def context(emulator: Emulator, account: str, project: Path) -> Callable[..., Context]:
    clients = emulator.clients(account)

    def connect(*overrides: str) -> Context:
        prepared = deployment.prepare(project, "dev", overrides=overrides)
        return deployment.connect(prepared, clients, sleep=lambda _: None)

    return connect


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def yes(_plans: Sequence[StackPlan]) -> bool:
    return True


def existing(context: Context) -> dict[str, str]:
    found = deployment.survey(context)
    return {stack.label: state.status for stack, state in found.items() if state is not None}


def test_no_leaves_nothing_behind(context: Callable[..., Context], console: Console) -> None:
    with pytest.raises(flow.Declined):
        flow.deploy_chain(context(), console, lambda _: False)
    assert existing(context()) == {}


def test_one_question_for_a_whole_first_deployment(context: Callable[..., Context], console: Console) -> None:
    asked: list[int] = []

    def once(plans: Sequence[StackPlan]) -> bool:
        asked.append(len(plans))
        return True

    states = flow.deploy_chain(context(), console, once)
    assert asked == [5]
    assert all(state is not None and state.status == "CREATE_COMPLETE" for state in states.values())
    flow.deploy_chain(context(), console, once)
    assert asked == [5], "nothing to change is nothing to ask"
    assert "Nothing to change." in text(console)


def test_interrupted_while_watching(
    context: Callable[..., Context], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "show_operation", interrupt)
    with pytest.raises(Detached):
        flow.deploy_chain(context(), console, yes)
    assert "CloudFormation goes on with shop-bootstrap (ap-northeast-1); nothing is lost." in text(console)
    assert "deploy.py deploy -e dev" in text(console)
    assert set(existing(context())) == {"shop-bootstrap (ap-northeast-1)"}, "the other change sets are gone"


def test_one_impossible_change_set_takes_the_others_with_it(
    context: Callable[..., Context], console: Console, project: Path
) -> None:
    body = small_project.templates()["edge.json"]
    body["Outputs"]["EdgeTopicArn"]["Value"] = {"Ref": "Nobody"}
    small_project.write(project, changed={"edge.json": body})
    with pytest.raises((ChangeSetError, DeploymentFailedError)):
        flow.deploy_chain(context(), console, yes)
    assert "shop-dev-edge (us-east-1)" not in existing(context())


def test_what_a_rolled_back_creation_left_is_replaced(
    context: Callable[..., Context], console: Console, project: Path
) -> None:
    body = small_project.templates()["edge.json"]
    missing = {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:missing"}
    body["Resources"]["Probe"] = {"Type": "Custom::Probe", "Properties": {"ServiceToken": missing}}
    small_project.write(project, changed={"edge.json": body})
    with pytest.raises(DeploymentFailedError):
        flow.deploy_chain(context(), console, yes)
    assert existing(context())["shop-dev-edge (us-east-1)"] == "ROLLBACK_COMPLETE"
    small_project.write(project)
    flow.deploy_chain(context(), console, yes)
    assert "deleting what a rolled back creation left" in text(console)
    assert set(existing(context()).values()) == {"CREATE_COMPLETE"}


STACK = Stack(StackRole.ROOT, "shop-dev", "ap-northeast-1")


def planned(kind: Kind, *effects: str) -> StackPlan:
    actions = {"replace": ("Modify", "True"), "delete": ("Remove", ""), "modify": ("Modify", ""), "add": ("Add", "")}
    changes = tuple(Change(actions[effect][0], "A", "", "AWS::X", actions[effect][1]) for effect in effects)
    found = ChangeSet("", "", "", "", "CREATE_COMPLETE", "", changes) if effects else None
    return StackPlan(STACK, kind, found)


@pytest.mark.parametrize(
    ("now", "approved", "covered"),
    [
        (planned(Kind.CREATE, "add"), planned(Kind.LATER), True),
        (planned(Kind.CREATE, "add"), planned(Kind.UPDATE, "modify"), False),
        (planned(Kind.UPDATE, "modify"), planned(Kind.NOTHING), True),
        (planned(Kind.UPDATE, "replace"), planned(Kind.UPDATE, "modify"), False),
        (planned(Kind.UPDATE, "replace"), planned(Kind.UPDATE, "replace"), True),
        (planned(Kind.UPDATE, "delete"), planned(Kind.NOTHING), False),
    ],
)
def test_what_was_approved_covers_what_is_no_worse(now: StackPlan, approved: StackPlan, covered: bool) -> None:
    assert flow._covered(now, approved) is covered


def test_the_chain_up_to_a_stack(context: Callable[..., Context]) -> None:
    chain = context().chain
    assert [stack.role for stack in flow.until(chain, StackRole.BOOTSTRAP)] == [
        StackRole.BOOTSTRAP,
        StackRole.BOOTSTRAP,
    ]
    assert flow.until(chain, None) == chain


def test_what_a_killed_destroy_left_is_found_again(context: Callable[..., Context], console: Console) -> None:
    here = context()
    arn = certificate.ensure(here.clients.acm(here.home), here.environment.family)
    flow.destroy_chain(here, console, lambda: pytest.fail("a preview asks nothing"), preview=True)
    assert arn in text(console)
    assert destroy.remains(here) == arn
    flow.destroy_chain(here, console, lambda: True)
    assert destroy.remains(here) is None
    flow.destroy_chain(here, console, lambda: pytest.fail("there is nothing to ask about"))
    assert "Nothing to destroy" in text(console)
