"""The output while an operation runs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from rich.console import Console

from hosting.cli.rendering import progress
from hosting.cli.support.operation_state import OperationState, format_duration
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.deployment import Operation
from hosting.deployer.events import Event
from hosting.model.stack_order import Stack, StackRole

STACK = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")
ARN = "arn:root"


def event(name: str, status: str, *path: str, reason: str = "", type: str = "AWS::SNS::Topic") -> Event:
    physical = ARN if name == "shop-dev" else f"id-{name}"
    time = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    return Event(f"{name}{status}", ARN, "shop-dev", path, name, physical, type, status, reason, time)


def root(status: str) -> Event:
    return event("shop-dev", status, type=STACK_TYPE)


def operation(*rounds: Sequence[Event]) -> Operation:
    return Operation(STACK, ARN, "create", iter(rounds))


def shown(
    monkeypatch: pytest.MonkeyPatch, step: float, *rounds: Sequence[Event], terminal: bool = False, mode: str = "auto"
) -> str:
    clock = iter(range(10_000))
    monkeypatch.setattr("hosting.cli.rendering.progress.time.monotonic", lambda: next(clock) * step)
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=io.StringIO(), width=120, force_terminal=terminal, color_system=None)
    progress.show_operation(console, operation(*rounds), mode=mode)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_has_a_line_for_each_stack_that_changed_and_for_each_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    database, network = (event(name, "CREATE_IN_PROGRESS", type=STACK_TYPE) for name in ("Database", "Network"))
    rounds = [
        [root("CREATE_IN_PROGRESS"), network, database, event("Cluster", "CREATE_IN_PROGRESS", "Database")],
        [event("Cluster", "CREATE_COMPLETE", "Database"), event("Network", "UPDATE_COMPLETE", type=STACK_TYPE)],
        [event("Database", "CREATE_COMPLETE", type=STACK_TYPE)],
        [event("Topic", "CREATE_FAILED", reason="Quota exceeded"), root("CREATE_COMPLETE")],
    ]
    assert shown(monkeypatch, 2, *rounds).splitlines() == [
        "12:00:00  shop-dev  Database  CREATE_COMPLETE  1 resource, 4s",
        "12:00:00  shop-dev  Topic  CREATE_FAILED  Quota exceeded",
        "12:00:00  shop-dev  CREATE_COMPLETE  4 resources, 8s",
    ]


def test_a_log_of_errors_has_failures_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = [
        [root("UPDATE_IN_PROGRESS"), event("Topic", "UPDATE_FAILED", reason="Quota exceeded")],
        *[[] for _ in range(9)],
        [event("Topic", "UPDATE_COMPLETE"), root("UPDATE_ROLLBACK_COMPLETE")],
    ]
    assert shown(monkeypatch, 16, *rounds, mode="errors-only").splitlines() == [
        "12:00:00  shop-dev  Topic  UPDATE_FAILED  Quota exceeded",
        "12:00:00  shop-dev  UPDATE_ROLLBACK_COMPLETE  1 resource, 2m56s",
    ]


def test_a_log_of_events_has_a_line_for_each_and_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = [
        [root("CREATE_IN_PROGRESS"), event("Cluster", "CREATE_IN_PROGRESS", "DatabaseStack")],
        [],
        [],
        [],
        [event("Cluster", "CREATE_FAILED", "DatabaseStack", reason="Quota exceeded"), root("CREATE_FAILED")],
    ]
    assert shown(monkeypatch, 16, *rounds, mode="events").splitlines() == [
        "12:00:00  shop-dev  CREATE_IN_PROGRESS",
        "12:00:00  shop-dev  DatabaseStack/Cluster  CREATE_IN_PROGRESS",
        "... 48s, working on DatabaseStack/Cluster",
        "12:00:00  shop-dev  DatabaseStack/Cluster  CREATE_FAILED  Quota exceeded",
        "12:00:00  shop-dev  CREATE_FAILED  ",
    ]


def test_events_that_arrive_while_the_tree_is_rendered_do_not_disturb_it() -> None:
    state = OperationState("shop-dev", 0.0)

    class Arriving(Event):
        """An event during whose rendering the polling thread records another one."""

        @property
        def failed(self) -> bool:
            if len(state.latest) == 1:
                state.record([event("Queue", "CREATE_IN_PROGRESS")], 1.0)
            return False

    first = event("Topic", "CREATE_IN_PROGRESS")
    state.record([Arriving(**vars(first))], 0.0)
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    progress.show_operation(console, operation([root("CREATE_COMPLETE")]), mode="tree", state=state)
    assert isinstance(console.file, io.StringIO)
    assert "ok shop-dev" in console.file.getvalue()


def test_a_terminal_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = [
        [root("CREATE_IN_PROGRESS"), event("Topic", "CREATE_IN_PROGRESS")],
        [event("Topic", "CREATE_COMPLETE"), root("CREATE_COMPLETE")],
    ]
    out = shown(monkeypatch, 1, *rounds, terminal=True)
    assert "ok shop-dev (eu-west-1)  create: 1 resources in" in out.splitlines()[-1]


def test_a_terminal_reports_a_rollback_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = [
        [root("UPDATE_IN_PROGRESS"), event("Topic", "UPDATE_FAILED")],
        [event("Topic", "UPDATE_COMPLETE"), root("UPDATE_ROLLBACK_COMPLETE")],
    ]
    out = shown(monkeypatch, 1, *rounds, terminal=True)
    assert "x shop-dev (eu-west-1)  create: UPDATE_ROLLBACK_COMPLETE, 1 resources in" in out.splitlines()[-1]


def test_the_tree_shows_the_innermost_resource_in_progress() -> None:
    state = OperationState("shop-dev", 0)
    nested = event("DatabaseStack", "CREATE_IN_PROGRESS", type=STACK_TYPE)
    state.record([root("CREATE_IN_PROGRESS"), nested, event("Cluster", "CREATE_IN_PROGRESS", "DatabaseStack")], 1)
    assert state.list_running() == ["DatabaseStack/Cluster"]
    state.record([event("Cluster", "CREATE_COMPLETE", "DatabaseStack")], 5)
    assert state.list_running() == ["DatabaseStack"]
    assert state.count_finished() == 1
    assert state.since["DatabaseStack/Cluster"] == 1


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.9, "59s"), (61, "1m01s"), (3700, "1h01m")])
def test_a_duration_has_minutes_and_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_ci_is_not_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert not progress.create_console().is_terminal
