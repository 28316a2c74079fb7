"""A project without a database and an archive, as a user asks the offline commands about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hosting.analysis.resolve import resolve
from hosting.analysis.rules.requirements import aurora, three_tiers
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load
from tests.support.project import FIXTURE, PROJECT, copy_project, copy_rendered, leave_out, main, write_templates


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("without"))
    leave_out(folder, "database", "archive")
    return write_templates(folder)


def output(project: Path, capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main([*arguments, "--root", str(project)]) == code
    return "".join(capfd.readouterr())


@pytest.mark.slow("lints the templates")
def test_validate_finds_nothing(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "no findings" in output(project, capfd, "validate")


def test_reach_holds_and_names_what_is_left_out(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = output(project, capfd, "reach")
    assert "FAIL" not in text
    assert "declared: no database\n" in text
    assert "declared: no archive: logs are deleted after their retention\n" in text
    assert "3306" not in text


def test_the_picture_shows_neither_and_names_both(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chart = output(project, capfd, "graph", "-e", "lab", "--output", "mermaid")
    assert "no database<br/>no archive" in chart
    for word in ("Aurora", "Database subnets", "database tunnel", "Firehose"):
        assert word not in chart


def test_cost_and_timeline_know_neither(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = output(project, capfd, "cost") + output(project, capfd, "timeline", "-e", "lab")
    for word in ("RDS", "Database", "KinesisFirehose", "root/ArchiveStack"):
        assert word not in text


@pytest.mark.parametrize("policy", ["plan", "deploy", "operate"])
def test_no_policy_has_a_permission_for_the_database(
    project: Path, capfd: pytest.CaptureFixture[str], policy: str
) -> None:
    text = output(project, capfd, "policy", policy, "-e", "lab")
    assert "rds:" not in text
    assert "rds!" not in text


def test_a_role_for_tunnels_only_is_refused(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = output(project, capfd, "policy", "operate", "-e", "lab", "--command", "tunnel", code=64)
    assert "the environment has no database, so there is no tunnel" in text


def test_parameters_that_remain_are_reported_with_their_part(
    project: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    older = copy_rendered(tmp_path / "project")
    (older / "workloads.py").write_text((project / "workloads.py").read_text())
    write_templates(older)
    text = output(older, capfd, "params", "check", "-e", "lab", code=64)
    assert 'unknown key "DbReader"; the project has no database: remove it' in text
    assert 'unknown key "ArchiveLogs"; the project has no archive: remove it' in text


def test_diff_lists_the_deleted_database_as_a_loss(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = output(project, capfd, "diff", "-e", "lab", "--against", str(PROJECT))
    losses = text.partition("Permissions widen")[0]
    assert "- DatabaseStack/Cluster  AWS::RDS::DBCluster  the database, after a final snapshot" in losses
    assert "- SecurityStack/ArchiveBucket  AWS::S3::Bucket  stored objects, retained outside the stack" in losses


def test_a_part_that_is_declared_as_left_out_but_exists_is_found(tmp_path: Path) -> None:
    changed = copy_rendered(tmp_path / "project")
    file = changed / "templates" / "root.json"
    body = json.loads(file.read_text())
    body["Metadata"]["Without"] = ["database"]
    file.write_text(json.dumps(body))
    environment = resolve(load(changed / "templates"), load_environment(FIXTURE / "params" / "lab.json"))
    assert [match.message for match in aurora(environment)] == ["the environment has 1 AWS::RDS::DBCluster, not 0"]
    assert list(three_tiers(environment)) == []
