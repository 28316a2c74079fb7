"""Shows an operation while it runs: a live tree on a terminal, lines with a sign of life elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from deployer.stacks import is_terminal

if TYPE_CHECKING:
    from deployer.deployment import Operation
    from deployer.events import Event

_HEARTBEAT = 60.0
_SHOWN = 12
_WIDE = 1000


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


def watch(target: Console, operation: Operation) -> None:
    """Show the operation until it ends."""
    if target.is_terminal and not target.is_dumb_terminal:
        _live(target, operation)
    else:
        _lines(target, operation)


def duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


@dataclass
class Board:
    """What is known of the operation's resources, by their place in the tree."""

    title: str
    clock: float
    latest: dict[str, Event] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)

    def update(self, batch: Sequence[Event], now: float) -> None:
        for event in batch:
            known = self.latest.get(event.name)
            if known is None or is_terminal(known.status):
                self.since[event.name] = now
            self.latest[event.name] = event

    def running(self) -> list[str]:
        """Resources in progress; nested stacks only while nothing in them is."""
        busy = {name: event for name, event in self.latest.items() if not is_terminal(event.status)}
        names = [name for name, event in busy.items() if event.path or not event.is_stack_itself]
        return [name for name in names if not any(other.startswith(f"{name}/") for other in names)]

    def done(self) -> int:
        return sum(1 for event in self.latest.values() if is_terminal(event.status) and not event.is_stack_itself)

    def failed(self) -> list[Event]:
        return [event for event in self.latest.values() if event.failed]


def _lines(target: Console, operation: Operation) -> None:
    begun = last = time.monotonic()
    board = Board(operation.stack.label, begun)
    for batch in operation.follow():
        now = time.monotonic()
        board.update(batch, now)
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
            target.print(Text(f"... {duration(now - begun)}, working on {busy}", style="dim"))
            last = now


def _live(target: Console, operation: Operation) -> None:
    board = Board(operation.stack.label, time.monotonic())
    spinner = Spinner("dots")

    def render() -> RenderableType:
        return _tree(board, spinner, time.monotonic())

    # The view is made anew on every refresh, so that the running times move while AWS is silent.
    with Live(get_renderable=render, console=target, refresh_per_second=8, transient=True):
        for batch in operation.follow():
            board.update(batch, time.monotonic())
    elapsed = duration(time.monotonic() - board.clock)
    failed = board.failed()
    mark = Text("x ", style="bold red") if failed else Text("ok ", style="bold green")
    target.print(mark + Text(f"{board.title}  {operation.verb}: {board.done()} resources in {elapsed}"))


def _tree(board: Board, spinner: Spinner, now: float) -> RenderableType:
    spinner.update(text=Text(f"{board.title}  {board.done()} done, {duration(now - board.clock)}", style="bold"))
    rows: list[RenderableType] = [spinner]
    running = board.running()
    for name in running[:_SHOWN]:
        event = board.latest[name]
        row = Text.assemble("  ", name, "  ", (event.status, "yellow"), f"  {duration(now - board.since[name])}")
        rows.append(row)
    if len(running) > _SHOWN:
        rows.append(Text(f"  and {len(running) - _SHOWN} more", style="dim"))
    rows += [Text(f"  {event.name}  {event.status}: {event.reason}", style="red") for event in board.failed()[:3]]
    return Group(*rows)
