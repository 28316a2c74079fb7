"""Check the value of a parameter against its declaration, as CloudFormation does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.model.templates import Parameter

# The text that a value of an AWS-specific type must have. Only AWS knows whether the resource exists.
_TYPE_PATTERNS: Mapping[str, str] = {
    "AWS::EC2::Subnet::Id": r"subnet-[0-9a-f]{8,17}",
    "AWS::EC2::VPC::Id": r"vpc-[0-9a-f]{8,17}",
    "AWS::EC2::SecurityGroup::Id": r"sg-[0-9a-f]{8,17}",
    "AWS::EC2::AvailabilityZone::Name": r"[a-z]{2}(-[a-z]+)+-\d[a-z]",
    "AWS::Route53::HostedZone::Id": r"Z[0-9A-Z]+",
}


def find_violation(parameter: Parameter, value: str) -> str | None:
    """Return the first constraint that a value violates, as a sentence about the value; None if it violates none."""
    subject = "the value" if parameter.no_echo else abbreviate(value)
    for item in _items(parameter, value):
        for broken in _broken(parameter, item):
            return f"{subject} {broken}"
    return None


def abbreviate(value: str) -> str:
    """Return a value for a message. A value that is long enough to be a secret is shortened.

    A wrong value may be a token that was pasted into the wrong place, and build logs keep messages.
    """
    return f'"{value}"' if len(value) <= 16 else f'"{value[:4]}..." ({len(value)} characters)'


def _items(parameter: Parameter, value: str) -> list[str]:
    return [item.strip() for item in value.split(",")] if parameter.is_list else [value]


def _broken(parameter: Parameter, value: str) -> Iterator[str]:
    if parameter.allowed_values and value not in parameter.allowed_values:
        yield f"is not one of {', '.join(parameter.allowed_values)}"
    # CloudFormation matches the pattern against the whole value.
    if parameter.allowed_pattern and not _matches(parameter.allowed_pattern, value):
        # The description of the constraint, if there is one, is easier to read than the pattern.
        yield "is not allowed" if parameter.constraint else f"does not match {parameter.allowed_pattern}"
    if parameter.is_number:
        yield from _number(parameter, value)
    else:
        yield from _length(parameter, value)
    inner = parameter.type.removeprefix("List<").removesuffix(">")
    pattern = _TYPE_PATTERNS.get(inner)
    if pattern and not re.fullmatch(pattern, value):
        yield f"is not of type {inner}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return True  # Java's expressions have more syntax than Python's: CloudFormation checks this one


def _number(parameter: Parameter, value: str) -> Iterator[str]:
    try:
        number = float(value)
    except ValueError:
        yield "is not a number"
        return
    if parameter.min_value is not None and number < parameter.min_value:
        yield f"is less than {parameter.min_value:g}"
    if parameter.max_value is not None and number > parameter.max_value:
        yield f"is more than {parameter.max_value:g}"


def _length(parameter: Parameter, value: str) -> Iterator[str]:
    if parameter.min_length is not None and len(value) < parameter.min_length:
        yield f"is shorter than {parameter.min_length} characters"
    if parameter.max_length is not None and len(value) > parameter.max_length:
        yield f"is longer than {parameter.max_length} characters"
    if len(value.encode()) > 4096:
        yield "is longer than the 4096 bytes that CloudFormation accepts"
