"""The deployment and the deletion of all stacks of an environment, in their order, reported through a `Reporter`.

    plan_stacks        change sets of all stacks, computed at the same time
    deploy_stacks      plan, show, ask, then execute stack by stack; each stack ends with its post-deployment steps
    deploy_saved_plan  the same for change sets that were computed and approved earlier
    destroy_stacks     the deletion, in reverse order

Each function returns the states of the stacks or the deletions, and raises `ApprovalDeclined` if the user declines.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer import deployment, operations, releases, saved_plan, workload_secrets
from hosting.deployer import destroy as deletion
from hosting.deployer.aws import stacks
from hosting.deployer.aws.session import explain, is_denied
from hosting.deployer.aws.stacks import Next
from hosting.deployer.aws.statuses import get_remedy
from hosting.deployer.deployment import Context, Kind, StackPlan, States, Verb
from hosting.deployer.errors import DeployerError, DeploymentFailedError, RefusedError
from hosting.deployer.failures import rootcause
from hosting.deployer.first_deployment import failed_service
from hosting.deployer.packaging import placeholder
from hosting.deployer.safeguards import creation_parameters, gates, protections, stack_policies
from hosting.deployer.safeguards.gates import Gates
from hosting.model import parameter_check
from hosting.model.effects import DESTRUCTIVE_EFFECTS
from hosting.model.operation_scope import OperationScope
from hosting.model.stack_order import Stack, StackRole

if TYPE_CHECKING:
    from hosting.deployer.aws.stacks import StackState
    from hosting.deployer.destroy import StackDeletion
    from hosting.deployer.reporter import Reporter
    from hosting.deployer.saved_plan import SavedPlan

# ECS removes the addresses of a deleted service from Cloud Map some time afterwards. Until then AWS keeps the name.
_DELETIONS = 5

CurrentStates = dict[Stack, "StackState | None"]


class ApprovalDeclined(Exception):  # noqa: N818 - declining is a decision of the user, not an error
    """The user declined. The run made no change after the question."""


@dataclass
class DeploymentRun:
    """One run of a deployment: the environment, the reporter, the gates and the current states."""

    context: Context
    reporter: Reporter
    gates: Gates = field(default_factory=Gates)
    states: CurrentStates = field(default_factory=dict)

    def review(self, plans: Sequence[StackPlan]) -> None:
        """Show the plans, check the gates and ask for approval. Nothing has been changed yet."""
        self.reporter.show_plans(self.context, plans, self.gates.allowed)
        self.gates.require(plans)
        self.require_unprotected_databases(plans)
        self.require_secret_values(plans)
        if not self.reporter.approve_plans(plans):
            raise ApprovalDeclined

    def require_unprotected_databases(self, plans: Sequence[StackPlan]) -> None:
        """Raise RefusedError if a plan deletes a database whose deletion protection is enabled.

        RDS rejects the deletion, which is in the clean-up of an update. CloudFormation completes the update, and the
        database remains without a stack.
        """
        for plan in plans:
            changes = plan.change_set.walk() if plan.change_set is not None else ()
            doomed = [
                (gates.format_resource_name(plan.stack, path, change.logical_id), change.physical_id)
                for path, change in changes
                if change.resource_type == protections.CLUSTER and change.effect == "delete" and change.physical_id
            ]
            if not doomed:
                continue
            rds = self.context.clients.rds(plan.stack.region)
            for found in protections.find_protected_clusters(rds, doomed):
                command = "aws rds modify-db-cluster --no-deletion-protection --apply-immediately"
                hint = f"disable it: {command} --db-cluster-identifier {found.physical_id} --region {plan.stack.region}"
                raise RefusedError(f"{found}, and the plan deletes it", where=plan.stack.label, hint=hint)

    def require_secret_values(self, plans: Sequence[StackPlan]) -> None:
        """Raise RefusedError if a plan deploys workloads of which a supplied secret has no value."""
        for plan in plans:
            if plan.stack.role is StackRole.ROOT and plan.change_set is not None and not plan.is_platform_only:
                workload_secrets.require_values(self.context, self.states[plan.stack])


def plan_stacks(
    context: Context,
    states: States,
    reporter: Reporter,
    *,
    verb: Verb,
    through: StackRole | None = None,
    final: bool = False,
) -> list[StackPlan]:
    """Return a plan for each stack. Uploads the artifacts. The caller must discard the plans.

    With `final=True` prerequisites such as the imported certificate are created.
    """
    environment = context.environment
    parameter_check.require_fitting_region(environment.file, environment.templates, context.home)
    chain = stacks_through(context.chain, through)
    creation_parameters.require_unchanged(context, {stack: states[stack] for stack in chain})
    prepare_artifacts(context, states, reporter, chain)
    with (
        reporter.show_progress("computing change sets"),
        ThreadPoolExecutor(max(1, len(chain))) as pool,
    ):
        jobs = [pool.submit(deployment.plan_stack, context, stack, states, verb=verb, final=final) for stack in chain]
        try:
            plans = [job.result() for job in jobs]
        except BaseException:
            # One plan failed, or the user pressed Ctrl-C: delete the change sets of the other plans.
            for job in jobs:
                if job.exception() is None:
                    deployment.discard(context, job.result())
            raise
    _report_kept_resources(plans, reporter)
    if verb != "deploy" and (root := context.stack(StackRole.ROOT)) in chain:
        # A deployment refuses instead.
        for secret in workload_secrets.list_missing_values(workload_secrets.describe_secrets(context, states[root])):
            command = workload_secrets.set_command(context, secret)
            reporter.notify(
                f"{root.name}: {secret.name} has no value. Set it before {secret.workload} is deployed: {command}",
                "warning",
            )
    return plans


def _report_kept_resources(plans: Sequence[StackPlan], reporter: Reporter) -> None:
    for name, template, kept in dict.fromkeys((one.stack.name, one.stack.template, one.kept) for one in plans):
        for resource in kept:
            reporter.notify(f"{name}: {resource} stays, although templates/{template} does not contain it", "detail")


def stacks_through(chain: Sequence[Stack], through: StackRole | None) -> tuple[Stack, ...]:
    """Return the stacks up to and including the last one of a role. Return all stacks if the role is None."""
    if through is None:
        return tuple(chain)
    last = max(index for index, stack in enumerate(chain) if stack.role is through)
    return tuple(chain[: last + 1])


def use_placeholder_image(context: Context, states: States, reporter: Reporter, image: str) -> Context:
    """Return the context with a placeholder image for every service without an image, and warn about each.

    An empty `image` changes nothing.
    """
    if not image:
        return context
    context, found = placeholder.use_placeholders(context, states, image)
    for one in found:
        reporter.notify(f"PLACEHOLDER  {one}", "alert")
    if found:
        reporter.notify(
            f"PLACEHOLDER  {image} is not your application. Push the real images, write their digests to "
            f"{context.environment.file.path}, and deploy again.",
            "alert",
        )
    else:
        reporter.notify("No image is missing: the placeholder is not used.", "detail")
    return context


def prepare_artifacts(context: Context, states: States, reporter: Reporter, chain: Iterable[Stack]) -> None:
    """Check images and hosted zone, and upload the artifacts of some stacks.

    Until bootstrap is deployed only the hosted zone is checked: the repositories and the bucket do not exist yet.
    """
    chain = tuple(chain)
    if any(stack.role in {StackRole.EDGE, StackRole.ROOT} for stack in chain):
        deployment.check_hosted_zone(context)
    if any(states[stack] is None for stack in context.chain if stack.role is StackRole.BOOTSTRAP):
        return
    roles = {stack.role for stack in chain} - {StackRole.BOOTSTRAP}
    if not roles:
        return
    if StackRole.ROOT in roles:
        deployment.check_images(context)
    with reporter.show_progress("uploading artifacts"):
        done = list(deployment.upload(context, states, roles))
    new = [item for item in done if item.uploaded]
    if new:
        reporter.notify(f"uploaded {len(new)} of {len(done)} artifacts", "detail")


def deploy_stacks(
    context: Context,
    reporter: Reporter,
    *,
    through: StackRole | None = None,
    limits: Gates | None = None,
    wait_minutes: float | None = None,
) -> CurrentStates:
    """Deploy the stacks of an environment and return their states after it.

    An operation that is already running is followed to its end first, at most `wait_minutes`.
    """
    run = DeploymentRun(context, reporter, limits or Gates(), dict(deployment.describe_stacks(context)))
    if follow_running_operations(context, reporter, run.states, wait_minutes):
        run.states = dict(deployment.describe_stacks(context))
    deployment.require_ready(run.states)
    _restore_stack_policies(run)
    if (root := context.stack(StackRole.ROOT)) in stacks_through(context.chain, through):
        workload_secrets.require_creatable(context, run.states[root])
        _create_new_secrets(run)
    plans = plan_stacks(context, run.states, reporter, verb="deploy", through=through)
    open_plans = dict(zip((plan.stack for plan in plans), plans, strict=True))
    try:
        run.gates.check_names(context, plans)
        if all(plan.kind is Kind.NOTHING for plan in plans):
            reporter.notify("Nothing to change.", "success")
        else:
            run.review(plans)
        for stack in list(open_plans):
            _deploy_stack(run, stack, open_plans)
    finally:
        for plan in open_plans.values():
            deployment.discard(context, plan)
    if through is None:
        _record_release(run)
    return run.states


def _create_new_secrets(run: DeploymentRun) -> None:
    """Create the supplied secrets that a deployed environment does not have yet, then refuse: they have no value."""
    stack = run.context.stack(StackRole.ROOT)
    state = run.states[stack]
    context = workload_secrets.restrict_to_new_secrets(run.context, state)
    if context is None or state is None:
        return
    run.reporter.notify(f"{stack.label}: creating new secrets first, because a person has to set their values", "step")
    creation = replace(run, context=context)
    plan = _plan_again(creation, stack, OperationScope.deployed(context.template(stack), state.parameters))
    try:
        creation.reporter.show_plans(context, [plan], run.gates.allowed)
        run.gates.require([plan])
        if not run.reporter.approve_plans([plan]):
            raise ApprovalDeclined
    except BaseException:
        deployment.discard(context, plan)
        raise
    if plan.change_set is not None:
        _execute(creation, plan)
    workload_secrets.require_values(run.context, run.states[stack])


def deploy_saved_plan(
    context: Context, reporter: Reporter, plan: SavedPlan, where: str, *, limits: Gates
) -> tuple[CurrentStates, list[Stack]]:
    """Execute the approved change sets. Return the states, and the stacks that must be planned again."""
    states = dict(deployment.describe_stacks(context))
    run = DeploymentRun(context, reporter, limits, states)
    deployment.require_ready(states)
    plans = saved_plan.restore(context, plan, states, where)
    if (root := context.stack(StackRole.ROOT)) in {one.stack for one in plans}:
        workload_secrets.require_creatable(context, states[root])
    _restore_stack_policies(run)
    run.review(plans)
    for one in plans:
        if one.change_set is not None:
            if not deployment.is_current(context, one, states):
                what = "the approved change set is stale: outputs of an earlier stack have changed"
                raise RefusedError(what, where=one.stack.label, hint="plan again for the remaining stacks")
            _execute(run, one)
        _run_post_deploy_steps(run, one.stack)
    left = [one.stack for one in plans if one.kind is Kind.LATER or one.is_platform_only]
    if not left and {one.stack for one in plans} == set(context.chain):
        _record_release(run)
    return states, left


def follow_running_operations(context: Context, reporter: Reporter, states: States, wait_minutes: float | None) -> bool:
    """Follow the running operations of an environment to their end. Return whether there were any.

    Without `wait_minutes` the deployer does not wait for a deletion: a stack that another user destroys must not be
    created again by accident.
    """
    running = operations.find_running_operations(context, states)
    if not running:
        return False
    if wait_minutes == 0 or (wait_minutes is None and any(one.verb == "delete" for one in running)):
        deployment.require_ready(states)
    deadline = None if wait_minutes is None else time.monotonic() + wait_minutes * 60
    for operation in running:
        reporter.notify(f"{operation.stack.label}: an operation is running ({operation.verb}); following it", "warning")
        reporter.follow(context, operation, deadline=deadline)
        state = operations.wait_for_outcome(context, operation)
        status = state.status if state is not None else "DELETE_COMPLETE"
        if operation.cancelled and not stacks.is_good(status):
            # The user cancelled this update. Deploying the same change again would undo that decision.
            raise operations.create_failure(operation, status, get_remedy(status))
        if not stacks.is_good(status) and (diagnosis := rootcause.diagnose(operation.events)):
            first = diagnosis.first
            reporter.notify(f"  it ended as {status}: {first.name}: {first.failure.reason}", "warning")
    return True


def _deploy_stack(run: DeploymentRun, stack: Stack, open_plans: dict[Stack, StackPlan]) -> None:
    context = run.context
    plan = open_plans[stack]
    if not deployment.is_current(context, plan, run.states):
        deployment.discard(context, plan)
        open_plans.pop(stack)
        approved = plan
        plan = _plan_again(run, stack)
        open_plans[stack] = plan
        if plan.change_set is not None and _is_covered(plan, approved):
            run.gates.require([plan])
        elif plan.change_set is not None:
            run.review([plan])
    if plan.change_set is not None:
        # After the start CloudFormation deletes the change set itself.
        open_plans.pop(stack)
        _execute(run, plan)
        if plan.is_platform_only:
            # The services take long and may fail. The database and the images are protected before.
            _run_post_deploy_steps(run, stack)
            _deploy_services(run, stack, open_plans)
    _run_post_deploy_steps(run, stack)


def _deploy_services(run: DeploymentRun, stack: Stack, open_plans: dict[Stack, StackPlan]) -> None:
    """Deploy the services, in the second operation of a first deployment.

    A failed update of root rolls back every nested stack in it, healthy services included. So the update is repeated
    without the service that failed. Raises the first failure at the end, when the other services are deployed.
    """
    context, reporter, template = run.context, run.reporter, run.context.template(stack)
    failure: DeploymentFailedError | None = None
    excluded: frozenset[str] = frozenset()
    while set(template.services) - excluded:
        plan = _plan_again(run, stack, OperationScope(excluded=excluded))
        if plan.change_set is None:
            break
        open_plans[stack] = plan
        run.gates.require([plan])
        run.require_secret_values([plan])
        open_plans.pop(stack)
        try:
            _execute(run, plan)
            break
        except DeploymentFailedError as error:
            first = error.failure
            service = failed_service(template, first.stack, first.logical_id) if first else None
            run.states[stack] = deployment.describe_stacks(context)[stack]
            if service is None or service in excluded or error.status != "UPDATE_ROLLBACK_COMPLETE":
                raise
            failure, excluded = failure or error, excluded | {service}
            others = [name for name in template.services if name not in excluded]
            if others:
                names = ", ".join(others)
                reporter.notify(f"{stack.label}: {service} failed; deploying {names} without it", "warning")
    if failure is not None:
        names = ", ".join(sorted(excluded))
        failure.hint = f"the platform is complete, and only {names} is not deployed. Correct it and deploy again"
        raise failure


def _execute(run: DeploymentRun, plan: StackPlan) -> None:
    """Execute one change set and follow it to its end. The stack policies allow the named losses meanwhile."""
    context, reporter, stack = run.context, run.reporter, plan.stack
    is_open = _allow_named_losses(run, plan)
    addresses = deployment.read_addresses(context, stack, run.states[stack])
    operation = deployment.execute(context, plan)
    reporter.notify(f"{stack.label}: {plan.kind}", "step")
    try:
        # Ctrl-C leaves the stack policy open: restoring it would stop an allowed change. The next run restores it.
        reporter.follow(context, operation)
        run.states[stack] = deployment.require_success(context, operation)
    except DeploymentFailedError as error:
        reporter.explain_failure(operation, error)
        if is_open:
            _restore_stack_policy(run, stack, operation.stack_id)
        raise
    finally:
        _restore_addresses(run, stack, operation.stack_id, addresses)


def _restore_addresses(run: DeploymentRun, stack: Stack, stack_id: str, kept: Mapping[str, tuple[str, ...]]) -> None:
    """Write back the addresses of the web ACL. An update of a set empties it, and so does its rollback."""
    if not kept:
        return
    try:
        restored = deployment.restore_addresses(run.context, stack, stack_id, kept)
    except (BotoCoreError, ClientError) as error:
        lost = ", ".join(f"{name}: {' '.join(addresses)}" for name, addresses in kept.items())
        hint = f"Check them with `deploy.py addresses -e {run.context.environment.name}`: {lost}"
        run.reporter.notify(f"{stack.label}: addresses are not written back: {explain(error)}. {hint}", "alert")
        return
    if restored:
        run.reporter.notify(f"{stack.label}: {restored} blocked and allowed addresses are written back", "detail")


def _run_post_deploy_steps(run: DeploymentRun, stack: Stack) -> None:
    """Run the steps that follow a healthy stack, also if this run did not change it.

    The steps are: stack policy, secret rotation, default security group, protection of images, termination protection.
    """
    context, reporter, state = run.context, run.reporter, run.states[stack]
    if state is None or state.next is Next.CREATE:
        return
    if stack_policies.is_enforced(context, stack):
        _restore_stack_policy(run, stack, state.id)
    if deployment.schedule_rotation(context, stack, state):
        reporter.notify(f"{stack.label}: the database's password is rotated every 30 days from now on", "detail")
    if deployment.close_default_group(context, stack, state):
        reporter.notify(f"{stack.label}: the VPC's default security group is closed now", "detail")
    _protect_images(run, stack, state)
    if deployment.enable_termination_protection(context, stack, state):
        reporter.notify(f"{stack.label}: termination protection is on now", "detail")
        run.states[stack] = replace(state, protected=True)


def _protect_images(run: DeploymentRun, stack: Stack, state: StackState) -> None:
    try:
        tagged = deployment.protect_images(run.context, stack, state)
    except ClientError as error:
        # The stack is deployed. The policy of a role may be older than this step.
        hint = " Update the role with the output of `deploy.py policy deploy`." if is_denied(error) else ""
        run.reporter.notify(f"{stack.label}: images are not protected from expiry: {explain(error)}.{hint}", "alert")
        return
    for image in tagged:
        run.reporter.notify(f"{stack.label}: {image} is protected from expiry now", "detail")


def _record_release(run: DeploymentRun) -> None:
    """Record the deployed environment as a release. All stacks are deployed, so an error is reported only."""
    context, label = run.context, run.context.stack(StackRole.ROOT).label
    try:
        release = releases.record_release(context, run.states)
    except (BotoCoreError, ClientError, DeployerError) as error:
        hint = ""
        if isinstance(error, ClientError) and is_denied(error):
            hint = " Update the role with the output of `deploy.py policy deploy`."
        what = error if isinstance(error, DeployerError) else explain(error)
        run.reporter.notify(f"{label}: the deployment succeeded, but is not recorded: {what}.{hint}", "alert")
        return
    if release is not None:
        run.reporter.notify(f"{label}: recorded as release {release.number}", "detail")


def _release_images(context: Context, reporter: Reporter, root: StackState) -> None:
    """Remove the tags that protect the images of a deleted root."""
    try:
        deployment.release_images(context, root)
    except ClientError as error:
        text = f"tags of {context.environment.family} remain and keep its images from expiry: {explain(error)}"
        reporter.notify(text, "warning")


def _restore_stack_policies(run: DeploymentRun) -> None:
    """Restore the stack policies that an interrupted run left open."""
    for stack, state in run.states.items():
        if state is not None and state.next is not Next.CREATE and stack_policies.is_enforced(run.context, stack):
            _restore_stack_policy(run, stack, state.id)


def _restore_stack_policy(run: DeploymentRun, stack: Stack, stack_id: str) -> None:
    if number := stack_policies.restore(run.context, stack, stack_id):
        policies = "1 stack policy denies" if number == 1 else f"{number} stack policies deny"
        run.reporter.notify(f"{stack.label}: {policies} losing data now", "detail")


def _allow_named_losses(run: DeploymentRun, plan: StackPlan) -> bool:
    """Open the stack policies for the allowed losses of this change set. Return whether there are any."""
    named = [one for one in gates.find_losses(plan.stack, plan.change_set) if run.gates.allowed.covers(one)]
    if (
        not named
        or plan.change_set is None
        or plan.kind is Kind.CREATE
        or not stack_policies.is_enforced(run.context, plan.stack)
    ):
        return False
    deleted = [one.name for one in named if one.effect == "delete"]
    # The parent's policy protects a nested stack as one resource. The gate has checked the resources in it.
    layers = [one.logical_id for one in plan.change_set.changes if one.action == "Remove" and one.nested is not None]
    allowed = gates.Allowed.named([one.name for one in named if one.effect != "delete"], [*deleted, *layers])
    stack_policies.allow_updates(run.context, plan.stack, plan.change_set.stack_id, allowed)
    names = ", ".join(one.name for one in named)
    run.reporter.notify(f"{plan.stack.label}: the stack policy is open for {names}", "warning")
    return True


def _plan_again(run: DeploymentRun, stack: Stack, scope: OperationScope | None = None) -> StackPlan:
    """Return the final plan of a stack, with the current outputs of the earlier stacks."""
    context, reporter, states = run.context, run.reporter, run.states
    state = states[stack]
    if state is not None and state.next is Next.REPLACE:
        reporter.notify(f"{stack.label}: deleting the empty stack of a rolled back creation", "detail")
        deployment.delete_empty_stack(context, stack, state.id)
        states[stack] = None
    prepare_artifacts(context, states, reporter, [stack])
    with reporter.show_progress(f"{stack.label}: computing the change set"):
        plan = deployment.plan_stack(context, stack, states, verb="deploy", final=True, scope=scope)
    if plan.kind is Kind.LATER:
        names = ", ".join(sorted({earlier.name for earlier in plan.after}))
        what = f"needs outputs that {names} does not have, although it is deployed"
        raise DeployerError(what, where=stack.label, hint="compare its outputs with the parameters of this stack")
    return plan


def _is_covered(plan: StackPlan, approved: StackPlan) -> bool:
    """Return whether the approval of an earlier plan covers a plan that was computed after it."""
    if plan.kind is Kind.CREATE:
        return approved.kind in {Kind.LATER, Kind.CREATE}
    return _destructive_changes(plan) <= _destructive_changes(approved)


def _destructive_changes(plan: StackPlan) -> set[tuple[tuple[str, ...], str, str]]:
    """Return the replaced and deleted resources of a plan, each with its path and effect."""
    if plan.change_set is None:
        return set()
    return {
        (path, change.logical_id, change.effect)
        for path, change in plan.change_set.walk()
        if change.effect in DESTRUCTIVE_EFFECTS
    }


def destroy_stacks(
    context: Context, reporter: Reporter, *, unprotect: bool = False, preview: bool = False
) -> tuple[StackDeletion, ...]:
    """Delete the stacks of an environment except bootstrap, and return the deletions. `preview` only shows them."""
    with reporter.show_progress("reading the deployed resources"):
        states = deployment.describe_stacks(context)
        deletions = deletion.plan_deletions(context, states)
        # A run that was killed after the last deletion has left the imported certificate.
        certificate = deletion.find_imported_certificate(context)
    family = context.environment.family
    if not deletions and not certificate:
        reporter.notify(f"Nothing to destroy: {family} is not deployed.", "success")
        return deletions
    if not deletions:
        reporter.notify(f"{family} is not deployed. Only its imported certificate {certificate} remains.")
    reporter.show_deletions(deletions)
    bootstrap = context.stack(StackRole.BOOTSTRAP).name
    reporter.notify(f"{bootstrap} remains: it holds artifacts and images that other environments may use.", "detail")
    if preview:
        return deletions
    deletion.require_deletable(deletions, unprotect=unprotect)
    if not reporter.approve_deletions():
        raise ApprovalDeclined
    for one in deletions:
        _delete_stack(context, reporter, one, unprotect=unprotect)
        if one.stack.role is StackRole.ROOT:
            # Not at the end: if a later deletion fails, the next run does not find root, and so not its images.
            _release_images(context, reporter, one.state)
    if arn := deletion.delete_imported_certificate(context):
        reporter.notify(f"deleted the imported certificate {arn}", "detail")
    if kept := [item for one in deletions for item in one.kept]:
        count = "1 resource was" if len(kept) == 1 else f"{len(kept)} resources were"
        reporter.notify(f"{count} kept or left a snapshot:")
        for item in kept:
            reporter.notify(f"  {item.name}  {item.type} {item.physical_id}", "detail")
    return deletions


def _delete_stack(context: Context, reporter: Reporter, one: StackDeletion, *, unprotect: bool) -> None:
    if unprotect:
        deletion.disable_protections(context, one)
    for attempt in range(1, _DELETIONS + 1):
        operation = deletion.delete_stack(context, one)
        reporter.notify(f"{one.stack.label}: delete", "step")
        reporter.follow(context, operation)
        try:
            deletion.require_deleted(context, operation)
            return
        except DeploymentFailedError as error:
            if attempt == _DELETIONS or not deletion.will_pass(error):
                reporter.explain_failure(operation, error)
                raise
        reporter.notify(f"{one.stack.label}: ECS still removes addresses of internal services, once more in a minute")
        context.sleep(60)
