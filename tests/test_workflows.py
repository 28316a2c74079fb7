"""The workflows of GitHub Actions: of the right form, safe, and calling what deploy.py really has."""

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


def test_there_is_one_for_each_purpose() -> None:
    assert [path.stem for path in WORKFLOWS] == ["deploy", "plan", "release", "validate"]


def test_they_follow_the_schema() -> None:
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_which_version(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_least(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("timeout-minutes")
        own = job.get("permissions", {})
        assert set(own) <= {"contents", "id-token", "pull-requests"}
        # A release is the one thing that is written back.
        assert own.get("contents", "read") == ("write" if path.stem == "release" else "read")
        # Whoever may ask for a token is bound to a GitHub environment, where its role trusts nothing else.
        assert ("id-token" in own) == ("environment" in job)
    for step in steps(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_expression_stands_in_a_script(path: Path) -> None:
    """A branch's name in ${{ }} becomes part of the script; through the environment it stays a value."""
    assert not [script for script in scripts(path) if "${{" in script]
    # pull_request_target would run a fork's code with our rights.
    assert "pull_request_target" not in path.read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_scripts_are_of_a_form_that_bash_takes(path: Path) -> None:
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


def test_users_check_their_project_and_our_ci_tests_the_platform_too() -> None:
    """The tests of the platform take long and say nothing about a user's change."""
    makes = {path.stem: re.findall(r"\bmake ([\w-]+)|(\.ci/run)", "\n".join(scripts(path))) for path in WORKFLOWS}
    assert makes["validate"] == [("check", "")]
    assert makes["release"] == [("", ".ci/run")]
    assert "entry: make check\n" in (PROJECT / ".pre-commit-config.yaml").read_text()
    ours = re.findall(r"^make ([\w-]+)", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE)
    assert {"check", "test-full"} <= set(ours)


def agreement(tag: str, version: str, folder: Path) -> bool:
    """Whether a tag is a release of a package of that version: the workflow's own step, run."""
    script = next(step["run"] for step in steps(WORKFLOWS[2]) if step.get("name", "").startswith("Tag, package"))
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n', encoding="utf-8")
    (folder / "CHANGELOG.md").write_text((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), encoding="utf-8")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env={**os.environ, "TAG": tag}).returncode == 0


def test_the_version_of_the_package_can_be_released_and_nothing_else(tmp_path: Path) -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert agreement(f"v{version}", version, tmp_path)
    notes = (tmp_path / "build" / "notes.md").read_text(encoding="utf-8")
    assert notes.strip()
    assert "## " not in notes
    assert not agreement("v99.0.0", version, tmp_path), "another tag"
    assert not agreement("v99.0.0", "99.0.0", tmp_path), "no section"
