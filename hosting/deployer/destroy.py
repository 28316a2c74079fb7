"""Destroying an environment: what would go, what would stay, what forbids it; then one stack after the other.

Runs backwards through the chain and never touches bootstrap: it is shared, and holds the artifacts and images
that other environments and rollbacks need.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer import certificate, operations
from hosting.deployer.aws import stacks, statuses
from hosting.deployer.aws.session import is_denied
from hosting.deployer.aws.stacks import STACK_TYPE, Next, StackState
from hosting.deployer.deployment import Context, Operation, States, delete_empty_stack
from hosting.deployer.errors import RefusedError, StateError
from hosting.deployer.safeguards import protections
from hosting.deployer.safeguards.protections import Protection
from hosting.model.stack_order import Stack, StackRole

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KEEPING = frozenset({"Retain", "Snapshot", "RetainExceptOnCreate"})
# Kept by default when the template says nothing (AWS CloudFormation User Guide, DeletionPolicy attribute).
_SNAPSHOT_BY_DEFAULT = frozenset({"AWS::RDS::DBCluster"})


@dataclass(frozen=True)
class Resource:
    """A resource of a stack to be deleted; its policy says whether it outlives the stack."""

    path: tuple[str, ...]
    logical_id: str
    physical_id: str
    type: str
    policy: str

    @property
    def name(self) -> str:
        return "/".join((*self.path, self.logical_id))


@dataclass(frozen=True)
class StackDeletion:
    """A stack that would be deleted."""

    stack: Stack
    state: StackState
    resources: int
    kept: tuple[Resource, ...]
    # The switches that forbid it.
    protections: tuple[Protection, ...]
    # Buckets that S3 will refuse to delete, because something is in them.
    full: tuple[Resource, ...] = ()


def plan_deletions(context: Context, states: States) -> tuple[StackDeletion, ...]:
    """What destroying would delete, in that order."""
    deletions = []
    for stack in reversed(context.chain):
        state = states[stack]
        if stack.role is StackRole.BOOTSTRAP or state is None:
            continue
        if state.next is Next.WAIT:
            hint = "wait until it has ended, then run this again"
            raise StateError(f"an operation is running ({state.status})", where=stack.label, hint=hint)
        contents = tuple(_contents(context, stack, state))
        kept = tuple(item for item in contents if item.policy in _KEEPING)
        protections = tuple(_protections(context, stack, state, contents))
        full = tuple(_full(context, stack, state, contents))
        deletions.append(StackDeletion(stack, state, len(contents), kept, protections, full))
    return tuple(deletions)


def require_deletable(doomed: tuple[StackDeletion, ...], *, unprotect: bool) -> None:
    """Raise before the first deletion: half an environment is worse than a whole one."""
    found = [] if unprotect else [protection for one in doomed for protection in one.protections]
    full = [f"{bucket.name} ({bucket.physical_id})" for one in doomed for bucket in one.full]
    lines, hints = [], []
    if found:
        lines += ["protected against deletion:", *map(str, found)]
        hints.append("--unprotect switches the protection off and goes on")
    if full:
        lines += ["not empty, and S3 deletes no bucket that is not empty:", *full]
        hints.append("empty them, old versions included, or deploy EmptyBucketOnDelete=true for the site's own first")
    if lines:
        raise RefusedError("\n  ".join(lines), hint="\n  ".join(hints))


def disable_protections(context: Context, doomed: StackDeletion) -> None:
    """Switch off what forbids deleting this stack, which somebody asked for by name."""
    clients, region = context.clients, doomed.stack.region
    for found in doomed.protections:
        protections.disable(found, clients.cloudformation(region), clients.rds(region), clients.elbv2(region))


def delete_stack(context: Context, doomed: StackDeletion) -> Operation:
    """Start deleting one stack."""
    client = context.clients.cloudformation(doomed.stack.region)
    if doomed.state.status == "REVIEW_IN_PROGRESS":
        delete_empty_stack(context, doomed.stack, doomed.state.id)
        return Operation(doomed.stack, doomed.state.id, "delete", iter(()))
    token = f"destroy-{secrets.token_hex(4)}"

    def begin() -> None:
        if context.role_arn:
            client.delete_stack(StackName=doomed.state.id, ClientRequestToken=token, RoleARN=context.role_arn)
        else:
            client.delete_stack(StackName=doomed.state.id, ClientRequestToken=token)

    return operations.start_operation(context, doomed.stack, doomed.state.id, "delete", begin)


def require_deleted(context: Context, operation: Operation) -> None:
    """Return when the stack is gone, raise when it is not."""
    state = operations.wait_for_outcome(context, operation)
    if state is not None and state.status != "DELETE_COMPLETE":
        raise operations.create_failure(operation, state.status, statuses.get_remedy(state.status))


def find_imported_certificate(context: Context) -> str | None:
    """What the deployer itself made for the environment outside its stacks."""
    return certificate.find(context.clients.acm(context.home), context.environment.family)


def delete_imported_certificate(context: Context) -> str | None:
    """Delete that; what it was."""
    return certificate.delete(context.clients.acm(context.home), context.environment.family, sleep=context.sleep)


def _contents(context: Context, stack: Stack, state: StackState) -> Iterator[Resource]:
    """Every resource in the stack and those nested in it, with what becomes of it."""
    if state.status == "REVIEW_IN_PROGRESS":
        return
    client = context.clients.cloudformation(stack.region)

    def walk(name: str, path: tuple[str, ...]) -> Iterator[Resource]:
        declared = stacks.read_template(client, name).get("Resources", {})
        for item in stacks.list_resources(client, name):
            if not item.physical_id:
                continue  # its creation failed before it was there
            if item.type == STACK_TYPE:
                yield from walk(item.physical_id, (*path, item.logical_id))
                continue
            default = "Snapshot" if item.type in _SNAPSHOT_BY_DEFAULT else "Delete"
            policy = declared.get(item.logical_id, {}).get("DeletionPolicy", default)
            yield Resource(path, item.logical_id, item.physical_id, item.type, policy)

    yield from walk(state.id, ())


def _full(context: Context, stack: Stack, state: StackState, contents: tuple[Resource, ...]) -> Iterator[Resource]:
    """Buckets that are deleted with the stack and hold something, unless the stack empties them itself."""
    if state.parameters.get("EmptyBucketOnDelete") == "true":
        return
    client = context.clients.s3(stack.region)
    for item in contents:
        if item.type == "AWS::S3::Bucket" and item.policy not in _KEEPING and _holds(client, item.physical_id):
            yield item


def _holds(client: S3Client, bucket: str) -> bool:
    """Whether there is anything in a bucket; old versions and delete markers count, for S3 counts them."""
    try:
        found = client.list_object_versions(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        # Gone already, or not ours to look into: a preview warns where it can.
        if is_denied(error) or error.response.get("Error", {}).get("Code") == "NoSuchBucket":
            return False
        raise
    return bool(found.get("Versions") or found.get("DeleteMarkers"))


def _protections(
    context: Context, stack: Stack, state: StackState, contents: tuple[Resource, ...]
) -> Iterator[Protection]:
    if state.protected:
        yield Protection(protections.STACK, state.id, state.name)

    def of(type: str) -> list[tuple[str, str]]:
        return [(item.name, item.physical_id) for item in contents if item.type == type]

    if found := of(protections.CLUSTER):
        yield from protections.find_protected_clusters(context.clients.rds(stack.region), found)
    if found := of(protections.LOAD_BALANCER):
        yield from protections.find_protected_load_balancers(context.clients.elbv2(stack.region), found)
