"""Resources that block a stack in a *_FAILED status, and the recovery from it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer import operations
from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import STACK_TYPE, StackState
from hosting.deployer.context import Context
from hosting.deployer.errors import StateError
from hosting.deployer.events import Event
from hosting.deployer.failures import catalogue, rootcause
from hosting.deployer.failures.signature import Match
from hosting.deployer.operations import Operation
from hosting.model.effects import HOLDS_DATA
from hosting.model.errors import InputError, Problem
from hosting.model.stack_order import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ContinueUpdateRollbackInputTypeDef

_BLOCKED = frozenset({"UPDATE_FAILED", "DELETE_FAILED", "CREATE_FAILED", "UPDATE_ROLLBACK_FAILED"})


@dataclass(frozen=True)
class Blocker:
    """Resource that blocks its stack in a *_FAILED status."""

    # Logical ids of the nested stacks, and the stack name of the innermost one.
    path: tuple[str, ...]
    nested: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    reason: str
    match: Match | None = None

    @property
    def name(self) -> str:
        """The name in messages and options, such as DatabaseStack.Cluster."""
        return ".".join((*self.path[-1:], self.logical_id))

    @property
    def skip(self) -> str:
        """The name for ContinueUpdateRollback. It has the stack name of the nested stack, which has a random part."""
        return f"{self.nested}.{self.logical_id}" if self.path else self.logical_id

    @property
    def holds_data(self) -> bool:
        return self.type in HOLDS_DATA


def find_blockers(context: Context, stack: Stack, state: StackState) -> list[Blocker]:
    """Return the resources that failed by themselves in a stack and its nested stacks."""
    client = context.clients.cloudformation(stack.region)
    listed = {(one.path, one.logical_id): one for one in _from_resource_list(client, state.id, (), "")}
    # The list may show the status from before the rollback failed. The events contain the reason.
    reported = {
        (one.path, one.logical_id): one
        for one in _from_events(operations.load_last_operation(context, stack, state).events)
    }
    return [*reported.values(), *(one for key, one in listed.items() if key not in reported)]


def _from_events(history: Sequence[Event]) -> Iterator[Blocker]:
    """Yield the resources whose last event is a failure in the rollback or deletion, by themselves."""
    diagnosis = rootcause.diagnose(history)
    blamed = {one.name for one in (*diagnosis.rollback, diagnosis.first, *diagnosis.others)} if diagnosis else set()
    rolled_back = any("ROLLBACK" in event.status for event in history if event.is_stack_itself and not event.path)
    if diagnosis and rolled_back and diagnosis.rollback:
        blamed = {one.name for one in diagnosis.rollback}
    latest = {event.name: event for event in history if not event.is_stack_itself}
    for event in latest.values():
        if event.name in blamed and event.failed:
            match = catalogue.classify(event.reason, resource_type=event.resource_type)
            yield Blocker(
                event.path,
                event.stack if event.path else "",
                event.logical_id,
                event.physical_id,
                event.resource_type,
                event.status,
                event.reason,
                match,
            )


def _from_resource_list(
    client: CloudFormationClient, stack_id: str, path: tuple[str, ...], nested: str
) -> Iterator[Blocker]:
    """Yield the resources with a failed status in the resource list of a stack and its nested stacks."""
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack_id):
        for item in page["StackResourceSummaries"]:
            if item["ResourceStatus"] not in _BLOCKED:
                continue
            logical_id, physical_id = item["LogicalResourceId"], item.get("PhysicalResourceId", "")
            if item["ResourceType"] == STACK_TYPE and physical_id.startswith("arn:"):
                state = stacks.describe_stack(client, physical_id)
                below = (
                    list(_from_resource_list(client, physical_id, (*path, logical_id), state.name))
                    if state is not None and state.status != "DELETE_COMPLETE"
                    else []
                )
                # A nested stack that failed only because of a resource in it is not a blocker itself.
                if below or (state is not None and state.status.endswith("ROLLBACK_FAILED")):
                    yield from below
                    continue
            reason = item.get("ResourceStatusReason", "")
            match = catalogue.classify(reason, resource_type=item["ResourceType"])
            yield Blocker(
                path, nested, logical_id, physical_id, item["ResourceType"], item["ResourceStatus"], reason, match
            )


def select_blockers(found: Sequence[Blocker], names: Iterable[str]) -> list[Blocker]:
    """Return the blockers with these names. Raises InputError for a name that blocks nothing."""
    picked: list[Blocker] = []
    problems: list[Problem] = []
    for name in names:
        wanted = name.replace("/", ".")
        same = [one for one in found if wanted in {one.name, one.skip}]
        if same:
            picked += same
        else:
            known = ", ".join(one.name for one in found) or "nothing"
            problems.append(
                Problem("--skip", f"{name} does not block the rollback", f"the blocking resources are: {known}")
            )
    if problems:
        raise InputError(problems)
    return picked


def continue_rollback(context: Context, stack: Stack, state: StackState, skipped: Sequence[Blocker] = ()) -> Operation:
    """Continue a failed update rollback. Return the running operation.

    The actual state of a skipped resource then differs from the state that CloudFormation records.
    """
    if state.status != "UPDATE_ROLLBACK_FAILED":
        hint = "only a stack in UPDATE_ROLLBACK_FAILED can be continued"
        raise StateError(
            f"the rollback cannot be continued: the status is {state.status}", where=stack.label, hint=hint
        )
    client = context.clients.cloudformation(stack.region)
    arguments: ContinueUpdateRollbackInputTypeDef = {
        "StackName": state.id,
        "ClientRequestToken": f"recover-{secrets.token_hex(8)}",
    }
    if skipped:
        arguments["ResourcesToSkip"] = [one.skip for one in skipped]
    if context.role_arn:
        arguments["RoleARN"] = context.role_arn

    def begin() -> None:
        """Send the request. A repeated request that finds the rollback running is no error."""
        try:
            client.continue_update_rollback(**arguments)
        except ClientError as error:
            # If a reply is lost, the SDK repeats the request. AWS may then answer that there is nothing
            # to continue.
            now = stacks.describe_stack(client, state.id)
            if error.response.get("Error", {}).get("Code") != "ValidationError" or now is None:
                raise
            if now.status == "UPDATE_ROLLBACK_FAILED":
                raise

    return operations.start_operation(context, stack, state.id, "rollback", begin)


def require_no_data(client: CloudFormationClient, stack: Stack, state: StackState) -> None:
    """Raise an error if a rolled back creation left resources that contain data.

    The rollback deletes all resources except retained ones. Deleting the empty stack would leave those unmanaged, and
    the next creation would fail on their names.
    """
    kept = [name for name, type in _existing_resources(client, state.id, ()) if type in HOLDS_DATA]
    if kept:
        what = f"its creation was rolled back ({state.status}), but resources with data may remain: {', '.join(kept)}"
        hint = "back up and delete them, or import them into a new stack; then deploy again"
        raise StateError(what, where=stack.label, hint=hint)


def _existing_resources(
    client: CloudFormationClient, stack_id: str, path: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    for item in stacks.list_resources(client, stack_id):
        if not item.physical_id or item.status == "CREATE_FAILED":
            continue
        if item.type == STACK_TYPE:
            if item.physical_id.startswith("arn:") and stacks.describe_stack(client, item.physical_id) is not None:
                yield from _existing_resources(client, item.physical_id, (*path, item.logical_id))
        else:
            yield "/".join((*path, item.logical_id)), item.type
