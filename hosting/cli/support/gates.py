"""Gates of `plan` and `deploy`: data loss that is not allowed by name, and the conditions of --fail-on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hosting.analysis.diff.impossible import Impossible
    from hosting.cli.rendering.plan_text import PlanReview
    from hosting.cli.support.prediction_check import PredictionCheck
    from hosting.deployer.deployment import Context, StackPlan
    from hosting.deployer.safeguards.gates import Allowed, Gates

LEVELS = ("never", "any-change", "broadening", "destructive", "impossible")

Command = TypeVar("Command", bound=Callable[..., Any])


def gate_options(command: Command) -> Command:
    """Add `--allow-replace`, `--allow-delete` and `--fail-on`. No other option opens these gates, also not --yes."""
    for option in (
        click.option(
            "--fail-on",
            "fail_on",
            type=click.Choice(LEVELS),
            multiple=True,
            help="Exit 3 if there is a change of this kind. Repeatable.  [default: never]",
        ),
        click.option(
            "--allow-delete",
            metavar="LAYER/ID",
            multiple=True,
            help="Allow the deletion of this stateful resource. Repeatable.",
        ),
        click.option(
            "--allow-replace",
            metavar="LAYER/ID",
            multiple=True,
            help="Allow the replacement of this stateful resource. Repeatable.",
        ),
    ):
        command = option(command)
    return command


def create_gates(
    allowed: Allowed, fail_on: Sequence[str], list_impossible: Callable[[], Sequence[Impossible]] = tuple
) -> Gates:
    """Return the gates of one run from its allowed losses and its --fail-on conditions.

    `list_impossible` returns the updates that AWS refuses, of the plans that were shown last.
    """
    from hosting.deployer.safeguards.gates import Gates

    return Gates(allowed, lambda plans: find_refusals(plans, fail_on, list_impossible()))


def find_refusals(
    plans: Sequence[StackPlan], fail_on: Sequence[str], impossible: Sequence[Impossible] = ()
) -> Iterator[str]:
    """Yield a line for each change that --fail-on refuses."""
    from hosting.cli.support.plan_permissions import find_permission_changes
    from hosting.deployer.deployment import Kind
    from hosting.deployer.safeguards.gates import find_losses

    if "any-change" in fail_on and any(plan.kind is not Kind.NOTHING for plan in plans):
        yield "--fail-on any-change: the plan contains changes"
    if "broadening" in fail_on:
        for access in find_permission_changes(plans):
            if access.is_broader:
                yield f"--fail-on broadening: {'/'.join(access.path)} ({access.aspect})"
        for plan in plans:
            for change in plan.change_set.hidden if plan.change_set else ():
                yield f"--fail-on broadening: {change.logical_id} (its contents are not shown with --flat)"
    if "impossible" in fail_on:
        yield from (f"--fail-on impossible: {'/'.join(one.path)} ({one.type}): {one.reason}" for one in impossible)
    if "destructive" in fail_on:
        yield from (
            f"--fail-on destructive: {one}" for plan in plans for one in find_losses(plan.stack, plan.change_set)
        )


def review_plans(
    context: Context, plans: Sequence[StackPlan], allowed: Allowed, foreseen: PredictionCheck
) -> PlanReview:
    """Return the plans with the data that is needed to render them."""
    from hosting.cli.rendering.plan_text import PlanReview
    from hosting.model.declared_exceptions import declared_exceptions
    from hosting.model.stack_order import StackRole

    return PlanReview(
        plans,
        allowed,
        find_secret_values(context),
        foreseen.impossible,
        foreseen.new_secrets,
        declared_exceptions(context.template(context.stack(StackRole.ROOT))),
        foreseen.cost,
    )


def find_secret_values(context: Context) -> frozenset[str]:
    """Return the values of NoEcho parameters. They are masked in every output."""
    environment = context.environment
    secret = {
        name
        for template in environment.templates.values()
        for name, parameter in template.parameters.items()
        if parameter.no_echo
    }
    return frozenset(value for name, value in environment.file.values.items() if name in secret and len(value) > 3)
