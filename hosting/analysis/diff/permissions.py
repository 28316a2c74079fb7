"""Compares permissions before and after, over all stacks of an environment.

The permissions of a role are spread over several resources, and so are the rules of a group. They are combined first. A
statement that only moved between two policies is then no difference; one that is attached to a second role is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hosting.analysis.diff.permission_widening import (
    DOCUMENTS,
    PERMISSION,
    ROLE,
    build_invocation_policy,
    compare_boundary,
    compare_managed,
    compare_switches,
    inline_policies,
)
from hosting.analysis.diff.statements import PermissionDifference, compare_policies
from hosting.analysis.diff.traffic import (
    EGRESS,
    GROUP,
    INGRESS,
    TrafficRule,
    compare_rules,
    read_rules,
)
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.values import attached_policies, listed
from hosting.model.tokens import Json, origin

_ATTACHED = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")


@dataclass(frozen=True)
class PermissionChange:
    """The differences of one resource's permissions, trust, policy or rules."""

    stack: str
    logical_id: str
    type: str
    aspect: str  # permissions, trust, policy, invocation, rules, exposure
    lines: tuple[PermissionDifference, ...]

    @property
    def path(self) -> tuple[str, ...]:
        return (*self.stack.split("/")[1:], self.logical_id)

    @property
    def is_broader(self) -> bool:
        return any(line.broader for line in self.lines)

    @property
    def is_severe(self) -> bool:
        return any(line.severe for line in self.lines)


def compare_permissions(old: ResolvedEnvironment, new: ResolvedEnvironment) -> Iterator[PermissionChange]:
    """Yield all differences, in the order of the stacks."""
    for stack, logical_id in _all_resources(old, new):
        before, after = _find(old, stack, logical_id), _find(new, stack, logical_id)
        present = after or before
        if present is None:
            continue
        for aspect, compare in _ASPECTS:
            if lines := compare(old, before, new, after):
                yield PermissionChange(stack, logical_id, present.type, aspect, tuple(lines))


def _all_resources(old: ResolvedEnvironment, new: ResolvedEnvironment) -> list[tuple[str, str]]:
    keys = [(path, name) for env in (new, old) for path, stack in env.stacks.items() for name in stack.resources]
    return list(dict.fromkeys(keys))


def _find(env: ResolvedEnvironment, stack: str, logical_id: str) -> Resource | None:
    found = env.stacks.get(stack)
    return found.resources.get(logical_id) if found else None


# --- Aspects: each takes a resource as it was and as it becomes, None where it is absent


def _permissions(
    old: ResolvedEnvironment, before: Resource | None, new: ResolvedEnvironment, after: Resource | None
) -> list[PermissionDifference]:
    if not _is(ROLE, before, after):
        return _compare_unattached_policy(old, before, new, after)
    lines = compare_policies(_role_policies(old, before), _role_policies(new, after))
    lines += compare_managed(_external_policies(before), _external_policies(after))
    if before and after:
        lines += compare_boundary(before.properties, after.properties)
    return lines


def _role_policies(env: ResolvedEnvironment, role: Resource | None) -> list[Json]:
    """Return all policy documents of these templates that apply to a role."""
    if role is None:
        return []
    return [*inline_policies(role.properties), *(item.get("PolicyDocument") for item in attached_policies(env, role))]


def _external_policies(role: Resource | None) -> list[str]:
    """Return the attached policies that are not resources of these templates."""
    return [str(item) for item in listed(role.get("ManagedPolicyArns")) if not origin(item)] if role else []


def _compare_unattached_policy(
    old: ResolvedEnvironment, before: Resource | None, new: ResolvedEnvironment, after: Resource | None
) -> list[PermissionDifference]:
    """Compare a policy that is attached to no role of these templates, before or after."""
    if not _is(_ATTACHED[0], before, after) and not _is(_ATTACHED[1], before, after):
        return []
    if (before and _has_role(old, before)) or (after and _has_role(new, after)):
        return []
    return compare_policies(_documents(before, "PolicyDocument"), _documents(after, "PolicyDocument"))


def _has_role(env: ResolvedEnvironment, policy: Resource) -> bool:
    return any(policy in attached_policies(env, role) for role in env.of_type(ROLE))


def _trust(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[PermissionDifference]:
    name = "AssumeRolePolicyDocument"
    return compare_policies(_documents(before, name), _documents(after, name)) if _is(ROLE, before, after) else []


def _policy(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[PermissionDifference]:
    if _is(ROLE, before, after) or any(_is(kind, before, after) for kind in _ATTACHED):
        return []
    return [line for name in DOCUMENTS for line in compare_policies(_documents(before, name), _documents(after, name))]


def _invocation(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[PermissionDifference]:
    if not _is(PERMISSION, before, after):
        return []
    was, becomes = (item.properties if item else None for item in (before, after))
    return compare_policies([build_invocation_policy(was)], [build_invocation_policy(becomes)])


def _rules(
    old: ResolvedEnvironment, before: Resource | None, new: ResolvedEnvironment, after: Resource | None
) -> list[PermissionDifference]:
    if _is(GROUP, before, after):
        return compare_rules(_group_rules(old, before), _group_rules(new, after))
    return compare_rules(_external_rules(old, before), _external_rules(new, after))


def _external_rules(env: ResolvedEnvironment, rule: Resource | None) -> list[TrafficRule]:
    """Return the rules of a separate resource whose group is outside these templates."""
    if rule is None or rule.type not in {INGRESS, EGRESS} or env.resource(rule.get("GroupId")) is not None:
        return []
    return read_rules(rule.type, rule.properties)


def _group_rules(env: ResolvedEnvironment, group: Resource | None) -> list[TrafficRule]:
    if group is None:
        return []
    found = read_rules(GROUP, group.properties)
    for single in env.of_type(INGRESS, EGRESS):
        if env.resource(single.get("GroupId")) == group:
            found += read_rules(single.type, single.properties)
    return found


def _exposure(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[PermissionDifference]:
    return compare_switches(after.type, before.properties, after.properties) if before and after else []


def _is(kind: str, *resources: Resource | None) -> bool:
    return any(resource is not None and resource.type == kind for resource in resources)


def _documents(resource: Resource | None, name: str) -> list[Json]:
    return [resource.get(name)] if resource else []


_Compare = Callable[
    [ResolvedEnvironment, "Resource | None", ResolvedEnvironment, "Resource | None"], list[PermissionDifference]
]
_ASPECTS: tuple[tuple[str, _Compare], ...] = (
    ("permissions", _permissions),
    ("trust", _trust),
    ("policy", _policy),
    ("invocation", _invocation),
    ("rules", _rules),
    ("exposure", _exposure),
)
