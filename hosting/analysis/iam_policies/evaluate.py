"""Whether policies allow a call, decided as IAM decides it; only what our policies use, and an error for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Context = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Call:
    """One call of an API: the permission it needs, on what, and what IAM knows of the request."""

    action: str
    resource: str
    context: Context = field(default_factory=dict, hash=False)


def allows(policies: Iterable[Mapping[str, Any]], call: Call) -> bool:
    """Some statement allows it, and none denies it."""
    matching = [
        statement for policy in policies for statement in _listed(policy["Statement"]) if matches(statement, call)
    ]
    effects = {statement["Effect"] for statement in matching}
    return effects == {"Allow"}


def matches(statement: Mapping[str, Any], call: Call) -> bool:
    return (
        any(_like(pattern, call.action, ignore_case=True) for pattern in _listed(statement["Action"]))
        and any(_like(_filled(pattern, call.context), call.resource) for pattern in _listed(statement["Resource"]))
        and all(
            _holds(operator, key, _listed(wanted), call.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    present = {name.lower(): value for name, value in context.items()}.get(key.lower())
    if operator == "Null":
        return (present is None) == (wanted == ["true"])
    if operator == "ForAnyValue:StringEquals":
        return present is not None and any(value in wanted for value in _listed(present))
    if operator == "BoolIfExists":
        return present is None or present in wanted
    if present is None or isinstance(present, list):
        # A key that is absent fails; a key of several values needs ForAnyValue or ForAllValues.
        return False
    if operator in ("StringEquals", "ArnEquals"):
        return present in wanted
    if operator == "StringLike":
        return any(_like(pattern, present) for pattern in wanted)
    raise ValueError(f"the operator {operator} is not known here: teach it to _holds")


def _filled(pattern: str, context: Context) -> str:
    """Variables of a policy put in; one that the request does not have stays, and so matches nothing."""
    for name, value in context.items():
        if isinstance(value, str):
            pattern = pattern.replace(f"${{{name}}}", value)
    return pattern


def _like(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    return (
        _expression(pattern.lower() if ignore_case else pattern).fullmatch(text.lower() if ignore_case else text)
        is not None
    )


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """IAM knows two wildcards; a bracket is a bracket."""
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
