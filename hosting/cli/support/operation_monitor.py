"""Following an operation for somebody: shown, recorded, and asked about at Ctrl-C."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.signals import Terminated

if TYPE_CHECKING:
    from rich.console import Console

    from hosting.deployer.context import Context, States
    from hosting.deployer.errors import DeploymentFailedError
    from hosting.deployer.events import Event
    from hosting.deployer.operations import Operation
    from hosting.deployer.recording.recorder import Recorder

Command = TypeVar("Command", bound=Callable[..., Any])

MODES = ("auto", "tree", "lines", "ndjson")


class Detached(click.exceptions.Exit):
    """Somebody stopped watching; the operation goes on. It has been said how, and is no error to speak of."""

    def __init__(self) -> None:
        super().__init__(Exit.INTERRUPTED)


def progress_option(command: Command) -> Command:
    """`--progress`: how a running operation is shown."""
    return click.option(
        "--progress",
        "progress",
        type=click.Choice(MODES),
        default="auto",
        show_default=True,
        help="auto: a tree on a terminal, else lines; ndjson: one object a line on stdout.",
    )(command)


def wait_timeout_option(command: Command) -> Command:
    return click.option(
        "--wait-timeout",
        type=click.FloatRange(min=0),
        metavar="MINUTES",
        help="How long to wait for an operation that is already running; 0 fails at once.  [default: to its end]",
    )(command)


@dataclass
class Watching:
    """How operations of one command are followed."""

    console: Console
    mode: str = "auto"
    recorder: Recorder | None = None
    # Where records of earlier runs are, for estimates.
    root: Path | None = None
    interactive: bool = False
    clock: Callable[[], float] = time.monotonic
    detached: bool = field(default=False, init=False)
    cancelled: bool = field(default=False, init=False)

    @classmethod
    def of(cls, context: Context, console: Console, command: str, root: Path, mode: str = "auto") -> Watching:
        """For a command that somebody started: recorded under runs/, with questions where there is a terminal."""
        from hosting.deployer.recording.recorder import Recorder

        interactive = mode != "ndjson" and sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")
        return cls(console, mode, Recorder(context, root, command), root, interactive)

    def follow(self, context: Context, operation: Operation, *, until: float | None = None) -> None:
        """Show and record the operation to its end. `until` is the moment when patience is over."""
        from hosting.cli.rendering import progress
        from hosting.cli.support.operation_state import OperationState

        state = OperationState(operation.stack.label, self.clock())
        estimate = self._estimate(context, operation)
        while True:
            rounds = self._rounds(operation, until)
            try:
                progress.show_operation(
                    self.console, operation, mode=self.mode, rounds=rounds, state=state, estimate=estimate
                )
                break
            except KeyboardInterrupt as pressed:
                if isinstance(pressed, Terminated) or not self._goes_on(context, operation):
                    self.detached = True
                    self._end(operation, "")
                    self.console.print(still_running(context, operation), style="yellow")
                    raise Detached from None
            except Exception:
                self._end(operation, "")
                self.console.print(still_running(context, operation), style="yellow")
                raise
        self._end(operation, operation.status)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Closes the record with what became of the block."""
        result = "failed"
        try:
            yield
            result = "succeeded"
        finally:
            self.close(result)

    def close(self, result: str) -> None:
        """The command is over."""
        if self.recorder is None:
            return
        self.recorder.close("detached" if self.detached else "cancelled" if self.cancelled else result)
        if self.recorder.trouble:
            self.console.print(self.recorder.trouble, style="yellow")

    def explain(self, operation: Operation, error: DeploymentFailedError) -> None:
        """Show what was recorded about a failure before the rollback took it away, and where that is."""
        if self.recorder is None or self.recorder.directory is None:
            return
        from rich.text import Text

        from hosting.deployer.failures import report
        from hosting.deployer.recording import evidence

        self.recorder.end(operation, error.status)
        for found in evidence.of(self.recorder.services):
            self.console.print(Text(f"{found.name}:", style="bold"))
            for line in (*found.lines, *report.cause(found.match)):
                self.console.print(Text(f"  {line}"))
        where = shown_path(self.recorder.directory)
        self.console.print(f"recorded in {where}; `deploy.py diagnose` reads it again", style="dim")

    def _rounds(self, operation: Operation, until: float | None) -> Iterator[Sequence[Event]]:
        from hosting.deployer.errors import StateError

        for batch in operation.follow():
            if self.recorder is not None:
                self.recorder.note(operation, batch)
            yield batch
            if until is not None and self.clock() >= until:
                hint = "wait longer with --wait-timeout, or follow it with `deploy.py watch`"
                raise StateError("is still busy with another operation", where=operation.stack.label, hint=hint)

    def _end(self, operation: Operation, status: str) -> None:
        if self.recorder is not None:
            self.recorder.end(operation, status)

    def _estimate(self, context: Context, operation: Operation) -> Callable[[Sequence[Event]], float | None] | None:
        if self.root is None:
            return None
        from hosting.deployer.recording import durations

        history = durations.earlier(self.root, str(operation.stack.role), operation.verb, context.environment.name)
        if history is None:
            return None
        return lambda events: durations.remaining(history, events, datetime.now(UTC))

    def _goes_on(self, context: Context, operation: Operation) -> bool:
        """After Ctrl-C: whether to watch on, perhaps because it was cancelled and goes back now."""
        from hosting.deployer import operations
        from hosting.deployer.errors import DeployerError

        if not self.interactive:
            return False
        cancellable = operations.is_cancellable(operation.status)
        question = "Detach (it goes on by itself), cancel it (back to how it was), or watch on?"
        choices = ["detach", "cancel", "watch"] if cancellable else ["detach", "watch"]
        if not cancellable:
            question = "It cannot be cancelled now. Detach (it goes on by itself), or watch on?"
        try:
            answer = click.prompt(question, type=click.Choice(choices), default="detach", err=True)
        except (click.Abort, KeyboardInterrupt):
            return False
        if answer == "cancel":
            try:
                operations.cancel(context, operation)
            except DeployerError as error:
                self.console.print(str(error), style="red")
            else:
                self.cancelled = True
                self.console.print(f"{operation.stack.label}: cancelled, it goes back now", style="yellow")
        return bool(answer != "detach")


def take_up(context: Context, watching: Watching, states: States, wait_minutes: float | None) -> bool:
    """Follow what is running on the chain to its end, whoever started it; whether there was anything.

    A deletion is not waited for unless asked: what somebody is destroying should not come back by accident.
    """
    from hosting.deployer import deployment, operations
    from hosting.deployer.aws import stacks
    from hosting.deployer.aws.statuses import remedy
    from hosting.deployer.failures import rootcause

    running = operations.running(context, states)
    if not running:
        return False
    if wait_minutes == 0 or (wait_minutes is None and any(one.verb == "delete" for one in running)):
        deployment.require_ready(states)
    until = None if wait_minutes is None else watching.clock() + wait_minutes * 60
    for operation in running:
        watching.console.print(
            f"{operation.stack.label}: an operation is running ({operation.verb}); following it", style="yellow"
        )
        watching.follow(context, operation, until=until)
        state = operations.outcome(context, operation)
        status = state.status if state is not None else "DELETE_COMPLETE"
        if operation.cancelled and not stacks.is_good(status):
            # Somebody wanted it back as it was: going on to do the same again is the last thing they want.
            raise operations.failed(operation, status, remedy(status))
        if not stacks.is_good(status) and (diagnosis := rootcause.diagnose(operation.events)):
            first = diagnosis.first
            watching.console.print(f"  it ended as {status}: {first.name}: {first.failure.reason}", style="yellow")
    return True


def still_running(context: Context, operation: Operation) -> str:
    name = context.environment.name
    again = "destroy" if operation.verb == "delete" else "deploy"
    return (
        f"\nStopped watching. CloudFormation goes on with {operation.stack.label}; nothing is lost.\n"
        f"Watch again: deploy.py watch -e {name}\n"
        f"Go on with what is left: deploy.py {again} -e {name}"
    )


def shown_path(path: Path) -> str:
    """Relative where that is shorter to read."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
