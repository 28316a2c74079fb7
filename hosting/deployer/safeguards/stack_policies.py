"""Stack policies of production: CloudFormation itself denies the replacement and deletion of stateful resources.

The gate protects against users of this program. A stack policy protects against every way to update a stack. Each
nested stack has its own policy; a parent's policy does not cover the resources in a child. A change set cannot have a
temporary policy (CloudFormation User Guide, Prevent updates to stack resources). So for an allowed loss the policy is
changed before the operation, for exactly the named resources, and restored after it. If a run is killed in between, the
next run restores the policy first.

A policy can be replaced but not removed, so stacks without one get none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.context import Context
from hosting.deployer.safeguards.gates import Allowed, format_resource_name
from hosting.model.effects import describe_loss
from hosting.model.stack_order import Stack, StackRole

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_ALLOW_ALL = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}


@dataclass(frozen=True)
class ProtectedStack:
    """One stack of a tree with its stateful resources."""

    stack_id: str
    # Logical ids. `path` has the logical ids of the nested stacks that lead to this stack.
    path: tuple[str, ...]
    ids: tuple[str, ...]


def is_enforced(context: Context, stack: Stack) -> bool:
    """Return whether a stack gets policies. Bootstrap gets none: production shares it with other environments."""
    return context.environment.is_production and stack.role is not StackRole.BOOTSTRAP


def restore(context: Context, stack: Stack, stack_id: str) -> int:
    """Set the policy that denies losing data on every stack of the tree. Return the number of changed policies."""
    return _apply(context, stack, stack_id, Allowed())


def allow_updates(context: Context, stack: Stack, stack_id: str, allowed: Allowed) -> int:
    """Allow the named losses in the policies of the tree. Return the number of changed policies."""
    return _apply(context, stack, stack_id, allowed)


def create_policy(ids: Iterable[str], replaceable: Iterable[str] = (), deletable: Iterable[str] = ()) -> dict[str, Any]:
    """Return a policy that allows all updates except the replacement and deletion of `ids` that are not named.

    Without the first statement a policy denies all updates.
    """
    known = set(ids)
    denials = {
        action: sorted(known - set(named)) for action, named in (("Replace", replaceable), ("Delete", deletable))
    }
    statements: list[dict[str, Any]] = [_ALLOW_ALL]
    by_resources: dict[tuple[str, ...], list[str]] = {}
    for action, denied in denials.items():
        if denied:
            by_resources.setdefault(tuple(denied), []).append(f"Update:{action}")
    for denied_ids, actions in by_resources.items():
        resources = [f"LogicalResourceId/{logical_id}" for logical_id in denied_ids]
        statements.append({"Effect": "Deny", "Action": actions, "Principal": "*", "Resource": resources})
    return {"Statement": statements}


def _apply(context: Context, stack: Stack, stack_id: str, allowed: Allowed) -> int:
    client = context.clients.cloudformation(stack.region)

    def apply_one(protected: ProtectedStack) -> bool:
        """Set the policy of one stack if it differs. Return whether it was changed."""
        names = {logical_id: format_resource_name(stack, protected.path, logical_id) for logical_id in protected.ids}
        wanted = create_policy(
            protected.ids,
            [logical_id for logical_id, name in names.items() if name in allowed.replace],
            [logical_id for logical_id, name in names.items() if name in allowed.delete],
        )
        body = client.get_stack_policy(StackName=protected.stack_id).get("StackPolicyBody", "")
        if (not body and not protected.ids) or (body and json.loads(body) == wanted):
            return False
        client.set_stack_policy(StackName=protected.stack_id, StackPolicyBody=json.dumps(wanted))
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(apply_one, _tree(client, stack_id, ())))


def _tree(client: CloudFormationClient, stack_id: str, path: tuple[str, ...]) -> Iterator[ProtectedStack]:
    """Yield the stacks of a tree, innermost first, with their stateful resources."""
    declared = stacks.read_template(client, stack_id).get("Resources", {})
    ids: list[str] = []
    for one in stacks.list_resources(client, stack_id):
        if not one.physical_id:
            continue
        spec = declared.get(one.logical_id, {})
        if one.type == STACK_TYPE:
            inside = list(_tree(client, one.physical_id, (*path, one.logical_id)))
            yield from inside
            if any(protected.ids for protected in inside):
                ids.append(one.logical_id)
        elif describe_loss(one.type, spec.get("DeletionPolicy", ""), spec.get("Properties")):
            ids.append(one.logical_id)
    yield ProtectedStack(stack_id, path, tuple(sorted(ids)))
