"""Accepted findings of third-party scanners: each is at its resource, has a reason, and is still needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hosting.analysis.findings import Finding
from hosting.model.templates import Template

# Metadata keys. checkov has its own; parliament has none, so its key is analogous.
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
            for scanner in SCANNERS
            for item in resource.get("Metadata", {}).get(scanner, {}).get("skip", [])
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
        """Yield findings about the suppressions themselves.

        ``complete`` means that all environments were scanned. Only then is an unused suppression obsolete.
        """
        for item in self.declared:
            where = (item.template, item.logical_id, item.rule)
            if not item.reason:
                yield _wrong(
                    "SCAN-01", item, f"{item.rule} is suppressed without a reason", "add the reason to its comment"
                )
            if complete and where not in self._used:
                yield _wrong("SCAN-02", item, f"{item.rule} no longer occurs here", "remove the suppression")


def _wrong(rule: str, item: Suppression, message: str, hint: str) -> Finding:
    return Finding(rule, "error", item.template, message, item.logical_id, "Metadata", hint)
