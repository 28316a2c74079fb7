"""The monitor of running operations: detach, cancel and return; and the commands that use it."""

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
from hosting.cli.support import operation_state
from hosting.cli.support.console_reporter import ConsoleReporter
from hosting.cli.support.operation_monitor import Detached, OperationMonitor
from hosting.cli.support.operation_state import OperationState
from hosting.deployer import deployment, operations, pipeline
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
    """Polls that Ctrl-C interrupts once and that continue when they are iterated again."""

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


def test_without_a_terminal_ctrl_c_detaches_and_prints_how_to_return(context: Context, console: Console) -> None:
    with pytest.raises(Detached) as detached:
        OperationMonitor(console).follow(context, update())
    assert detached.value.exit_code == 130
    assert "CloudFormation continues with shop-dev" in text(console)
    assert "deploy.py watch -e dev" in text(console)
    assert "deploy.py deploy -e dev" in text(console)


def test_a_continued_monitor_loses_no_event(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, "watch")
    operation = update()
    OperationMonitor(console, interactive=True).follow(context, operation)
    assert asked == [["detach", "cancel", "watch"]]
    assert [one.status for one in operation.events] == ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


def test_the_monitor_follows_a_cancelled_update(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "cancel")
    cancelled: list[str] = []
    monkeypatch.setattr(operations, "cancel", lambda _, operation: cancelled.append(operation.stack_id))
    monitor = OperationMonitor(console, interactive=True)
    monitor.follow(context, update())
    assert cancelled == ["arn"]
    assert monitor.cancelled


def test_a_cancel_that_is_too_late_is_reported(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, "cancel")

    def late(*_: Any) -> None:
        raise StateError("cannot be cancelled: it is UPDATE_COMPLETE")

    monkeypatch.setattr(operations, "cancel", late)
    monitor = OperationMonitor(console, interactive=True)
    monitor.follow(context, update())
    assert "cannot be cancelled" in text(console)
    assert not monitor.cancelled


@pytest.mark.parametrize("again", [KeyboardInterrupt, click.Abort])
def test_ctrl_c_at_the_question_detaches(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch, again: type[BaseException]
) -> None:
    answering(monkeypatch, again)
    with pytest.raises(Detached):
        OperationMonitor(console, interactive=True).follow(context, update())


def test_a_creation_offers_no_cancel(context: Context, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, "detach")
    operation = update()
    operation.polls = Interrupted([event("shop-dev", "CREATE_IN_PROGRESS", type=STACK_TYPE)])
    with pytest.raises(Detached):
        OperationMonitor(console, interactive=True).follow(context, operation)
    assert asked == [["detach", "watch"]]


def test_monitoring_ends_at_its_deadline(context: Context, console: Console) -> None:
    clock = iter(range(0, 1000, 100))
    rounds: list[list[Event]] = [[] for _ in range(5)]
    operation = Operation(STACK, "arn", "update", rounds)
    with pytest.raises(StateError, match="still in progress"):
        OperationMonitor(console, clock=lambda: next(clock)).follow(context, operation, deadline=250)


def test_a_detached_deployment_deletes_the_other_change_sets(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "show_operation", interrupt)
    with pytest.raises(Detached):
        pipeline.deploy_stacks(context, ConsoleReporter(OperationMonitor(console)))
    assert "CloudFormation continues with shop-bootstrap (ap-northeast-1); nothing is lost." in text(console)
    assert "deploy.py deploy -e dev" in text(console)
    existing = {stack.label for stack, state in deployment.describe_stacks(context).items() if state is not None}
    assert existing == {"shop-bootstrap (ap-northeast-1)"}


def test_a_second_deployment_follows_the_first_and_continues(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.deploy_stacks(context, ConsoleReporter(OperationMonitor(console)), through=StackRole.EDGE)
    running = [update()]
    running[0].polls = [[event("shop-dev", "UPDATE_COMPLETE", type=STACK_TYPE)]]
    monkeypatch.setattr(operations, "find_running_operations", lambda *_: running)
    monkeypatch.setattr(operations, "wait_for_outcome", lambda *_: None)
    pipeline.deploy_stacks(context, ConsoleReporter(OperationMonitor(console)), through=StackRole.EDGE)
    assert "an operation is running (update); following it" in text(console)
    assert "Nothing to change." in text(console)


def test_a_followed_update_that_was_cancelled_is_not_deployed_again(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = Operation(STACK, "arn", "update", [[event("shop-dev", "UPDATE_ROLLBACK_COMPLETE", type=STACK_TYPE)]])
    cancelled.cancelled = True
    monkeypatch.setattr(operations, "find_running_operations", lambda *_: [cancelled])
    monkeypatch.setattr(
        operations, "wait_for_outcome", lambda *_: StackState("arn", "shop-dev", "UPDATE_ROLLBACK_COMPLETE")
    )
    with pytest.raises(DeploymentFailedError, match="the update was cancelled and rolled back completely"):
        pipeline.deploy_stacks(context, ConsoleReporter(OperationMonitor(console)), through=StackRole.EDGE)


@pytest.mark.parametrize(("status", "wait"), [("UPDATE_IN_PROGRESS", 0.0), ("DELETE_IN_PROGRESS", None)])
def test_a_deletion_is_not_waited_for_unless_asked(
    context: Context, console: Console, monkeypatch: pytest.MonkeyPatch, status: str, wait: float | None
) -> None:
    states = {context.stack(StackRole.ROOT): StackState("arn", "shop-dev", status)}
    verb = "delete" if status.startswith("DELETE") else "update"
    monkeypatch.setattr(operations, "find_running_operations", lambda *_: [Operation(STACK, "arn", verb, ())])
    with pytest.raises(StateError, match=status):
        pipeline.follow_running_operations(context, ConsoleReporter(OperationMonitor(console)), states, wait)


def test_a_failed_deployment_is_recorded_and_explained(context: Context, console: Console, project: Path) -> None:
    body = small_project.templates()["edge.json"]
    missing = {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:missing"}
    body["Resources"]["Probe"] = {"Type": "Custom::Probe", "Properties": {"ServiceToken": missing}}
    small_project.write(project, changed={"edge.json": body})
    broken = deployment.connect(deployment.prepare(project, "dev"), context.clients, sleep=lambda _: None)
    monitor = OperationMonitor(console, recorder=Recorder(broken, project, "deploy"), root=project)
    with pytest.raises(DeploymentFailedError) as failed, monitor.closing():
        pipeline.deploy_stacks(broken, ConsoleReporter(monitor))
    assert "cause (custom resource)" in str(failed.value)
    assert "recorded in" in text(console)
    record = next(runs.list_records(project, "dev"))
    assert record.summary["result"] == "failed"
    last = record.operations[-1]
    assert last["diagnosis"]["first"]["match"]["signature"] == "custom-resource-function-missing"


# --- The operation state and the NDJSON stream ------------------------------------------------------------------


def test_a_user_who_attaches_late_sees_the_true_times() -> None:
    found = OperationState("shop-dev", 1000)
    found.record(
        [
            event("Cluster", "CREATE_IN_PROGRESS", "DatabaseStack", at=0),
            event("Topic", "CREATE_IN_PROGRESS", at=50),
            event("Topic", "CREATE_COMPLETE", at=60),
        ],
        1000,
    )
    assert found.since["DatabaseStack/Cluster"] == 940
    assert found.took["Topic"] == 10
    assert found.seconds_elapsed(1000) == 60


def test_the_tree_has_nested_stacks_and_their_resources_in_progress() -> None:
    found = OperationState("shop-dev", 0)
    found.record(
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
    assert list(found.walk_tree()) == [
        (0, "NetworkStack"),
        (0, "DatabaseStack"),
        (1, "DatabaseStack/Cluster"),
        (0, "Topic"),
    ]
    assert found.count_finished_in("DatabaseStack") == 1


def test_an_estimate_counts_down_and_is_silent_when_it_was_wrong() -> None:
    found = OperationState("shop-dev", 0)
    assert found.seconds_left(0) is None
    found.set_estimate(100, 10)
    assert found.seconds_left(50) == 60
    assert found.seconds_left(200) is None


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


def test_a_duration_has_hours_minutes_and_seconds() -> None:
    assert [operation_state.format_duration(seconds) for seconds in (0, 61, 3700)] == ["0s", "1m01s", "1h01m"]


# --- The commands ------------------------------------------------------------------------------------------------


def test_an_idle_environment_has_no_running_operation(command: Callable[..., Any], project: Path) -> None:
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


def test_diagnose_without_a_record_is_an_error(command: Callable[..., Any]) -> None:
    done = command("diagnose", "-e", "dev")
    assert done.code == 1
    assert "no run of dev is recorded" in done.err


def test_an_error_while_following_reports_that_the_operation_continues(context: Context, console: Console) -> None:
    def broken() -> Iterator[Sequence[Event]]:
        yield []
        raise DeployerError("the network is down")

    with pytest.raises(DeployerError):
        OperationMonitor(console).follow(context, Operation(STACK, "arn", "update", broken()))
    assert "nothing is lost" in text(console)
