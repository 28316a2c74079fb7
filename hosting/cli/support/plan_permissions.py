"""Find the changes of permissions, policies and security groups in a plan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hosting.analysis.diff.permission_widening import IDENTITIES, PERMISSION, compare_resource
from hosting.analysis.diff.permissions import PermissionChange
from hosting.analysis.diff.statements import PermissionDifference
from hosting.analysis.diff.traffic import EGRESS, GROUP, INGRESS
from hosting.deployer.change_sets import PLACEHOLDER, Change
from hosting.deployer.deployment import Kind, StackPlan

_ASPECTS: Mapping[str, str] = {
    **dict.fromkeys((GROUP, INGRESS, EGRESS), "rules"),
    **dict.fromkeys((*IDENTITIES, "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"), "permissions"),
    PERMISSION: "invocation",
}


def find_permission_changes(plans: Sequence[StackPlan]) -> list[PermissionChange]:
    """Return the permission changes, the most severe first. New stacks are left out: they have no earlier state."""
    found = [access for plan in plans if plan.kind is Kind.UPDATE for access in _find_in(plan)]
    return sorted(found, key=lambda one: (not one.is_severe, not one.is_broader))


def _find_in(plan: StackPlan) -> Iterator[PermissionChange]:
    if plan.change_set is None:
        return
    for path, change in plan.change_set.walk():
        if plan.completes_creation and change.action == "Add":
            continue  # no earlier state: an earlier operation failed before it created this resource
        if lines := _compare_change(change):
            aspect = _ASPECTS.get(change.resource_type, "policy")
            yield PermissionChange(
                "/".join((plan.stack.name, *path)), change.logical_id, change.resource_type, aspect, tuple(lines)
            )


def _compare_change(change: Change) -> list[PermissionDifference]:
    before: Mapping[str, Any] | None = None if change.action == "Add" else change.properties_before
    after: Mapping[str, Any] | None = None if change.action == "Remove" else change.expected_properties
    if before is None and after is None:
        return []
    if change.action == "Modify" and (before is None or after is None):
        return []  # CloudFormation returned no values: a comparison with one side only gives false alarms
    if before is not None and after is not None:
        after = {name: _align(before.get(name), value) for name, value in after.items()}
    return compare_resource(change.resource_type, before, after)


def _align(before: Any, after: Any) -> Any:
    """Replace values that are known only after deployment by the current value in their place.

    The permissions of a role do not widen if the resource that they name is recreated.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return {key: _align(before.get(key), value) for key, value in after.items()}
    if isinstance(after, list):
        known = before if isinstance(before, list) else [before]
        # Lists of equal length are compared by position. Otherwise any known value may be the current one.
        if len(known) == len(after):
            return [_align(old, new) for old, new in zip(known, after, strict=True)]
        return [next((_align(old, new) for old in known if _align(old, new) != new), new) for new in after]
    if isinstance(before, str) and isinstance(after, str) and PLACEHOLDER.search(after):
        literal = PLACEHOLDER.split(after)
        return before if re.fullmatch(".+".join(map(re.escape, literal)), before) else after
    return after
