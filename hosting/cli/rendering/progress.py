"""Shows an operation while it runs: a live tree on a terminal, lines with a sign of life elsewhere, or NDJSON.

NDJSON, one object a line, each with `schema` 1 and a `type`:
  begin      {"stack", "region", "verb"}
  event      {"stack", "region", "resource", "resource_type", "status", "reason", "time"}; resource is empty for the
             stack itself
  heartbeat  {"stack", "region", "seconds", "done", "running": [...], "left": seconds to the end, or null}
  end        {"stack", "region", "verb", "status", "seconds", "done", "failed"}
A command adds lines of its own types at the end, `outputs` say. Readers skip types that they do not know.
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

from hosting.cli.support.operation_state import Board, duration
from hosting.deployer.aws.statuses import is_good, is_terminal
from hosting.deployer.recording.runs import stamp

if TYPE_CHECKING:
    from hosting.deployer.events import Event
    from hosting.deployer.operations import Operation

__all__ = ["Board", "console", "duration", "ndjson", "watch"]

_HEARTBEAT = 30.0
_SPARE_ROWS = 6
_WIDE = 1000
_SCHEMA = 1

Rounds = Iterable[Sequence["Event"]]
Estimate = Callable[[Sequence["Event"]], "float | None"]


def console(*, stderr: bool = True) -> Console:
    """Where progress goes. rich itself honours NO_COLOR, TERM=dumb and COLUMNS."""
    if os.environ.get("CI"):
        # A build log is no terminal even where the runner pretends to be one.
        return _log(stderr=stderr)
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else _log(stderr=stderr)


def _log(*, stderr: bool) -> Console:
    """Where nobody looks at columns a line stays one line, for grep."""
    return Console(stderr=stderr, force_terminal=False, highlight=False, width=_WIDE)


def watch(
    target: Console,
    operation: Operation,
    *,
    mode: str = "auto",
    rounds: Rounds | None = None,
    board: Board | None = None,
    estimate: Estimate | None = None,
) -> None:
    """Show the operation until it ends. `board` carries what is known over an interruption."""
    if mode == "auto":
        mode = "tree" if target.is_terminal and not target.is_dumb_terminal else "lines"
    show = {"tree": _live, "lines": _lines, "ndjson": _ndjson}[mode]
    board = board or Board(operation.stack.label, time.monotonic())
    show(target, operation, _known(operation, operation.follow() if rounds is None else rounds, board, estimate), board)


def ndjson(type: str, data: dict[str, Any], *, stream: IO[str] | None = None) -> None:
    """One line of the stream; flushed, since somebody waits for it."""
    out = stream or sys.stdout
    out.write(json.dumps({"schema": _SCHEMA, "type": type, **data}) + "\n")
    out.flush()


def _known(
    operation: Operation, rounds: Rounds, board: Board, estimate: Estimate | None
) -> Iterable[tuple[Sequence[Event], float]]:
    """The rounds with the time of each, after the board has learnt them."""
    for batch in rounds:
        now = time.monotonic()
        board.update(batch, now)
        if batch and estimate is not None:
            board.expect(estimate(operation.events), now)
        yield batch, now


def _lines(
    target: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], board: Board
) -> None:
    last = board.clock
    for batch, now in rounds:
        for event in batch:
            # "User Initiated" and the like say nothing; a failure's reason says everything.
            reason = f"  {event.reason}" if event.failed else ""
            if event.is_stack_itself and event.path:
                continue  # its parent says the same
            name = "" if event.is_stack_itself else f"  {event.name}"
            line = f"{event.time:%H:%M:%S}  {operation.stack.name}{name}  {event.status}{reason}"
            target.print(Text(line, style="red" if event.failed else ""))
            last = now
        if now - last >= _HEARTBEAT:
            busy = ", ".join(board.running()[:3]) or "CloudFormation"
            target.print(Text(f"... {duration(board.elapsed(now))}{_left(board, now)}, working on {busy}", style="dim"))
            last = now


def _ndjson(_: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], board: Board) -> None:
    where = {"stack": operation.stack.name, "region": operation.stack.region}
    last = board.clock
    if not board.latest:
        ndjson("begin", {**where, "verb": operation.verb})
    now = last
    for batch, now in rounds:
        for event in batch:
            about = {
                "resource": "" if event.is_stack_itself and not event.path else event.name,
                "resource_type": event.resource_type,
                "status": event.status,
                "reason": event.reason,
                "time": stamp(event.time),
            }
            ndjson("event", {**where, **about})
            last = now
        if now - last >= _HEARTBEAT:
            left = board.left(now)
            beat: dict[str, Any] = {"seconds": round(board.elapsed(now), 1), "done": board.done()}
            beat |= {"running": board.running(), "left": None if left is None else round(left, 1)}
            ndjson("heartbeat", {**where, **beat})
            last = now
    end = {"verb": operation.verb, "status": operation.status, "seconds": round(board.elapsed(now), 1)}
    failed = sum(1 for event in board.failed() if not event.is_stack_itself)
    ndjson("end", {**where, **end, "done": board.done(), "failed": failed})


def _live(target: Console, operation: Operation, rounds: Iterable[tuple[Sequence[Event], float]], board: Board) -> None:
    spinner = Spinner("dots")

    def render() -> RenderableType:
        return _tree(board, operation.verb, spinner, time.monotonic(), max(3, target.height - _SPARE_ROWS))

    # The view is made anew on every refresh, so that the running times move while AWS is silent.
    with Live(get_renderable=render, console=target, refresh_per_second=8, transient=True):
        for _ in rounds:
            pass
    elapsed = duration(board.elapsed(time.monotonic()))
    status = operation.status
    # After a rollback every resource is complete again, and the operation is none the less not what was wanted.
    bad = is_terminal(status) and not is_good(status) and operation.verb != "rollback"
    mark = Text("x ", style="bold red") if bad or board.failed() else Text("ok ", style="bold green")
    ended = f"{status}, " if bad else ""
    target.print(mark + Text(f"{board.title}  {operation.verb}: {ended}{board.done()} resources in {elapsed}"))


def _tree(board: Board, verb: str, spinner: Spinner, now: float, room: int) -> RenderableType:
    head = f"{board.title}  {verb}: {board.done()} done, {duration(board.elapsed(now))}{_left(board, now)}"
    spinner.update(text=Text(head, style="bold"))
    rows = [_row(board, depth, name, now) for depth, name in board.tree()]
    if len(rows) > room:
        # The newest matter most: what began long ago and is still there is shown by its parent's time.
        rows = [Text(f"  and {len(rows) - room} more above", style="dim"), *rows[-room:]]
    failed = [Text(f"  {event.name}  {event.status}: {event.reason}", style="red") for event in board.failed()[:3]]
    return Group(spinner, *rows, *failed)


def _row(board: Board, depth: int, name: str, now: float) -> Text:
    event = board.latest[name]
    indent = "  " * (depth + 1)
    label = name.rpartition("/")[2]
    inside = board.inside(name)
    count = f"  {inside} done" if inside else ""
    if is_terminal(event.status):
        style = "red" if event.failed else "green"
        return Text.assemble(indent, (label, style), count, f"  {event.status}  {duration(board.took.get(name, 0.0))}")
    return Text.assemble(indent, label, count, "  ", (event.status, "yellow"), f"  {duration(now - board.since[name])}")


def _left(board: Board, now: float) -> str:
    left = board.left(now)
    return "" if left is None else f", about {duration(left)} left"
