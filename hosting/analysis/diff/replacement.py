"""Finds properties that CloudFormation cannot update in place, from the providers' own schemas.

cfn-lint installs the schemas of the CloudFormation registry. A path in them may lead into a property, and some paths
omit lists, so a difference is compared with the whole path and not only with the property's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import cache
from typing import Any

from hosting.analysis.diff.compare import Difference, Path
from hosting.model.tokens import Json


class Recreation(IntEnum):
    """The possible replacement of a resource; a greater value is worse."""

    NEVER = 0
    MAY = 1
    ALWAYS = 2


# Documented in the template reference ("Update requires: Replacement"), missing in the schema.
_ALSO: Mapping[str, tuple[str, ...]] = {
    "AWS::Route53::RecordSet": ("/properties/Name",),
}
_CUSTOM = "AWS::CloudFormation::CustomResource"


def find_recreation(kind: str, region: str, difference: Difference) -> Recreation:
    """Return whether a difference replaces the resource."""
    if difference.path[:1] != ("Properties",):
        return Recreation.NEVER
    always, may = read_create_only_paths(kind, region)
    path = difference.path[1:]
    if any(_touches(pattern, path, difference.before, difference.after) for pattern in always):
        return Recreation.ALWAYS
    if may is None or any(_touches(pattern, path, difference.before, difference.after) for pattern in may):
        return Recreation.MAY
    return Recreation.NEVER


def receives_stack_tags(kind: str, region: str) -> bool:
    """Return whether CloudFormation propagates the stack's tags to this type."""
    schema = _schema(kind, region)
    tagging = schema.get("tagging", {})
    return bool(tagging.get("taggable", "Tags" in schema.get("properties", {}))) and bool(
        tagging.get("cloudFormationSystemTags", True)
    )


@cache
def read_create_only_paths(kind: str, region: str) -> tuple[tuple[Path, ...], tuple[Path, ...] | None]:
    """Return the paths that always and those that may replace a resource; None means that every other path may.

    The function of a custom resource decides itself, and a type without a schema is unknown.
    """
    schema = _schema(kind, region)
    always = [*schema.get("createOnlyProperties", ()), *_ALSO.get(kind, ())]
    if not schema or kind == _CUSTOM or kind.startswith("Custom::"):
        return _paths(always), None
    return _paths(always), _paths(schema.get("conditionalCreateOnlyProperties", ()))


def _paths(pointers: Iterable[str]) -> tuple[Path, ...]:
    return tuple(tuple(_steps(pointer)) for pointer in pointers)


def _steps(pointer: str) -> list[str]:
    return pointer.removeprefix("/properties/").split("/")


@cache
def _schema(kind: str, region: str) -> Mapping[str, Any]:
    # The import takes half a second and is necessary only if a property differs.
    from cfnlint.schema import ResourceNotFoundError
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    name = _CUSTOM if kind.startswith("Custom::") else kind
    try:
        found: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, name).schema
    except ResourceNotFoundError:
        return {}
    return found


def _touches(pattern: Path, path: Path, before: Json, after: Json) -> bool:
    """Return whether a difference at `path` includes, or is inside, the path that `pattern` names."""
    steps = list(path)
    for index, wanted in enumerate(pattern):
        while steps and steps[0].startswith("[") and wanted != "*":
            steps.pop(0)
        if not steps:
            # An enclosing value was added, removed or exchanged. It counts if the inner value differs.
            rest = pattern[index:]
            return _inside(before, rest) != _inside(after, rest)
        if wanted != steps.pop(0) and wanted != "*":
            return False
    return True


def _inside(value: Json, path: Path) -> list[Json]:
    """Return all values at a path, through all members of lists."""
    if isinstance(value, list):
        rest = path[1:] if path[:1] == ("*",) else path
        return [found for item in value for found in _inside(item, rest)]
    if not path:
        return [] if value is None else [value]
    if not isinstance(value, Mapping):
        # An unknown value may contain anything.
        return [] if value is None else [value]
    if path[0] == "*":
        return [found for item in value.values() for found in _inside(item, path[1:])]
    return _inside(value[path[0]], path[1:]) if path[0] in value else []
