"""Variables, actions and timeouts that a function and its template must agree on."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from generator.config import Config
from generator.render import render_all
from generator.workloads import WebService
from hosting.deployer.packaging.lambda_packages import SHARED
from tests.lambdas.proxy import Proxy, Reply, Request, stack
from tests.lambdas.runtime import Function
from tests.lambdas.sink import Sink
from tests.lambdas.test_custom_resource import request as content_request
from tests.support.project import TEMPLATES

ROOT = Path(__file__).resolve().parent.parent.parent
FUNCTIONS = (
    "alarm_fallback",
    "credentials_watch",
    "custom_resource",
    "database_user",
    "log_processor",
    "migration",
    "slack_notifier",
)
MIGRATING = WebService("Migrating", paths=("/*",), priority=1, migrate=("migrate",), schema="own")


@cache
def templates() -> Mapping[str, Mapping[str, Any]]:
    """Return the resources of each committed template, and of a workload with a migration and a schema."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.json"))}
    rendered = render_all(Config(workloads=(MIGRATING,)))
    texts |= {name: rendered[name] for name in ("workload-migrating.json", "database-users.json")}
    return {name: json.loads(text)["Resources"] for name, text in texts.items()}


def deployed(name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the properties of the function whose code is `name`, and the resources of its template."""
    key = "".join(word.title() for word in name.split("_")) + "CodeKey"
    found = [
        (resource["Properties"], resources)
        for resources in templates().values()
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Function" and resource["Properties"]["Code"].get("S3Key") == {"Ref": key}
    ]
    assert len(found) == 1, f"{key} is used {len(found)} times"
    return found[0]


def granted(name: str) -> set[str]:
    """Return every action that the function's role allows, in each branch of a condition."""
    function, resources = deployed(name)
    role = function["Role"]["Fn::GetAtt"][0]
    actions: set[str] = set()

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("Effect") == "Allow":
                actions.update(part["Action"])
            part = list(part.values())
        if isinstance(part, list):
            for item in part:
                collect(item)

    for resource in resources.values():
        if resource["Type"] == "AWS::IAM::ManagedPolicy" and {"Ref": role} in resource["Properties"].get("Roles", []):
            collect(resource["Properties"]["PolicyDocument"])
    return actions


def read_variables(name: str) -> set[str]:
    """Return the variables that the code reads from os.environ. Their names must be literals."""
    found = set()
    for path in (ROOT / "lambda" / name).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = (
                node.value if isinstance(node, ast.Subscript) else getattr(getattr(node, "func", None), "value", None)
            )
            if where is not None and ast.unparse(where) == "os.environ":
                variable = node.slice if isinstance(node, ast.Subscript) else node.args[0]  # type: ignore[attr-defined]
                assert isinstance(variable, ast.Constant)
                found.add(str(variable.value))
    return {variable for variable in found if not variable.startswith("AWS_")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_variable_is_set_and_each_set_variable_is_read(name: str) -> None:
    function, _ = deployed(name)
    assert set(function.get("Environment", {}).get("Variables", {})) == read_variables(name)


def test_the_schedule_of_stable_alarms_has_the_interval_of_the_function() -> None:
    """A longer schedule would miss alarms, a shorter one would report them twice."""
    source = (ROOT / "lambda" / "slack_notifier" / "events.py").read_text(encoding="utf-8")
    (minutes,) = re.findall(r"^STABLE_INTERVAL = timedelta\(minutes=(\d+)\)$", source, re.MULTILINE)
    rule = templates()["operations.json"]["StableAlarmsRule"]["Properties"]
    assert rule["ScheduleExpression"] == f"rate({minutes} minutes)"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_imports_itself_shared_modules_python_and_boto3_only(name: str) -> None:
    folder = ROOT / "lambda" / name
    own = {path.stem for path in (*folder.glob("*.py"), *SHARED.glob("[!_]*.py"))}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for imported in names:
                allowed = own | sys.stdlib_module_names | {"boto3", "botocore"}
                assert imported.partition(".")[0] in allowed, f"{path}: {imported}"


# A failure queue needs these actions of the function's role, in addition to the function's own calls.
DELIVERY = {"sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"}
LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
CALLS: Mapping[str, set[str]] = {
    "log_processor": set(),
    "slack_notifier": {
        "sns:Publish",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DescribeAlarmHistory",
        # Lambda itself calls the destination of failures with the role of the function.
        "lambda:InvokeFunction",
    },
    "alarm_fallback": {"sns:Publish"},
    "credentials_watch": {
        "secretsmanager:DescribeSecret",
        "secretsmanager:ListSecretVersionIds",
        "ecs:ListServices",
        "ecs:DescribeServices",
        "ecs:DescribeTaskDefinition",
        "ecs:UpdateService",
    },
    "migration": {
        "cloudformation:DescribeStacks",
        "ecs:DescribeTasks",
        "ecs:RunTask",
        "ecs:StopTask",
        # RunTask passes the roles of the task, and adds the tags of its definition.
        "ecs:TagResource",
        "iam:PassRole",
        # For a migration that is longer than one invocation.
        "lambda:InvokeFunction",
    },
    "database_user": {
        "rds-data:ExecuteStatement",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        # The key of the secrets, and that of the function's variables.
        "kms:Decrypt",
        "kms:GenerateDataKey",
    },
    "custom_resource": {
        "cloudformation:DescribeStacks",
        "s3:GetObject",
        "s3:PutObject",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
    },
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_allows_only_the_calls_of_its_function(name: str) -> None:
    needed = CALLS[name] | LOGS
    allowed = granted(name)
    assert needed <= allowed
    assert allowed - needed <= DELIVERY


def test_the_custom_resource_uses_all_actions_of_its_role(
    function: Callable[..., Function], endpoint: Mapping[str, str], account: str, aws: Any, sink: Sink, proxied: Proxy
) -> None:
    bucket = f"calls-{account}"
    aws("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    called: set[str] = set()
    actions = {
        # HEAD needs GetObject. For a missing object it also needs ListBucket, otherwise the status is 403.
        "HEAD": {"s3:GetObject", "s3:ListBucket"},
        "PUT": {"s3:PutObject"},
        "GET": {"s3:ListBucketVersions"},
        "POST": {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    }

    def answer(request: Request, forward: Callable[[], Reply]) -> Reply:
        if request.operation == "DescribeStacks":
            called.add("cloudformation:DescribeStacks")
            return stack("DELETE_IN_PROGRESS")
        called.update(actions[request.method])
        return forward()

    proxied.answer = answer
    content = function("custom_resource", {**endpoint, "AWS_ENDPOINT_URL": proxied.endpoint})
    for kind in ("Create", "Update", "Delete"):
        content.invoke(content_request(sink, kind, bucket))
    assert [each["Status"] for each in sink.answers] == ["SUCCESS"] * 3
    assert called == CALLS["custom_resource"]


def test_a_migration_has_every_property_that_its_function_reads() -> None:
    _, resources = deployed("migration")
    (migration,) = (one["Properties"] for one in resources.values() if one["Type"] == "Custom::Migration")
    source = (ROOT / "lambda" / "migration" / "migration.py").read_text(encoding="utf-8")
    read = set(re.findall(r'properties\["(\w+)"\]', source))
    assert read | {"ServiceToken", "ServiceTimeout"} == set(migration)


def test_the_custom_resource_has_time_to_answer_before_cloudformation_stops_waiting() -> None:
    function, resources = deployed("custom_resource")
    (content,) = (r["Properties"] for r in resources.values() if r["Type"] == "Custom::SiteContent")
    assert function["Timeout"] < int(content["ServiceTimeout"]) <= 300
    assert {"BucketName", "ContentHash", "EmptyOnDelete", "IndexPage", "ServiceToken", "ServiceTimeout"} == set(content)
