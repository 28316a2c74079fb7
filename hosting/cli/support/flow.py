"""The deployment of a whole chain, with somebody watching: shared by `deploy`, `plan` and `rehearse`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rich.console import Console

from hosting.cli.rendering import outputs, plan_text
from hosting.cli.support.gates import Gates
from hosting.cli.support.operation_monitor import Watching, take_up
from hosting.deployer import deployment, saved_plan
from hosting.deployer import destroy as destroying
from hosting.deployer.aws.stacks import Next
from hosting.deployer.deployment import Context, Kind, StackPlan, Verb
from hosting.deployer.errors import DeployerError, DeploymentFailedError, RefusedError
from hosting.deployer.packaging import placeholder
from hosting.deployer.safeguards import gates, stack_policies
from hosting.model.stack_order import Stack, StackRole
from hosting.model.stateful import LOSING

if TYPE_CHECKING:
    from hosting.deployer.aws.stacks import StackState
    from hosting.deployer.destroy import Doomed
    from hosting.deployer.saved_plan import SavedPlan

Approve = Callable[[Sequence[StackPlan]], bool]
States = dict[Stack, "StackState | None"]


class Declined(Exception):  # noqa: N818 - not an error: somebody said no
    """The question was answered with no; nothing was changed."""


@dataclass
class Run:
    """One run of a deployment: where, who is asked, and what it may do."""

    context: Context
    console: Console
    approve: Approve
    gates: Gates = field(default_factory=Gates)
    states: States = field(default_factory=dict)
    watching: Watching | None = None

    @property
    def watch(self) -> Watching:
        """How operations are followed; without a word of the command neither recorded nor asked about."""
        self.watching = self.watching or Watching(self.console)
        return self.watching

    def show(self, plans: Sequence[StackPlan], *, verbose: bool = False) -> None:
        """Show what would happen, and stop where the gates do. Nothing has been changed for it yet."""
        review = self.gates.review(self.context, plans)
        for part in plan_text.render_plan(review, verbose=verbose):
            self.console.print(part)
        self.gates.require(review)


def plan_chain(
    context: Context,
    states: States,
    console: Console,
    *,
    verb: Verb,
    through: StackRole | None = None,
    final: bool = False,
) -> list[StackPlan]:
    """A plan for each stack of the chain, computed at the same time. Whoever calls has to discard them."""
    chain = until(context.chain, through)
    prepare_artifacts(context, states, console, chain)
    with console.status("computing change sets"), ThreadPoolExecutor(max(1, len(chain))) as pool:
        jobs = [pool.submit(deployment.plan_stack, context, stack, states, verb=verb, final=final) for stack in chain]
        try:
            return [job.result() for job in jobs]
        except BaseException:
            # One failed or somebody lost patience: the others' change sets must not stay behind.
            for job in jobs:
                if job.exception() is None:
                    deployment.discard(context, job.result())
            raise


def with_placeholder(context: Context, states: States, console: Console, image: str) -> Context:
    """The context with a placeholder for every service whose image is missing, said loudly."""
    if not image:
        return context
    context, found = placeholder.stand_in(context, states, image)
    for one in found:
        console.print(f"PLACEHOLDER  {one}", style="bold yellow")
    if found:
        console.print(
            f"PLACEHOLDER  {image} is no application of yours. Push the real images, put their digests into "
            f"{context.environment.file.path}, and deploy again.",
            style="bold yellow",
        )
    else:
        console.print("No image is missing: the placeholder is not used.", style="dim")
    return context


def prepare_artifacts(context: Context, states: States, console: Console, chain: Iterable[Stack]) -> None:
    """Images are looked for and artifacts put there as soon as bootstrap has made the places for them."""
    if any(states[stack] is None for stack in context.chain if stack.role is StackRole.BOOTSTRAP):
        return
    roles = {stack.role for stack in chain} - {StackRole.BOOTSTRAP}
    if not roles:
        return
    if StackRole.ROOT in roles:
        deployment.check_images(context)
    with console.status("uploading artifacts"):
        done = list(deployment.upload(context, states, roles))
    new = [item for item in done if item.uploaded]
    if new:
        console.print(f"uploaded {len(new)} of {len(done)} artifacts", style="dim")


def deploy_chain(
    context: Context,
    console: Console,
    approve: Approve,
    *,
    through: StackRole | None = None,
    verbose: bool = False,
    limits: Gates | None = None,
    watching: Watching | None = None,
    wait_minutes: float | None = None,
) -> States:
    """Bring the chain to what the files say and return it as it is then."""
    run = Run(context, console, approve, limits or Gates(), dict(deployment.survey(context)), watching)
    if take_up(context, run.watch, run.states, wait_minutes):
        run.states = dict(deployment.survey(context))
    deployment.require_ready(run.states)
    _close_what_was_left_open(run)
    plans = plan_chain(context, run.states, console, verb="deploy", through=through)
    open_plans = dict(zip((plan.stack for plan in plans), plans, strict=True))
    try:
        run.gates.check_names(context, plans)
        if all(plan.kind is Kind.NOTHING for plan in plans):
            console.print("Nothing to change.", style="green")
        else:
            run.show(plans, verbose=verbose)
            if not approve(plans):
                raise Declined
        for stack in list(open_plans):
            _deploy_stack(run, stack, open_plans)
    finally:
        for plan in open_plans.values():
            deployment.discard(context, plan)
    return run.states


def deploy_saved(
    context: Context,
    console: Console,
    approve: Approve,
    plan: SavedPlan,
    where: str,
    *,
    fail_on: Sequence[str] = (),
    verbose: bool = False,
    watching: Watching | None = None,
) -> tuple[States, list[Stack]]:
    """Execute exactly what was approved; also which stacks have to be planned again after it."""
    states = dict(deployment.survey(context))
    run = Run(context, console, approve, Gates(plan.allowed, fail_on), states, watching)
    deployment.require_ready(states)
    plans = saved_plan.restore(context, plan, states, where)
    _close_what_was_left_open(run)
    run.show(plans, verbose=verbose)
    if not approve(plans):
        raise Declined
    for one in plans:
        if one.change_set is not None:
            if not deployment.is_current(context, one, states):
                what = "takes outputs that have changed with the stacks before it: what was approved would be wrong now"
                raise RefusedError(what, where=one.stack.label, hint="plan again for what is left")
            _execute(run, one)
        _settle(run, one.stack)
    return states, [one.stack for one in plans if one.kind is Kind.LATER]


def _deploy_stack(run: Run, stack: Stack, open_plans: dict[Stack, StackPlan]) -> None:
    context = run.context
    plan = open_plans[stack]
    if not deployment.is_current(context, plan, run.states):
        deployment.discard(context, plan)
        open_plans.pop(stack)
        known = plan
        plan = _plan_again(run, stack)
        open_plans[stack] = plan
        if plan.change_set is not None and _covered(plan, known):
            run.gates.require(run.gates.review(context, [plan]))
        elif plan.change_set is not None:
            run.show([plan])
            if not run.approve([plan]):
                raise Declined
    if plan.change_set is not None:
        # From here on the change set is CloudFormation's own.
        open_plans.pop(stack)
        _execute(run, plan)
    _settle(run, stack)


def _execute(run: Run, plan: StackPlan) -> None:
    """Execute one change set and watch it to its end, with the stack policies open for what was named."""
    context, console, stack = run.context, run.console, plan.stack
    opened = _open_for_named(run, plan)
    operation = deployment.execute(context, plan)
    console.print(f"{stack.label}: {plan.kind}", style="bold")
    try:
        # A policy that closed after Ctrl-C would stop what has been allowed; the next run closes it.
        run.watch.follow(context, operation)
        run.states[stack] = deployment.outcome(context, operation)
    except DeploymentFailedError as error:
        run.watch.explain(operation, error)
        if opened:
            _close(run, stack, operation.stack_id)
        raise


def _settle(run: Run, stack: Stack) -> None:
    """What follows a stack that stands as it should, whether or not this run changed it."""
    context, console, state = run.context, run.console, run.states[stack]
    if state is None or state.next is Next.CREATE:
        return
    if stack_policies.applies(context, stack):
        _close(run, stack, state.id)
    if deployment.schedule_rotation(context, stack, state):
        console.print(f"{stack.label}: the database's password is rotated every 30 days from now on", style="dim")
    if deployment.close_default_group(context, stack, state):
        console.print(f"{stack.label}: the VPC's default security group is closed now", style="dim")
    if deployment.protect(context, stack, state):
        console.print(f"{stack.label}: termination protection is on now", style="dim")
        run.states[stack] = replace(state, protected=True)


def _close_what_was_left_open(run: Run) -> None:
    """A run that died may have left the way open for what it was allowed."""
    for stack, state in run.states.items():
        if state is not None and state.next is not Next.CREATE and stack_policies.applies(run.context, stack):
            _close(run, stack, state.id)


def _close(run: Run, stack: Stack, stack_id: str) -> None:
    if number := stack_policies.close(run.context, stack, stack_id):
        policies = "1 stack policy denies" if number == 1 else f"{number} stack policies deny"
        run.console.print(f"{stack.label}: {policies} losing data now", style="dim")


def _open_for_named(run: Run, plan: StackPlan) -> bool:
    """Let go of what was named, where this change set does it."""
    named = [one for one in gates.losses(plan.stack, plan.change_set) if run.gates.allowed.covers(one)]
    if (
        not named
        or plan.change_set is None
        or plan.kind is Kind.CREATE
        or not stack_policies.applies(run.context, plan.stack)
    ):
        return False
    deleted = [one.name for one in named if one.effect == "delete"]
    # With a nested stack goes what is in it: the parent's policy protects the stack, and the gate what it holds.
    layers = [one.logical_id for one in plan.change_set.changes if one.action == "Remove" and one.nested is not None]
    allowed = gates.Allowed.named([one.name for one in named if one.effect != "delete"], [*deleted, *layers])
    stack_policies.open_for(run.context, plan.stack, plan.change_set.stack_id, allowed)
    names = ", ".join(one.name for one in named)
    run.console.print(f"{plan.stack.label}: the stack policy is open for {names}", style="yellow")
    return True


def _plan_again(run: Run, stack: Stack) -> StackPlan:
    """With the outputs of the earlier stacks as they are now, and everything made that it refers to."""
    context, console, states = run.context, run.console, run.states
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
        (path, change.logical_id, change.effect) for path, change in plan.change_set.walk() if change.effect in LOSING
    }


def until(chain: Sequence[Stack], through: StackRole | None) -> tuple[Stack, ...]:
    """The chain up to and including a role; all of it without one."""
    if through is None:
        return tuple(chain)
    last = max(index for index, stack in enumerate(chain) if stack.role is through)
    return tuple(chain[: last + 1])


def destroy_chain(
    context: Context,
    console: Console,
    approve: Callable[[], bool],
    *,
    unprotect: bool = False,
    preview: bool = False,
    watching: Watching | None = None,
) -> tuple[Doomed, ...]:
    """Delete what there is of an environment, and return what that was."""
    with console.status("looking at what there is"):
        doomed = destroying.preview(context, deployment.survey(context))
        # A run that died after the last stack has left it behind.
        remains = destroying.remains(context)
    if not doomed and not remains:
        console.print(f"Nothing to destroy: {context.environment.family} is not deployed.", style="green")
        return doomed
    if not doomed:
        console.print(f"{context.environment.family} is not deployed. Left of it is the certificate {remains}.")
    for tree in outputs.render_deletions(doomed):
        console.print(tree)
    bootstrap = context.stack(StackRole.BOOTSTRAP).name
    console.print(f"{bootstrap} stays: it holds artifacts and images that other environments may use.", style="dim")
    if preview:
        return doomed
    destroying.refuse(doomed, unprotect=unprotect)
    if not approve():
        raise Declined
    for one in doomed:
        if unprotect:
            destroying.unprotect(context, one)
        operation = destroying.delete(context, one)
        console.print(f"{one.stack.label}: delete", style="bold")
        watch = watching or Watching(console)
        watch.follow(context, operation)
        try:
            destroying.outcome(context, operation)
        except DeploymentFailedError as error:
            watch.explain(operation, error)
            raise
    if arn := destroying.clean_up(context):
        console.print(f"deleted the imported certificate {arn}", style="dim")
    if kept := [item for one in doomed for item in one.kept]:
        count = "1 resource was" if len(kept) == 1 else f"{len(kept)} resources were"
        console.print(f"{count} kept or left a snapshot, see the list above.", style="cyan")
    return doomed
