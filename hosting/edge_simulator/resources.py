"""Resolved resources of CloudFormation stacks, the only input of the simulator.

The resources of `hosting.analysis.resolve` have this form. `resources_of_stack` returns those of one template, for a
stack that is deployed or that a test writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hosting.model.intrinsics import Evaluator, parameter_values
from hosting.model.templates import Template
from hosting.model.tokens import Json, Origin, origin, strings


class Resource(Protocol):
    """A resource whose properties contain no intrinsic function. References are texts that identify their target."""

    @property
    def stack(self) -> str: ...
    @property
    def logical_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def properties(self) -> Mapping[str, Json]: ...
    @property
    def ref(self) -> str: ...
    def att(self, attribute: str) -> str: ...


@dataclass(frozen=True)
class StackResource:
    """A resource of one stack. `physical_id` and `attributes` have its values if the stack is deployed."""

    stack: str
    logical_id: str
    type: str
    properties: Mapping[str, Json]
    physical_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> str:
        return self.physical_id or Origin(self.stack, self.logical_id, "Ref").token()

    def att(self, attribute: str) -> str:
        return self.attributes.get(attribute) or Origin(self.stack, self.logical_id, attribute).token()


def resources_of_stack(
    template: Template,
    parameters: Mapping[str, Json],
    *,
    stack: str = "stack",
    region: str = "us-east-1",
    physical_ids: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
) -> list[StackResource]:
    """Return the resources of a template whose conditions are true, with the values of its parameters.

    `physical_ids` and `outputs` are those of a deployed stack. An output gives the value of an attribute.
    """
    pseudo = {
        "AWS::AccountId": "123456789012",
        "AWS::Region": region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": stack,
        "AWS::StackId": f"arn:aws:cloudformation:{region}:123456789012:stack/{stack}",
        "AWS::NotificationARNs": [],
    }
    evaluator = Evaluator(template, stack, parameter_values(template, parameters), pseudo)
    known = {Origin(stack, key, "Ref").token(): value for key, value in (physical_ids or {}).items()}
    attributes: dict[str, dict[str, str]] = {}
    for name, value in (outputs or {}).items():
        if source := origin(evaluator.value(template.section("Outputs")[name]["Value"])):
            known[source.token()] = value
            attributes.setdefault(source.logical_id, {})[source.attribute] = value
    return [
        StackResource(
            stack,
            logical_id,
            declared["Type"],
            _replace(evaluator.value(declared.get("Properties", {})), known),
            (physical_ids or {}).get(logical_id, ""),
            attributes.get(logical_id, {}),
        )
        for logical_id, declared in template.resources.items()
        if "Condition" not in declared or evaluator.condition(declared["Condition"])
    ]


def _replace(value: Json, texts: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        for old, new in texts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {key: _replace(item, texts) for key, item in value.items()}
    return [_replace(item, texts) for item in value] if isinstance(value, list) else value


class Resources:
    """The resources of an environment, found by type and by reference."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._all = list(resources)

    def of_type(self, kind: str) -> list[Resource]:
        return [resource for resource in self._all if resource.type == kind]

    def find(self, kind: str, reference: str, *attributes: str) -> Resource | None:
        """Return the resource of a type to which a text refers, by Ref or by one of the attributes."""
        for resource in self.of_type(kind):
            if reference in {resource.ref, *(resource.att(attribute) for attribute in attributes)}:
                return resource
        return None

    def mentioned(self, kind: str, text: str, *attributes: str) -> Iterator[Resource]:
        """Yield the resources of a type whose reference or attribute is part of a text."""
        for resource in self.of_type(kind):
            if any(name in text for name in (resource.ref, *(resource.att(attribute) for attribute in attributes))):
                yield resource


def texts(value: Json) -> list[str]:
    """Return every text inside a value."""
    return list(strings(value))


def number(value: Json, default: float) -> float:
    """Return a property that is a number or its text."""
    return default if value in (None, "") else float(value)


def flag(value: Json, default: bool = False) -> bool:
    """Return a property that is a boolean or its text."""
    return default if value is None else str(value).lower() == "true"
