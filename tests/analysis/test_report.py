"""Reports: for people, for programs, for code review."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

from hosting.analysis.findings import Finding
from hosting.analysis.report import Checked, as_json, as_junit, as_sarif, write_text

CHECKED = Checked(templates=12, environments=("dev", "prod"), linted=40, cfn_lint_rules=329, own_rules=80)
MADE = Finding(
    "NET-07", "error", "network.json", "leaves the zone", "AppRoute", "Properties.NatGatewayId", "use the zone's own",
    "a zone that fails takes the other along", "root/NetworkStack", "prod", "generator/layers/network.py:42",
)  # fmt: skip
UNKNOWN = Finding("W2001", "warning", "root.json", "Parameter X not used", "", "Parameters.X")


def text(*findings: Finding) -> str:
    stream = io.StringIO()
    write_text(findings, CHECKED, stream)
    return stream.getvalue()


def test_text_names_the_line_of_python_and_what_to_do() -> None:
    shown = text(MADE, UNKNOWN)
    assert "error NET-07  leaves the zone" in shown
    assert (
        "generator/layers/network.py:42  (network.json AppRoute Properties.NatGatewayId)  [root/NetworkStack, prod]"
        in shown
    )
    assert "do  use the zone's own" in shown
    assert "at  root.json Parameters.X" in shown
    assert "1 error, 1 warning (12 templates" in shown


def test_text_without_findings_describes_the_inputs() -> None:
    assert text() == (
        "no findings (12 templates, resolved for dev and prod: 40 files by 329 rules of cfn-lint, "
        "80 rules of this project)\n"
    )


def test_json_has_a_versioned_schema() -> None:
    document = json.loads(as_json([MADE], CHECKED))
    assert document["schema"] == "validate/1"
    assert document["checked"]["environments"] == ["dev", "prod"]
    (finding,) = document["findings"]
    assert finding["source"] == "generator/layers/network.py:42"
    assert set(finding) == (set(vars(MADE)) - {"hint"}) | {"remedy"}
    assert set(document["checked"]) == {"templates", "environments", "linted", "rules", "guards"}


def test_sarif_points_at_python_or_at_the_template() -> None:
    document = json.loads(as_sarif([MADE, UNKNOWN], CHECKED, "templates", {"NET-07": "Each zone has its own way out"}))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["NET-07", "W2001"]
    assert rules[0]["shortDescription"]["text"] == "Each zone has its own way out"
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    made, unknown = (result["locations"][0]["physicalLocation"] for result in run["results"])
    assert made == {"artifactLocation": {"uri": "generator/layers/network.py"}, "region": {"startLine": 42}}
    assert unknown == {"artifactLocation": {"uri": "templates/root.json"}, "region": {"startLine": 1}}
    assert [result["level"] for result in run["results"]] == ["error", "warning"]


def test_junit_has_a_failure_for_each_finding_or_a_case_that_passes() -> None:
    suite = ElementTree.fromstring(as_junit([MADE, UNKNOWN], CHECKED))  # noqa: S314 -- our own text
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    first = suite.findall("testcase")[0]
    failure = first.find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == (MADE.rule, MADE.message)
    assert first.get("classname") == MADE.source
    (passed,) = ElementTree.fromstring(as_junit([], CHECKED)).findall("testcase")  # noqa: S314 -- our own text
    assert passed.find("failure") is None


def test_sarif_without_findings_is_still_a_run() -> None:
    (run,) = json.loads(as_sarif([], CHECKED, "templates", {}))["runs"]
    assert run["results"] == []
