"""Writes findings as text, as JSON for programs, and as SARIF for code review."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, Protocol
from urllib.parse import quote

from hosting.analysis.findings import Finding, Level, as_dict

JSON_SCHEMA = "validate/1"
SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True)
class Checked:
    """The inputs of a validation, so that "no findings" is meaningful."""

    templates: int
    environments: tuple[str, ...]
    linted: int
    cfn_lint_rules: int
    own_rules: int

    def sentence(self) -> str:
        """Return the inputs as one sentence."""
        environments = " and ".join(self.environments)
        return (
            f"{self.templates} templates, resolved for {environments}: "
            f"{self.linted} files by {self.cfn_lint_rules} rules of cfn-lint, {self.own_rules} rules of this project"
        )


def as_json(findings: Sequence[Finding], checked: Checked) -> str:
    """Return findings as JSON. Fields may be added to a schema; a removed or changed field requires a new schema."""
    document = {
        "schema": JSON_SCHEMA,
        # The keys of validate/1, which are older than the names of the fields.
        "checked": {
            "templates": checked.templates,
            "environments": checked.environments,
            "linted": checked.linted,
            "rules": checked.cfn_lint_rules,
            "guards": checked.own_rules,
        },
        "findings": [as_dict(finding) for finding in findings],
    }
    return json.dumps(document, indent=2)


def as_junit(findings: Sequence[Finding], checked: Checked) -> str:
    """Return JUnit XML: one failed test case for each finding, or one that passed if there is none.

    The class of a case is the place in the generator or the template, so that CI groups findings by file.
    """
    from xml.etree import ElementTree

    count = str(len(findings))
    suite = ElementTree.Element(
        "testsuite", name="deploy.py validate", tests=count if findings else "1", failures=count
    )
    for finding in findings:
        where = finding.source or finding.template
        case = ElementTree.SubElement(suite, "testcase", classname=where, name=f"{finding.rule} {finding.logical_id}")
        place = " ".join(filter(None, (finding.template, finding.logical_id, finding.path, finding.environment)))
        failure = ElementTree.SubElement(case, "failure", type=finding.rule, message=finding.message)
        failure.text = "\n".join(filter(None, (place, finding.why, finding.hint)))
    if not findings:
        ElementTree.SubElement(suite, "testcase", classname="templates", name=checked.sentence())
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def as_sarif(findings: Sequence[Finding], checked: Checked, folder: str, titles: Mapping[str, str]) -> str:
    """Return SARIF 2.1.0. The location is the line of Python that created the resource, otherwise the template."""
    rules = sorted({finding.rule for finding in findings})
    driver = {
        "name": "deploy.py validate",
        "rules": [_sarif_rule(rule, titles, findings) for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "properties": {"checked": checked.sentence()},
        "results": [_sarif_result(finding, rules.index(finding.rule), folder) for finding in findings],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _sarif_rule(rule: str, titles: Mapping[str, str], findings: Sequence[Finding]) -> dict[str, Any]:
    example = next(finding for finding in findings if finding.rule == rule)
    described: dict[str, Any] = {"id": rule, "shortDescription": {"text": titles.get(rule, f"cfn-lint {rule}")}}
    if example.why:
        described["fullDescription"] = {"text": example.why}
    if example.hint:
        described["help"] = {"text": example.hint}
    return described


_SARIF_LEVELS = {"error": "error", "warning": "warning", "informational": "note"}


def _sarif_result(finding: Finding, index: int, folder: str) -> dict[str, Any]:
    file, line = _place(finding, folder)
    text = f"{finding.message}. {finding.hint}" if finding.hint else finding.message
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line}},
        "logicalLocations": [{"fullyQualifiedName": _subject(finding), "kind": "resource"}],
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _SARIF_LEVELS[finding.level],
        "message": {"text": text},
        "locations": [location],
        "properties": {"environment": finding.environment, "stack": finding.stack},
    }


def _place(finding: Finding, folder: str) -> tuple[str, int]:
    file, _, line = finding.source.rpartition(":")
    if file and line.isdigit():
        return file, int(line)
    return quote(str(PurePosixPath(folder, finding.template))), 1


def _subject(finding: Finding) -> str:
    return ".".join(part for part in (finding.template, finding.logical_id, finding.path) if part)


_STYLES: dict[Level, str] = {"error": "bold red", "warning": "yellow", "informational": "cyan"}


class Summarized(Protocol):
    """A result that describes its inputs."""

    def sentence(self) -> str: ...


def write_text(findings: Sequence[Finding], checked: Summarized, stream: IO[str], *, color: bool | None = None) -> None:
    """Write one paragraph per finding, in the order of correction, then the inputs."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, emoji=False, soft_wrap=True, no_color=color is False)
    for finding in findings:
        head = Text()
        head.append(f"{finding.level} {finding.rule}", style=_STYLES[finding.level])
        head.append(f"  {finding.message}")
        console.print(head)
        for line in _details(finding):
            console.print(Text(f"    {line}"))
    counts = Counter(finding.level for finding in findings)
    total = ", ".join(f"{counts[level]} {level}" for level in _STYLES if counts[level]) or "no findings"
    console.print(Text(f"{total} ({checked.sentence()})", style="bold red" if findings else "bold green"))


def _details(finding: Finding) -> list[str]:
    where = " ".join(part for part in (finding.template, finding.logical_id, finding.path) if part)
    if finding.source:
        where = f"{finding.source}  ({where})"
    context = ", ".join(part for part in (finding.stack, finding.environment) if part)
    lines = [f"at  {where}" + (f"  [{context}]" if context else "")]
    if finding.why:
        lines.append(f"why {finding.why}")
    if finding.hint:
        lines.append(f"do  {finding.hint}")
    return lines
