"""`deploy.py diff` as a user runs it: against commits and folders, with gates, in each format."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.cli.main import main
from tests.support.project import PROJECT, REPOSITORY

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a git repository that has the project in a subfolder."""
    repository = tmp_path_factory.mktemp("repository")
    root = repository / "platform"
    for source, names in ((PROJECT, ("templates", "params")), (REPOSITORY, ("lambda", "hosting/model/lambda_shared"))):
        for name in names:
            shutil.copytree(source / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    return root


@pytest.fixture
def project(committed: Path, tmp_path: Path) -> Path:
    """Return a clone that a test can change."""
    shutil.copytree(committed.parent, tmp_path / "clone")
    return tmp_path / "clone" / committed.name


def edit(project: Path, template: str, change: Edit) -> None:
    path = project / "templates" / template
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


def resources(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["Resources"]
    return found


def three_things_at_once(body: dict[str, Any]) -> None:
    """Change one nested template: replace the database, widen a role, open a security group."""
    resources(body)["Cluster"]["Properties"]["StorageEncrypted"] = False
    resources(body)["MonitoringRole"]["Properties"]["ManagedPolicyArns"].append(
        "arn:aws:iam::aws:policy/AdministratorAccess"
    )
    resources(body)["Open"] = {
        "Type": "AWS::EC2::SecurityGroupIngress",
        "Properties": {
            "GroupId": {"Ref": "DatabaseSecurityGroupId"},
            "IpProtocol": "tcp",
            "FromPort": 3306,
            "ToPort": 3306,
            "CidrIp": "0.0.0.0/0",
        },
    }


def run(project: Path, *arguments: str) -> int:
    return main(["diff", "--root", str(project), *arguments])


def test_an_unchanged_project_has_an_empty_diff(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "--fail-on", "any-change", "--detailed-exitcode") == 0
    text = capsys.readouterr().out
    assert text.count("Nothing to change.") == 2
    assert "predicted against HEAD (" in text


@pytest.mark.parametrize("gate", ["destructive", "broadening", "any-change"])
def test_data_loss_is_first_and_is_refused(project: Path, capsys: pytest.CaptureFixture[str], gate: str) -> None:
    edit(project, "database.json", three_things_at_once)
    assert run(project, "-e", "lab", "--fail-on", gate) == 3
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    top = "\n".join(lines[:13])
    # A replaced cluster keeps its identifier, which AWS refuses.
    assert lines[1].startswith("Impossible")
    assert "DatabaseStack/Cluster" in top
    assert "StorageEncrypted: true -> false  cannot be changed in place" in top
    assert "AdministratorAccess: allows everything" in top
    assert "tcp 3306 from 0.0.0.0/0  open to" in top
    assert "its new id causes 4 replace" in shown.out
    assert f"--fail-on {gate}: " in shown.err


def test_a_gate_ignores_other_changes(project: Path) -> None:
    edit(project, "workload-orders.json", lambda body: resources(body)["CpuAlarm"]["Properties"].update(Threshold=95))
    assert run(project, "--fail-on", "destructive", "--fail-on", "broadening") == 0
    assert run(project, "--fail-on", "destructive", "--detailed-exitcode") == 2
    assert run(project, "--fail-on", "never") == 0


def test_consequences_are_folded_and_verbose_lists_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "database.json", three_things_at_once)
    run(project, "-e", "lab")
    assert "WriterInstance  AWS" not in capsys.readouterr().out
    run(project, "-e", "lab", "-v")
    assert "DBClusterIdentifier: follows DatabaseStack/Cluster" in capsys.readouterr().out


def test_json_has_each_change_with_its_values(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "database.json", three_things_at_once)
    run(project, "-e", "live", "--output", "json")
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hosting-platform/diff/1"
    (environment,) = document["environments"]
    assert environment["destructive"] == [["DatabaseStack/Cluster", "replace"]]
    root = next(stack for stack in environment["stacks"] if stack["stack"] == "atlas-live")
    first = root["changes"][0]
    assert (first["path"], first["effect"], first["follows"]) == (["DatabaseStack", "Cluster"], "replace", [])
    (value,) = first["properties"]
    assert value == {
        "name": "StorageEncrypted",
        "before": "true",
        "after": "false",
        "recreation": "always",
        "follows": None,
    }
    assert [access["severe"] for access in environment["access"]] == [True, True]
    assert "<<" not in json.dumps(document)


def test_json_conforms_to_its_schema(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cfnlint.jsonschema import StandardValidator

    schema = json.loads((REPOSITORY / "docs" / "diff.schema.json").read_text())
    edit(project, "database.json", three_things_at_once)
    edit(project, "edge.json", lambda body: body["Outputs"].update(More={"Value": "x"}))
    run(project, "--output", "json")
    document = json.loads(capsys.readouterr().out)
    assert [error.message for error in StandardValidator(schema).iter_errors(document)] == []
    document["environments"][0]["stacks"][3]["changes"][0]["effect"] = "explode"
    assert [error.message for error in StandardValidator(schema).iter_errors(document)]


def test_markdown_has_data_loss_first_and_folds_changes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "database.json", three_things_at_once)
    run(project, "-e", "lab", "--output", "markdown")
    text = capsys.readouterr().out
    assert text.index("**Data loss") < text.index("**Permissions widen**") < text.index("<details>")
    assert "| `atlas-lab` | ap-northeast-1 | update: 5 replace" in text


def test_each_revision_uses_its_own_parameters(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "params" / "lab.json"
    file = json.loads(path.read_text())
    file["Parameters"]["LogRetentionDays"] = "7"
    path.write_text(json.dumps(file))
    assert run(project, "--detailed-exitcode", "-e", "lab") == 2
    assert "RetentionInDays: 3 -> 7" in capsys.readouterr().out
    assert run(project, "--detailed-exitcode", "-e", "live") == 0


def test_set_changes_a_value_of_the_working_tree(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "-e", "lab", "--set", "DbReader=true", "--detailed-exitcode") == 2
    assert "+ ReaderInstance" in capsys.readouterr().out


def test_a_changed_function_changes_its_code(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = project / "lambda" / "slack_notifier" / "index.py"
    source.write_text(source.read_text() + "\n# another line\n")
    assert run(project, "-e", "lab", "--detailed-exitcode") == 2
    text = capsys.readouterr().out
    assert "SlackNotifierFunction" in text
    assert "LogProcessorFunction" not in text


def test_a_shared_module_that_changed_changes_every_function_that_imports_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = project / "hosting" / "model" / "lambda_shared" / "redact.py"
    source.write_text(source.read_text() + "\n# another line\n")
    assert run(project, "-e", "lab", "--detailed-exitcode") == 2
    text = capsys.readouterr().out
    assert "SlackNotifierFunction" in text
    assert "LogProcessorFunction" in text
    assert "CustomResourceFunction" not in text


def test_a_folder_of_templates_is_a_revision(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = project.parent / "old"
    shutil.copytree(project / "templates", old)
    edit(project, "database.json", three_things_at_once)
    assert run(project, "-e", "lab", "--against", str(old), "--fail-on", "destructive") == 3
    assert "DatabaseStack/Cluster" in capsys.readouterr().out


def test_a_new_environment_has_nothing_to_compare_with(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(project / "params" / "lab.json", project / "params" / "stage.json")
    path = project / "params" / "stage.json"
    path.write_text(path.read_text().replace('"Environment": "lab"', '"Environment": "stage"'))
    assert run(project, "-e", "stage", "--fail-on", "broadening", "--fail-on", "destructive") == 0
    assert "new environment: no earlier revision to compare with" in capsys.readouterr().out


def test_a_removed_environment_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "params" / "live.json").unlink()
    assert run(project) == 0
    assert "params/live.json was removed" in capsys.readouterr().out


@pytest.mark.parametrize("against", ["no-such-branch", "--upload-pack=x", "HEAD~5"])
def test_an_unknown_commit_is_wrong_input(project: Path, capsys: pytest.CaptureFixture[str], against: str) -> None:
    assert run(project, f"--against={against}") == 64
    assert "--against" in capsys.readouterr().err


def test_an_unknown_environment_is_wrong_input(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "-e", "liev") == 64
    assert 'did you mean "live"' in capsys.readouterr().err
