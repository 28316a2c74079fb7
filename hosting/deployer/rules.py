"""Evaluates a template's `Rules` here, before CloudFormation does it after a change set was asked for.

A value that only the deployment will know (an output of an earlier stack) is `UNKNOWN`, and so is whatever
depends on it: only an assertion that is certainly false is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
Value = str | list[str] | bool | _Unknown


@dataclass(frozen=True)
class Broken:
    """An assertion that does not hold, and the parameters that it speaks of."""

    rule: str
    description: str
    parameters: tuple[str, ...]


def broken(rules: Mapping[str, Any], values: Mapping[str, str | _Unknown]) -> Iterator[Broken]:
    """Every assertion of every rule that is false for these values."""
    for name, rule in rules.items():
        if "RuleCondition" in rule and _evaluate(rule["RuleCondition"], values) is not True:
            continue
        for assertion in rule.get("Assertions", ()):
            if _evaluate(assertion["Assert"], values) is False:
                description = assertion.get("AssertDescription", f"the rule {name} does not hold")
                named = _references([assertion["Assert"], rule.get("RuleCondition")])
                yield Broken(name, description, tuple(dict.fromkeys(named)))


def holds(condition: Any, values: Mapping[str, str | _Unknown]) -> bool | None:
    """Whether a condition holds for these values; None when they do not tell."""
    found = _evaluate(condition, values)
    return found if isinstance(found, bool) else None


def _evaluate(node: Any, values: Mapping[str, str | _Unknown]) -> Value:
    if isinstance(node, list):
        items = [_evaluate(item, values) for item in node]
        return UNKNOWN if any(item is UNKNOWN for item in items) else [str(item) for item in items]
    if not isinstance(node, dict):
        return str(node)
    ((function, argument),) = node.items()
    if function == "Ref":
        return values.get(argument, UNKNOWN)
    return _FUNCTIONS[function](argument, values) if function in _FUNCTIONS else UNKNOWN


def _and(argument: Any, values: Mapping[str, str | _Unknown]) -> Value:
    results = [_evaluate(item, values) for item in argument]
    if False in results:
        return False
    return UNKNOWN if UNKNOWN in results else True


def _or(argument: Any, values: Mapping[str, str | _Unknown]) -> Value:
    results = [_evaluate(item, values) for item in argument]
    if True in results:
        return True
    return UNKNOWN if UNKNOWN in results else False


def _not(argument: Any, values: Mapping[str, str | _Unknown]) -> Value:
    result = _evaluate(argument[0], values)
    return result if result is UNKNOWN else not result


def _equals(argument: Any, values: Mapping[str, str | _Unknown]) -> Value:
    left, right = (_evaluate(item, values) for item in argument)
    return UNKNOWN if UNKNOWN in (left, right) else left == right


def _contains(argument: Any, values: Mapping[str, str | _Unknown]) -> Value:
    members, wanted = (_evaluate(item, values) for item in argument)
    if UNKNOWN in (members, wanted):
        return UNKNOWN
    return wanted in _as_list(members)


def _each_member_in(argument: Any, values: Mapping[str, str | _Unknown]) -> Value:
    members, allowed = (_evaluate(item, values) for item in argument)
    if UNKNOWN in (members, allowed):
        return UNKNOWN
    return set(_as_list(members)) <= set(_as_list(allowed))


def _each_member_equals(argument: Any, values: Mapping[str, str | _Unknown]) -> Value:
    members, wanted = (_evaluate(item, values) for item in argument)
    if UNKNOWN in (members, wanted):
        return UNKNOWN
    return all(member == wanted for member in _as_list(members))


def _as_list(value: Value) -> list[str]:
    return value if isinstance(value, list) else str(value).split(",")


_FUNCTIONS: Mapping[str, Callable[[Any, Mapping[str, str | _Unknown]], Value]] = {
    "Fn::And": _and,
    "Fn::Or": _or,
    "Fn::Not": _not,
    "Fn::Equals": _equals,
    "Fn::Contains": _contains,
    "Fn::EachMemberIn": _each_member_in,
    "Fn::EachMemberEquals": _each_member_equals,
}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)
