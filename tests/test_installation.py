"""`make check` stays green through the changes that users make to a project, and fails for each kind of mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis import lint
from tests.support import commands
from tests.support.project import REPOSITORY, copy_project

DIGEST = "0123456789abcdef" * 4


def deploy_py(project: Path, *arguments: str) -> commands.Done:
    """Run deploy.py on a project, in this process."""
    return commands.run([*arguments, "--root", str(project)], {"PATH": os.environ["PATH"]})


def check_commands() -> list[list[str]]:
    """Return the commands of the target `check`, as make prints them, without the interpreter."""
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "-o", ".venv/.installed", "check"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line.split()[1 if "python" in line else 0 :] for line in done.stdout.splitlines()]


def make_check(project: Path) -> None:
    """Do everything that `make check` does, for a project in another folder."""
    for command in check_commands():
        if command[0] == "deploy.py":
            done = deploy_py(project, *command[1:])
            assert done.code == 0, f"{' '.join(command)}: {done.out[-4000:]}{done.err[-4000:]}"
        else:
            assert [Path(command[0]).name, *command[1:]] == ["mypy", "workloads.py"]
            types = check_types(project)
            assert types.returncode == 0, types.stdout


def check_types(project: Path) -> subprocess.CompletedProcess[str]:
    """Run mypy on the project's workloads.py with the configuration of the repository."""
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(project / "workloads.py")]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


@pytest.fixture(scope="module", autouse=True)
def linted_once() -> Any:
    """Let cfn-lint read a text once for all tests of this module, as it does within one validation."""
    known: dict[tuple[str, ...], list[lint.Match]] = {}
    run = lint._run

    def key(job: lint.Job, work: list[lint.Job]) -> tuple[str, ...]:
        # cfn-lint opens the templates that root nests, so its findings there depend on all files.
        others = sorted(one.text for one in work) if job.file == "root.json" else []
        return (job.text, *job.regions, *others)

    def remember(folder: str, work: list[lint.Job]) -> list[tuple[lint.Job, list[lint.Match]]]:
        new = [job for job in work if key(job, work) not in known]
        for job, matches in run(folder, new) if new else []:
            known[key(job, work)] = matches
        return [(job, known[key(job, work)]) for job in work]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lint, "_run", remember)
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with everything generated."""
    copy_project(tmp_path)
    assert deploy_py(tmp_path, "generate").code == 0
    return tmp_path


def change(file: Path, **values: str) -> None:
    """Set parameters of a parameter file."""
    document = json.loads(file.read_text())
    document["Parameters"].update(values)
    file.write_text(json.dumps(document, indent=2) + "\n")


# --- What users change ---------------------------------------------------------------------------------------------


def own_account_and_project(project: Path) -> None:
    for file in (project / "params").glob("*.json"):
        text = re.sub(r'"Account": "\d+"', '"Account": "444455556666"', file.read_text())
        file.write_text(text.replace("atlas", "zephyr"))


def rename_services(project: Path) -> None:
    for file in (project / "workloads.py", *(project / "params").glob("*.json")):
        text = file.read_text()
        for old, new in (("Portal", "Web"), ("Orders", "Checkout"), ("Search", "Finder")):
            text = text.replace(old, new).replace(f"/{old.lower()}", f"/{new.lower()}")
        file.write_text(text)


def add_a_service(project: Path) -> None:
    assert deploy_py(project, "new-service", "Invoices").code == 0
    assert deploy_py(project, "params", "check").code == 64, "the image is still to fill in"
    for file in (project / "params").glob("*.json"):
        file.write_text(file.read_text().replace("FILL-IN", DIGEST))


def add_an_environment_with_a_network_of_its_own(project: Path) -> None:
    params = project / "params"
    (params / "demo.json").write_text((params / "lab.json").read_text().replace("lab", "demo"))
    change(params / "demo.json", VpcNetwork="10.20", SlackChannelId="C0987654DEM")


def remove_a_service(project: Path) -> None:
    file = project / "workloads.py"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "Finder" not in line))
    for file in (project / "params").glob("*.json"):
        document = json.loads(file.read_text())
        values = document["Parameters"]
        document["Parameters"] = {name: value for name, value in values.items() if not name.startswith("Finder")}
        file.write_text(json.dumps(document, indent=2) + "\n")


def rename_an_environment(project: Path) -> None:
    old = project / "params" / "live.json"
    (project / "params" / "main.json").write_text(old.read_text().replace('"live"', '"main"'))
    old.unlink()


CHANGES: list[Callable[[Path], None]] = [
    own_account_and_project,
    rename_services,
    add_a_service,
    add_an_environment_with_a_network_of_its_own,
    remove_a_service,
    rename_an_environment,
]


def test_a_project_stays_green_through_the_changes_of_its_first_weeks(project: Path) -> None:
    """The changes follow one another in one project, so that cfn-lint reads what stays the same only once."""
    make_check(project)
    for apply in CHANGES:
        apply(project)
        assert deploy_py(project, "generate").code == 0, apply.__name__
        make_check(project)
    pictures = {path.stem for path in (project / "docs").glob("*.svg")}
    assert pictures == {f"architecture-{name}" for name in ("demo", "lab", "main")}


# --- What fails ------------------------------------------------------------------------------------------------------


def edit(project: Path, template: str, find: Callable[[dict[str, Any]], bool], **properties: Any) -> None:
    """Change properties of the first resource of a template that `find` accepts."""
    file = project / "templates" / template
    body = json.loads(file.read_text())
    resource = next(item for item in body["Resources"].values() if find(item))
    resource["Properties"].update(properties)
    file.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


def is_a(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda resource: resource["Type"] == kind


def allow_everyone(project: Path) -> None:
    def from_balancer(item: dict[str, Any]) -> bool:
        return item["Type"] == "AWS::EC2::SecurityGroupIngress" and "AlbSecurityGroupId" in json.dumps(item)

    file = project / "templates" / "access.json"
    edit(project, file.name, from_balancer, CidrIp="0.0.0.0/0")
    body = json.loads(file.read_text())
    next(item for item in body["Resources"].values() if from_balancer(item))["Properties"].pop("SourceSecurityGroupId")
    file.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


def close_the_way_to_the_database(project: Path) -> None:
    file = project / "templates" / "access.json"
    body = json.loads(file.read_text())
    body["Resources"] = {
        name: item
        for name, item in body["Resources"].items()
        if not (item["Type"] == "AWS::EC2::SecurityGroupIngress" and "DatabaseSecurityGroupId" in json.dumps(item))
    }
    file.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


MISTAKES: list[tuple[str, Callable[[Path], object], str, str]] = [
    (
        "a stale file",
        lambda project: (project / "docs" / "outputs.md").write_text("old"),
        "generate --check",
        "docs/outputs.md: differs",
    ),
    (
        "an image to fill in",
        lambda project: change(project / "params" / "lab.json", PortalImage="FILL-IN"),
        "params check",
        "PortalImage",
    ),
    (
        "a broken rule",
        lambda project: edit(project, "database.json", is_a("AWS::RDS::DBCluster"), CopyTagsToSnapshot=False),
        "validate",
        "SEC-39",
    ),
    (
        "a broken requirement",
        lambda project: edit(project, "workload-portal.json", is_a("AWS::ECS::Service"), EnableExecuteCommand=False),
        "validate",
        "REQ-C6",
    ),
    ("open ingress", allow_everyone, "validate", "SEC-"),
    (
        "a lint error",
        lambda project: edit(project, "network.json", is_a("AWS::EC2::VPC"), CidrBlok="10.0.0.0/16"),
        "validate",
        "E3002",
    ),
    ("an unreachable path", close_the_way_to_the_database, "reach", ""),
]


@pytest.mark.parametrize(
    ("damage", "command", "finding"), [case[1:] for case in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_make_check_fails_for(project: Path, damage: Callable[[Path], object], command: str, finding: str) -> None:
    assert ["deploy.py", *command.split()] in check_commands()
    damage(project)
    done = deploy_py(project, *command.split())
    assert done.code != 0
    assert finding in done.out + done.err


def test_make_check_fails_for_a_wrong_type_in_workloads(project: Path) -> None:
    assert any(Path(command[0]).name == "mypy" for command in check_commands())
    with (project / "workloads.py").open("a") as file:
        file.write("\nREADERS: int = WORKLOADS\n")
    types = check_types(project)
    assert types.returncode == 1
    assert "workloads.py:11: error: Incompatible types in assignment" in types.stdout
