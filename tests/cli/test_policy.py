"""`deploy.py policy` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.project import main


@pytest.mark.parametrize(("kind", "least"), [("plan", 1), ("operate", 1), ("deploy", 2)])
def test_policies_are_written_to_stdout(kind: str, least: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", kind, "-e", "lab"]) == 0
    captured = capsys.readouterr()
    body = json.loads(captured.out)
    assert body["schema"] == "policy/1"
    assert len(body["documents"]) >= least
    assert set(body["documents"]) == {f"atlas-lab-{kind}-{number + 1}" for number in range(len(body["documents"]))}
    assert "of 6,144 characters" in captured.err


def test_policies_are_written_as_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "deploy", "-e", "live", "--out", str(tmp_path / "policies")]) == 0
    written = [Path(line) for line in capsys.readouterr().out.split()]
    assert sorted(written) == sorted((tmp_path / "policies").iterdir())
    for file in written:
        body = json.loads(file.read_text())
        assert body["Version"] == "2012-10-17"
        assert len(json.dumps(body, separators=(",", ":"))) <= 6144


def test_a_service_role_gets_policies_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    role = "arn:aws:iam::111122223333:role/stacks"
    assert main(["policy", "deploy", "-e", "lab", "--role-arn", role]) == 0
    documents = json.loads(capsys.readouterr().out)["documents"]
    own = [item for name, body in documents.items() if "-deploy-" in name for item in body["Statement"]]
    passing = [item for item in own if "iam:PassRole" in item["Action"]]
    assert [item["Resource"] for item in passing] == [role]
    assert documents["atlas-lab-cloudformation-trust"]["Statement"][0]["Principal"] == {
        "Service": "cloudformation.amazonaws.com"
    }
    assert "aws:CalledVia" not in json.dumps(documents)


def test_command_restricts_the_operate_policy(capsys: pytest.CaptureFixture[str]) -> None:
    some = ["--command", "logs", "--command", "exec", "--container", "app"]
    assert main(["policy", "operate", "-e", "live", *some]) == 0
    (body,) = json.loads(capsys.readouterr().out)["documents"].values()
    statements = {item["Sid"]: item for item in body["Statement"]}
    assert statements["Execute"]["Condition"] == {"StringEquals": {"ecs:container-name": ["app"]}}
    assert "ForwardPort" not in statements
    assert statements["ReadLogs"]["Action"] == ["logs:FilterLogEvents"]


def test_the_github_trust_names_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["oidc", "-e", "live", "--repository", "octo-org/site", "--environment", "production"]
    assert main(["policy", *arguments]) == 0
    documents = json.loads(capsys.readouterr().out)["documents"]
    assert documents["github-oidc-provider"]["Url"] == "https://token.actions.githubusercontent.com"
    (statement,) = documents["atlas-live-github-trust"]["Statement"]
    subject = statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject == "repo:octo-org/site:environment:production"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["deploy"], "--env"),
        (["deploy", "-e", "all"], "belongs to one environment"),
        (["deploy", "-e", "staging"], 'unknown environment "staging"'),
        (["destroy", "-e", "lab"], "destroy"),
        (["plan", "-e", "lab", "--repository", "octo-org/site"], "require `policy oidc`"),
        (["oidc", "-e", "lab"], "requires --repository OWNER/NAME"),
        (["oidc", "-e", "lab", "--repository", "octo-org/site"], "give either a branch or an environment"),
        (["oidc", "-e", "lab", "--repository", "octo-org/*", "--branch", "main"], "is not owner/name"),
        (["plan", "-e", "lab", "--role-arn", "arn:aws:iam::111122223333:role/cfn"], "--role-arn requires"),
        (["deploy", "-e", "lab", "--role-arn", "cfn"], "ARN of a role"),
        (["plan", "-e", "lab", "--root", "nowhere"], "no such folder"),
        (["plan", "-e", "lab", "--command", "logs"], "--command and --container require"),
        (["operate", "-e", "lab", "--command", "log"], "unknown. Use status, events, logs"),
        (["operate", "-e", "lab", "--container", "nginx"], "no task has a container nginx"),
    ],
)
def test_bad_input_is_one_message(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", *arguments]) == 64
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["policy", "plan", "-e", "lab", "--out", str(tmp_path / "file" / "below")]) == 1
    assert "Not a directory" in capsys.readouterr().err
