"""Destroying an environment: what would go, what would stay, what forbids it; then one stack after the other.

Runs backwards through the chain and never touches bootstrap: it is shared, and holds the artifacts and images
that other environments and rollbacks need.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from deployer import certificate, events, stacks
from deployer.chain import Role, Stack
from deployer.deployment import Context, Operation, States, remove_shell
from deployer.errors import DeployerError, DeploymentFailedError, RefusedError, StateError
from deployer.stacks import STACK_TYPE, Next, StackState

TERMINATION = "termination protection is on; --unprotect switches it off and goes on"
DATABASE = 'the database is protected from deletion; deploy with "DeletionProtection": "false" first'

_KEEPING = frozenset({"Retain", "Snapshot", "RetainExceptOnCreate"})
# Kept by default when the template says nothing (AWS CloudFormation User Guide, DeletionPolicy attribute).
_SNAPSHOT_BY_DEFAULT = frozenset({"AWS::RDS::DBCluster"})


@dataclass(frozen=True)
class Kept:
    """A resource that outlives its stack, or leaves a snapshot."""

    path: tuple[str, ...]
    logical_id: str
    physical_id: str
    type: str
    policy: str

    @property
    def name(self) -> str:
        return "/".join((*self.path, self.logical_id))


@dataclass(frozen=True)
class Doomed:
    """A stack that would be deleted."""

    stack: Stack
    state: StackState
    resources: int
    kept: tuple[Kept, ...]
    # Why it cannot be deleted as it stands; each with what to do.
    obstacles: tuple[str, ...]


def preview(context: Context, states: States) -> tuple[Doomed, ...]:
    """What destroying would delete, in that order."""
    doomed = []
    for stack in reversed(context.chain):
        state = states[stack]
        if stack.role is Role.BOOTSTRAP or state is None:
            continue
        if state.next is Next.WAIT:
            hint = "wait until it has ended, then run this again"
            raise StateError(f"an operation is running ({state.status})", where=stack.label, hint=hint)
        count, kept = _contents(context, stack, state)
        doomed.append(Doomed(stack, state, count, kept, tuple(_obstacles(state))))
    return tuple(doomed)


def refuse_protected(doomed: tuple[Doomed, ...], *, unprotect: bool = False) -> None:
    """Raise before the first deletion: half an environment is worse than a whole one.

    `unprotect` promises to switch termination protection off; the database's own protection stays an obstacle,
    because only a deployment may lift that.
    """
    for one in doomed:
        obstacles = [obstacle for obstacle in one.obstacles if not (unprotect and obstacle == TERMINATION)]
        if obstacles:
            first, *more = obstacles
            raise RefusedError(first, where=one.stack.label, hint="\n  ".join(more))


def unprotect(context: Context, doomed: Doomed) -> Doomed:
    """Switch termination protection off, which somebody asked for by name."""
    if not doomed.state.protected:
        return doomed
    client = context.clients.cloudformation(doomed.stack.region)
    client.update_termination_protection(StackName=doomed.state.id, EnableTerminationProtection=False)
    state = stacks.describe(client, doomed.state.id)
    if state is None:
        raise DeployerError("disappeared meanwhile", where=doomed.stack.label)
    return Doomed(doomed.stack, state, doomed.resources, doomed.kept, tuple(_obstacles(state)))


def delete(context: Context, doomed: Doomed) -> Operation:
    """Start deleting one stack."""
    client = context.clients.cloudformation(doomed.stack.region)
    if doomed.state.status == "REVIEW_IN_PROGRESS":
        remove_shell(context, doomed.stack, doomed.state.id)
        return Operation(doomed.stack, doomed.state.id, "delete", iter(()))
    start = events.cursor(client, doomed.state.id)
    token = f"destroy-{secrets.token_hex(4)}"
    if context.role_arn:
        client.delete_stack(StackName=doomed.state.id, ClientRequestToken=token, RoleARN=context.role_arn)
    else:
        client.delete_stack(StackName=doomed.state.id, ClientRequestToken=token)
    rounds = events.follow(client, start, sleep=context.sleep)
    return Operation(doomed.stack, doomed.state.id, "delete", rounds)


def outcome(context: Context, operation: Operation) -> None:
    """Return when the stack is gone, raise when it is not."""
    client = context.clients.cloudformation(operation.stack.region)
    status = events.status(client, operation.stack_id)
    if status != "DELETE_COMPLETE":
        failure = events.first_failure(operation.events)
        hint = "remove what blocks it, then run `deploy.py destroy` again: it goes on from here"
        raise DeploymentFailedError(operation.stack.label, status, failure, hint=hint)


def clean_up(context: Context) -> str | None:
    """Delete what the deployer itself made for the environment outside its stacks; what it was."""
    return certificate.remove(context.clients.acm(context.home), context.environment.family)


def _contents(context: Context, stack: Stack, state: StackState) -> tuple[int, tuple[Kept, ...]]:
    client = context.clients.cloudformation(stack.region)
    count = 0

    def walk(name: str, path: tuple[str, ...]) -> Iterator[Kept]:
        nonlocal count
        declared = stacks.template_body(client, name).get("Resources", {})
        for item in stacks.resources(client, name):
            if item.type == STACK_TYPE:
                if item.physical_id:
                    yield from walk(item.physical_id, (*path, item.logical_id))
                continue
            count += 1
            default = "Snapshot" if item.type in _SNAPSHOT_BY_DEFAULT else "Delete"
            policy = declared.get(item.logical_id, {}).get("DeletionPolicy", default)
            if policy in _KEEPING and item.physical_id:
                yield Kept(path, item.logical_id, item.physical_id, item.type, policy)

    kept = () if state.status == "REVIEW_IN_PROGRESS" else tuple(walk(state.id, ()))
    return count, kept


def _obstacles(state: StackState) -> Iterator[str]:
    if state.protected:
        yield TERMINATION
    if state.parameters.get("DeletionProtection") == "true":
        yield DATABASE
