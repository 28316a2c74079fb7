"""Commands as a user runs them: exit codes, streams, messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer.packaging import artifacts, lambda_packages, source_check
from hosting.deployer.packaging.lambda_packages import Platform
from tests import small_project

Command = Callable[..., Any]


def test_an_environment_is_planned_deployed_and_destroyed(command: Command) -> None:
    first = command("deploy", "-e", "dev", "--yes")
    assert first.code == 0, first.err
    assert "shop-dev  OperationsStack  CREATE_COMPLETE  2 resources" in first.err
    assert "https://shop-dev.example.com" in first.out
    assert "\x1b" not in first.out + first.err, "no colours where there is no terminal"

    again = command("deploy", "-e", "dev", "--yes")
    assert again.code == 0, again.err
    assert again.err == "Nothing to change.\n"
    assert again.out == first.out

    plan = command("plan", "-e", "dev", "--detailed-exitcode")
    assert (plan.code, plan.out.splitlines()[-1]) == (0, "Nothing to change.")

    changed = command("plan", "-e", "dev", "--set", "Note=changed", "--detailed-exitcode")
    assert changed.code == 2, changed.err
    assert "~ Topic  AWS::SNS::Topic" in changed.out
    assert "DisplayName: hello -> changed" in changed.out

    form = command("plan", "-e", "dev", "--set", "Note=changed", "--output", "json")
    document = json.loads(form.out)
    assert document["schema"] == "hosting-platform/plan/1"
    (root,) = [stack for stack in document["stacks"] if stack["stack"] == "shop-dev"]
    assert root["changes"][0]["path"] == ["OperationsStack", "Topic"]
    (value,) = root["changes"][0]["properties"]
    assert (value["name"], value["before"], value["after"]) == ("DisplayName", "hello", "changed")

    markdown = command("plan", "-e", "dev", "--set", "Note=changed", "--output", "markdown").out
    assert "- modify `OperationsStack/Topic` (AWS::SNS::Topic)" in markdown

    outputs = command("outputs", "-e", "dev", "--output", "json")
    assert json.loads(outputs.out)["shop-dev"] == {"SiteUrl": "https://shop-dev.example.com"}
    assert command("outputs", "-e", "dev", "--name", "SiteUrl").out == "https://shop-dev.example.com\n"
    missing = command("outputs", "-e", "dev", "--name", "SiteUri")
    assert (missing.code, missing.out) == (1, "")
    assert "SiteUrl" in missing.err

    preview = command("destroy", "-e", "dev", "--preview")
    assert preview.code == 0
    assert "OperationsStack/Data  retained" in preview.err
    gone = command("destroy", "-e", "dev", "--yes")
    assert gone.code == 0, gone.err
    assert command("destroy", "-e", "dev", "--yes").err == "Nothing to destroy: shop-dev is not deployed.\n"


def test_a_first_plan_names_the_deferred_stacks(command: Command) -> None:
    done = command("plan", "-e", "dev")
    assert done.code == 0, done.err
    assert "the change set is computed after shop-bootstrap and shop-dev-edge are deployed" in done.out
    missing = command("outputs", "-e", "dev")
    assert missing.code == 1
    assert "shop-dev: the environment is not deployed" in missing.err


def test_packages_can_be_written_to_a_directory_without_an_account(command: Command, tmp_path: Path) -> None:
    listed = command("package", "-e", "dev", "--out", str(tmp_path / "out"))
    assert listed.code == 0, listed.err
    sizes = {str(path.relative_to(tmp_path / "out")): path.stat().st_size for path in (tmp_path / "out").rglob("*.*")}
    assert {key: int(size) for size, key in (line.split() for line in listed.out.splitlines())} == sizes
    assert any(key.endswith(".zip") for key in sizes)


def test_a_source_that_was_not_compiled_is_named_before_the_deployment(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (function,) = (project / "lambda").glob("*/index.py")
    monkeypatch.setattr(source_check, "find_errors", lambda *_: {"index.py": "does not compile: line 1: newer syntax"})
    monkeypatch.setattr(lambda_packages, "find_python", lambda _: None)
    monkeypatch.setattr(artifacts, "read_platform", lambda _: Platform("3.99", "arm64"))
    planned = command("package", "-e", "dev")
    assert planned.code == 0
    assert f"lambda/{function.parent.name}/" in planned.err
    assert "index.py was not compiled: there is no Python 3.99 here" in planned.err


def test_packages_can_be_uploaded_after_bootstrap(command: Command) -> None:
    early = command("package", "-e", "dev", "--upload")
    assert early.code == 1
    assert "the artifact bucket does not exist yet" in early.err
    assert command("deploy", "-e", "dev", "--yes", "--through", "bootstrap").code == 0
    listed = command("package", "-e", "dev")
    assert len(listed.out.splitlines()) == 4
    uploaded = command("package", "-e", "dev", "--upload")
    assert uploaded.out.count("uploaded") == 4
    assert command("package", "-e", "dev", "--upload").out.count("present") == 4


def test_a_failure_names_the_resource(command: Command, project: Path) -> None:
    body = small_project.templates()["workload-frontend.json"]
    missing = {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:missing"}
    body["Resources"]["Probe"] = {"Type": "Custom::Probe", "Properties": {"ServiceToken": missing}}
    small_project.write(project, changed={"workload-frontend.json": body})
    done = command("deploy", "-e", "dev", "--yes")
    assert done.code == 4
    assert "first failure: Probe (Custom::Probe) in shop-dev/FrontendServiceStack" in done.err
    assert done.out == ""


@pytest.mark.parametrize("name", ["deploy", "destroy"])
def test_a_command_without_a_terminal_names_the_option(command: Command, name: str) -> None:
    done = command(name, "-e", "dev")
    assert done.code == 64
    assert "Use --yes" in done.err


def test_wrong_input_makes_no_call(command: Command, project: Path) -> None:
    small_project.write(project, DomianName="x", Size="99")
    done = command("plan", "-e", "dev", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert done.code == 64
    assert 'unknown key "DomianName"; did you mean "DomainName"?' in done.err
    assert 'Size: "99" is more than 9' in done.err
    assert done.out == ""


def test_params_check_needs_no_aws(command: Command, project: Path) -> None:
    good = command("params", "check", "-e", "all", AWS_ACCESS_KEY_ID="", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert good.code == 0, good.err
    (project / "params" / "prod.json").write_text('{"Parameters": {"Size": 1,}}')
    bad = command("params", "check", "-e", "all")
    assert bad.code == 64
    assert "params/prod.json:1:27: not valid JSON" in bad.err
    assert command("params", "check", "-e", "staging").code == 64


def test_missing_credentials_are_one_message(command: Command) -> None:
    done = command("plan", "-e", "dev", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert done.code == 1
    assert "no AWS credentials found" in done.err
    assert "Traceback" not in done.err


def test_the_wrong_account_and_region_are_refused(command: Command, project: Path) -> None:
    assert command("plan", "-e", "dev", "--region", "eu-west-1").code == 3
    small_project.write(project, account="999999999999")
    done = command("deploy", "-e", "dev", "--yes")
    assert done.code == 3
    assert "belongs to account 999999999999" in done.err


def test_an_unreachable_endpoint_is_one_message(command: Command) -> None:
    done = command("plan", "-e", "dev", AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1")
    assert done.code == 1
    assert "AWS cannot be reached" in done.err
