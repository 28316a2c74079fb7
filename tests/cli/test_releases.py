"""Releases and rollbacks as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from hosting.rehearsal.emulator import Emulator
from tests import small_project

Command = Callable[..., Any]


def releases(command: Command) -> list[dict[str, Any]]:
    done = command("releases", "-e", "dev", "--output", "json")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)["releases"]
    return found


def topic_name(emulator: Emulator, account: str) -> str:
    """Return the deployed value of the parameter Note."""
    variables = emulator.subprocess_environment(account)
    session = boto3.Session(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    stacks = session.client("cloudformation", "ap-northeast-1", endpoint_url=variables["AWS_ENDPOINT_URL"])
    (root,) = stacks.describe_stacks(StackName="shop-dev")["Stacks"]
    return next(one["ParameterValue"] for one in root["Parameters"] if one["ParameterKey"] == "Note")


def test_a_rollback_deploys_an_earlier_release_from_any_checkout(
    command: Command, project: Path, emulator: Emulator, account: str
) -> None:
    assert command("deploy", "-e", "dev", "--yes").code == 0
    assert command("deploy", "-e", "dev", "--yes").code == 0
    body = small_project.templates()["operations.json"]
    body["Resources"]["Topic"]["Properties"]["DisplayName"] = "fixed"
    small_project.write(project, changed={"operations.json": body})
    second = command("deploy", "-e", "dev", "--yes", "--set", "Note=second")
    assert "recorded as release 2" in second.err, "the deployment without a change is no release"
    assert "params/dev.json does not have the value of Note that --set gave" in second.err

    shown = command("releases", "2", "-e", "dev").out
    assert "Note: not set -> second" in shown
    assert "templates/operations.json" in shown
    assert "templates/network.json" not in shown

    (project / "lambda" / "hello" / "index.py").write_text("def broken(\n")
    back = command("rollback", "--to", "1", "-e", "dev", "--yes")
    assert back.code == 0, back.err
    assert "recorded as release 3" in back.err
    assert "still describe the newer state" in back.err
    assert topic_name(emulator, account) == "hello"
    first, _, third = releases(command)
    assert third["rollback_of"] == 1
    assert [third[key] for key in ("templates", "packages", "parameters")] == [
        first[key] for key in ("templates", "packages", "parameters")
    ]
    listed = command("releases", "-e", "dev").out.splitlines()
    assert [line.split()[0] for line in listed] == ["3", "2", "1"]
    assert "restores release 1" in listed[0]

    again = command("rollback", "--to", "1", "-e", "dev", "--yes")
    assert "Nothing to change." in again.err
    assert len(releases(command)) == 3


def test_a_rollback_refuses_to_lose_data_by_name(command: Command, project: Path) -> None:
    assert command("deploy", "-e", "dev", "--yes").code == 0
    body = small_project.templates()["operations.json"]
    body["Resources"]["Uploads"] = {"Type": "AWS::S3::Bucket", "Properties": {}}
    small_project.write(project, changed={"operations.json": body})
    assert command("deploy", "-e", "dev", "--yes").code == 0
    refused = command("rollback", "--to", "1", "-e", "dev", "--yes")
    assert refused.code == 3
    assert "Uploads" in refused.err
    assert len(releases(command)) == 2
    allowed = command("rollback", "--to", "1", "-e", "dev", "--yes", "--allow-delete", "OperationsStack/Uploads")
    assert allowed.code == 0, allowed.err


def test_values_that_must_not_be_stored_come_from_the_parameter_file(command: Command, project: Path) -> None:
    body = small_project.templates()["root.json"]
    body["Parameters"]["Note"]["NoEcho"] = True
    small_project.write(project, changed={"root.json": body}, Note="hidden")
    assert command("deploy", "-e", "dev", "--yes").code == 0
    assert command("deploy", "-e", "dev", "--yes", "--set", "Size=3").code == 0
    assert all("Note" not in one["parameters"] for one in releases(command))
    done = command("rollback", "--to", "1", "-e", "dev", "--yes")
    assert done.code == 0, done.err
    assert "Note" not in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("rollback", "--to", "7", "-e", "dev", "--yes"), 1, "there is no release 7"),
        (("rollback", "--to", "0", "-e", "dev", "--yes"), 64, "0 is not in the range x>=1"),
        (("rollback", "-e", "dev", "--yes"), 64, "--to"),
        (("releases", "7", "-e", "dev"), 1, "there is no release 7"),
    ],
)
def test_bad_input(command: Command, arguments: tuple[str, ...], code: int, message: str) -> None:
    assert command("deploy", "-e", "dev", "--yes", "--through", "bootstrap").code == 0
    done = command(*arguments)
    assert (done.code, message in done.err) == (code, True), done.err


def test_an_environment_without_bootstrap(command: Command) -> None:
    done = command("releases", "-e", "dev")
    assert done.code == 1
    assert "shop-bootstrap" in done.err
    assert "is not deployed" in done.err
