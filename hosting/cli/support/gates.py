"""Gates of `plan` and `deploy`: data loss that is not allowed by name, and the conditions of --fail-on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hosting.cli.rendering.plan_text import PlanReview
    from hosting.deployer.deployment import Context, StackPlan
    from hosting.deployer.safeguards.gates import Allowed

LEVELS = ("never", "any-change", "broadening", "destructive")

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


def _allow_nothing() -> Allowed:
    from hosting.deployer.safeguards.gates import Allowed

    return Allowed()


@dataclass(frozen=True)
class Gates:
    """The gate options of one run."""

    allowed: Allowed = field(default_factory=_allow_nothing)
    fail_on: Sequence[str] = ()

    @classmethod
    def from_options(cls, allow_replace: Sequence[str], allow_delete: Sequence[str], fail_on: Sequence[str]) -> Gates:
        from hosting.deployer.safeguards.gates import Allowed

        return cls(Allowed.named(allow_replace, allow_delete), tuple(fail_on))

    def check_names(self, context: Context, plans: Sequence[StackPlan]) -> None:
        """Raise an error if an allowed name belongs to no resource."""
        from hosting.deployer.safeguards import gates

        template_of = {stack: context.template(stack) for stack in context.chain}
        known = gates.known_names(template_of, context.environment.templates)
        changed = gates.changed_names((plan.stack, plan.change_set) for plan in plans)
        gates.check_names(self.allowed, {*known, *changed})

    def review(self, context: Context, plans: Sequence[StackPlan]) -> PlanReview:
        """Return the plans with the data that is needed to render them."""
        from hosting.cli.rendering.plan_text import PlanReview

        return PlanReview(plans, self.allowed, find_secret_values(context))

    def unused(self, review: PlanReview) -> list[str]:
        """Return the allow options that have no effect in this plan."""
        from hosting.deployer.safeguards import gates

        return gates.unused(self.allowed, review.losses)

    def refusals(self, review: PlanReview) -> Iterator[str]:
        """Yield a line for each change that --fail-on refuses."""
        from hosting.cli.support.plan_permissions import find_permission_changes
        from hosting.deployer.deployment import Kind

        if "any-change" in self.fail_on and any(plan.kind is not Kind.NOTHING for plan in review.plans):
            yield "--fail-on any-change: the plan contains changes"
        if "broadening" in self.fail_on:
            for access in find_permission_changes(review.plans):
                if access.is_broader:
                    yield f"--fail-on broadening: {'/'.join(access.path)} ({access.aspect})"
        if "destructive" in self.fail_on:
            yield from (f"--fail-on destructive: {one}" for one in review.losses)

    def require(self, review: PlanReview) -> None:
        """Raise an error if a gate refuses the plan. Nothing has been changed yet."""
        from hosting.deployer.errors import RefusedError
        from hosting.deployer.safeguards import gates

        if found := list(self.refusals(review)):
            raise RefusedError("\n  ".join(["refused:", *found] if len(found) > 1 else found))
        gates.refuse(review.losses, self.allowed)


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
