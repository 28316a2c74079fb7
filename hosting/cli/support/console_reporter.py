"""Implementation of the deployer's reporter on a console."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosting.cli.rendering import outputs, plan_text
from hosting.cli.support import prediction_check
from hosting.cli.support.gates import review_plans

if TYPE_CHECKING:
    from rich.console import Console

    from hosting.analysis.diff.impossible import Impossible
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer.context import Context
    from hosting.deployer.deployment import StackPlan
    from hosting.deployer.destroy import StackDeletion
    from hosting.deployer.errors import DeploymentFailedError
    from hosting.deployer.operations import Operation
    from hosting.deployer.reporter import Level
    from hosting.deployer.safeguards.gates import Allowed

_STYLES: Mapping[str, str] = {
    "detail": "dim",
    "info": "",
    "step": "bold",
    "success": "green",
    "warning": "yellow",
    "alert": "bold yellow",
}


def _approve_all(_plans: Sequence[StackPlan]) -> bool:
    return True


@dataclass
class ConsoleReporter:
    """Reporter of one command. Without questions of the command everything is approved."""

    monitor: OperationMonitor
    approve_plans: Callable[[Sequence[StackPlan]], bool] = _approve_all
    approve_deletions: Callable[[], bool] = lambda: True
    verbose: bool = False
    # A rehearsal asks no question, so that its plans are only part of its verbose output.
    shows_plans: bool = True
    # Updates that AWS refuses, in the plans that were shown last.
    impossible: Sequence[Impossible] = ()

    @property
    def console(self) -> Console:
        return self.monitor.console

    def notify(self, text: str, level: Level = "info") -> None:
        self.console.print(text, style=_STYLES[level], markup=False)

    def show_progress(self, text: str) -> AbstractContextManager[object]:
        return self.console.status(text)

    def show_plans(self, context: Context, plans: Sequence[StackPlan], allowed: Allowed) -> None:
        with self.show_progress("predicting conflicts"):
            foreseen = prediction_check.predict_conflicts(context, plans)
        self.impossible = foreseen.impossible
        if not self.shows_plans:
            return
        for part in plan_text.render_plan(review_plans(context, plans, allowed, foreseen), verbose=self.verbose):
            self.console.print(part)

    def show_deletions(self, deletions: Sequence[StackDeletion]) -> None:
        if not self.shows_plans:
            return
        for tree in outputs.render_deletions(deletions):
            self.console.print(tree)

    def follow(self, context: Context, operation: Operation, *, deadline: float | None = None) -> None:
        self.monitor.follow(context, operation, deadline=deadline)

    def explain_failure(self, operation: Operation, error: DeploymentFailedError) -> None:
        self.monitor.explain_failure(operation, error)
