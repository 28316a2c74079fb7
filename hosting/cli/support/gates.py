"""What stops a plan or a deployment: losing data that nobody named, and what --fail-on asks for."""

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
    """`--allow-replace`, `--allow-delete` and `--fail-on`. No other option opens these gates, --yes least of all."""
    for option in (
        click.option(
            "--fail-on",
            "fail_on",
            type=click.Choice(LEVELS),
            multiple=True,
            help="Exit 3 when there is such a change; may be given more than once.  [default: never]",
        ),
        click.option(
            "--allow-delete",
            metavar="LAYER/ID",
            multiple=True,
            help="Allow deleting this resource, although it holds data.",
        ),
        click.option(
            "--allow-replace",
            metavar="LAYER/ID",
            multiple=True,
            help="Allow replacing this resource, although it holds data.",
        ),
    ):
        command = option(command)
    return command


def _nothing() -> Allowed:
    from hosting.deployer.safeguards.gates import Allowed

    return Allowed()


@dataclass(frozen=True)
class Gates:
    """What the options of one run allow and refuse."""

    allowed: Allowed = field(default_factory=_nothing)
    fail_on: Sequence[str] = ()

    @classmethod
    def from_options(cls, allow_replace: Sequence[str], allow_delete: Sequence[str], fail_on: Sequence[str]) -> Gates:
        from hosting.deployer.safeguards.gates import Allowed

        return cls(Allowed.named(allow_replace, allow_delete), tuple(fail_on))

    def check_names(self, context: Context, plans: Sequence[StackPlan]) -> None:
        """Raise for a name that no resource has."""
        from hosting.deployer.safeguards import gates

        template_of = {stack: context.template(stack) for stack in context.chain}
        known = gates.known_names(template_of, context.environment.templates)
        changed = gates.changed_names((plan.stack, plan.change_set) for plan in plans)
        gates.check_names(self.allowed, {*known, *changed})

    def review(self, context: Context, plans: Sequence[StackPlan]) -> PlanReview:
        """The plans as they are shown under these gates."""
        from hosting.cli.rendering.plan_text import PlanReview

        return PlanReview(plans, self.allowed, find_secret_values(context))

    def unused(self, review: PlanReview) -> list[str]:
        """What was allowed and does not happen."""
        from hosting.deployer.safeguards import gates

        return gates.unused(self.allowed, review.losses)

    def refusals(self, review: PlanReview) -> Iterator[str]:
        """Why --fail-on stops here; empty when it does not."""
        from hosting.cli.support.plan_permissions import find_permission_changes
        from hosting.deployer.deployment import Kind

        if "any-change" in self.fail_on and any(plan.kind is not Kind.NOTHING for plan in review.plans):
            yield "--fail-on any-change: there are changes"
        if "broadening" in self.fail_on:
            for access in find_permission_changes(review.plans):
                if access.is_broader:
                    yield f"--fail-on broadening: {'/'.join(access.path)} ({access.aspect})"
        if "destructive" in self.fail_on:
            yield from (f"--fail-on destructive: {one}" for one in review.losses)

    def require(self, review: PlanReview) -> None:
        """Raise before anything is changed."""
        from hosting.deployer.errors import RefusedError
        from hosting.deployer.safeguards import gates

        if found := list(self.refusals(review)):
            raise RefusedError("\n  ".join(["refused:", *found] if len(found) > 1 else found))
        gates.refuse(review.losses, self.allowed)


def find_secret_values(context: Context) -> frozenset[str]:
    """Values of NoEcho parameters, which are masked wherever they turn up."""
    environment = context.environment
    secret = {
        name
        for template in environment.templates.values()
        for name, parameter in template.parameters.items()
        if parameter.no_echo
    }
    return frozenset(value for name, value in environment.file.values.items() if name in secret and len(value) > 3)
