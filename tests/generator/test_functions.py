"""Functions that a project declares: what is refused, and what their template contains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generator import workloads
from generator.config import Config
from generator.errors import ConfigError
from generator.render import render_all
from generator.workloads import PER_ENVIRONMENT, Existing, Function, WebService

SECRET = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:token-AbCdEf"
WEB = WebService("Web", paths=("/*",), priority=900)
REPORT = Function("Report", schedule="rate(1 hour)")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give it one of schedule, event and queue"),
        ({"schedule": "rate(1 hour)", "event": {"source": ["a"]}}, "give it one of schedule, event and queue"),
        ({"queue": "orders"}, 'queue "orders", give the ARN of a queue'),
        ({"schedule": "cron(0 0 30 2 ? *)"}, "never fires"),
        ({"schedule": "daily"}, "schedule"),
        ({"schedule": "rate(1 hour)", "memory": 64}, "memory is 64, give 128 to 10240"),
        ({"schedule": "rate(1 hour)", "timeout": 901}, "timeout is 901, give 1 to 900"),
        ({"schedule": "rate(1 hour)", "variables": {"AWS_REGION": "x"}}, "AWS_REGION is reserved for Lambda"),
        ({"schedule": "rate(1 hour)", "variables": {"A B": "x"}}, 'variable "A B", give a name'),
        ({"schedule": "rate(1 hour)", "variables": {"LEVEL": 1}}, "give a value of type Mapping"),
        ({"schedule": "rate(1 hour)", "secrets": {"TOKEN": Existing(SECRET)}}, "name it TOKEN_ARN"),
        ({"schedule": "rate(1 hour)", "secrets": {"T_ARN": Existing(SECRET, key="a")}}, "remove the key"),
        (
            {"schedule": "rate(1 hour)", "secrets": {"T_ARN": Existing(SECRET)}, "variables": {"T_ARN": "x"}},
            "T_ARN is a variable and a secret",
        ),
        ({"schedule": "rate(1 hour)", "allow": {"ecs:*": ("*",)}}, 'action "ecs:\\*", give one action'),
        ({"schedule": "rate(1 hour)", "allow": {"ecs:UpdateService": ()}}, "allow ecs:UpdateService on ARNs"),
    ],
)
def test_a_function_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Function("Report", **settings)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ((Function("Web", schedule="rate(1 hour)"),), "function Web: a workload has this name"),
        ((REPORT, REPORT), "two functions with name Report"),
    ],
)
def test_names_are_unique(functions: tuple[Function, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(workloads=(WEB,), own_functions=functions)


def test_a_name_of_the_platform_is_refused() -> None:
    """Each folder of lambda/ is a function of the platform."""
    names = {path.name for path in (Path(__file__).resolve().parents[2] / "lambda").iterdir() if path.is_dir()}
    for name in names:
        with pytest.raises(ConfigError, match="the platform has a function of this name"):
            Function("".join(part.capitalize() for part in name.split("_")), schedule="rate(1 hour)")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FUNCTIONS = 1", r"^workloads\.py:3: FUNCTIONS has to be a tuple"),
        ('FUNCTIONS = (Function("Web", schedule="rate(1 hour)"),)', r"^workloads\.py:3: function Web: a workload has"),
        ('FUNCTIONS = (Function("Report"),)', r"^workloads\.py:3: function Report: give it one of schedule"),
    ],
)
def test_an_error_in_the_file_has_its_line(tmp_path: Path, line: str, message: str) -> None:
    text = f'from generator.workloads import *\nWORKLOADS = (WebService("Web", paths=("/*",), priority=9),)\n{line}\n'
    (tmp_path / "workloads.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        workloads.load_functions(tmp_path)


def test_a_function_may_do_only_what_it_declares() -> None:
    function = Function(
        "NightlyReport",
        schedule="cron(0 18 * * ? *)",
        variables={"TEAM": PER_ENVIRONMENT},
        secrets={"TOKEN_ARN": Existing(SECRET)},
        allow={
            "ecs:UpdateService": ("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:service/${Prefix}/*",)
        },
    )
    files = render_all(Config(workloads=(WEB,), own_functions=(function,)))
    resources = json.loads(files["functions.json"])["Resources"]
    statements = {
        item["Sid"]: item for item in resources["NightlyReportPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    }
    assert statements["ReadSecrets"]["Resource"] == [SECRET]
    assert statements["Own1"]["Action"] == ["ecs:UpdateService"]
    assert set(statements) == {
        "WriteOwnLogs", "DecryptEnvironment", "ReadSecrets", "Own1", "SendFailures", "EncryptMessages",
    }  # fmt: skip
    variables = resources["NightlyReportFunction"]["Properties"]["Environment"]["Variables"]
    assert variables == {"TEAM": {"Ref": "NightlyReportVarTeam"}, "TOKEN_ARN": SECRET}
    root = json.loads(files["root.json"])
    assert root["Metadata"]["Functions"] == {"NightlyReport": "functions/nightly_report"}
    assert {"NightlyReportCodeKey", "NightlyReportVarTeam"} <= set(root["Parameters"])


def test_a_project_without_functions_has_no_stack_for_them() -> None:
    assert "functions.json" not in render_all(Config(workloads=(WEB,)))
