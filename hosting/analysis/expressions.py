"""CloudFormation's intrinsic functions, conditions and rule assertions, evaluated for one stack."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hosting.analysis.errors import ResolveError
from hosting.analysis.templates import Template
from hosting.analysis.tokens import (
    REF,
    Json,
    Origin,
    literal,
    origin,
    split,
)


class _NoValue:
    """AWS::NoValue: whoever holds it drops it."""


NO_VALUE = _NoValue()

# Opaque in the offline world: taken literally, so a lookup that fails is a finding of cfn-lint, not ours.
_KEPT = {"Fn::Transform", "Fn::GetStackOutput"}

# A condition may stand where a value is compared: Fn::Equals of two Fn::Equals asks whether both hold or neither.
_DECIDED = {"Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not"}

_VARIABLE = re.compile(r"\$\{(!?)([^{}]+)\}")


@dataclass
class Evaluator:
    """Evaluates expressions of one template with the values of its parameters."""

    template: Template
    stack: str
    parameters: Mapping[str, Json]
    pseudo: Mapping[str, Json]
    # GetAtt "Outputs.X" of a nested stack: the caller decides what that is, and in which order children resolve.
    nested_output: Callable[[str, str], Json | None] = lambda _id, _output: None
    _conditions: dict[str, bool] = field(default_factory=dict)
    _deciding: list[str] = field(default_factory=list)

    def value(self, expression: Json) -> Json:
        """The expression with everything replaced that is known; NO_VALUE when there is nothing."""
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

    def condition(self, name: str) -> bool:
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

    def decide(self, expression: Json) -> bool:
        """A condition, or an assertion of a rule. A value that is not known yet equals nothing literal."""
        if not isinstance(expression, dict) or len(expression) != 1:
            raise self._error(f"not a condition: {_short(expression)}")
        ((name, argument),) = expression.items()
        match name:
            case "Condition":
                return self.condition(argument)
            case "Fn::And":
                return all(self.decide(item) for item in argument)
            case "Fn::Or":
                return any(self.decide(item) for item in argument)
            case "Fn::Not":
                return not self.decide(argument[0])
            case "Fn::Equals":
                first, second = (_text(self.value(item)) for item in argument)
                return bool(first == second)
            case "Fn::Contains":
                return _text(self.value(argument[1])) in [_text(item) for item in self.value(argument[0])]
            case "Fn::EachMemberEquals":
                return all(_text(item) == _text(self.value(argument[1])) for item in self.value(argument[0]))
            case "Fn::EachMemberIn":
                allowed = [_text(item) for item in self.value(argument[1])]
                return all(_text(item) in allowed for item in self.value(argument[0]))
        raise self._error(f"{name} is not known in a condition")

    def _function(self, name: str, argument: Json) -> Json:
        functions: dict[str, Callable[[Json], Json]] = {
            REF: self._ref,
            "Condition": lambda item: {"Condition": self.value(item)},  # IAM's own key, not a condition of ours
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
            return self.decide({name: argument})
        if name in _KEPT:
            return {name: self.value(argument)}
        raise self._error(f"{name} is not known")

    def _ref(self, name: Json) -> Json:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
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
        return self.value(yes if self.condition(name) else no)

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
        # A piece of a value that is not known yet: keep which one.
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


def _text(value: Json) -> str:
    """As CloudFormation turns a value into text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else _short(value) if isinstance(value, dict) else str(value)


def _short(value: Json) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 120 else f"{text[:117]}..."
