"""What CloudFormation cannot change in place, as the providers' own schemas say.

cfn-lint ships the schemas of the CloudFormation registry. A path there may lead into a property, and lists are left
out of some paths, so a difference is held against the whole path and not only against the property's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import cache
from typing import Any

from hosting.analysis.diff.compare import Difference, Path
from hosting.model.tokens import Json


class Recreation(IntEnum):
    """Whether the resource is made anew; the worst is the greatest."""

    NEVER = 0
    MAY = 1
    ALWAYS = 2


# What the template reference says and the schema does not: "Update requires: Replacement".
_ALSO: Mapping[str, tuple[str, ...]] = {
    "AWS::Route53::RecordSet": ("/properties/Name",),
}
_CUSTOM = "AWS::CloudFormation::CustomResource"


def recreation(kind: str, region: str, difference: Difference) -> Recreation:
    """What a difference of a resource does to it."""
    if difference.path[:1] != ("Properties",):
        return Recreation.NEVER
    always, may = create_only(kind, region)
    path = difference.path[1:]
    if any(_touches(pattern, path, difference.before, difference.after) for pattern in always):
        return Recreation.ALWAYS
    if may is None or any(_touches(pattern, path, difference.before, difference.after) for pattern in may):
        return Recreation.MAY
    return Recreation.NEVER


def writable(kind: str, region: str) -> frozenset[str]:
    """The properties that a template may give; nothing is known of a type without a schema."""
    schema = _schema(kind, region)
    hidden = {tuple(_steps(item)) for item in schema.get("readOnlyProperties", ())}
    return frozenset(name for name in schema.get("properties", {}) if (name,) not in hidden)


def takes_tags(kind: str, region: str) -> bool:
    """Whether CloudFormation hands the stack's tags on to it."""
    schema = _schema(kind, region)
    tagging = schema.get("tagging", {})
    return bool(tagging.get("taggable", "Tags" in schema.get("properties", {}))) and bool(
        tagging.get("cloudFormationSystemTags", True)
    )


@cache
def create_only(kind: str, region: str) -> tuple[tuple[Path, ...], tuple[Path, ...] | None]:
    """Paths that always and that perhaps recreate; None in place of the latter: any other may.

    What becomes of a custom resource is its function's decision, and nobody can know about a type without a schema.
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
    # Half a second, needed only once something has changed.
    from cfnlint.schema import ResourceNotFoundError
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    name = _CUSTOM if kind.startswith("Custom::") else kind
    try:
        found: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, name).schema
    except ResourceNotFoundError:
        return {}
    return found


def _touches(pattern: Path, path: Path, before: Json, after: Json) -> bool:
    """Whether a difference at `path` reaches what `pattern` names, be it above or below."""
    steps = list(path)
    for index, wanted in enumerate(pattern):
        while steps and steps[0].startswith("[") and wanted != "*":
            steps.pop(0)
        if not steps:
            # Something around it was added, removed or exchanged: it counts when it differs in there.
            rest = pattern[index:]
            return _inside(before, rest) != _inside(after, rest)
        if wanted != steps.pop(0) and wanted != "*":
            return False
    return True


def _inside(value: Json, path: Path) -> list[Json]:
    """Everything that a path finds in a value, through all members of lists."""
    if isinstance(value, list):
        rest = path[1:] if path[:1] == ("*",) else path
        return [found for item in value for found in _inside(item, rest)]
    if not path:
        return [] if value is None else [value]
    if not isinstance(value, Mapping):
        # A value that is not known yet may hold anything.
        return [] if value is None else [value]
    if path[0] == "*":
        return [found for item in value.values() for found in _inside(item, path[1:])]
    return _inside(value[path[0]], path[1:]) if path[0] in value else []
