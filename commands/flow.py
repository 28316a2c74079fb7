"""The deployment of a whole chain, with somebody watching: shared by `deploy`, `plan` and `rehearse`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from commands import progress, views
from deployer import deployment
from deployer import destroy as destroying
from deployer.chain import Role, Stack
from deployer.deployment import Context, Kind, StackPlan
from deployer.errors import DeployerError
from deployer.stacks import Next

if TYPE_CHECKING:
    from deployer.destroy import Doomed
    from deployer.stacks import StackState

Approve = Callable[[Sequence[StackPlan]], bool]
_DESTRUCTIVE = frozenset({"replace", "delete", "may replace"})


class Declined(Exception):  # noqa: N818 - not an error: somebody said no
    """The question was answered with no; nothing was changed."""


def plan_chain(
    context: Context,
    states: dict[Stack, StackState | None],
    console: Console,
    *,
    verb: str,
    through: Role | None = None,
) -> list[StackPlan]:
    """A plan for each stack of the chain, computed at the same time. Whoever calls has to discard them."""
    chain = until(context.chain, through)
    prepare_artifacts(context, states, console, chain)
    with console.status("computing change sets"), ThreadPoolExecutor(max(1, len(chain))) as pool:
        jobs = [pool.submit(deployment.plan_stack, context, stack, states, verb=verb) for stack in chain]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            # One failed or somebody lost patience: the others' change sets must not stay behind.
            for job in jobs:
                if job.exception() is None:
                    deployment.discard(context, job.result())
            raise


def prepare_artifacts(
    context: Context, states: dict[Stack, StackState | None], console: Console, chain: Iterable[Stack]
) -> None:
    """Images are looked for and artifacts put there as soon as bootstrap has made the places for them."""
    if any(states[stack] is None for stack in context.chain if stack.role is Role.BOOTSTRAP):
        return
    roles = {stack.role for stack in chain} - {Role.BOOTSTRAP}
    if not roles:
        return
    if Role.ROOT in roles:
        deployment.check_images(context)
    with console.status("uploading artifacts"):
        done = list(deployment.upload(context, states, roles))
    new = [item for item in done if item.uploaded]
    if new:
        console.print(f"uploaded {len(new)} of {len(done)} artifacts", style="dim")


def deploy_chain(
    context: Context, console: Console, approve: Approve, *, through: Role | None = None, verbose: bool = False
) -> dict[Stack, StackState | None]:
    """Bring the chain to what the files say and return it as it is then."""
    states = deployment.survey(context)
    deployment.require_ready(states)
    plans = plan_chain(context, states, console, verb="deploy", through=through)
    open_plans = dict(zip((plan.stack for plan in plans), plans, strict=True))
    try:
        if all(plan.kind is Kind.NOTHING for plan in plans):
            console.print("Nothing to change.", style="green")
        else:
            _show(console, plans, verbose=verbose)
            if not approve(plans):
                raise Declined
        for stack in list(open_plans):
            _deploy_stack(context, console, approve, stack, states, open_plans)
    finally:
        for plan in open_plans.values():
            deployment.discard(context, plan)
    return states


def _deploy_stack(
    context: Context,
    console: Console,
    approve: Approve,
    stack: Stack,
    states: dict[Stack, StackState | None],
    open_plans: dict[Stack, StackPlan],
) -> None:
    plan = open_plans[stack]
    if not deployment.is_current(context, plan, states):
        deployment.discard(context, plan)
        open_plans.pop(stack)
        known = plan
        plan = _plan_again(context, console, stack, states)
        open_plans[stack] = plan
        if plan.change_set is not None and not _covered(plan, known):
            _show(console, [plan])
            if not approve([plan]):
                raise Declined
    if plan.change_set is not None:
        operation = deployment.execute(context, plan)
        # From here on the change set is CloudFormation's own.
        open_plans.pop(stack)
        console.print(f"{stack.label}: {plan.kind}", style="bold")
        try:
            progress.watch(console, operation)
        except KeyboardInterrupt:
            console.print(_still_running(context, stack), style="yellow")
            raise
        states[stack] = deployment.outcome(context, operation)
    state = states[stack]
    if state is not None and deployment.protect(context, stack, state):
        console.print(f"{stack.label}: termination protection is on now", style="dim")
        states[stack] = replace(state, protected=True)


def _plan_again(context: Context, console: Console, stack: Stack, states: dict[Stack, StackState | None]) -> StackPlan:
    """With the outputs of the earlier stacks as they are now, and everything made that it refers to."""
    state = states[stack]
    if state is not None and state.next is Next.REPLACE:
        console.print(f"{stack.label}: deleting what a rolled back creation left", style="dim")
        deployment.remove_shell(context, stack, state.id)
        states[stack] = None
    prepare_artifacts(context, states, console, [stack])
    with console.status(f"{stack.label}: computing the change set"):
        plan = deployment.plan_stack(context, stack, states, verb="deploy", final=True)
    if plan.kind is Kind.LATER:
        names = ", ".join(sorted({earlier.name for earlier in plan.after}))
        what = f"takes outputs that {names} does not have, although it is deployed"
        raise DeployerError(what, where=stack.label, hint="compare its outputs with the parameters of this stack")
    return plan


def _covered(plan: StackPlan, known: StackPlan) -> bool:
    """Whether what was approved covers a plan that was computed afterwards."""
    if plan.kind is Kind.CREATE:
        return known.kind in {Kind.LATER, Kind.CREATE}
    return _losses(plan) <= _losses(known)


def _losses(plan: StackPlan) -> set[tuple[tuple[str, ...], str, str]]:
    """What a plan replaces or deletes, resource by resource."""
    if plan.change_set is None:
        return set()
    return {
        (path, change.logical_id, change.effect)
        for path, change in plan.change_set.walk()
        if change.effect in _DESTRUCTIVE
    }


def _show(console: Console, plans: Sequence[StackPlan], *, verbose: bool = False) -> None:
    for part in views.plan_trees(plans, verbose=verbose):
        console.print(part)


def _still_running(context: Context, stack: Stack) -> str:
    environment = context.environment.name
    return (
        f"\nStopped watching. CloudFormation goes on with {stack.label}; nothing is lost.\n"
        f"When it has ended, run `deploy.py deploy -e {environment}` again: it goes on with what is left."
    )


def until(chain: Sequence[Stack], through: Role | None) -> tuple[Stack, ...]:
    """The chain up to and including a role; all of it without one."""
    if through is None:
        return tuple(chain)
    last = max(index for index, stack in enumerate(chain) if stack.role is through)
    return tuple(chain[: last + 1])


def destroy_chain(
    context: Context, console: Console, approve: Callable[[], bool], *, unprotect: bool = False, preview: bool = False
) -> tuple[Doomed, ...]:
    """Delete what there is of an environment, and return what that was."""
    with console.status("looking at what there is"):
        doomed = destroying.preview(context, deployment.survey(context))
    if not doomed:
        console.print(f"Nothing to destroy: {context.environment.family} is not deployed.", style="green")
        return doomed
    for tree in views.destroy_tree(doomed):
        console.print(tree)
    bootstrap = context.stack(Role.BOOTSTRAP).name
    console.print(f"{bootstrap} stays: it holds artifacts and images that other environments may use.", style="dim")
    if preview:
        return doomed
    if not unprotect:
        destroying.refuse_protected(doomed)
    if not approve():
        raise Declined
    for one in doomed:
        if unprotect:
            destroying.unprotect(context, one)
        operation = destroying.delete(context, one)
        console.print(f"{one.stack.label}: delete", style="bold")
        try:
            progress.watch(console, operation)
        except KeyboardInterrupt:
            name = context.environment.name
            console.print(
                f"\nStopped watching. CloudFormation goes on deleting {one.stack.label}.\n"
                f"When it has ended, run `deploy.py destroy -e {name}` again for what is left.",
                style="yellow",
            )
            raise
        destroying.outcome(context, operation)
    if arn := destroying.clean_up(context):
        console.print(f"deleted the imported certificate {arn}", style="dim")
    if kept := [item for one in doomed for item in one.kept]:
        count = "1 resource was" if len(kept) == 1 else f"{len(kept)} resources were"
        console.print(f"{count} kept or left a snapshot, see the list above.", style="cyan")
    return doomed
