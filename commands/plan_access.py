"""Who may do more after a plan than before: every change of permissions, policies and security groups in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analysis.diff.access import Access
from analysis.diff.broadening import IDENTITIES, PERMISSION, compare_resource
from analysis.diff.statements import Line
from analysis.diff.traffic import EGRESS, GROUP, INGRESS
from deployer.changesets import Change
from deployer.deployment import Kind, StackPlan

_ASPECTS: Mapping[str, str] = {
    **dict.fromkeys((GROUP, INGRESS, EGRESS), "rules"),
    **dict.fromkeys((*IDENTITIES, "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"), "permissions"),
    PERMISSION: "invocation",
}


def access_changes(plans: Sequence[StackPlan]) -> list[Access]:
    """The worst first. A stack that is created is left out: there is nothing that it could be broader than."""
    found = [access for plan in plans if plan.kind is Kind.UPDATE for access in _of(plan)]
    return sorted(found, key=lambda one: (not one.is_severe, not one.is_broader))


def _of(plan: StackPlan) -> Iterator[Access]:
    if plan.change_set is None:
        return
    for path, change in plan.change_set.walk():
        if lines := _lines(change):
            aspect = _ASPECTS.get(change.resource_type, "policy")
            yield Access(
                "/".join((plan.stack.name, *path)), change.logical_id, change.resource_type, aspect, tuple(lines)
            )


def _lines(change: Change) -> list[Line]:
    before: Mapping[str, Any] | None = None if change.action == "Add" else change.properties_before
    after: Mapping[str, Any] | None = None if change.action == "Remove" else change.settled
    if before is None and after is None:
        return []
    if change.action == "Modify" and (before is None or after is None):
        return []  # CloudFormation gave no values, and half a comparison would cry wolf
    return compare_resource(change.resource_type, before, after)
