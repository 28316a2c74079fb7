"""Findings of all checks, with their place in templates and generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Level = Literal["error", "warning", "informational"]

# template file -> logical id -> property path ("" for the resource itself) -> "generator/layers/network.py:42"
SourceMap = Mapping[str, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Finding:
    """One problem at one place."""

    rule: str
    level: Level
    template: str
    message: str
    logical_id: str = ""
    path: str = ""  # "Properties.Foo.0.Bar" within the resource, "Parameters.X" outside of one
    hint: str = ""
    why: str = ""
    stack: str = ""  # "root/NetworkStack"; empty for a finding about the template itself
    environment: str = ""  # empty if the finding does not depend on parameters
    source: str = ""  # "generator/layers/network.py:42"

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """The key of a finding: findings with the same key in several stacks or environments need one correction."""
        return (self.template, self.logical_id, self.path, self.rule, self.message)


def as_dict(finding: Finding) -> dict[str, Any]:
    """Return a finding for JSON. `hint` has the key "remedy" there, as in the schemas validate/1 and security/1."""
    return {"remedy" if name == "hint" else name: value for name, value in asdict(finding).items()}


def with_source(finding: Finding, sources: SourceMap) -> Finding:
    """Return the finding with the line of Python that created the property, or the enclosing resource."""
    return replace(finding, source=source_line(sources, finding.template, finding.logical_id, finding.path))


def source_line(sources: SourceMap, template: str, logical_id: str, path: str) -> str:
    """Return the line of Python that created a property or its parent, or an empty string."""
    lines = sources.get(template, {}).get(logical_id, {})
    steps = path.split(".")
    while steps:
        if found := lines.get(".".join(steps)):
            return found
        steps.pop()
    return lines.get("", "")


def mask_values(findings: Iterable[Finding], values: Iterable[str]) -> list[Finding]:
    """Return the findings without these values in their messages: scanners quote values from the templates."""
    result = list(findings)
    for value in values:
        result = [replace(finding, message=finding.message.replace(value, f"{value[:4]}...")) for finding in result]
    return result


_LEVELS: dict[Level, int] = {"error": 0, "warning": 1, "informational": 2}


def merge_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return each finding once, errors first; one that occurs in several environments names all of them.

    A finding of the committed template is not repeated for its resolved copies.
    """
    groups: dict[tuple[str, str, str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.place, []).append(finding)
    result = []
    for group in groups.values():
        first = min(group, key=lambda item: (item.environment != "", item.stack))
        environments = sorted({item.environment for item in group})
        names = "" if "" in environments else ", ".join(environments)
        result.append(replace(first, environment=names))
    return sorted(result, key=lambda item: (_LEVELS[item.level], item.place))
