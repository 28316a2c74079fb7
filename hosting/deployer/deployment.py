"""Steps of a deployment as a pipeline of values: environment, context, states, plans, operations.

    environment = prepare(...)           offline; reports every error of the input
    context = connect(...)               calls STS; checks account and region
    states = describe_stacks(context)    the current states of the stacks
    plan = plan_stack(context, ...)      a change set, nothing to do, or the stacks that must be deployed first
    operation = execute(context, plan)   starts the change set; follow it, then call `require_success`

The caller decides between any two steps whether to continue. `pipeline` combines the steps.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer import change_set_filter, change_sets, operations, recovery, stack_parameters
from hosting.deployer.aws import stacks, statuses
from hosting.deployer.aws.lookups import select_images
from hosting.deployer.aws.session import explain
from hosting.deployer.aws.stacks import Next, StackState
from hosting.deployer.change_set_rejections import explain_change_set
from hosting.deployer.change_sets import Change, ChangeSet, ChangeSetRequest
from hosting.deployer.context import Context, States, connect, describe_stacks, require_ready
from hosting.deployer.environment import Environment, load_without_validation, prepare, with_parameters
from hosting.deployer.errors import DeployerError
from hosting.deployer.first_deployment import choose_scope, require_continuable
from hosting.deployer.operate.images import Reference, parse_image
from hosting.deployer.operations import Operation
from hosting.deployer.packaging import artifacts
from hosting.deployer.safeguards import address_sets, default_security_group, image_protection, secret_rotation
from hosting.deployer.shared_bootstrap import keep_deployed_resources
from hosting.deployer.stack_parameters import check_hosted_zone, check_images, upload
from hosting.model.declared_resources import count_resources
from hosting.model.operation_scope import OperationScope, deferred_stacks, is_platform_only
from hosting.model.stack_order import Stack, StackRole

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

# The first steps are in modules of their own. Callers import all steps from here.
__all__ = [
    "Context",
    "Environment",
    "Kind",
    "Operation",
    "StackPlan",
    "States",
    "Verb",
    "check_hosted_zone",
    "check_images",
    "classify_changes",
    "close_default_group",
    "connect",
    "count_declared_resources",
    "delete_empty_stack",
    "describe_stacks",
    "discard",
    "enable_termination_protection",
    "execute",
    "is_current",
    "load_without_validation",
    "plan_stack",
    "prepare",
    "protect_images",
    "release_images",
    "require_ready",
    "require_success",
    "schedule_rotation",
    "upload",
    "with_parameters",
]


# The purpose of a change set, and the prefix of its name: a preview, a saved plan, or an immediate execution.
Verb = Literal["plan", "saved", "deploy"]

# A plan takes minutes at most. An older change set was left by a process that was killed.
_ABANDONED = timedelta(hours=1)


class Kind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    NOTHING = "nothing"
    # The change set cannot be computed before an earlier stack is deployed.
    LATER = "later"


@dataclass(frozen=True)
class StackPlan:
    """Planned change of one stack."""

    stack: Stack
    kind: Kind
    change_set: ChangeSet | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    # Whether resources that are complete remain if a later resource fails.
    keep: bool = False
    # Only for LATER: whether the stack exists, and which stacks it waits for.
    exists: bool = False
    after: tuple[Stack, ...] = ()
    # How many resources each layer declares that this operation does not create: for LATER all layers, for the first
    # operation of a first deployment the services and the reader, which the second operation creates.
    declares: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    # Whether the operation is a part of a first deployment, so that what it adds has no earlier state.
    completes_creation: bool = False
    # Resources of bootstrap that are deployed and not in this checkout's template.
    kept: tuple[str, ...] = ()

    @property
    def is_platform_only(self) -> bool:
        """True if another operation must follow that deploys the services."""
        return is_platform_only(self.parameters)


def plan_stack(
    context: Context,
    stack: Stack,
    states: States,
    *,
    verb: Verb,
    final: bool = False,
    scope: OperationScope | None = None,
) -> StackPlan:
    """Return the planned operation of one stack. A change set remains only if the plan contains it.

    With `final=True` prerequisites such as the imported certificate are created; a preview must not create anything.
    Without a `scope` the state of the stack decides what the operation deploys.
    """
    state = states[stack]
    scope = scope or choose_scope(context.template(stack), state)
    if absent := stack_parameters.find_missing_upstream_stacks(context, stack, states):
        return StackPlan(
            stack, Kind.LATER, exists=state is not None, after=absent, declares=count_declared_resources(context, stack)
        )
    if state is not None and state.next is Next.REPLACE:
        recovery.require_no_data(context.clients.cloudformation(stack.region), stack, state)
        note = f"the creation was rolled back ({state.status}); the empty stack is deleted first"
        return StackPlan(stack, Kind.LATER, declares=count_declared_resources(context, stack), note=note)
    client = context.clients.cloudformation(stack.region)
    if state is not None and state.next is Next.CREATE:
        delete_empty_stack(context, stack, state.id)
        state = None
    context, kept = keep_deployed_resources(context, stack, state)
    if state is not None:
        change_sets.delete_abandoned_change_sets(client, state.id, _abandoned_after(verb), sleep=context.sleep)
    values = stack_parameters.resolve_parameter_values(context, stack, states, final=final, scope=scope)
    request = _request(
        context,
        stack,
        state,
        values,
        verb,
        stack_parameters.find_upstream_outputs(context, stack, states).get(stack_parameters.BUCKET, ""),
    )
    arn = change_sets.create(client, request)
    try:
        plan = _read_plan(context, stack, state, values, arn, kept)
    except BaseException:
        # This also handles an interruption: no change set must remain.
        _discard(context, stack, arn, creates=request.creates)
        raise
    if plan.change_set is None:
        _discard(context, stack, arn, creates=request.creates)
    return plan


def _read_plan(
    context: Context,
    stack: Stack,
    state: StackState | None,
    values: Mapping[str, str],
    arn: str,
    kept: tuple[str, ...],
) -> StackPlan:
    """Return the plan of a change set, without the change set if there is nothing to change."""
    client = context.clients.cloudformation(stack.region)
    template = context.template(stack)
    kind = Kind.CREATE if state is None else Kind.UPDATE
    change_set = change_sets.wait_for_change_set(client, arn, sleep=context.sleep)
    if change_sets.has_no_changes(change_set):
        return StackPlan(stack, Kind.NOTHING, parameters=values, kept=kept)
    if change_sets.find_problem(change_set):
        raise explain_change_set(client, change_set, template, context.environment.templates, stack.label)
    # The creation of the root takes up to an hour. If its last layer fails, the complete resources are kept. A
    # root that is complete is rolled back instead.
    unfinished = state is None or state.next is Next.CONTINUE
    keep = stack.role is StackRole.ROOT and unfinished
    reviewed = _review(context, stack, change_set, state, values)
    if keep and kind is Kind.UPDATE:
        require_continuable(reviewed, stack.label)
    declared = count_declared_resources(context, stack)
    deferred = {name: declared.get(name, 0) for name in deferred_stacks(template, values)}
    completes = unfinished or (state is not None and is_platform_only(state.parameters))
    return StackPlan(
        stack, kind, reviewed, values, keep=keep, declares=deferred, completes_creation=completes, kept=kept
    )


def classify_changes(context: Context, plan: StackPlan, state: StackState) -> StackPlan:
    """Return the plan with the derived entries of its change set marked. `state` is the deployed stack."""
    if plan.change_set is None:
        return plan
    present = None if plan.kind is Kind.CREATE else state
    return replace(plan, change_set=_review(context, plan.stack, plan.change_set, present, plan.parameters))


def is_current(context: Context, plan: StackPlan, states: States) -> bool:
    """Return whether a plan that was computed earlier would be computed from the same inputs now."""
    if plan.kind is Kind.LATER or stack_parameters.find_missing_upstream_stacks(context, plan.stack, states):
        return False
    wires = {
        name: value
        for name, value in stack_parameters.find_upstream_outputs(context, plan.stack, states).items()
        if name in context.template(plan.stack).parameters
    }
    return all(plan.parameters.get(name) == value for name, value in wires.items()) and not any(
        stack_parameters.FUTURE_CERTIFICATE in value for value in plan.parameters.values()
    )


def discard(context: Context, plan: StackPlan) -> None:
    """Delete the change set of a plan, and the empty stack that a change set of type CREATE creates."""
    if plan.change_set is not None:
        _discard(context, plan.stack, plan.change_set.id, creates=plan.kind is Kind.CREATE)


def delete_empty_stack(context: Context, stack: Stack, stack_id: str) -> None:
    """Delete a stack without resources: never executed, or its creation was rolled back. Waits for the deletion."""
    client = context.clients.cloudformation(stack.region)
    for arn in change_sets.list_pending_change_sets(client, stack_id):
        change_sets.discard(client, arn, sleep=context.sleep)
    removal = operations.start_operation(
        context, stack, stack_id, "delete", lambda: client.delete_stack(StackName=stack_id)
    )
    for _ in removal.follow():
        pass


def execute(context: Context, plan: StackPlan) -> Operation:
    """Execute the change set of a plan. Return the running operation."""
    if plan.change_set is None:
        raise DeployerError("the plan has no change set to execute", where=plan.stack.label)
    client = context.clients.cloudformation(plan.stack.region)
    change_set = plan.change_set

    def begin() -> None:
        change_sets.execute(client, change_set, token=change_set.name, keep=plan.keep)

    return operations.start_operation(context, plan.stack, change_set.stack_id, str(plan.kind), begin)


def require_success(context: Context, operation: Operation) -> StackState:
    """Return the stack after an operation. Raise DeploymentFailedError if the operation failed."""
    state = operations.wait_for_outcome(context, operation)
    status = state.status if state is not None else "DELETE_COMPLETE"
    if state is None or not stacks.is_good(status):
        raise operations.create_failure(operation, status, statuses.get_remedy(status))
    return state


def enable_termination_protection(context: Context, stack: Stack, state: StackState) -> bool:
    """Enable termination protection of a production root. Return whether it was disabled."""
    if stack.role is not StackRole.ROOT or not context.environment.is_production or state.protected:
        return False
    client = context.clients.cloudformation(stack.region)
    client.update_termination_protection(StackName=state.id, EnableTerminationProtection=True)
    return True


def schedule_rotation(context: Context, stack: Stack, state: StackState) -> bool:
    """Set the rotation schedule of the database password, if the database exists. Return whether it was changed."""
    secret = state.outputs.get("DatabaseSecretArn")
    if stack.role is not StackRole.ROOT or not secret:
        return False
    return secret_rotation.set_rotation_schedule(context.clients.secretsmanager(stack.region), secret)


def close_default_group(context: Context, stack: Stack, state: StackState) -> bool:
    """Remove all rules of the VPC's default security group, if the VPC exists. Return whether there were any."""
    vpc = state.outputs.get("VpcId")
    if stack.role is not StackRole.ROOT or not vpc:
        return False
    return default_security_group.revoke_rules(context.clients.ec2(stack.region), vpc)


def read_addresses(context: Context, stack: Stack, state: StackState | None) -> Mapping[str, tuple[str, ...]]:
    """Return the addresses that operators block and allow, by set. Empty if the stack has none.

    Raises DeployerError if AWS refuses to read them, because an update could lose them.
    """
    if stack.role is not StackRole.EDGE or state is None:
        return {}
    try:
        found = _address_sets(context, stack, state.id).read()
    except (BotoCoreError, ClientError) as error:
        raise explain(error) from error
    return {name: addresses for name, addresses in found.items() if addresses}


def restore_addresses(context: Context, stack: Stack, stack_id: str, kept: Mapping[str, tuple[str, ...]]) -> int:
    """Write these addresses back to the sets that an operation emptied. Return the number of addresses."""
    return address_sets.restore(_address_sets(context, stack, stack_id), kept)


def _address_sets(context: Context, stack: Stack, stack_id: str) -> address_sets.AddressSets:
    clients = context.clients
    return address_sets.find_sets(clients.cloudformation(stack.region), clients.wafv2(stack.region), stack_id)


def protect_images(context: Context, stack: Stack, state: StackState) -> list[str]:
    """Tag the images that root runs, so that they do not expire. Return the images tagged now."""
    if stack.role is not StackRole.ROOT:
        return []
    client = context.clients.ecr(context.home)
    return image_protection.protect_images(client, context.environment.name, _own_images(context, state))


def release_images(context: Context, state: StackState) -> None:
    """Remove the tags that protect the images of an environment, after the root with this state was deleted."""
    client = context.clients.ecr(context.home)
    image_protection.release_images(client, context.environment.name, _own_images(context, state))


def _own_images(context: Context, state: StackState) -> Iterator[Reference]:
    """Yield the deployed images of the account's own registry in the home region."""
    for value in select_images(state.parameters, state.parameters).values():
        image = parse_image(value)
        if image is not None and (image.account, image.region) == (context.identity.account, context.home):
            yield image


def count_declared_resources(context: Context, stack: Stack) -> dict[str, int]:
    """Return the number of resources that each layer of a stack will have, with the values of the environment."""
    environment = context.environment
    return count_resources(context.template(stack), environment.templates, environment.file.values)


def _abandoned_after(verb: Verb) -> Mapping[str, timedelta]:
    """Return the age at which a command deletes change sets of earlier commands, by the prefix of their names.

    Change sets of saved plans are never deleted here: they may wait for an approval.
    """
    # One deployment runs at a time on an environment. Several plans may run, for example of pull requests.
    abandoned = {"plan": _ABANDONED}
    return {**abandoned, "deploy": timedelta()} if verb == "deploy" else abandoned


def _request(
    context: Context, stack: Stack, state: StackState | None, values: Mapping[str, str], verb: Verb, bucket: str
) -> ChangeSetRequest:
    template = context.template(stack)
    name = f"{verb}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    source: dict[Literal["TemplateBody", "TemplateURL"], str] = (
        {"TemplateURL": artifacts.create_url(bucket, stack.region, context.identity.url_suffix, template.key)}
        if template.inline is None
        else {"TemplateBody": template.inline}
    )
    creates = state is None
    # Environments share bootstrap. With the tags of one environment, each deployment would change it.
    own = {"Project": context.environment.project}
    tags = (
        own
        if stack.role is StackRole.BOOTSTRAP
        else {**own, "Environment": context.environment.name, **context.environment.file.tags}
    )
    return ChangeSetRequest(
        stack=stack.name,
        name=name,
        creates=creates,
        template=source,
        parameters=values,
        tags=tags,
        description=f"{name} of {stack.name}",
        role_arn=context.role_arn,
        flat=context.flat,
    )


def _review(
    context: Context, stack: Stack, change_set: ChangeSet, state: StackState | None, values: Mapping[str, str]
) -> ChangeSet:
    """Return the change set with derived entries marked, and with the resources of deleted nested stacks added."""
    client = context.clients.cloudformation(stack.region)
    change_set = replace(change_set, changes=tuple(_with_contents(client, one) for one in change_set.changes))
    nested = {one.logical_id: one.physical_id for one in change_set.changes if one.nested and one.physical_id}
    if state is None:
        return change_set
    template = context.template(stack)
    templates_of = change_set_filter.select_child_templates(template, context.environment.templates)
    before = state.parameters
    unchanged = frozenset(name for name, value in values.items() if before.get(name) == value)

    def deployed(logical_id: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return the outputs of a nested stack whose definition is unchanged, and its deployed parameters."""
        found, child = stacks.describe_stack(client, nested[logical_id]), templates_of.get(logical_id)
        if found is None or child is None:
            return {}, {}
        # The definition of an output changes only if the child's template changes.
        if child.key in {before[name] for name in unchanged}:
            return found.outputs, found.parameters
        same = change_set_filter.find_unchanged_outputs(stacks.read_template(client, found.id), child)
        return {name: value for name, value in found.outputs.items() if name in same}, found.parameters

    # A stack without nested stacks has no outputs to fill in, but references between its own resources.
    with ThreadPoolExecutor(8) as pool:
        known = dict(zip(nested, pool.map(deployed, nested), strict=True))
    outputs = {name: found for name, (found, _) in known.items()}
    parameters = {name: found for name, (_, found) in known.items()}
    return change_set_filter.ChangeSetFilter(
        template, templates_of, outputs, unchanged, parameters=parameters
    ).classify(change_set)


def _with_contents(client: CloudFormationClient, change: Change) -> Change:
    """Return the deletion of a nested stack with the resources in it. A change set does not list them."""
    if change.action != "Remove" or change.resource_type != stacks.STACK_TYPE or not change.physical_id:
        return change
    declared = stacks.read_template(client, change.physical_id).get("Resources", {})
    gone = tuple(
        _with_contents(
            client,
            Change(
                action="Remove",
                logical_id=one.logical_id,
                physical_id=one.physical_id,
                resource_type=one.type,
                policy_action=declared.get(one.logical_id, {}).get("DeletionPolicy", "Delete"),
                before=json.dumps({"Properties": declared.get(one.logical_id, {}).get("Properties", {})}),
            ),
        )
        for one in stacks.list_resources(client, change.physical_id)
    )
    inner = ChangeSet("", "", change.physical_id, change.logical_id, "CREATE_COMPLETE", changes=gone)
    return replace(change, nested=inner)


def _discard(context: Context, stack: Stack, arn: str, *, creates: bool) -> None:
    client = context.clients.cloudformation(stack.region)
    change_sets.discard(client, arn, sleep=context.sleep)
    if creates:
        state = stacks.describe_stack(client, stack.name)
        if state is not None and state.status == "REVIEW_IN_PROGRESS":
            delete_empty_stack(context, stack, state.id)
