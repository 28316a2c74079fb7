"""The monitor of running operations: shows and records them, and asks at Ctrl-C whether to detach or cancel."""

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

    from hosting.deployer.context import Context
    from hosting.deployer.errors import DeploymentFailedError
    from hosting.deployer.events import Event
    from hosting.deployer.operations import Operation
    from hosting.deployer.recording.recorder import Recorder

Command = TypeVar("Command", bound=Callable[..., Any])

MODES = ("auto", "tree", "lines", "events", "errors-only", "ndjson")


class Detached(click.exceptions.Exit):
    """The user stopped monitoring an operation that continues. The monitor has already printed how to return."""

    def __init__(self) -> None:
        super().__init__(Exit.INTERRUPTED)


def progress_option(command: Command) -> Command:
    """Add `--progress`, the form in which a running operation is shown."""
    return click.option(
        "--progress",
        "progress",
        type=click.Choice(MODES),
        default="auto",
        show_default=True,
        help="auto: a tree on a terminal, lines elsewhere. lines: one for each stack and each failure. events: one for "
        "each event. errors-only: failures and the end. ndjson: one JSON object in each line of stdout.",
    )(command)


def wait_timeout_option(command: Command) -> Command:
    """Add `--wait-timeout`, in minutes."""
    return click.option(
        "--wait-timeout",
        type=click.FloatRange(min=0),
        metavar="MINUTES",
        help="Time to wait for an operation that is already running. 0 fails at once.  [default: no limit]",
    )(command)


@dataclass
class OperationMonitor:
    """Monitor of the operations of one command."""

    console: Console
    mode: str = "auto"
    recorder: Recorder | None = None
    # The project root. Its records of earlier runs give the estimates.
    root: Path | None = None
    interactive: bool = False
    clock: Callable[[], float] = time.monotonic
    detached: bool = field(default=False, init=False)
    cancelled: bool = field(default=False, init=False)

    @classmethod
    def create(
        cls, context: Context, console: Console, command: str, root: Path, mode: str = "auto"
    ) -> OperationMonitor:
        """Return the monitor of a command: it records under runs/, and asks questions if there is a terminal."""
        from hosting.deployer.recording.recorder import Recorder

        interactive = mode != "ndjson" and sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")
        return cls(console, mode, Recorder(context, root, command), root, interactive)

    def follow(self, context: Context, operation: Operation, *, deadline: float | None = None) -> None:
        """Show and record the operation until it ends, at most until `deadline`, a time of `clock`."""
        from hosting.cli.rendering import progress
        from hosting.cli.support.operation_state import OperationState

        state = OperationState(operation.stack.label, self.clock())
        estimate = self._estimate(context, operation)
        while True:
            rounds = self._polls(operation, deadline)
            try:
                progress.show_operation(
                    self.console, operation, mode=self.mode, rounds=rounds, state=state, estimate=estimate
                )
                break
            except KeyboardInterrupt as pressed:
                if isinstance(pressed, Terminated) or not self._ask_detach_or_cancel(context, operation):
                    self.detached = True
                    self._end(operation, "")
                    self.console.print(describe_detached(context, operation), style="yellow")
                    raise Detached from None
            except Exception:
                self._end(operation, "")
                self.console.print(describe_detached(context, operation), style="yellow")
                raise
        self._end(operation, operation.status)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close the record at the end of the block, as succeeded or failed."""
        result = "failed"
        try:
            yield
            result = "succeeded"
        finally:
            self.close(result)

    def close(self, result: str) -> None:
        """Close the record with the result of the command: succeeded, failed or cancelled."""
        if self.recorder is None:
            return
        self.recorder.close("detached" if self.detached else "cancelled" if self.cancelled else result)
        if self.recorder.trouble:
            self.console.print(self.recorder.trouble, style="yellow")

    def explain_failure(self, operation: Operation, error: DeploymentFailedError) -> None:
        """Show the evidence that was recorded before the rollback deleted it, and the path of the record."""
        if self.recorder is None or self.recorder.directory is None:
            return
        from rich.text import Text

        from hosting.deployer.failures import report
        from hosting.deployer.recording import evidence

        self.recorder.end(operation, error.status)
        for found in evidence.collect_evidence(self.recorder.services):
            self.console.print(Text(f"{found.name}:", style="bold"))
            for line in (*found.lines, *report.format_cause(found.match)):
                self.console.print(Text(f"  {line}"))
        where = shorten_path(self.recorder.directory)
        self.console.print(f"recorded in {where}; `deploy.py diagnose` reads it again", style="dim")

    def _polls(self, operation: Operation, deadline: float | None) -> Iterator[Sequence[Event]]:
        from hosting.deployer.errors import StateError

        for batch in operation.follow():
            if self.recorder is not None:
                self.recorder.note(operation, batch)
            yield batch
            if deadline is not None and self.clock() >= deadline:
                hint = "wait longer with --wait-timeout, or follow it with `deploy.py watch`"
                raise StateError("another operation is still in progress", where=operation.stack.label, hint=hint)

    def _end(self, operation: Operation, status: str) -> None:
        if self.recorder is not None:
            self.recorder.end(operation, status)

    def _estimate(self, context: Context, operation: Operation) -> Callable[[Sequence[Event]], float | None] | None:
        if self.root is None:
            return None
        from hosting.deployer.recording import durations

        history = durations.find_history(self.root, str(operation.stack.role), operation.verb, context.environment.name)
        if history is None:
            return None
        return lambda events: durations.estimate_remaining(history, events, datetime.now(UTC))

    def _ask_detach_or_cancel(self, context: Context, operation: Operation) -> bool:
        """Ask after Ctrl-C. Return whether to keep monitoring, also because the operation was cancelled now."""
        from hosting.deployer import operations
        from hosting.deployer.errors import DeployerError

        if not self.interactive:
            return False
        cancellable = operations.is_cancellable(operation.status)
        question = "Detach (the operation continues), cancel it (CloudFormation rolls it back), or keep watching?"
        choices = ["detach", "cancel", "watch"] if cancellable else ["detach", "watch"]
        if not cancellable:
            question = "The operation cannot be cancelled now. Detach (it continues), or keep watching?"
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
                self.console.print(
                    f"{operation.stack.label}: cancelled, CloudFormation is rolling it back", style="yellow"
                )
        return bool(answer != "detach")


def describe_detached(context: Context, operation: Operation) -> str:
    """Return the text that explains how to return to an operation that continues."""
    name = context.environment.name
    again = "destroy" if operation.verb == "delete" else "deploy"
    return (
        f"\nStopped watching. CloudFormation continues with {operation.stack.label}; nothing is lost.\n"
        f"Watch again: deploy.py watch -e {name}\n"
        f"Continue with the remaining stacks: deploy.py {again} -e {name}"
    )


def shorten_path(path: Path) -> str:
    """Return the path relative to the working directory if it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
