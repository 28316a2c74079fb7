"""Following with somebody there: detach, cancel, come back; and the commands for it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from hosting.cli.rendering import progress
from hosting.cli.support import flow, operation_monitor, operation_state
from hosting.cli.support.operation_monitor import Detached, Watching
from hosting.cli.support.operation_state import OperationState
from hosting.deployer import deployment, operations
from hosting.deployer.aws.stacks import STACK_TYPE, StackState
from hosting.deployer.context import Context
from hosting.deployer.errors import DeployerError, DeploymentFailedError, StateError
from hosting.deployer.events import Event
from hosting.deployer.operations import Operation
from hosting.deployer.recording import runs
from hosting.deployer.recording.recorder import Recorder
from hosting.model.stack_order import Stack, StackRole
from hosting.rehearsal.emulator import Emulator
from tests import small_project

STACK = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(name: str, status: str, *path: str, at: float = 0, type: str = "AWS::SNS::Topic", reason: str = "") -> Event:
    physical = "arn" if name == "shop-dev" else f"id-{name}"
    time = START + timedelta(seconds=at)
    return Event(f"{name}{status}{at}", "arn", "shop-dev", path, name, physical, type, status, reason, time)


class Interrupted:
    """Rounds that are broken off by Ctrl-C once, and go on when asked again."""

    def __init__(self, *rounds: Sequence[Event]) -> None:
        self.rounds = list(rounds)
        self.pressed = 0

    def __iter__(self) -> Iterator[Sequence[Event]]:
        if not self.pressed:
            self.pressed += 1
            yield self.rounds.pop(0)
            raise KeyboardInterrupt
        yield from self.rounds


@pytest.fixture
def context(emulator: Emulator, account: str, project: Path) -> Context:
    return deployment.connect(deployment.prepare(project, "dev"), emulator.clients(account), sleep=lambda _: None)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=300)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def update() -> Operation:
    started = [event("shop-dev", "UPDATE_IN_PROGRESS", type=STACK_TYPE)]
    ended = [event("shop-dev", "UPDATE_COMPLETE", at=9, type=STACK_TYPE)]
    return Operation(STACK, "arn", "update", Interrupted(started, ended))


def answering(monkeypatch: pytest.MonkeyPatch, answer: str | type[BaseException]) -> list[list[str]]:
    asked: list[list[str]] = []

    def prompt(*_: Any, type: click.Choice[str], **__: Any) -> str:
        asked.append(list(type.choices))
        if isinstance(answer, str):
            return answer
        raise answer

    monkeypatch.setattr("hosting.cli.support.operation_monitor.click.prompt", prompt)
    return asked


def test_without_a_terminal_ctrl_c_detaches_and_says_how_to_come_back(context: Context, console: Console) -> None:
    with pytest.raises(Detached) as detached:
        Watching(console).follow(context, update())
    assert detached.value.exit_code == 130
    assert "CloudFormation goes on with shop-dev" in text(console)
    assert "deploy.py watch -e dev" in text(console)
    assert "deploy.py deploy -e dev" in text(console)


def test_watching_on_loses_nothing(context: Context, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, "watch")
    operation = update()
    Watching(console, interactive=True).follow(context, operation)
    assert asked == [["detach", "cancel", "watch"]]
    assert [one.status for one in operation.events] == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


def test_cancelling_goes_on_watching(context: Context, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "cancel")
    cancelled: list[str] = []
    monkeypatch.setattr(operations, "cancel", lambda _, operation: cancelled.append(operation.stack_id))
    watched = Watching(console, interactive=True)
    watched.follow(context, update())
    assert cancelled == ["arn"]
    assert watched.cancelled


def test_a_cancel_that_comes_too_late_is_said(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "cancel")

    def late(*_: Any) -> None:
        raise StateError("cannot be cancelled: it is UPDATE_COMPLETE")

    monkeypatch.setattr(operations, "cancel", late)
    watched = Watching(console, interactive=True)
    watched.follow(context, update())
    assert "cannot be cancelled" in text(console)
    assert not watched.cancelled


@pytest.mark.parametrize("again", [KeyboardInterrupt, click.Abort])
def test_ctrl_c_at_the_question_detaches(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch, again: type[BaseException]
) -> None:
    answering(monkeypatch, again)
    with pytest.raises(Detached):
        Watching(console, interactive=True).follow(context, update())


def test_a_creation_offers_no_cancel(context: Context, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, "detach")
    operation = update()
    operation.rounds = Interrupted([event("shop-dev", "CREATE_IN_PROGRESS", type=STACK_TYPE)])
    with pytest.raises(Detached):
        Watching(console, interactive=True).follow(context, operation)
    assert asked == [["detach", "watch"]]


def test_patience_has_an_end(context: Context, console: Console) -> None:
    clock = iter(range(0, 1000, 100))
    rounds: list[list[Event]] = [[] for _ in range(5)]
    operation = Operation(STACK, "arn", "update", rounds)
    with pytest.raises(StateError, match="still busy"):
        Watching(console, clock=lambda: next(clock)).follow(context, operation, until=250)


def test_a_second_deployment_follows_the_first_and_goes_on(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.deploy_chain(context, console, lambda _: True, through=StackRole.EDGE)
    running = [update()]
    running[0].rounds = [[event("shop-dev", "UPDATE_COMPLETE", type=STACK_TYPE)]]
    monkeypatch.setattr(operations, "running", lambda *_: running)
    monkeypatch.setattr(operations, "outcome", lambda *_: None)
    flow.deploy_chain(context, console, lambda _: True, through=StackRole.EDGE)
    assert "an operation is running (update); following it" in text(console)
    assert "Nothing to change." in text(console)


def test_what_was_cancelled_while_it_was_taken_up_is_not_deployed_again(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = Operation(STACK, "arn", "update", [[event("shop-dev", "UPDATE_ROLLBACK_COMPLETE", type=STACK_TYPE)]])
    cancelled.cancelled = True
    monkeypatch.setattr(operations, "running", lambda *_: [cancelled])
    monkeypatch.setattr(operations, "outcome", lambda *_: StackState("arn", "shop-dev", "UPDATE_ROLLBACK_COMPLETE"))
    with pytest.raises(DeploymentFailedError, match="it was cancelled, and everything is as it was before"):
        flow.deploy_chain(context, console, lambda _: True, through=StackRole.EDGE)


@pytest.mark.parametrize(("status", "wait"), [("UPDATE_IN_PROGRESS", 0.0), ("DELETE_IN_PROGRESS", None)])
def test_what_is_not_waited_for(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch, status: str, wait: float | None
) -> None:
    states = {context.stack(StackRole.ROOT): StackState("arn", "shop-dev", status)}
    verb = "delete" if status.startswith("DELETE") else "update"
    monkeypatch.setattr(operations, "running", lambda *_: [Operation(STACK, "arn", verb, ())])
    with pytest.raises(StateError, match=status):
        operation_monitor.take_up(context, Watching(console), states, wait)


def test_a_failed_deployment_is_recorded_and_explained(context: Context, console: Console, project: Path) -> None:
    body = small_project.templates()["edge.json"]
    missing = {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:missing"}
    body["Resources"]["Probe"] = {"Type": "Custom::Probe", "Properties": {"ServiceToken": missing}}
    small_project.write(project, changed={"edge.json": body})
    broken = deployment.connect(deployment.prepare(project, "dev"), context.clients, sleep=lambda _: None)
    watched = Watching(console, recorder=Recorder(broken, project, "deploy"), root=project)
    with pytest.raises(DeploymentFailedError) as failed, watched.closing():
        flow.deploy_chain(broken, console, lambda _: True, watching=watched)
    assert "cause (custom resource)" in str(failed.value)
    assert "recorded in" in text(console)
    record = next(runs.records(project, "dev"))
    assert record.summary["result"] == "failed"
    last = record.operations[-1]
    assert last["diagnosis"]["first"]["match"]["signature"] == "custom-resource-function-missing"


# --- The board and the stream ------------------------------------------------------------------------------------


def test_somebody_who_attaches_late_sees_the_true_times() -> None:
    found = OperationState("shop-dev", 1000)
    found.update(
        [
            event("Cluster", "CREATE_IN_PROGRESS", "DatabaseStack", at=0),
            event("Topic", "CREATE_IN_PROGRESS", at=50),
            event("Topic", "CREATE_COMPLETE", at=60),
        ],
        1000,
    )
    assert found.since["DatabaseStack/Cluster"] == 940
    assert found.took["Topic"] == 10
    assert found.elapsed(1000) == 60


def test_the_tree_has_nested_stacks_and_what_is_at_work_in_them() -> None:
    found = OperationState("shop-dev", 0)
    found.update(
        [
            event("shop-dev", "CREATE_IN_PROGRESS", type=STACK_TYPE),
            event("NetworkStack", "CREATE_IN_PROGRESS", type=STACK_TYPE),
            event("Vpc", "CREATE_COMPLETE", "NetworkStack"),
            event("NetworkStack", "CREATE_COMPLETE", type=STACK_TYPE),
            event("DatabaseStack", "CREATE_IN_PROGRESS", type=STACK_TYPE),
            event("Group", "CREATE_COMPLETE", "DatabaseStack"),
            event("Cluster", "CREATE_IN_PROGRESS", "DatabaseStack"),
            event("Topic", "CREATE_IN_PROGRESS"),
        ],
        0,
    )
    assert list(found.tree()) == [
        (0, "NetworkStack"),
        (0, "DatabaseStack"),
        (1, "DatabaseStack/Cluster"),
        (0, "Topic"),
    ]
    assert found.count_finished_in("DatabaseStack") == 1


def test_an_estimate_counts_down_and_is_silent_when_it_was_wrong() -> None:
    found = OperationState("shop-dev", 0)
    assert found.left(0) is None
    found.expect(100, 10)
    assert found.left(50) == 60
    assert found.left(200) is None


def test_ndjson_is_a_stream_of_objects(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = [
        [event("shop-dev", "UPDATE_IN_PROGRESS", type=STACK_TYPE), event("Topic", "UPDATE_IN_PROGRESS")],
        [event("Topic", "UPDATE_FAILED", reason="no"), event("shop-dev", "UPDATE_FAILED", type=STACK_TYPE)],
    ]
    progress.show_operation(console, Operation(STACK, "arn", "update", rounds), mode="ndjson")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["begin", "event", "event", "event", "event", "end"]
    assert all(line["schema"] == 1 and line["stack"] == "shop-dev" for line in lines)
    assert [line.get("resource") for line in lines[1:3]] == ["", "Topic"]
    assert (lines[-1]["status"], lines[-1]["failed"]) == ("UPDATE_FAILED", 1)
    assert text(console) == ""


def test_durations_read_well() -> None:
    assert [operation_state.format_duration(seconds) for seconds in (0, 61, 3700)] == ["0s", "1m01s", "1h01m"]


# --- The commands ------------------------------------------------------------------------------------------------


def test_nothing_runs_after_a_deployment(command: Callable[..., Any], project: Path) -> None:
    done = command("deploy", "-e", "dev", "--yes", "--progress", "ndjson")
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert lines[-1]["type"] == "outputs"
    assert "No operation is running." in command("watch", "-e", "dev").err
    assert "Nothing was cancelled" in command("cancel", "-e", "dev", "--yes").err
    assert "No stack needs recovery." in command("recover", "-e", "dev").err
    listed = json.loads(command("diagnose", "-e", "dev", "--list", "--output", "json").out)
    assert [run["result"] for run in listed["runs"]] == ["succeeded"]
    told = command("diagnose", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert told.code == 0, "offline"
    assert "deploy of dev, succeeded" in told.out
    summary = next((project / "runs").glob("*/summary.json"))
    summary.write_text(summary.read_text().replace('"succeeded"', '"running"'))
    assert "running, or killed" in command("diagnose", "--list").out


def test_diagnose_without_a_record(command: Callable[..., Any]) -> None:
    done = command("diagnose", "-e", "dev")
    assert done.code == 1
    assert "no run of dev is recorded" in done.err


def test_an_error_of_ours_while_following_says_that_it_goes_on(context: Context, console: Console) -> None:
    def broken() -> Iterator[Sequence[Event]]:
        yield []
        raise DeployerError("the network is down")

    with pytest.raises(DeployerError):
        Watching(console).follow(context, Operation(STACK, "arn", "update", broken()))
    assert "nothing is lost" in text(console)
