"""cfn-lint as we call it: every level, real values, exceptions with reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hosting.analysis import lint as lint_module
from hosting.analysis.findings import Finding, SourceMap, merge_findings, with_source
from hosting.analysis.lint import Job, LintResult, Match, jobs, lint
from hosting.analysis.resolve import resolve
from hosting.model.parameter_file import Environment
from hosting.model.templates import Template

Bodies = dict[str, dict[str, Any]]


def run(bodies: Bodies, cache: Path | None = None, **parameters: str) -> LintResult:
    templates = {name: Template.from_body(name, body) for name, body in bodies.items()}
    values = {"Project": "shop", "SiteName": "unused", **parameters}
    return lint(templates, [resolve(templates, Environment("dev", values))], cache)


def places(result: LintResult) -> set[tuple[str, str, str]]:
    return {(finding.rule, finding.template, finding.logical_id) for finding in result.findings}


def linted_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives the name of each file that cfn-lint reads from now on."""
    files: list[str] = []
    run_engine = lint_module._run

    def record(folder: str, work: list[Job]) -> list[tuple[Job, list[Match]]]:
        files.extend(job.file for job in work)
        return run_engine(folder, work)

    monkeypatch.setattr(lint_module, "_run", record)
    return files


def test_a_file_is_linted_again_only_if_it_or_a_file_it_opens_has_changed(
    small: Bodies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linted, cache = linted_files(monkeypatch), tmp_path / "build" / "cfn-lint.json"
    first = run(small, cache)
    assert "root.json" in linted
    linted.clear()
    assert run(small, cache) == first
    assert linted == []
    small["service.json"]["Resources"]["Group"]["Properties"]["RetentionInDays"] = 29
    changed = run(small, cache)
    assert ("E3030", "service.json", "Group") in places(changed)
    assert "root.json" in linted, "cfn-lint opens the nested templates from the root"
    assert "network.json" not in linted


@pytest.mark.parametrize("content", ["", "[]", '{"cfn-lint": "of another version", "matches": {}}'])
def test_a_damaged_or_outdated_memory_of_matches_is_ignored(small: Bodies, tmp_path: Path, content: str) -> None:
    cache = tmp_path / "cfn-lint.json"
    cache.write_text(content)
    assert run(small, cache) == run(small)


def test_informational_rules_are_on(small: Bodies) -> None:
    assert ("I3011", "service.json", "Group") in places(run(small))


def test_nested_parameters_are_checked_against_the_root(small: Bodies) -> None:
    parameters = small["root.json"]["Resources"]["NetworkStack"]["Properties"]["Parameters"]
    parameters["VpcSize"] = parameters["VpcCidr"]
    found = run(small)
    assert ("E3043", "root.json", "NetworkStack") in places(found)
    assert not [finding for finding in found.findings if finding.rule == "W3002"]


def test_a_value_that_arrives_by_parameter_is_seen_in_the_resolved_copy(small: Bodies) -> None:
    good = {place[0] for place in places(run(small, LogRetentionDays="30"))}
    bad = run(small, LogRetentionDays="29")
    (finding,) = [finding for finding in bad.findings if finding.rule not in good]
    assert (finding.template, finding.stack, finding.environment) == (
        "service.json",
        "root/FrontendServiceStack",
        "dev",
    )
    assert finding.path == "Properties.RetentionInDays"


def test_an_exception_covers_one_resource_and_needs_a_reason_and_a_cause(small: Bodies) -> None:
    group = small["service.json"]["Resources"]["Group"]
    group["Metadata"] = {"cfn-lint": {"config": {"ignore_checks": ["I3011", "E9999"]}}}
    result = run(small)
    assert ("I3011", "service.json", "Group") not in places(result)
    assert [
        (finding.rule, finding.message.split()[0]) for finding in result.findings if finding.rule.startswith("LINT")
    ] == [
        ("LINT-02", "the"),
        ("LINT-02", "the"),
        ("LINT-03", "E9999"),
    ]
    group["Metadata"] = {"cfn-lint": {"config": {"ignore_checks": ["I3011"]}}, "Reason": "nothing is kept here"}
    assert not [finding for finding in run(small).findings if finding.rule.startswith("LINT")]


def test_no_rule_is_switched_off_for_a_whole_template(small: Bodies) -> None:
    small["edge.json"]["Metadata"] = {"cfn-lint": {"config": {"ignore_checks": ["W2001"]}}}
    assert {place for place in places(run(small)) if place[1] == "edge.json"} >= {
        ("LINT-01", "edge.json", ""),
        ("W2001", "edge.json", ""),
    }


def test_the_same_content_is_linted_once(small: Bodies) -> None:
    templates = {name: Template.from_body(name, body) for name, body in small.items()}
    values = {"Project": "shop", "SiteName": "unused"}
    dev, prod = (resolve(templates, Environment(name, values)) for name in ("dev", "prod"))
    assert len(jobs(templates, [dev, prod])) == len(jobs(templates, [dev]))


FOUND = Finding("X-01", "error", "network.json", "wrong", "Vpc", "Properties.Tags.0.Value", environment="dev")
SOURCES: SourceMap = {
    "network.json": {"Vpc": {"": "generator/layers/network.py:10", "Properties.Tags": "generator/resources/tags.py:3"}}
}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("Properties.Tags.0.Value", "generator/resources/tags.py:3"),
        ("Properties.CidrBlock", "generator/layers/network.py:10"),
        ("", "generator/layers/network.py:10"),
    ],
)
def test_the_source_is_the_line_of_the_property_or_of_what_encloses_it(path: str, source: str) -> None:
    assert with_source(Finding(**{**vars(FOUND), "path": path}), SOURCES).source == source


def test_one_thing_to_mend_is_reported_once() -> None:
    in_prod = Finding(**{**vars(FOUND), "environment": "prod"})
    (both,) = merge_findings([in_prod, FOUND])
    assert both.environment == "dev, prod"
    (always,) = merge_findings([in_prod, Finding(**{**vars(FOUND), "environment": ""})])
    assert always.environment == ""
