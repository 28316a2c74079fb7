"""Protocol through which a deployment shows its progress and asks for approval. The deployer itself never prints.

The command line implements it with a console; `SilentReporter` is for callers without a user, such as tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from hosting.deployer.context import Context
    from hosting.deployer.deployment import StackPlan
    from hosting.deployer.destroy import StackDeletion
    from hosting.deployer.errors import DeploymentFailedError
    from hosting.deployer.operations import Operation
    from hosting.deployer.safeguards.gates import Allowed

# detail: a completed side step. step: the start of an operation on a stack. alert: a warning that must be noticed.
Level = Literal["detail", "info", "step", "success", "warning", "alert"]


class Reporter(Protocol):
    """Receiver of everything that a deployment shows or asks."""

    def notify(self, text: str, level: Level = "info") -> None:
        """Show one message."""

    def show_progress(self, text: str) -> AbstractContextManager[object]:
        """Show that work is in progress until the context ends."""

    def show_plans(self, context: Context, plans: Sequence[StackPlan], allowed: Allowed) -> None:
        """Show what a deployment would change."""

    def show_deletions(self, deletions: Sequence[StackDeletion]) -> None:
        """Show the stacks that would be deleted, and the resources that would remain."""

    def approve_plans(self, plans: Sequence[StackPlan]) -> bool:
        """Return whether the user approves the plans that were shown."""

    def approve_deletions(self) -> bool:
        """Return whether the user approves the deletions that were shown."""

    def follow(self, context: Context, operation: Operation, *, deadline: float | None = None) -> None:
        """Follow an operation until it ends.

        `deadline` is a time of `time.monotonic()`: an operation that is still in progress then is a `StateError`.
        """

    def explain_failure(self, operation: Operation, error: DeploymentFailedError) -> None:
        """Show what was recorded about a failed operation."""


class SilentReporter:
    """Reporter that shows nothing and approves everything."""

    def notify(self, text: str, level: Level = "info") -> None:
        pass

    def show_progress(self, text: str) -> AbstractContextManager[object]:
        return nullcontext()

    def show_plans(self, context: Context, plans: Sequence[StackPlan], allowed: Allowed) -> None:
        pass

    def show_deletions(self, deletions: Sequence[StackDeletion]) -> None:
        pass

    def approve_plans(self, plans: Sequence[StackPlan]) -> bool:
        return True

    def approve_deletions(self) -> bool:
        return True

    def follow(self, context: Context, operation: Operation, *, deadline: float | None = None) -> None:
        for _ in operation.follow():
            pass

    def explain_failure(self, operation: Operation, error: DeploymentFailedError) -> None:
        pass
