"""Converts template properties to the input of a service's API, by the SDK's own model.

Templates write PascalCase and may pass numbers as strings (a Ref is always a string); APIs require the model's names
and types. The model contains both, so no table of ours is necessary.
"""

from __future__ import annotations

import functools
from typing import Any

import botocore.session


@functools.cache
def service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)


def request(name: str, operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Return properties as the input of an operation, without members that the operation does not have."""
    conformed: dict[str, Any] = conform(service(name).operation_model(operation).input_shape, properties)
    return conformed


def structure(name: str, shape: str, properties: Any) -> Any:
    """Return properties as one named shape of a service."""
    return conform(service(name).shape_for(shape), properties)


def conform(shape: Any, value: Any) -> Any:
    """Return a value with the names and the types of a shape."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = {name.lower(): (name, member) for name, member in shape.members.items()}
        return {
            members[name.lower()][0]: conform(members[name.lower()][1], inner)
            for name, inner in value.items()
            if name.lower() in members
        }
    if kind == "list" and isinstance(value, list):
        return [conform(shape.member, inner) for inner in value]
    if kind == "map" and isinstance(value, dict):
        return {str(key): conform(shape.value, inner) for key, inner in value.items()}
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    if kind == "boolean":
        return str(value).lower() == "true"
    if kind == "string":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value
