"""Show an operation while it runs: a live tree on a terminal, lines with a heartbeat elsewhere, or NDJSON.

The lines are one for each stack that ends, nested ones included, and one for each failure; or one for each event.

NDJSON has one object in each line, with `schema` 1 and a `type`:
  begin      {"stack", "region", "verb"}
  event      {"stack", "region", "resource", "resource_type", "status", "reason", "time"}; resource is empty for the
             stack itself
  heartbeat  {"stack", "region", "seconds", "done", "running": [...], "left": remaining seconds, or null}
  end        {"stack", "region", "verb", "status", "seconds", "done", "failed"}
A command can add lines of other types at the end, such as `outputs`. Readers must skip unknown types.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from hosting.cli.support.operation_state import OperationState, format_duration
from hosting.deployer.aws.statuses import is_good, is_terminal
from hosting.deployer.recording.runs import format_time

if TYPE_CHECKING:
    from hosting.deployer.events import Event
    from hosting.deployer.operations import Operation

_HEARTBEAT = 30.0
_SPARE_ROWS = 6
_WIDE = 1000
_SCHEMA = 1

Rounds = Iterable[Sequence["Event"]]
Estimate = Callable[[Sequence["Event"]], "float | None"]


def create_console(*, stderr: bool = True) -> Console:
    """Return the console for progress messages. rich itself reads NO_COLOR, TERM=dumb and COLUMNS."""
    if os.environ.get("CI"):
        # A CI log is not a terminal, even if the runner provides a pseudo-terminal.
        return _create_log_console(stderr=stderr)
    found = Console(stderr=stderr, highlight=False, emoji=False)
    return found if found.is_terminal else _create_log_console(stderr=stderr)


def _create_log_console(*, stderr: bool) -> Console:
    """Return a console for log files: lines are not wrapped, so that grep finds them."""
    return Console(stderr=stderr, force_terminal=False, highlight=False, emoji=False, width=_WIDE)


def show_operation(
    target: Console,
    operation: Operation,
    *,
    mode: str = "auto",
    rounds: Rounds | None = None,
    state: OperationState | None = None,
    estimate: Estimate | None = None,
) -> None:
    """Show the operation until it ends. A given `state` continues after an interruption."""
    if mode == "auto":
        mode = "tree" if target.is_terminal and not target.is_dumb_terminal else "lines"
    show = {
        "tree": _show_tree,
        "lines": _show_lines,
        "events": _show_events,
        "errors-only": _show_errors,
        "ndjson": _show_ndjson,
    }[mode]
    state = state or OperationState(operation.stack.label, time.monotonic())
    show(
        target,
        operation,
        _record_polls(operation, operation.follow() if rounds is None else rounds, state, estimate),
        state,
    )


def write_ndjson(type: str, data: dict[str, Any], *, stream: IO[str] | None = None) -> None:
    """Write one line of NDJSON and flush it, because a program waits for it."""
    out = stream or sys.stdout
    out.write(json.dumps({"schema": _SCHEMA, "type": type, **data}) + "\n")
    out.flush()


def _record_polls(
    operation: Operation, rounds: Rounds, state: OperationState, estimate: Estimate | None
) -> Iterable[tuple[Sequence[Event], float]]:
    """Record each poll in the state and yield it with its time."""
    for batch in rounds:
        now = time.monotonic()
        state.record(batch, now)
        if batch and estimate is not None:
            state.set_estimate(estimate(operation.events), now)
        yield batch, now


def _show_lines(
    target: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], state: OperationState
) -> None:
    def is_shown(event: Event) -> bool:
        """Return whether an event is a failure, or the end of a stack in which something changed."""
        ended = is_terminal(event.status) and (event.is_stack_itself or event.is_nested_stack)
        return event.failed or (ended and (event.is_stack_itself or state.count_finished_in(event.name) > 0))

    _print_events(target, operation, rounds, state, is_shown)


def _show_events(
    target: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], state: OperationState
) -> None:
    _print_events(target, operation, rounds, state, lambda _event: True)


def _show_errors(
    target: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], state: OperationState
) -> None:
    """Show failures and the end of the operation, without a heartbeat: for agents and short logs."""

    def is_shown(event: Event) -> bool:
        return event.failed or (event.is_stack_itself and is_terminal(event.status))

    _print_events(target, operation, rounds, state, is_shown, heartbeat=False)


def _print_events(
    target: Console,
    operation: Operation,
    rounds: Iterable[tuple[Sequence[Event], float]],
    state: OperationState,
    shows: Callable[[Event], bool],
    *,
    heartbeat: bool = True,
) -> None:
    last = state.clock
    for batch, now in rounds:
        for event in batch:
            if (event.is_stack_itself and event.path) or not shows(event):
                continue  # the event of the parent stack has the same content
            # Only the reason of a failure has information; others are texts such as "User Initiated".
            reason = f"  {event.reason}" if event.failed else ""
            name = "" if event.is_stack_itself else f"  {event.name}"
            line = f"{event.time:%H:%M:%S}  {operation.stack.name}{name}  {event.status}{reason}"
            target.print(Text(line + _describe_size(state, event, now), style="red" if event.failed else ""))
            last = now
        if heartbeat and now - last >= _HEARTBEAT:
            busy = ", ".join(state.list_running()[:3]) or "CloudFormation"
            target.print(
                Text(
                    f"... {format_duration(state.seconds_elapsed(now))}{_format_left(state, now)}, working on {busy}",
                    style="dim",
                )
            )
            last = now


def _describe_size(state: OperationState, event: Event, now: float) -> str:
    """Return the number of resources of a stack that ended, and its time."""
    if not is_terminal(event.status) or event.failed:
        return ""
    if event.is_stack_itself:
        count, seconds = state.count_finished(), state.seconds_elapsed(now)
    elif event.is_nested_stack:
        count, seconds = state.count_finished_in(event.name), state.took.get(event.name, 0.0)
    else:
        return ""
    resources = "1 resource" if count == 1 else f"{count} resources"
    return f"  {resources}, {format_duration(seconds)}"


def _show_ndjson(
    _: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], state: OperationState
) -> None:
    where = {"stack": operation.stack.name, "region": operation.stack.region}
    last = state.clock
    if not state.latest:
        write_ndjson("begin", {**where, "verb": operation.verb})
    now = last
    for batch, now in rounds:
        for event in batch:
            about = {
                "resource": "" if event.is_stack_itself and not event.path else event.name,
                "resource_type": event.resource_type,
                "status": event.status,
                "reason": event.reason,
                "time": format_time(event.time),
            }
            write_ndjson("event", {**where, **about})
            last = now
        if now - last >= _HEARTBEAT:
            left = state.seconds_left(now)
            beat: dict[str, Any] = {"seconds": round(state.seconds_elapsed(now), 1), "done": state.count_finished()}
            beat |= {"running": state.list_running(), "left": None if left is None else round(left, 1)}
            write_ndjson("heartbeat", {**where, **beat})
            last = now
    end = {"verb": operation.verb, "status": operation.status, "seconds": round(state.seconds_elapsed(now), 1)}
    failed = sum(1 for event in state.list_failed() if not event.is_stack_itself)
    write_ndjson("end", {**where, **end, "done": state.count_finished(), "failed": failed})


def _show_tree(
    target: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], state: OperationState
) -> None:
    spinner = Spinner("dots")

    def render() -> RenderableType:
        return _render_tree(
            state.snapshot(), operation.verb, spinner, time.monotonic(), max(3, target.height - _SPARE_ROWS)
        )

    # Each refresh renders the tree again, so that running times advance without new events.
    with Live(get_renderable=render, console=target, refresh_per_second=8, transient=True):
        for _ in rounds:
            pass
    elapsed = format_duration(state.seconds_elapsed(time.monotonic()))
    status = operation.status
    # After a rollback every resource is complete, but the operation has failed.
    bad = is_terminal(status) and not is_good(status) and operation.verb != "rollback"
    mark = Text("x ", style="bold red") if bad or state.list_failed() else Text("ok ", style="bold green")
    ended = f"{status}, " if bad else ""
    target.print(
        mark + Text(f"{state.title}  {operation.verb}: {ended}{state.count_finished()} resources in {elapsed}")
    )


def _render_tree(state: OperationState, verb: str, spinner: Spinner, now: float, room: int) -> RenderableType:
    elapsed = f"{format_duration(state.seconds_elapsed(now))}{_format_left(state, now)}"
    head = f"{state.title}  {verb}: {state.count_finished()} done, {elapsed}"
    spinner.update(text=Text(head, style="bold"))
    rows = [_render_row(state, depth, name, now) for depth, name in state.walk_tree()]
    if len(rows) > room:
        # The newest rows are shown. Older ones are covered by the duration of their nested stack.
        rows = [Text(f"  and {len(rows) - room} more above", style="dim"), *rows[-room:]]
    failed = [Text(f"  {event.name}  {event.status}: {event.reason}", style="red") for event in state.list_failed()[:3]]
    return Group(spinner, *rows, *failed)


def _render_row(state: OperationState, depth: int, name: str, now: float) -> Text:
    event = state.latest[name]
    indent = "  " * (depth + 1)
    label = name.rpartition("/")[2]
    inside = state.count_finished_in(name)
    count = f"  {inside} done" if inside else ""
    if is_terminal(event.status):
        style = "red" if event.failed else "green"
        return Text.assemble(
            indent, (label, style), count, f"  {event.status}  {format_duration(state.took.get(name, 0.0))}"
        )
    return Text.assemble(
        indent, label, count, "  ", (event.status, "yellow"), f"  {format_duration(now - state.since[name])}"
    )


def _format_left(state: OperationState, now: float) -> str:
    left = state.seconds_left(now)
    return "" if left is None else f", about {format_duration(left)} left"
