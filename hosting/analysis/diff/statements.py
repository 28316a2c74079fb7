"""Compares policies by what they allow, not by how they are written.

A statement is split into grants: one principal, one action, one resource, with conditions. A change is broader if it
allows a grant that no statement covered before, or if it removes a denial.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hosting.model.tokens import Json

# The placeholder in a change set for a value that is known only after execution.
_UNKNOWN = re.compile(r"\{\{(?:IntrinsicFunction|changeSet):[^{}]*\}\}")

# Operators whose values are rejected: a longer list is stricter.
_NEGATIVE = re.compile(r"Not(Equals|Like|IpAddress|Match)", re.IGNORECASE)

_ANY_PRINCIPAL = ("AWS:*", "*:*")


@dataclass(frozen=True)
class PermissionDifference:
    """One line of a comparison: an added, removed or changed permission, and why it is broader."""

    sign: str  # + added, - removed, ~ changed
    text: str
    broader: str = ""
    severe: bool = False


@dataclass(frozen=True)
class NormalizedStatement:
    """A statement with single values as lists; "NotAction:s3:*" marks negated elements."""

    sid: str
    allows: bool
    principals: frozenset[str]
    actions: frozenset[str]
    resources: frozenset[str]
    conditions: Mapping[tuple[str, str], frozenset[str]]

    def __str__(self) -> str:
        text = f"{'Allow' if self.allows else 'Deny'} {_listed(self.actions)}"
        if self.resources:
            text += f" on {_listed(self.resources)}"
        if self.principals:
            text += f" {'to' if self.allows else 'for'} {_listed(self.principals)}"
        if self.conditions:
            text += " if " + " and ".join(map(_condition, sorted(self.conditions.items())))
        return text

    @property
    def parts(self) -> frozenset[str]:
        return self.principals | self.actions | self.resources


def statements(document: Json) -> list[NormalizedStatement]:
    """Return the statements of a policy document."""
    if not isinstance(document, Mapping):
        return []
    return [_statement(item) for item in _list(document.get("Statement")) if isinstance(item, Mapping)]


def compare_policies(before: Iterable[Json], after: Iterable[Json]) -> list[PermissionDifference]:
    """Compare two sets of documents that apply together, such as all policies of one role."""
    old = [item for document in before for item in statements(document)]
    new = [item for document in after for item in statements(document)]
    kept = [item for item in old if any(_same(item, other) for other in new)]
    removed = [item for item in old if item not in kept]
    added = [item for item in new if not any(_same(item, other) for other in old)]
    lines = []
    for statement in added:
        partner = _partner(statement, removed)
        if partner is not None:
            removed.remove(partner)
        lines.append(_line(partner, statement, old, new))
    for statement in removed:
        ends = not statement.allows and not _denied(statement, new)
        lines.append(PermissionDifference("-", str(statement), "no longer denied" if ends else "", ends))
    return lines


def _line(
    before: NormalizedStatement | None,
    after: NormalizedStatement,
    old: Sequence[NormalizedStatement],
    new: Sequence[NormalizedStatement],
) -> PermissionDifference:
    reasons: list[str] = []
    severe = False
    if after.allows:
        fresh = [grant for grant in _grants(after) if not any(_covers(item, *grant, after) for item in old)]
        if fresh:
            reasons = _reasons(before, after, fresh)
            severe = any(_is_severe(grant) for grant in fresh)
    if before is not None and not before.allows and not _denied(before, new):
        reasons.append("denies less than before")
    if before is None:
        return PermissionDifference("+", str(after), "; ".join(reasons), severe)
    return PermissionDifference("~", f"{before} -> {after}" if not reasons else str(after), "; ".join(reasons), severe)


def _reasons(
    before: NormalizedStatement | None, after: NormalizedStatement, fresh: Sequence[tuple[str, str, str]]
) -> list[str]:
    """Return the new permissions in words."""
    if before is None or before.allows != after.allows:
        return ["new statement"]
    reasons = []
    for what, was, becomes in (
        ("action", before.actions, after.actions),
        ("resource", before.resources, after.resources),
        ("principal", before.principals, after.principals),
    ):
        new = sorted(item for item in becomes if not any(matches(pattern, item) for pattern in was))
        if new:
            reasons.append(f"new {what}{'s' * (len(new) > 1)} {_listed(new)}")
    for key, values in sorted(before.conditions.items()):
        if key not in after.conditions:
            reasons.append(f"condition removed: {_condition((key, values))}")
        elif not _as_strict(key, after.conditions[key], values):
            reasons.append(
                f"condition loosened: {_condition((key, values))} -> {_condition((key, after.conditions[key]))}"
            )
    return reasons or [f"newly allowed: {fresh[0][1]} on {fresh[0][2]}"]


def _is_severe(grant: tuple[str, str, str]) -> bool:
    principal, action, resource = grant
    administers = action in {"*", "*:*", "iam:*"} or (action.endswith(":*") and resource == "*")
    return principal in _ANY_PRINCIPAL or administers


def _grants(statement: NormalizedStatement) -> Iterator[tuple[str, str, str]]:
    for principal in sorted(statement.principals) or [""]:
        for action in sorted(statement.actions):
            for resource in sorted(statement.resources) or [""]:
                yield principal, action, resource


def _covers(
    statement: NormalizedStatement, principal: str, action: str, resource: str, of: NormalizedStatement
) -> bool:
    """Return whether a statement already allows, or denies, a grant of another one."""
    return (
        statement.allows == of.allows
        and any(matches(item, principal) for item in statement.principals or {""})
        and any(matches(item, action) for item in statement.actions)
        and any(matches(item, resource) for item in statement.resources or {""})
        and all(
            key in of.conditions and _as_strict(key, of.conditions[key], values)
            for key, values in statement.conditions.items()
        )
    )


def _denied(statement: NormalizedStatement, new: Sequence[NormalizedStatement]) -> bool:
    return all(any(_covers(item, *grant, statement) for item in new) for grant in _grants(statement))


def _as_strict(key: tuple[str, str], values: frozenset[str], reference: frozenset[str]) -> bool:
    """Return whether a condition still rejects everything that it rejected."""
    if _NEGATIVE.search(key[0]):
        return values >= reference
    return all(any(item == value or matches(item, value) for item in reference) for value in values)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    text = "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern)
    )
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches everything that another pattern matches.

    A value that is not known yet is assumed to be unchanged.
    """
    if pattern == text:
        return True
    if "Not" in (pattern[:3], text[:3]):
        return False  # a negated element covers only itself
    if _pattern(pattern).fullmatch(text):
        return True
    if not _UNKNOWN.search(text):
        return False
    return _pattern(_UNKNOWN.sub("*", text)).fullmatch(pattern) is not None


def _partner(statement: NormalizedStatement, candidates: Sequence[NormalizedStatement]) -> NormalizedStatement | None:
    """Return the removed statement that became this one: with the same Sid, otherwise the most similar, or None."""
    for item in candidates:
        if statement.sid and item.sid == statement.sid:
            return item
    best, most = None, 0.3
    for item in candidates:
        alike = len(item.parts & statement.parts) / max(1, len(item.parts | statement.parts))
        if item.allows == statement.allows and alike >= most:
            best, most = item, alike
    return best


def _same(one: NormalizedStatement, other: NormalizedStatement) -> bool:
    """Return whether two statements are equal except for their Sid."""
    return (one.allows, one.principals, one.actions, one.resources, dict(one.conditions)) == (
        other.allows,
        other.principals,
        other.actions,
        other.resources,
        dict(other.conditions),
    )


def _statement(item: Mapping[str, Any]) -> NormalizedStatement:
    principals: set[str] = set()
    for name in ("Principal", "NotPrincipal"):
        value = item.get(name)
        prefix = "" if name == "Principal" else "Not:"
        if isinstance(value, Mapping):
            principals |= {f"{prefix}{kind}:{who}" for kind, names in value.items() for who in _list(names)}
        elif value is not None:
            principals |= {f"{prefix}{'AWS:*' if value == '*' else value}"}
    conditions = {
        (operator, key): frozenset(_text(value) for value in _list(values))
        for operator, keys in (item.get("Condition") or {}).items()
        if isinstance(keys, Mapping)
        for key, values in keys.items()
    }
    return NormalizedStatement(
        str(item.get("Sid", "")),
        item.get("Effect") == "Allow",
        frozenset(principals),
        frozenset(_texts(item, "Action")),
        frozenset(_texts(item, "Resource")),
        conditions,
    )


def _texts(item: Mapping[str, Any], name: str) -> Iterator[str]:
    yield from (str(value) for value in _list(item.get(name)))
    yield from (f"Not{name}:{value}" for value in _list(item.get(f"Not{name}")))


def _list(value: Json) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(items: Iterable[str]) -> str:
    ordered = sorted(items)
    shown = ", ".join(ordered[:4])
    return shown if len(ordered) <= 4 else f"{shown} and {len(ordered) - 4} more"


def _condition(item: tuple[tuple[str, str], frozenset[str]]) -> str:
    (operator, key), values = item
    return f"{operator} {key} {_listed(values)}"
