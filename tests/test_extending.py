"""The recipes of docs/extending.md work as they are written, in a copy of the platform with the frozen project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import project
from tests.support.recipes import read_recipes

PROJECT = Path(__file__).parents[1]
RECIPES = read_recipes((PROJECT / "docs" / "extending.md").read_text(encoding="utf-8"))
FOLDERS = ("docs", "generator", "hosting", "lambda")
FILES = ("deploy.py", "pyproject.toml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy that a test can change. The recipes name an environment dev: the lab of the frozen project."""
    for folder in FOLDERS:
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(PROJECT / file, tmp_path / file)
    for folder in ("params", "templates"):
        shutil.copytree(project.PROJECT / folder, tmp_path / folder)
    shutil.copy(project.PROJECT / "workloads.py", tmp_path)
    lab = tmp_path / "params" / "lab.json"
    (tmp_path / "params" / "dev.json").write_text(lab.read_text().replace('"lab"', '"dev"'))
    lab.unlink()
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)


def apply(recipe: str, folder: Path) -> None:
    for edit in RECIPES[recipe]:
        edit.apply(folder)
    done = run(folder, "deploy.py", "generate")
    assert done.returncode == 0, done.stderr


def check(folder: Path) -> None:
    """Run what `make check` runs, and ruff and mypy over the changed packages."""
    for command in (
        ("deploy.py", "generate", "--check"),
        ("deploy.py", "params", "check"),
        ("deploy.py", "validate"),
        ("deploy.py", "reach"),
        ("-m", "ruff", "check", "generator", "hosting"),
        ("-m", "ruff", "format", "--check", "generator", "hosting"),
        ("-m", "mypy", "--cache-dir", str(PROJECT / ".mypy_cache" / "recipes"), "generator", "hosting/cli"),
    ):
        done = run(folder, *command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_document_has_the_recipes() -> None:
    assert set(RECIPES) == {"A parameter", "A layer", "A rule", "A command"}
    assert all(RECIPES.values())


@pytest.mark.slow("validates a whole project")
def test_a_parameter_reaches_the_resource(copy: Path) -> None:
    apply("A parameter", copy)
    check(copy)
    shown = json.loads(run(copy, "deploy.py", "params", "show", "-e", "dev", "--output", "json").stdout)
    (setting,) = [one for one in shown if one["name"] == "DeregistrationSeconds"]
    assert setting["value"] == "5"
    template = json.loads((copy / "templates" / "workload-orders.json").read_text())
    attributes = template["Resources"]["TargetGroup"]["Properties"]["TargetGroupAttributes"]
    assert {"Ref": "DeregistrationSeconds"} in [attribute["Value"] for attribute in attributes]


@pytest.mark.slow("validates a whole project")
def test_a_layer_is_nested_in_root(copy: Path) -> None:
    apply("A layer", copy)
    check(copy)
    root = json.loads((copy / "templates" / "root.json").read_text())
    assert root["Resources"]["ReleasesStack"]["Type"] == "AWS::CloudFormation::Stack"
    assert "ReleaseTopic" in json.loads((copy / "templates" / "releases.json").read_text())["Resources"]


@pytest.mark.slow("validates a whole project")
def test_a_rule_passes_and_fails(copy: Path) -> None:
    apply("A rule", copy)
    check(copy)
    functions = copy / "hosting" / "analysis" / "rules" / "functions.py"
    functions.write_text(functions.read_text().replace("< 256:", "< 512:"))
    done = run(copy, "deploy.py", "validate", "-e", "dev")
    assert done.returncode == 1
    assert "FN-90" in done.stdout


def test_a_command_is_listed_and_runs(copy: Path) -> None:
    apply("A command", copy)
    assert "Print the image repositories" in run(copy, "deploy.py", "--help").stdout
    done = run(copy, "deploy.py", "repositories", "-e", "dev")
    assert done.returncode == 0, done.stderr
    assert "Portal  atlas/portal" in done.stdout
