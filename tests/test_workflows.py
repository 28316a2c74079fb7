"""Workflows of GitHub Actions: schema, security, and the commands and options of deploy.py that they use."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hosting.cli.main import cli

PROJECT = Path(__file__).parents[1]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))


def parsed(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call] # no annotations in it
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in parsed(path)["jobs"].values():
        yield from job["steps"]


def scripts(path: Path) -> list[str]:
    return [step["run"] for step in steps(path) if "run" in step]


def test_each_purpose_has_one_workflow() -> None:
    assert [path.stem for path in WORKFLOWS] == ["deploy", "plan", "release", "validate"]


def test_the_workflows_follow_the_schema() -> None:
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version_in_a_comment(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_only_the_permissions_that_it_needs(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("timeout-minutes")
        own = job.get("permissions", {})
        assert set(own) <= {"contents", "id-token", "pull-requests"}
        # Only the release workflow writes to the repository.
        assert own.get("contents", "read") == ("write" if path.stem == "release" else "read")
        # A job that may request a token must use a GitHub environment: the role trusts only environments.
        assert ("id-token" in own) == ("environment" in job)
    for step in steps(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_script_contains_an_expression(path: Path) -> None:
    """The name of a branch in ${{ }} would become part of the script. In a variable it stays a value."""
    assert not [script for script in scripts(path) if "${{" in script]
    # pull_request_target would run a fork's code with this repository's permissions.
    assert "pull_request_target" not in path.read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_bash_can_parse_each_script(path: Path) -> None:
    for script in scripts(path):
        done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_commands_and_options_exist(path: Path) -> None:
    calls = re.findall(r"deploy\.py ([^\n|>]+)", "\n".join(scripts(path)))
    for call in calls:
        name, *words = shlex.split(call)
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        assert [word for word in words if word.startswith("-") and word not in known] == [], call


def test_pull_requests_run_the_checks_and_a_release_also_the_tests_of_the_platform() -> None:
    """The tests of the platform are slow and do not depend on a user's change."""
    makes = {path.stem: re.findall(r"\bmake ([\w-]+)|(\.ci/run)", "\n".join(scripts(path))) for path in WORKFLOWS}
    assert makes["validate"] == [("check", "")]
    assert makes["release"] == [("", ".ci/run")]
    assert "entry: make check\n" in (PROJECT / ".pre-commit-config.yaml").read_text()
    targets = re.findall(r"^make ([\w-]+)", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE)
    assert {"check", "test-full"} <= set(targets)


def test_every_text_of_the_changelog_is_under_unreleased_or_under_a_version() -> None:
    """A release turns the heading `## Unreleased` into a version. Without the heading the changes have no section."""
    introduction, *sections = re.split(
        r"^## ", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert not re.findall(r"^### .*", introduction, re.MULTILINE)
    names = [section.splitlines()[0] for section in sections]
    assert [one for one in names if not re.fullmatch(r"Unreleased|\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", one)] == []


def agreement(tag: str, version: str, folder: Path) -> bool:
    """Run the workflow's own step, and return whether it accepts the tag for a package of this version."""
    script = next(step["run"] for step in steps(WORKFLOWS[2]) if step.get("name", "").startswith("Tag, package"))
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n', encoding="utf-8")
    (folder / "CHANGELOG.md").write_text((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), encoding="utf-8")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env={**os.environ, "TAG": tag}).returncode == 0


def test_only_a_tag_of_the_package_version_with_notes_can_be_released(tmp_path: Path) -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert agreement(f"v{version}", version, tmp_path)
    notes = (tmp_path / "build" / "notes.md").read_text(encoding="utf-8")
    assert notes.strip()
    assert "## " not in notes
    assert not agreement("v99.0.0", version, tmp_path), "another tag"
    assert not agreement("v99.0.0", "99.0.0", tmp_path), "no section"
