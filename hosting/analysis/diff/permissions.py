"""Who may do what, before and after, over all stacks of an environment.

A role's permissions stand in several resources, and so do a group's rules: put together, a statement that only moved
from one policy to another is no news, and one that is attached to a second role is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hosting.analysis.diff.permission_widening import (
    DOCUMENTS,
    PERMISSION,
    ROLE,
    compare_boundary,
    compare_managed,
    compare_switches,
    inline,
    invocation,
)
from hosting.analysis.diff.statements import Line, compare_policies
from hosting.analysis.diff.traffic import (
    EGRESS,
    GROUP,
    INGRESS,
    Rule,
    compare_rules,
    rules_of,
)
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.values import attached_policies, listed
from hosting.model.tokens import Json, origin

_ATTACHED = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")


@dataclass(frozen=True)
class Access:
    """What changes about one resource's permissions, trust, policy or rules."""

    stack: str
    logical_id: str
    type: str
    aspect: str  # permissions, trust, policy, invocation, rules, exposure
    lines: tuple[Line, ...]

    @property
    def path(self) -> tuple[str, ...]:
        return (*self.stack.split("/")[1:], self.logical_id)

    @property
    def is_broader(self) -> bool:
        return any(line.broader for line in self.lines)

    @property
    def is_severe(self) -> bool:
        return any(line.severe for line in self.lines)


def access_changes(old: ResolvedEnvironment, new: ResolvedEnvironment) -> Iterator[Access]:
    """Everything that differs, in the order of the stacks."""
    for stack, logical_id in _everybody(old, new):
        before, after = _find(old, stack, logical_id), _find(new, stack, logical_id)
        present = after or before
        if present is None:
            continue
        for aspect, compare in _ASPECTS:
            if lines := compare(old, before, new, after):
                yield Access(stack, logical_id, present.type, aspect, tuple(lines))


def _everybody(old: ResolvedEnvironment, new: ResolvedEnvironment) -> list[tuple[str, str]]:
    keys = [(path, name) for env in (new, old) for path, stack in env.stacks.items() for name in stack.resources]
    return list(dict.fromkeys(keys))


def _find(env: ResolvedEnvironment, stack: str, logical_id: str) -> Resource | None:
    found = env.stacks.get(stack)
    return found.resources.get(logical_id) if found else None


# --- Aspects: each takes a resource as it was and as it becomes, None where it is absent


def _permissions(
    old: ResolvedEnvironment, before: Resource | None, new: ResolvedEnvironment, after: Resource | None
) -> list[Line]:
    if not _is(ROLE, before, after):
        return _loose_policy(old, before, new, after)
    lines = compare_policies(_granted(old, before), _granted(new, after))
    lines += compare_managed(_foreign(before), _foreign(after))
    if before and after:
        lines += compare_boundary(before.properties, after.properties)
    return lines


def _granted(env: ResolvedEnvironment, role: Resource | None) -> list[Json]:
    """Every document of ours that speaks for a role."""
    if role is None:
        return []
    return [*inline(role.properties), *(item.get("PolicyDocument") for item in attached_policies(env, role))]


def _foreign(role: Resource | None) -> list[str]:
    """Attached policies that are not resources here."""
    return [str(item) for item in listed(role.get("ManagedPolicyArns")) if not origin(item)] if role else []


def _loose_policy(
    old: ResolvedEnvironment, before: Resource | None, new: ResolvedEnvironment, after: Resource | None
) -> list[Line]:
    """A policy that is attached to no role of ours, now or then."""
    if not _is(_ATTACHED[0], before, after) and not _is(_ATTACHED[1], before, after):
        return []
    if (before and _has_role(old, before)) or (after and _has_role(new, after)):
        return []
    return compare_policies(_documents(before, "PolicyDocument"), _documents(after, "PolicyDocument"))


def _has_role(env: ResolvedEnvironment, policy: Resource) -> bool:
    return any(policy in attached_policies(env, role) for role in env.of_type(ROLE))


def _trust(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[Line]:
    name = "AssumeRolePolicyDocument"
    return compare_policies(_documents(before, name), _documents(after, name)) if _is(ROLE, before, after) else []


def _policy(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[Line]:
    if _is(ROLE, before, after) or any(_is(kind, before, after) for kind in _ATTACHED):
        return []
    return [line for name in DOCUMENTS for line in compare_policies(_documents(before, name), _documents(after, name))]


def _invocation(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[Line]:
    if not _is(PERMISSION, before, after):
        return []
    was, becomes = (item.properties if item else None for item in (before, after))
    return compare_policies([invocation(was)], [invocation(becomes)])


def _rules(
    old: ResolvedEnvironment, before: Resource | None, new: ResolvedEnvironment, after: Resource | None
) -> list[Line]:
    if _is(GROUP, before, after):
        return compare_rules(_opened(old, before), _opened(new, after))
    return compare_rules(_elsewhere(old, before), _elsewhere(new, after))


def _elsewhere(env: ResolvedEnvironment, rule: Resource | None) -> list[Rule]:
    """A rule for a group that is not ours."""
    if rule is None or rule.type not in {INGRESS, EGRESS} or env.resource(rule.get("GroupId")) is not None:
        return []
    return rules_of(rule.type, rule.properties)


def _opened(env: ResolvedEnvironment, group: Resource | None) -> list[Rule]:
    if group is None:
        return []
    found = rules_of(GROUP, group.properties)
    for single in env.of_type(INGRESS, EGRESS):
        if env.resource(single.get("GroupId")) == group:
            found += rules_of(single.type, single.properties)
    return found


def _exposure(
    _old: ResolvedEnvironment, before: Resource | None, _new: ResolvedEnvironment, after: Resource | None
) -> list[Line]:
    return compare_switches(after.type, before.properties, after.properties) if before and after else []


def _is(kind: str, *resources: Resource | None) -> bool:
    return any(resource is not None and resource.type == kind for resource in resources)


def _documents(resource: Resource | None, name: str) -> list[Json]:
    return [resource.get(name)] if resource else []


_Compare = Callable[[ResolvedEnvironment, "Resource | None", ResolvedEnvironment, "Resource | None"], list[Line]]
_ASPECTS: tuple[tuple[str, _Compare], ...] = (
    ("permissions", _permissions),
    ("trust", _trust),
    ("policy", _policy),
    ("invocation", _invocation),
    ("rules", _rules),
    ("exposure", _exposure),
)
