"""Decides whether policies allow a call, as IAM does, for the policy elements that these templates use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Context = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class ApiCall:
    """One API call: the permission, the resource, and the condition keys of the request."""

    action: str
    resource: str
    context: Context = field(default_factory=dict, hash=False)


def is_allowed(policies: Iterable[Mapping[str, Any]], call: ApiCall) -> bool:
    """Return whether a statement allows the call and none denies it."""
    matching = [
        statement for policy in policies for statement in _listed(policy["Statement"]) if matches(statement, call)
    ]
    effects = {statement["Effect"] for statement in matching}
    return effects == {"Allow"}


def matches(statement: Mapping[str, Any], call: ApiCall) -> bool:
    """Return whether a statement applies to a call: action, resource and all conditions."""
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
        # A missing key does not match. A multivalued key requires ForAnyValue or ForAllValues.
        return False
    if operator in ("StringEquals", "ArnEquals"):
        return present in wanted
    if operator == "StringLike":
        return any(_like(pattern, present) for pattern in wanted)
    raise ValueError(f"the operator {operator} is not supported; add it to _holds")


def _filled(pattern: str, context: Context) -> str:
    """Return the pattern with policy variables replaced. An unknown variable remains, so the pattern does not match."""
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
    """Return the regular expression of an IAM pattern, which has two wildcards."""
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
