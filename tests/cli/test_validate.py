"""`deploy.py validate` as a user runs it, on copies of the committed templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis import validation
from hosting.analysis.lint import LintResult
from tests.support import commands
from tests.support.project import copy_rendered
from tests.support.waiting import PATIENCE

PROJECT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a copy of the project's templates and parameter files."""
    return copy_rendered(tmp_path)


@pytest.fixture
def templates(root: Path) -> Path:
    return root / "templates"


@pytest.fixture
def validate(root: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "deploy.py", "validate", "--root", str(root), *arguments]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE)

    return run


@pytest.fixture
def check_rules(root: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same in this process and without cfn-lint, which takes seconds, for what does not depend on it."""
    monkeypatch.setattr(validation, "lint", lambda *_: LintResult((), 0, 0))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = commands.run(["validate", "--root", str(root), *arguments], os.environ)
        return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)

    return run


def change(templates: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    file = templates / name
    body = json.loads(file.read_text())
    edit(body)
    file.write_text(json.dumps(body))


def open_vpc(body: dict[str, Any]) -> None:
    vpc = next(item for item in body["Resources"].values() if item["Type"] == "AWS::EC2::VPC")
    vpc["Properties"]["EnableDnsHostnames"] = False


def test_the_committed_templates_are_clean(validate: Run) -> None:
    done = validate()
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("no findings (")
    assert "lab and live" in done.stdout
    assert "linting" in done.stderr
    assert "linting" not in done.stdout


def test_a_finding_points_at_python(check_rules: Run, templates: Path) -> None:
    change(templates, "network.json", open_vpc)
    done = check_rules("-e", "lab")
    assert done.returncode == 1
    assert "error NET-01  EnableDnsHostnames is off" in done.stdout
    assert "at  generator/layers/network.py:" in done.stdout
    assert "network.json Vpc Properties.EnableDnsHostnames" in done.stdout
    assert "do  set EnableDnsSupport" in done.stdout


def test_json_and_sarif_are_alone_on_stdout(check_rules: Run, templates: Path) -> None:
    change(templates, "network.json", open_vpc)
    (found,) = json.loads(check_rules("-e", "lab", "--output", "json").stdout)["findings"]
    assert (found["rule"], found["environment"]) == ("NET-01", "lab")
    (result,) = json.loads(check_rules("-e", "lab", "--output", "sarif").stdout)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "generator/layers/network.py"
    assert place["region"]["startLine"] > 1


def test_a_value_of_one_environment_is_found_there(validate: Run, root: Path) -> None:
    change(root / "params", "lab.json", lambda body: body["Parameters"].update(LogRetentionDays="29"))
    done = validate("--output", "json")
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    assert {finding["environment"] for finding in findings} == {"lab"}
    # The root's list of allowed values, and cfn-lint on the resolved copies.
    assert {"CF-21", "E3030"} <= {finding["rule"] for finding in findings}


def test_an_unresolvable_reference_is_a_finding(check_rules: Run, templates: Path) -> None:
    change(templates, "network.json", lambda body: body["Outputs"]["VpcId"].update(Value={"Ref": "Nothing"}))
    done = check_rules("-e", "lab")
    assert done.returncode == 1
    assert "error CF-00  Ref to Nothing, which is neither a parameter nor a resource" in done.stdout


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "edge.json").unlink(), "edge.json not found"),
        (
            lambda folder: (folder / "workload-orders.json").unlink(),
            "nests workload-orders.json, not found here",
        ),
        (lambda folder: (folder / "old.json").write_text('{"Resources": {"A": {"Type": "B"}}}'), "old.json is neither"),
        (lambda folder: (folder / "edge.json").write_text("{"), "edge.json:1:2: not JSON"),
        (lambda folder: (folder / "readme.md").write_text(""), "readme.md does not belong here"),
    ],
)
def test_a_damaged_folder_is_one_message(check_rules: Run, templates: Path, damage: Any, message: str) -> None:
    damage(templates)
    done = check_rules()
    assert done.returncode == 64
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_unknown_environments_and_parameters_are_wrong_input(check_rules: Run, root: Path) -> None:
    done = check_rules("-e", "staging")
    assert (done.returncode, done.stdout) == (64, "")
    assert 'unknown environment "staging"; known environments: lab, live' in done.stderr
    change(root / "params", "lab.json", lambda body: body["Parameters"].update(DomianName="x"))
    done = check_rules("-e", "lab")
    assert done.returncode == 64
    assert 'unknown key "DomianName"; did you mean "DomainName"?' in done.stderr


def test_a_template_of_the_wrong_shape_is_explained(validate: Run, templates: Path) -> None:
    def misshape(body: dict[str, Any]) -> None:
        vpc = next(item for item in body["Resources"].values() if item["Type"] == "AWS::EC2::VPC")
        vpc["Properties"]["Tags"] = {"Fn::Sub": 5}

    change(templates, "network.json", misshape)
    done = validate("-e", "lab")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "correct the findings of cfn-lint in network.json first" in done.stdout


def test_the_removed_option_names_its_successor(check_rules: Run) -> None:
    done = check_rules("--format", "json")
    assert done.returncode == 64
    assert "--format does not exist any more: use --output." in done.stderr
