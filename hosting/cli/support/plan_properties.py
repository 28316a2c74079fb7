"""List the property changes of a resource, value by value, with secrets masked."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hosting.analysis.diff.compare import Path, compare_documents
from hosting.deployer.change_sets import PLACEHOLDER, Change, Detail
from hosting.model.lambda_shared.redact import is_secret_name, is_secret_path

HIDDEN = "(hidden)"
LATER = "(known after deployment)"

_REFERENCE = re.compile(r"arn:|\{\{(resolve|IntrinsicFunction|changeSet):")
_PAIRS = (("Name", "Value"), ("Key", "Value"), ("HeaderName", "HeaderValue"))


@dataclass(frozen=True)
class PropertyChange:
    """One value that differs. None means absent; if both are None, CloudFormation returned no values."""

    name: str
    before: str | None
    after: str | None
    # always, maybe or empty: whether this change requires a replacement.
    recreation: str = ""
    # Whether the value is known only during the deployment, so that it may remain equal.
    dynamic: bool = False
    cause: str = ""
    derived: bool = False


def list_property_changes(
    change: Change, hidden: Collection[str] = (), *, derived: bool = False
) -> list[PropertyChange]:
    """Return the property changes of a resource. `derived` adds entries that are listed but will not change."""
    found: dict[str, list[Detail]] = {}
    for detail in change.details if derived else change.effective_details:
        found.setdefault(_subject(detail), []).append(detail)
    return [value for name, details in found.items() for value in _values(change, name, details, hidden)]


def list_replacement_causes(change: Change, hidden: Collection[str] = ()) -> list[PropertyChange]:
    """Return the values that require the replacement of the resource, or that may require it."""
    found = list_property_changes(change, hidden)
    wanted = "always" if any(value.recreation == "always" for value in found) else "maybe"
    return [value for value in found if value.recreation == wanted]


def mask_value(value: Any, path: Path, hidden: Collection[str] = ()) -> str | None:
    """Return a value as text with secrets masked."""
    if value is None:
        return None
    cleaned = _clean(value, path, is_secret=False)
    text = cleaned if isinstance(cleaned, str) else json.dumps(cleaned, sort_keys=True, default=str)
    text = PLACEHOLDER.sub(LATER, text)
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _values(change: Change, name: str, details: list[Detail], hidden: Collection[str]) -> Iterator[PropertyChange]:
    recreations = {detail.recreation for detail in details}
    recreation = "always" if "Always" in recreations else "maybe" if "Conditionally" in recreations else ""
    dynamic = all(detail.evaluation == "Dynamic" for detail in details)
    cause = ", ".join(dict.fromkeys(detail.cause for detail in details if detail.cause))
    derived = all(detail.derived for detail in details)
    before, after = _sides(change, name, details)
    # Equal sides: CloudFormation does not know the new value yet.
    for one in compare_documents(before, after, (name,)):
        old, new = mask_value(one.before, one.path, hidden), mask_value(one.after, one.path, hidden)
        if old == new and HIDDEN in (old or ""):
            new = "(hidden, different)"
        yield PropertyChange(one.name, old, new, recreation, dynamic, cause, derived)
    if before == after:
        yield PropertyChange(name, None, None, recreation, dynamic, cause, derived)


def _sides(change: Change, name: str, details: list[Detail]) -> tuple[Any, Any]:
    if any(detail.attribute == "Properties" for detail in details):
        old, new = change.properties_before, change.properties_after
        if old is not None and new is not None and (name in old or name in new):
            return old.get(name), new.get(name)
    given = [detail for detail in details if detail.before is not None or detail.after is not None]
    if len(given) == 1 and _steps(given[0]) == [name]:
        return _parsed(given[0].before), _parsed(given[0].after)
    # CloudFormation named only paths below the property, so only those are shown.
    before = {"/".join(_steps(one)[1:]) or name: _parsed(one.before) for one in given if one.before is not None}
    after = {"/".join(_steps(one)[1:]) or name: _parsed(one.after) for one in given if one.after is not None}
    return (before or None), (after or None)


def _subject(detail: Detail) -> str:
    """Return the property, or the attribute beside the properties, that a detail describes."""
    steps = _steps(detail)
    return steps[0] if steps else detail.attribute


def _steps(detail: Detail) -> list[str]:
    return [step for step in detail.name.removeprefix("/Properties").split("/") if step]


def _parsed(text: str | None) -> Any:
    """Return the value of a detail. CloudFormation returns lists and objects as JSON text."""
    if text is not None and text[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _clean(value: Any, path: Path, *, is_secret: bool) -> Any:
    if isinstance(value, Mapping):
        named = next(
            (
                content
                for name, content in _PAIRS
                if content in value and is_secret_name(f"{value.get(name, '')} {content}")
            ),
            "",
        )
        return {
            key: _clean(item, (*path, str(key)), is_secret=is_secret or key == named) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_clean(item, path, is_secret=is_secret) for item in value]
    if not isinstance(value, str) or value in {"", "true", "false"} or _REFERENCE.match(value):
        return value
    return HIDDEN if is_secret or is_secret_path(path) else value
