"""Findings of outside judges that are accepted: each stands at its resource, has a reason, and is still needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hosting.analysis.findings import Finding
from hosting.model.templates import Template

# Where checkov itself looks, and the same for parliament, which knows none.
SCANNERS = ("checkov", "parliament")


@dataclass(frozen=True)
class Suppression:
    template: str
    logical_id: str
    rule: str
    reason: str


class Suppressions:
    """The suppressions in the templates' Metadata, and which of them a finding has needed."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self.declared = [
            Suppression(name, logical_id, str(item.get("id", "")), str(item.get("comment", "")).strip())
            for name, template in templates.items()
            for logical_id, resource in template.resources.items()
            for judge in SCANNERS
            for item in resource.get("Metadata", {}).get(judge, {}).get("skip", [])
        ]
        self._known = {(item.template, item.logical_id, item.rule) for item in self.declared}
        self._used: set[tuple[str, str, str]] = set()

    def cover(self, finding: Finding) -> bool:
        key = (finding.template, finding.logical_id, finding.rule)
        if key not in self._known:
            return False
        self._used.add(key)
        return True

    def findings(self, *, complete: bool) -> Iterator[Finding]:
        """What is wrong with the suppressions themselves.

        ``complete`` says that every environment was judged: only then is one that was not needed needed nowhere.
        """
        for item in self.declared:
            where = (item.template, item.logical_id, item.rule)
            if not item.reason:
                yield _wrong("SCAN-01", item, f"{item.rule} is suppressed without a reason", "say why in its comment")
            if complete and where not in self._used:
                yield _wrong("SCAN-02", item, f"{item.rule} does not occur here any more", "remove the suppression")


def _wrong(rule: str, item: Suppression, message: str, hint: str) -> Finding:
    return Finding(rule, "error", item.template, message, item.logical_id, "Metadata", hint)
