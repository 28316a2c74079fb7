"""Parts that a project leaves out: nothing of them is in the templates, and what would need them is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generator import workloads
from generator.config import load_config
from generator.errors import ConfigError, WiringError
from generator.platform_parts import Parts
from generator.render import render_all
from generator.wiring import ABSENT
from tests.support.project import copy_project, leave_out

IMPORTS = "from generator.workloads import DatabasePassword, Fact, Job, Text, WebService, Worker\n"
WEB = 'WebService("Web", paths=("/*",), priority=1{})'


def templates(folder: Path, *parts: str) -> dict[str, Any]:
    """Return the templates of the tests' project without some parts."""
    leave_out(copy_project(folder), *parts)
    return {name: json.loads(text) for name, text in render_all(load_config(folder)).items()}


def types(found: dict[str, Any]) -> set[str]:
    return {resource["Type"] for template in found.values() for resource in template["Resources"].values()}


def project(folder: Path, text: str) -> Path:
    (folder / "workloads.py").write_text(IMPORTS + text, encoding="utf-8")
    return folder


def test_without_a_database_no_template_has_a_resource_parameter_or_rule_of_one(tmp_path: Path) -> None:
    found = templates(tmp_path / "project", "database")
    assert {"database.json", "reader.json"}.isdisjoint(found)
    assert not [kind for kind in types(found) if kind.startswith("AWS::RDS::")]
    root = found["root.json"]
    assert root["Metadata"]["Without"] == ["database"]
    assert not [name for name in root["Parameters"] if name.startswith(("Db", "Database", "Reader"))]
    text = json.dumps(found)
    for word in ("3306", "AWS/RDS", "aws.rds", "DB_HOST", "DatabaseSecret", "DatabaseSecurityGroup", "DbSubnet"):
        assert word not in text
    assert "AWS::KinesisFirehose::DeliveryStream" in types(found)


def test_without_an_archive_no_template_has_a_resource_parameter_or_subscription_of_one(tmp_path: Path) -> None:
    found = templates(tmp_path / "project", "archive")
    assert "archive.json" not in found
    assert {"AWS::KinesisFirehose::DeliveryStream", "AWS::Logs::SubscriptionFilter"}.isdisjoint(types(found))
    root = found["root.json"]
    assert root["Metadata"]["Without"] == ["archive"]
    assert not [name for name in root["Parameters"] if name.startswith(("Archive", "LogProcessor"))]
    assert "ArchiveBucket" not in json.dumps(found)
    assert "AWS::RDS::DBCluster" in types(found)


@pytest.mark.parametrize("parts", [("database",), ("archive",), ("database", "archive")])
def test_every_nested_stack_gets_exactly_the_parameters_that_it_declares(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    found = templates(tmp_path / "project", *parts)
    for logical_id, stack in found["root.json"]["Resources"].items():
        address = stack["Properties"]["TemplateURL"]["Fn::Sub"]
        if isinstance(address, str):
            key = address.rpartition("${")[2].removesuffix("TemplateKey}")
            child = found[f"{logical_id.removesuffix('Stack').lower()}.json" if "Access" not in key else "access.json"]
        else:
            child = found[f"workload-{logical_id.removesuffix('ServiceStack').lower()}.json"]
        assert set(stack["Properties"]["Parameters"]) == set(child["Parameters"]), logical_id


def test_the_bastion_of_a_project_without_a_database_waits_for_sessions(tmp_path: Path) -> None:
    found = templates(tmp_path / "project", "database")
    (task,) = (
        item["Properties"]
        for item in found["workload-portal.json"]["Resources"].values()
        if item["Type"] == "AWS::ECS::TaskDefinition"
    )
    app, bastion = task["ContainerDefinitions"]
    assert [item["Name"] for item in app["Environment"]] == ["PORT"]
    assert "Secrets" not in app
    assert bastion["Command"][0].rstrip().endswith("exec sleep infinity")
    assert {"Environment", "HealthCheck", "DockerLabels"}.isdisjoint(bastion)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (WEB.format(', variables={"HOST": Fact.DATABASE_HOST}'), "workloads.py:3: web service Web: HOST is a value"),
        (WEB.format(', variables={"URL": Text("mysql://", Fact.DATABASE_HOST)}'), "web service Web: URL is a value"),
        (WEB.format(', secrets={"PASSWORD": DatabasePassword()}'), "web service Web: PASSWORD is a value"),
        (
            WEB.format("") + ', Worker("Mailer", like="Web", secrets={"PASSWORD": DatabasePassword()})',
            "worker Mailer: PASSWORD is a value of the database, but DATABASE = None leaves out the database. Remove "
            "PASSWORD or that line",
        ),
        (
            'Job("Nightly", like="Web", schedule="rate(1 day)"), ' + WEB.format(', secrets={"P": DatabasePassword()}'),
            "web service Web: P is a value",
        ),
    ],
)
def test_a_workload_that_needs_the_missing_database_is_refused_once(tmp_path: Path, entries: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(project(tmp_path, f"DATABASE = None\nWORKLOADS = ({entries},)\n"))
    assert message in str(refused.value)


@pytest.mark.parametrize("line", ["DATABASE = False", 'ARCHIVE = "none"'])
def test_any_value_but_none_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    name = line.partition(" ")[0]
    with pytest.raises(ConfigError, match=rf"^workloads\.py:3: {name} can only be None, which leaves out the"):
        workloads.load_parts(project(tmp_path, f"WORKLOADS = ({WEB.format('')},)\n{line}\n"))


def test_a_workload_that_takes_over_the_defaults_has_no_values_of_the_database(tmp_path: Path) -> None:
    text = f'DATABASE = None\nWORKLOADS = ({WEB.format("")}, Worker("Mailer", like="Web"))\n'
    found = load_config(project(tmp_path, text))
    assert found.parts == Parts(database=False)
    assert [sorted(entry.variables) for entry in found.workloads] == [["PORT"], []]
    assert [sorted(entry.secrets) for entry in found.workloads] == [[], []]


def test_a_template_cannot_contain_a_value_of_a_part_that_is_left_out() -> None:
    with pytest.raises(WiringError, match="leaves out"):
        ABSENT.to_dict()
