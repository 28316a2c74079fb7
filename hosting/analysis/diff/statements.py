"""Policies compared by what they allow, not by how they are written.

A statement is taken apart into grants: one principal, one action, one resource, under conditions. Something is broader
when a grant is allowed afterwards that no statement covered before, or when a denial ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hosting.model.tokens import Json

# While a change set is computed, this stands where a value will be known only afterwards.
_LATER = re.compile(r"\{\{(?:IntrinsicFunction|changeSet):[^{}]*\}\}")

# Operators whose values are what is refused: a longer list is stricter.
_NEGATIVE = re.compile(r"Not(Equals|Like|IpAddress|Match)", re.IGNORECASE)

_ANYBODY = ("AWS:*", "*:*")


@dataclass(frozen=True)
class Line:
    """One line of a comparison: what comes, goes or changes, and why that is broader."""

    sign: str  # + comes, - goes, ~ changes
    text: str
    broader: str = ""
    severe: bool = False


@dataclass(frozen=True)
class Statement:
    """A statement with its single values made lists; "NotAction:s3:*" marks the negated forms."""

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


def statements(document: Json) -> list[Statement]:
    """The statements of a policy document."""
    if not isinstance(document, Mapping):
        return []
    return [_statement(item) for item in _list(document.get("Statement")) if isinstance(item, Mapping)]


def compare_policies(before: Iterable[Json], after: Iterable[Json]) -> list[Line]:
    """Two sets of documents that act together, such as all policies of one role."""
    old = [item for document in before for item in statements(document)]
    new = [item for document in after for item in statements(document)]
    kept = [item for item in old if any(_same(item, other) for other in new)]
    gone = [item for item in old if item not in kept]
    come = [item for item in new if not any(_same(item, other) for other in old)]
    lines = []
    for statement in come:
        partner = _partner(statement, gone)
        if partner is not None:
            gone.remove(partner)
        lines.append(_line(partner, statement, old, new))
    for statement in gone:
        ends = not statement.allows and not _denied(statement, new)
        lines.append(Line("-", str(statement), "no longer denied" if ends else "", ends))
    return lines


def _line(before: Statement | None, after: Statement, old: Sequence[Statement], new: Sequence[Statement]) -> Line:
    reasons: list[str] = []
    severe = False
    if after.allows:
        fresh = [grant for grant in _grants(after) if not any(_covers(item, *grant, after) for item in old)]
        if fresh:
            reasons = _reasons(before, after, fresh)
            severe = any(_is_severe(grant) for grant in fresh)
    if before is not None and not before.allows and not _denied(before, new):
        reasons.append("no longer denies all that it did")
    if before is None:
        return Line("+", str(after), "; ".join(reasons), severe)
    return Line("~", f"{before} -> {after}" if not reasons else str(after), "; ".join(reasons), severe)


def _reasons(before: Statement | None, after: Statement, fresh: Sequence[tuple[str, str, str]]) -> list[str]:
    """What exactly is new, in words."""
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
    return principal in _ANYBODY or administers


def _grants(statement: Statement) -> Iterator[tuple[str, str, str]]:
    for principal in sorted(statement.principals) or [""]:
        for action in sorted(statement.actions):
            for resource in sorted(statement.resources) or [""]:
                yield principal, action, resource


def _covers(statement: Statement, principal: str, action: str, resource: str, of: Statement) -> bool:
    """Whether a statement allows, or denies, a grant of another one already."""
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


def _denied(statement: Statement, new: Sequence[Statement]) -> bool:
    return all(any(_covers(item, *grant, statement) for item in new) for grant in _grants(statement))


def _as_strict(key: tuple[str, str], values: frozenset[str], than: frozenset[str]) -> bool:
    """Whether a condition still refuses all that it refused."""
    if _NEGATIVE.search(key[0]):
        return values >= than
    return all(any(item == value or matches(item, value) for item in than) for value in values)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    text = "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern)
    )
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern stands for everything that another pattern stands for. A value that is not known yet is taken
    for the one it had."""
    if pattern == text:
        return True
    if "Not" in (pattern[:3], text[:3]):
        return False  # a negation covers only itself
    if _pattern(pattern).fullmatch(text):
        return True
    if not _LATER.search(text):
        return False
    return _pattern(_LATER.sub("*", text)).fullmatch(pattern) is not None


def _partner(statement: Statement, candidates: Sequence[Statement]) -> Statement | None:
    """The statement that was changed into this one: of the same Sid, else the most alike."""
    for item in candidates:
        if statement.sid and item.sid == statement.sid:
            return item
    best, most = None, 0.3
    for item in candidates:
        alike = len(item.parts & statement.parts) / max(1, len(item.parts | statement.parts))
        if item.allows == statement.allows and alike >= most:
            best, most = item, alike
    return best


def _same(one: Statement, other: Statement) -> bool:
    """Written alike but for the name."""
    return (one.allows, one.principals, one.actions, one.resources, dict(one.conditions)) == (
        other.allows,
        other.principals,
        other.actions,
        other.resources,
        dict(other.conditions),
    )


def _statement(item: Mapping[str, Any]) -> Statement:
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
    return Statement(
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
