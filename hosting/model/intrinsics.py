"""CloudFormation's intrinsic functions, conditions and rule assertions, evaluated for one stack.

Conditions have three values: true, false, and None for "not known". A parameter whose value only the deployment will
know is `UNKNOWN`; an expression that depends on it is not known either. A value that a resource will have is a token
(tokens.py), which differs from every literal.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from hosting.model.errors import ResolveError
from hosting.model.templates import Template, scalar
from hosting.model.tokens import (
    REF,
    Json,
    Origin,
    literal,
    origin,
    split,
)


class _NoValue:
    """The value of AWS::NoValue: the property or item that has it is removed."""


class _Unknown:
    """The value of a parameter that only the deployment will know."""

    def __repr__(self) -> str:
        return "UNKNOWN"


class _NotKnownError(Exception):
    """An expression depends on an UNKNOWN value."""


NO_VALUE = _NoValue()
UNKNOWN = _Unknown()

# Kept as they are: only CloudFormation can evaluate them, and cfn-lint checks them.
_KEPT = {"Fn::Transform", "Fn::GetStackOutput"}

# A condition may be compared like a value: Fn::Equals of two Fn::Equals asks whether both hold or neither.
_DECIDED = {"Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not"}

# Functions of rules that look up resources in the account: their result is not known here.
_NEEDS_AWS = {"Fn::ValueOf", "Fn::ValueOfAll", "Fn::RefAll"}

_VARIABLE = re.compile(r"\$\{(!?)([^{}]+)\}")


@dataclass
class Evaluator:
    """Evaluates expressions of one template with the values of its parameters."""

    template: Template
    stack: str
    parameters: Mapping[str, Json]
    pseudo: Mapping[str, Json]
    # Returns GetAtt "Outputs.X" of a nested stack: the caller resolves the nested stacks, in the order of their wires.
    nested_output: Callable[[str, str], Json | None] = lambda _id, _output: None
    _conditions: dict[str, bool | None] = field(default_factory=dict)
    _deciding: list[str] = field(default_factory=list)

    def value(self, expression: Json) -> Json:
        """Return the expression with everything replaced that is known; NO_VALUE if nothing is left."""
        if isinstance(expression, dict):
            if len(expression) == 1:
                ((name, argument),) = expression.items()
                if name == REF or name == "Condition" or name.startswith("Fn::"):
                    return self._function(name, argument)
            result = {key: self.value(item) for key, item in expression.items()}
            return {key: item for key, item in result.items() if item is not NO_VALUE}
        if isinstance(expression, list):
            return [item for item in (self.value(item) for item in expression) if item is not NO_VALUE]
        return expression

    def value_or_unknown(self, expression: Json) -> Json:
        """Return the value of an expression, or UNKNOWN if it depends on an unknown value."""
        try:
            return self.value(expression)
        except (_NotKnownError, ResolveError):
            return UNKNOWN

    def condition(self, name: str) -> bool | None:
        """Return whether a condition of the template holds; None if that is not known."""
        if name in self._deciding:
            raise self._error(f"condition {name} depends on itself")
        if name not in self._conditions:
            conditions = self.template.section("Conditions")
            if name not in conditions:
                raise self._error(f"condition {name} is not defined")
            self._deciding.append(name)
            self._conditions[name] = self.decide(conditions[name])
            self._deciding.pop()
        return self._conditions[name]

    def decide(self, expression: Json) -> bool | None:
        """Return whether a condition, or an assertion of a rule, holds; None if that is not known."""
        if not isinstance(expression, dict) or len(expression) != 1:
            raise self._error(f"not a condition: {_short(expression)}")
        ((name, argument),) = expression.items()
        match name:
            case "Condition":
                return self.condition(argument)
            case "Fn::And":
                results = [self.decide(item) for item in argument]
                return False if False in results else None if None in results else True
            case "Fn::Or":
                results = [self.decide(item) for item in argument]
                return True if True in results else None if None in results else False
            case "Fn::Not":
                result = self.decide(argument[0])
                return None if result is None else not result
        if name not in _COMPARISONS:
            raise self._error(f"{name} is not known in a condition")
        try:
            first, second = (self.value(item) for item in argument)
        except _NotKnownError:
            return None
        return _COMPARISONS[name](first, second)

    def _function(self, name: str, argument: Json) -> Json:
        functions: dict[str, Callable[[Json], Json]] = {
            REF: self._ref,
            "Condition": lambda item: {
                "Condition": self.value(item)
            },  # a key of IAM policies, not a condition of the template
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": self._base64,
            "Fn::Cidr": self._cidr,
            "Fn::GetAZs": lambda _region: [f"{self.pseudo['AWS::Region']}{letter}" for letter in "acd"],
            "Fn::ImportValue": lambda item: f"import:{_text(self.value(item))}",
            "Fn::Length": lambda item: len(self.value(item)),
            "Fn::ToJsonString": lambda item: json.dumps(self.value(item)),
        }
        if name in functions:
            return functions[name](argument)
        if name in _DECIDED:
            decided = self.decide({name: argument})
            if decided is None:
                raise _NotKnownError
            return decided
        if name in _NEEDS_AWS:
            raise _NotKnownError
        if name in _KEPT:
            return {name: self.value(argument)}
        raise self._error(f"{name} is not known")

    def _ref(self, name: Json) -> Json:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if self.parameters.get(name, UNKNOWN if name.startswith("AWS::") else None) is UNKNOWN:
            raise _NotKnownError
        if name in self.parameters:
            return self.parameters[name]
        if name in self.template.resources:
            return Origin(self.stack, name, REF).token()
        raise self._error(f"Ref to {name}, which is neither a parameter nor a resource")

    def _get_att(self, argument: Json) -> Json:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else map(str, argument)
        resource = self.template.resources.get(logical_id)
        if resource is None:
            raise self._error(f"GetAtt of {logical_id}, which is not a resource")
        if resource["Type"] == "AWS::CloudFormation::Stack" and attribute.startswith("Outputs."):
            followed = self.nested_output(logical_id, attribute.removeprefix("Outputs."))
            if followed is not None:
                return followed
        return Origin(self.stack, logical_id, attribute).token()

    def _if(self, argument: Json) -> Json:
        name, yes, no = argument
        decided = self.condition(name)
        if decided is None:
            raise _NotKnownError
        return self.value(yes if decided else no)

    def _sub(self, argument: Json) -> Json:
        text, names = argument if isinstance(argument, list) else (argument, {})
        values = {name: self.value(item) for name, item in names.items()}

        def replace(match: re.Match[str]) -> str:
            literal_mark, name = match[1], match[2].strip()
            if literal_mark:
                return f"${{{match[2]}}}"
            if name in values:
                return _text(values[name])
            if "." in name:
                return _text(self._get_att(name))
            return _text(self._ref(name))

        return _VARIABLE.sub(replace, text)

    def _join(self, argument: Json) -> Json:
        separator, items = argument
        return _text(separator).join(_text(item) for item in self._list(items))

    def _select(self, argument: Json) -> Json:
        index, items = int(_text(self.value(argument[0]))), argument[1]
        values = self._list(items)
        if 0 <= index < len(values):
            return values[index]
        # The value is not known yet, so the token keeps the index of the part.
        if len(values) == 1 and (whole := origin(values[0])) and whole.index is None:
            separator = items.get("Fn::Split", [","])[0] if isinstance(items, dict) else ","
            return Origin(whole.stack, whole.logical_id, whole.attribute, index, separator).token()
        raise self._error(f"Select takes item {index} of {len(values)}: {_short(values)}")

    def _split(self, argument: Json) -> Json:
        separator, text = argument
        return split(separator, _text(self.value(text)))

    def _list(self, expression: Json) -> list[Json]:
        value = self.value(expression)
        if isinstance(value, list):
            return value
        if isinstance(value, str) and origin(value):
            return [value]
        raise self._error(f"a list is expected here: {_short(value)}")

    def _find_in_map(self, argument: Json) -> Json:
        *keys, fallback = argument if len(argument) == 4 else [*argument, None]
        found: Json = self.template.section("Mappings")
        path = [_text(self.value(key)) for key in keys]
        for key in path:
            if not isinstance(found, dict) or key not in found:
                if isinstance(fallback, dict) and "DefaultValue" in fallback:
                    return self.value(fallback["DefaultValue"])
                raise self._error(f"nothing in the mappings at {'.'.join(path)}")
            found = found[key]
        return found

    def _base64(self, argument: Json) -> Json:
        value = self.value(argument)
        return base64.b64encode(value.encode()).decode() if literal(value) else value

    def _cidr(self, argument: Json) -> Json:
        block, count, *bits = (_text(self.value(item)) for item in argument)
        if not literal(block):
            return [f"{block}#{number}" for number in range(int(count))]
        network = ipaddress.ip_network(block)
        prefix = network.max_prefixlen - (int(bits[0]) if bits else 8)
        subnets = network.subnets(new_prefix=prefix)
        return [str(subnet) for subnet, _ in zip(subnets, range(int(count)), strict=False)]

    def _error(self, what: str) -> ResolveError:
        return ResolveError(what, template=self.template.name, stack=self.stack)


def parameter_values(template: Template, given: Mapping[str, Json]) -> dict[str, Json]:
    """Return a value for every declared parameter: given, else its default, else UNKNOWN. Lists are split."""
    values: dict[str, Json] = {}
    for name, parameter in template.parameters.items():
        value = given.get(name, UNKNOWN if parameter.default is None else parameter.default)
        if value is not UNKNOWN:
            value = scalar(value)
            if parameter.is_list:
                value = [item.strip() for item in value.split(",")] if value else []
        values[name] = value
    return values


@dataclass(frozen=True)
class BrokenAssertion:
    """An assertion of a template's `Rules` that is certainly false."""

    rule: str
    number: int
    description: str
    # The parameters that the assertion and the rule's condition name.
    parameters: tuple[str, ...]


def broken_assertions(template: Template, values: Mapping[str, Json]) -> Iterator[BrokenAssertion]:
    """Yield every assertion that is false for these values, before CloudFormation evaluates it.

    CloudFormation evaluates `Rules` only after a change set was requested. Values that are missing are UNKNOWN.
    """
    evaluator = Evaluator(template, template.name, parameter_values(template, values), {})
    for name, rule in template.rules.items():
        if "RuleCondition" in rule and evaluator.decide(rule["RuleCondition"]) is not True:
            continue
        for number, assertion in enumerate(rule.get("Assertions", ())):
            if evaluator.decide(assertion["Assert"]) is False:
                description = assertion.get("AssertDescription", f"the rule {name} does not hold")
                named = _references([assertion["Assert"], rule.get("RuleCondition")])
                yield BrokenAssertion(name, number, description, tuple(dict.fromkeys(named)))


def _references(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == REF:
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _text(value: Json) -> str:
    """Return a value as CloudFormation turns it into text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _short(value) if isinstance(value, dict) else str(value)


def _short(value: Json) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _items(value: Json) -> list[str]:
    return [_text(item) for item in value] if isinstance(value, list) else _text(value).split(",")


_COMPARISONS: Mapping[str, Callable[[Json, Json], bool]] = {
    "Fn::Equals": lambda first, second: _text(first) == _text(second),
    "Fn::Contains": lambda members, wanted: _text(wanted) in _items(members),
    "Fn::EachMemberEquals": lambda members, wanted: all(item == _text(wanted) for item in _items(members)),
    "Fn::EachMemberIn": lambda members, allowed: set(_items(members)) <= set(_items(allowed)),
}
