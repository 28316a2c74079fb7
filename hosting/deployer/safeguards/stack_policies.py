"""Stack policies of production: replacing or deleting what holds data is denied by CloudFormation itself.

The gate in front of a change set protects against this program's users. A stack policy protects against every way
to update a stack. Each nested stack has one of its own; a parent's says nothing about what is in a child. A change
set cannot bring a temporary policy along (CloudFormation User Guide, Prevent updates to stack resources), so for a
named allowance the policy is opened, for exactly the named resources, and closed again when the operation has ended.
A run that dies in between leaves it open; the next one closes it before anything else.

A policy can be replaced but never removed: stacks without one are left without.
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
    """One stack of a tree and what in it must not be lost."""

    stack_id: str
    # Logical ids; `path` is the nested stacks that lead here.
    path: tuple[str, ...]
    ids: tuple[str, ...]


def is_enforced(context: Context, stack: Stack) -> bool:
    """Bootstrap belongs to all environments, so production does not rule it alone."""
    return context.environment.is_production and stack.role is not StackRole.BOOTSTRAP


def restore(context: Context, stack: Stack, stack_id: str) -> int:
    """Give every stack of the tree the policy that denies losing data; how many had another one."""
    return _set(context, stack, stack_id, Allowed())


def allow_updates(context: Context, stack: Stack, stack_id: str, allowed: Allowed) -> int:
    """Let go of exactly what is named, nested stacks included; how many policies had to be opened."""
    return _set(context, stack, stack_id, allowed)


def create_policy(ids: Iterable[str], replaceable: Iterable[str] = (), deletable: Iterable[str] = ()) -> dict[str, Any]:
    """Everything may be updated, and nothing of `ids` replaced or deleted but what is named.

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


def _set(context: Context, stack: Stack, stack_id: str, allowed: Allowed) -> int:
    client = context.clients.cloudformation(stack.region)

    def apply(guarded: ProtectedStack) -> bool:
        names = {logical_id: format_resource_name(stack, guarded.path, logical_id) for logical_id in guarded.ids}
        wanted = create_policy(
            guarded.ids,
            [logical_id for logical_id, name in names.items() if name in allowed.replace],
            [logical_id for logical_id, name in names.items() if name in allowed.delete],
        )
        body = client.get_stack_policy(StackName=guarded.stack_id).get("StackPolicyBody", "")
        if (not body and not guarded.ids) or (body and json.loads(body) == wanted):
            return False
        client.set_stack_policy(StackName=guarded.stack_id, StackPolicyBody=json.dumps(wanted))
        return True

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(apply, _tree(client, stack_id, ())))


def _tree(client: CloudFormationClient, stack_id: str, path: tuple[str, ...]) -> Iterator[ProtectedStack]:
    """The stack and those nested in it, innermost first, with what they hold."""
    declared = stacks.read_template(client, stack_id).get("Resources", {})
    ids: list[str] = []
    for one in stacks.list_resources(client, stack_id):
        if not one.physical_id:
            continue
        spec = declared.get(one.logical_id, {})
        if one.type == STACK_TYPE:
            inside = list(_tree(client, one.physical_id, (*path, one.logical_id)))
            yield from inside
            if any(guarded.ids for guarded in inside):
                ids.append(one.logical_id)
        elif describe_loss(one.type, spec.get("DeletionPolicy", ""), spec.get("Properties")):
            ids.append(one.logical_id)
    yield ProtectedStack(stack_id, path, tuple(sorted(ids)))
