"""What blocks a stack that CloudFormation could not bring to rest, by name, and the way out of it."""

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
    """A resource that keeps its stack from coming to rest."""

    # The nested stacks that lead to it, and the name that CloudFormation knows the innermost by.
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
        """How people name it: DatabaseStack.Cluster, as in a parameter of `recover`."""
        return ".".join((*self.path[-1:], self.logical_id))

    @property
    def skip(self) -> str:
        """How ContinueUpdateRollback names it: with the nested stack's own name, which has a random part."""
        return f"{self.nested}.{self.logical_id}" if self.path else self.logical_id

    @property
    def holds_data(self) -> bool:
        return self.type in HOLDS_DATA


def find_blockers(context: Context, stack: Stack, state: StackState) -> list[Blocker]:
    """What failed in a stack and those nested in it, and is to blame by itself."""
    client = context.clients.cloudformation(stack.region)
    listed = {(one.path, one.logical_id): one for one in _listed(client, state.id, (), "")}
    # A resource may be listed as it was before it failed to go back; the events say why it did.
    told = {
        (one.path, one.logical_id): one for one in _told(operations.load_last_operation(context, stack, state).events)
    }
    return [*told.values(), *(one for key, one in listed.items() if key not in told)]


def _told(history: Sequence[Event]) -> Iterator[Blocker]:
    """What the events of the last operation tell: what failed on the way back or in a deletion, and still is."""
    diagnosis = rootcause.diagnose(history)
    blamed = {one.name for one in (*diagnosis.rollback, diagnosis.first, *diagnosis.others)} if diagnosis else set()
    turned = any("ROLLBACK" in event.status for event in history if event.is_stack_itself and not event.path)
    if diagnosis and turned and diagnosis.rollback:
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


def _listed(client: CloudFormationClient, stack_id: str, path: tuple[str, ...], nested: str) -> Iterator[Blocker]:
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack_id):
        for item in page["StackResourceSummaries"]:
            if item["ResourceStatus"] not in _BLOCKED:
                continue
            logical_id, physical_id = item["LogicalResourceId"], item.get("PhysicalResourceId", "")
            if item["ResourceType"] == STACK_TYPE and physical_id.startswith("arn:"):
                state = stacks.describe_stack(client, physical_id)
                below = (
                    list(_listed(client, physical_id, (*path, logical_id), state.name))
                    if state is not None and state.status != "DELETE_COMPLETE"
                    else []
                )
                # A nested stack that only passes on what is in it is no blocker of its own.
                if below or (state is not None and state.status.endswith("ROLLBACK_FAILED")):
                    yield from below
                    continue
            reason = item.get("ResourceStatusReason", "")
            match = catalogue.classify(reason, resource_type=item["ResourceType"])
            yield Blocker(
                path, nested, logical_id, physical_id, item["ResourceType"], item["ResourceStatus"], reason, match
            )


def select_blockers(found: Sequence[Blocker], names: Iterable[str]) -> list[Blocker]:
    """The blockers that were named to be skipped. A slip of the pen must not skip something else."""
    picked: list[Blocker] = []
    problems: list[Problem] = []
    for name in names:
        wanted = name.replace("/", ".")
        same = [one for one in found if wanted in {one.name, one.skip}]
        if same:
            picked += same
        else:
            known = ", ".join(one.name for one in found) or "nothing"
            problems.append(Problem("--skip", f"{name} does not block the rollback", f"blocked by: {known}"))
    if problems:
        raise InputError(problems)
    return picked


def continue_rollback(context: Context, stack: Stack, state: StackState, skipped: Sequence[Blocker] = ()) -> Operation:
    """Let CloudFormation try the rollback again. What is skipped stays as it is, and CloudFormation forgets it."""
    if state.status != "UPDATE_ROLLBACK_FAILED":
        hint = "only a rollback that failed can be continued"
        raise StateError(f"it is {state.status}", where=stack.label, hint=hint)
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
        try:
            client.continue_update_rollback(**arguments)
        except ClientError as error:
            # Asked twice because a reply got lost, AWS may answer that there is nothing to continue any more.
            now = stacks.describe_stack(client, state.id)
            if error.response.get("Error", {}).get("Code") != "ValidationError" or now is None:
                raise
            if now.status == "UPDATE_ROLLBACK_FAILED":
                raise

    return operations.start_operation(context, stack, state.id, "rollback", begin)


def require_no_data(client: CloudFormationClient, stack: Stack, state: StackState) -> None:
    """Refuse to delete what a rolled back creation left, when something in it holds data after all.

    A creation that is rolled back deletes what it made, but for what it was told to keep. Deleting the empty
    stack would leave that without an owner, and the next creation would stumble over its name.
    """
    kept = [name for name, type in _living(client, state.id, ()) if type in HOLDS_DATA]
    if kept:
        what = f"its creation was rolled back ({state.status}), and left what may hold data: {', '.join(kept)}"
        hint = "save what is worth it and delete these, or import them into a new stack; then deploy again"
        raise StateError(what, where=stack.label, hint=hint)


def _living(client: CloudFormationClient, stack_id: str, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for item in stacks.list_resources(client, stack_id):
        if not item.physical_id or item.status == "CREATE_FAILED":
            continue
        if item.type == STACK_TYPE:
            if item.physical_id.startswith("arn:") and stacks.describe_stack(client, item.physical_id) is not None:
                yield from _living(client, item.physical_id, (*path, item.logical_id))
        else:
            yield "/".join((*path, item.logical_id)), item.type
