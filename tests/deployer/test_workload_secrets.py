"""The secrets that people supply: created empty, required before a workload is deployed, and never printed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer import deployment, pipeline, workload_secrets
from hosting.deployer.aws.session import Clients
from hosting.deployer.deployment import Context
from hosting.deployer.errors import RefusedError
from hosting.deployer.operate import preflight
from hosting.model.stack_order import StackRole
from hosting.rehearsal.emulator import Emulator
from tests import small_project
from tests.deployer.test_pipeline import RecordingReporter
from tests.support.project import main

VALUE = "correct horse battery staple"


def secret(**properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::SecretsManager::Secret",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def changed_templates(*supplied: str) -> dict[str, dict[str, Any]]:
    """Return the small project with a store of secrets, and a first deployment in two operations."""
    root = small_project.templates()["root.json"]
    root["Parameters"] |= {
        "PlatformOnly": {"Type": "String", "Default": "false"},
        "ServiceIsIncluded": {"Type": "CommaDelimitedList", "Default": "true"},
    }
    stores = small_project.template(
        {
            "FrontendAppKeySecret": secret(GenerateSecretString={"PasswordLength": 32}),
            **{f"Frontend{name.title()}Secret": secret(Description=f"{name} of Frontend") for name in supplied},
        },
        Metadata={
            "Secrets": {
                "FrontendAppKeySecret": {"Workload": "Frontend", "Variable": "APP_KEY", "Source": "generated"},
                **{
                    f"Frontend{name.title()}Secret": {"Workload": "Frontend", "Variable": name, "Source": "supplied"}
                    for name in supplied
                },
            }
        },
    )
    included = {"Fn::Equals": [{"Fn::Select": [0, {"Ref": "ServiceIsIncluded"}]}, "true"]}
    root["Conditions"] = {"HasFrontendService": included}
    root["Resources"]["FrontendServiceStack"]["Condition"] = "HasFrontendService"
    if supplied:
        root["Parameters"]["StoresTemplateKey"] = small_project.STRING
        root["Resources"]["StoresStack"] = small_project.nested("StoresTemplateKey")
    return {"root.json": root, "stores.json": stores}


@pytest.fixture
def project(tmp_path: Path, account: str) -> Path:
    return small_project.write(tmp_path, account=account, changed=changed_templates("TOKEN"))


@pytest.fixture
def at_emulator(emulator: Emulator, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands call the emulator with the credentials of this test's account."""
    for name, value in emulator.environment(account).items():
        monkeypatch.setenv(name, value)


def connect(project: Path, clients: Clients) -> Context:
    return deployment.connect(deployment.prepare(project, "dev"), clients, sleep=lambda _: None)


def nested_stacks(context: Context) -> set[str]:
    client = context.clients.cloudformation(context.home)
    name = context.stack(StackRole.ROOT).name
    found = client.list_stack_resources(StackName=name)["StackResourceSummaries"]
    return {item["LogicalResourceId"] for item in found}


def set_secret(project: Path, monkeypatch: pytest.MonkeyPatch, *names: str, value: bytes = VALUE.encode()) -> int:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(value)))
    return main(["secrets", "set", "-e", "dev", *names, "--root", str(project)])


def read_value(context: Context, variable: str) -> str:
    root = deployment.describe_stacks(context)[context.stack(StackRole.ROOT)]
    states = workload_secrets.describe_secrets(context, root)
    (state,) = [one for one in states if one.declared.variable == variable]
    client = context.clients.secretsmanager(context.home)
    return client.get_secret_value(SecretId=state.arn)["SecretString"]


@pytest.mark.usefixtures("at_emulator")
def test_workloads_follow_the_platform_when_every_supplied_secret_has_a_value(
    project: Path, clients: Clients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = connect(project, clients)
    with pytest.raises(RefusedError) as refused:
        pipeline.deploy_stacks(context, RecordingReporter())
    assert "Frontend TOKEN" in refused.value.what
    assert "deploy.py secrets set -e dev Frontend TOKEN" in refused.value.hint
    assert "StoresStack" in nested_stacks(context)
    assert "FrontendServiceStack" not in nested_stacks(context)

    assert main(["secrets", "list", "-e", "dev", "--root", str(project)]) == 1
    assert capsys.readouterr().out.splitlines()[1].split() == ["Frontend", "TOKEN", "supplied", "no", "value"]
    (check,) = [one for one in preflight.check_secrets(context) if one.what == "Frontend TOKEN"]
    assert (check.status, check.remedy) == ("problem", "deploy.py secrets set -e dev Frontend TOKEN")

    assert set_secret(project, monkeypatch, "frontend", "TOKEN", value=f"{VALUE}\n".encode()) == 0
    assert read_value(context, "TOKEN") == VALUE
    assert main(["secrets", "list", "-e", "dev", "--root", str(project), "--output", "json"]) == 0
    shown = capsys.readouterr()
    assert VALUE not in shown.out + shown.err
    assert all(one["has_value"] for one in json.loads(shown.out)["secrets"])

    pipeline.deploy_stacks(connect(project, clients), RecordingReporter())
    assert "FrontendServiceStack" in nested_stacks(context)


@pytest.mark.usefixtures("at_emulator")
def test_a_new_secret_of_a_deployed_workload_is_created_before_anything_else_changes(
    project: Path, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_project.write(project, changed=changed_templates())
    pipeline.deploy_stacks(connect(project, clients), RecordingReporter())
    small_project.write(project, changed=changed_templates("TOKEN"), Size="3")
    context, reporter = connect(project, clients), RecordingReporter()
    root = context.stack(StackRole.ROOT)

    with pytest.raises(RefusedError, match="Frontend TOKEN"):
        pipeline.deploy_stacks(context, reporter)
    state = deployment.describe_stacks(context)[root]
    assert state is not None
    assert state.parameters["Size"] == "2", "the deployment itself has not begun"
    assert reporter.questions == [1]

    assert set_secret(project, monkeypatch, "Frontend", "TOKEN") == 0
    states = pipeline.deploy_stacks(connect(project, clients), RecordingReporter())
    state = states[root]
    assert state is not None
    assert state.parameters["Size"] == "3"


@pytest.mark.usefixtures("at_emulator")
@pytest.mark.parametrize(
    ("names", "value", "message"),
    [
        (["Frontend", "TOKN"], b"x", 'Did you mean "Frontend TOKEN"?'),
        (["Frontend", "TOKEN"], b"\n", "is empty"),
        (["Frontend", "TOKEN"], b"\xff\xfe", "not text in UTF-8"),
        (["Frontend", "TOKEN"], b"x" * 65_537, "65,537 bytes"),
        (["Frontend", "APP_KEY"], b"x", "--replace-generated"),
    ],
)
def test_a_wrong_name_or_value_is_refused_with_one_message(
    project: Path,
    clients: Clients,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    names: list[str],
    value: bytes,
    message: str,
) -> None:
    with pytest.raises(RefusedError):
        pipeline.deploy_stacks(connect(project, clients), RecordingReporter())
    assert set_secret(project, monkeypatch, *names, value=value) != 0
    assert message in capsys.readouterr().err


def test_a_plan_names_the_secrets_without_a_value(project: Path, clients: Clients) -> None:
    context, reporter = connect(project, clients), RecordingReporter()
    plans = pipeline.plan_stacks(context, deployment.describe_stacks(context), reporter, verb="plan")
    for plan in plans:
        deployment.discard(context, plan)
    assert "deploy.py secrets set -e dev Frontend TOKEN" in reporter.text


def test_preflight_names_a_secret_that_an_earlier_environment_left(project: Path, clients: Clients) -> None:
    context = connect(project, clients)
    clients.secretsmanager(context.home).create_secret(Name="shop-dev/frontend/APP_KEY", SecretString=VALUE)
    found = {check.what: check for check in preflight.check_secrets(context)}
    assert found["Frontend APP_KEY"].status == "problem"
    assert "shop-dev/frontend/APP_KEY exists" in found["Frontend APP_KEY"].seen
    assert "delete-secret" in found["Frontend APP_KEY"].remedy
    assert found["Frontend TOKEN"].status == "ok"


def test_a_deployment_refuses_a_secret_of_an_earlier_environment_before_it_creates_the_platform(
    project: Path, clients: Clients
) -> None:
    context = connect(project, clients)
    manager = clients.secretsmanager(context.home)
    manager.create_secret(Name="shop-dev/frontend/APP_KEY", SecretString=VALUE)
    with pytest.raises(RefusedError) as refused:
        pipeline.deploy_stacks(context, RecordingReporter())
    assert refused.value.what.startswith("1 secret exists from an earlier environment")
    assert "shop-dev/frontend/APP_KEY" in refused.value.what
    delete = (
        f"delete-secret --force-delete-without-recovery --region {context.home} --secret-id shop-dev/frontend/APP_KEY"
    )
    assert delete in refused.value.hint
    assert "secrets set -e dev Frontend APP_KEY --replace-generated" in refused.value.hint
    assert deployment.describe_stacks(context)[context.stack(StackRole.ROOT)] is None

    manager.delete_secret(SecretId="shop-dev/frontend/APP_KEY", ForceDeleteWithoutRecovery=True)
    with pytest.raises(RefusedError, match="Frontend TOKEN"):
        pipeline.deploy_stacks(context, RecordingReporter())
    assert "StoresStack" in nested_stacks(context)
