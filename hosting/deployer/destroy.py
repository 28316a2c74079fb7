"""Deletion of an environment: plan the deletions, check the protections, then delete one stack after the other.

The order is the reverse of a deployment. Bootstrap is never deleted: environments share it, and it contains the
artifacts and images that rollbacks need.
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
from hosting.deployer.errors import DeploymentFailedError, RefusedError, StateError
from hosting.deployer.safeguards import protections
from hosting.deployer.safeguards.protections import Protection
from hosting.model.stack_order import Stack, StackRole

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KEEPING = frozenset({"Retain", "Snapshot", "RetainExceptOnCreate"})
# These types have DeletionPolicy Snapshot by default (AWS CloudFormation User Guide, DeletionPolicy attribute).
_SNAPSHOT_BY_DEFAULT = frozenset({"AWS::RDS::DBCluster"})


@dataclass(frozen=True)
class Resource:
    """Resource of a stack that will be deleted. Its deletion policy decides whether it remains."""

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
    """Planned deletion of one stack."""

    stack: Stack
    state: StackState
    resources: int
    kept: tuple[Resource, ...]
    # Enabled protections against the deletion.
    protections: tuple[Protection, ...]
    # Buckets with objects. S3 does not delete them.
    full: tuple[Resource, ...] = ()


def plan_deletions(context: Context, states: States) -> tuple[StackDeletion, ...]:
    """Return the planned deletions in their order."""
    deletions = []
    for stack in reversed(context.chain):
        state = states[stack]
        if stack.role is StackRole.BOOTSTRAP or state is None:
            continue
        if state.next is Next.WAIT:
            hint = "wait until it has ended, then run this command again"
            raise StateError(f"an operation is running ({state.status})", where=stack.label, hint=hint)
        contents = tuple(_contents(context, stack, state))
        kept = tuple(item for item in contents if item.policy in _KEEPING)
        protections = tuple(_protections(context, stack, state, contents))
        full = tuple(_find_nonempty_buckets(context, stack, state, contents))
        deletions.append(StackDeletion(stack, state, len(contents), kept, protections, full))
    return tuple(deletions)


def require_deletable(doomed: tuple[StackDeletion, ...], *, unprotect: bool) -> None:
    """Raise an error before the first deletion if a stack cannot be deleted: no partial deletion must start."""
    found = [] if unprotect else [protection for one in doomed for protection in one.protections]
    full = [f"{bucket.name} ({bucket.physical_id})" for one in doomed for bucket in one.full]
    lines, hints = [], []
    if found:
        lines += ["resources are protected against deletion:", *map(str, found)]
        hints.append("use --unprotect to disable the protection and continue")
    if full:
        lines += ["buckets are not empty, and S3 deletes only empty buckets:", *full]
        hints.append(
            "empty them including old versions, or first deploy EmptyBucketOnDelete=true for the bucket of the site"
        )
    if lines:
        raise RefusedError("\n  ".join(lines), hint="\n  ".join(hints))


def disable_protections(context: Context, doomed: StackDeletion) -> None:
    """Disable the protections against the deletion of this stack. The user asked for it with --unprotect."""
    clients, region = context.clients, doomed.stack.region
    for found in doomed.protections:
        protections.disable(found, clients.cloudformation(region), clients.rds(region), clients.elbv2(region))


def delete_stack(context: Context, doomed: StackDeletion) -> Operation:
    """Start the deletion of one stack. Return the running operation."""
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
    """Wait until the deletion ends. Raise DeploymentFailedError if the stack still exists."""
    state = operations.wait_for_outcome(context, operation)
    if state is not None and state.status != "DELETE_COMPLETE":
        raise operations.create_failure(operation, state.status, statuses.get_remedy(state.status))


def will_pass(error: DeploymentFailedError) -> bool:
    """Return whether a deletion failed because a name of Cloud Map still has addresses, which ECS removes by itself."""
    return error.failure is not None and "contains registered instances" in error.failure.reason


def find_imported_certificate(context: Context) -> str | None:
    """Return the ARN of the certificate that the deployer imported for the environment, or None."""
    return certificate.find(context.clients.acm(context.home), context.environment.family)


def delete_imported_certificate(context: Context) -> str | None:
    """Delete the imported certificate and return its ARN, or None."""
    return certificate.delete(context.clients.acm(context.home), context.environment.family, sleep=context.sleep)


def _contents(context: Context, stack: Stack, state: StackState) -> Iterator[Resource]:
    """Yield the resources of a stack and of its nested stacks, each with its deletion policy."""
    if state.status == "REVIEW_IN_PROGRESS":
        return
    client = context.clients.cloudformation(stack.region)

    def walk(name: str, path: tuple[str, ...]) -> Iterator[Resource]:
        """Yield the resources of one stack and of the stacks nested in it."""
        declared = stacks.read_template(client, name).get("Resources", {})
        for item in stacks.list_resources(client, name):
            if not item.physical_id:
                continue  # its creation failed before it existed
            if item.type == STACK_TYPE:
                yield from walk(item.physical_id, (*path, item.logical_id))
                continue
            default = "Snapshot" if item.type in _SNAPSHOT_BY_DEFAULT else "Delete"
            policy = declared.get(item.logical_id, {}).get("DeletionPolicy", default)
            yield Resource(path, item.logical_id, item.physical_id, item.type, policy)

    yield from walk(state.id, ())


def _find_nonempty_buckets(
    context: Context, stack: Stack, state: StackState, contents: tuple[Resource, ...]
) -> Iterator[Resource]:
    """Yield the buckets with objects that are deleted with the stack, unless the stack empties them itself."""
    if state.parameters.get("EmptyBucketOnDelete") == "true":
        return
    client = context.clients.s3(stack.region)
    for item in contents:
        if item.type == "AWS::S3::Bucket" and item.policy not in _KEEPING and _has_objects(client, item.physical_id):
            yield item


def _has_objects(client: S3Client, bucket: str) -> bool:
    """Return whether a bucket has objects. Old versions and delete markers count, because S3 counts them."""
    try:
        found = client.list_object_versions(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        # The bucket is deleted already, or access is denied. A preview warns only where it can.
        if is_denied(error) or error.response.get("Error", {}).get("Code") == "NoSuchBucket":
            return False
        raise
    return bool(found.get("Versions") or found.get("DeleteMarkers"))


def _protections(
    context: Context, stack: Stack, state: StackState, contents: tuple[Resource, ...]
) -> Iterator[Protection]:
    if state.protected:
        yield Protection(protections.STACK, state.id, state.name)

    def select(type: str) -> list[tuple[str, str]]:
        return [(item.name, item.physical_id) for item in contents if item.type == type]

    if found := select(protections.CLUSTER):
        yield from protections.find_protected_clusters(context.clients.rds(stack.region), found)
    if found := select(protections.LOAD_BALANCER):
        yield from protections.find_protected_load_balancers(context.clients.elbv2(stack.region), found)
