"""`deploy.py exec` through a fake plugin that really runs the command in a pseudo-terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import exec_checker, execute
from tests.deployer.operate import parts
from tests.support.processes import command_line, family
from tests.support.waiting import PATIENCE, eventually

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("command", "out", "code"),
    [
        (["echo", "hello  there"], "hello  there\n", 0),
        (["sh", "-c", "echo one; echo two; exit 7"], "one\ntwo\n", 7),
        (["false"], "", 1),
        (["printf", "%s", "no line end"], "no line end", 0),
        (["sh", "-c", "kill -9 $$"], None, 137),
        (["no-such-program"], None, 127),
        (["echo", 'it\'s "quoted" $HOME #hash'], 'it\'s "quoted" $HOME #hash\n', 0),
    ],
)
def test_output_and_status_are_the_commands_own(process: Run, command: list[str], out: str | None, code: int) -> None:
    done = process("exec", "-e", "lab", "--container", "bastion", "--", *command)
    assert done.returncode == code, done.stderr
    if out is not None:
        assert done.stdout == out
    assert "9410" not in done.stdout
    assert "session" not in done.stdout.lower()


def test_much_output_comes_through_unchanged(process: Run) -> None:
    done = process("exec", "-e", "lab", "--", "seq", "1", "50000")
    assert done.returncode == 0
    assert done.stdout == "".join(f"{number}\n" for number in range(1, 50001))


def test_a_shell_in_a_terminal(deployed: parts.Deployed, tmp_path: Path) -> None:
    """Keys reach the shell, and its exit status is the command's."""
    environment = parts.with_plugin(deployed.environment(), tmp_path) | {"TERM": "dumb"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(  # noqa: S606
            sys.executable, parts.command_line("exec", "-e", "lab"), environment
        )
    seen = b""

    def read_until(text: bytes) -> None:
        nonlocal seen
        while text not in seen:
            assert select.select([terminal], [], [], PATIENCE)[0], seen
            seen += os.read(terminal, 4096)

    try:
        read_until(b" ")  # any prompt
        os.write(terminal, b"echo sum $((40+2))\r")
        read_until(b"sum 42")
        os.write(terminal, b"sleep 60\r")
        read_until(b"sleep 60")
        eventually(lambda: b"sleep\x0060\x00" in map(command_line, family(pid)), "the shell runs it")
        os.write(terminal, b"\x03")
        read_until(b"^C")
        os.write(terminal, b"echo; exit $((4+5))\r")
        eventually(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
    finally:
        os.kill(pid, signal.SIGTERM)
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 9, seen


def test_sessions_do_not_stay_open(process: Run, deployed: parts.Deployed) -> None:
    before = deployed.sessions()
    process("exec", "-e", "lab", "--", "true")
    assert deployed.sessions() == before


def test_a_killed_build_ends_its_session(deployed: parts.Deployed, tmp_path: Path) -> None:
    environment = parts.with_plugin(deployed.environment(), tmp_path)
    command = parts.command_line("exec", "-e", "lab", "--", "sh", "-c", "echo up; sleep 60")
    before = deployed.sessions()
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    assert len(deployed.sessions() - before) == 1
    process.terminate()
    assert process.wait(PATIENCE) == 130
    assert deployed.sessions() == before


def test_a_task_is_selected_by_id(process: Run, deployed: parts.Deployed) -> None:
    done = process("exec", "-e", "lab", "--task", "ffffffff", "--", "true")
    assert done.returncode == 1
    assert "running tasks: " in done.stderr
    known = done.stderr.split("running tasks: ")[1].split(",")[0].strip()
    assert process("exec", "-e", "lab", "--task", known[:12], "--", "true").returncode == 0


def test_a_missing_container_is_an_error(process: Run) -> None:
    done = process("exec", "-e", "lab", "--container", "nginx", "--", "true")
    assert done.returncode == 1
    assert 'no container "nginx"' in done.stderr
    assert "known: app, bastion" in done.stderr


@pytest.mark.parametrize("container", ["app", "bastion"])
def test_the_check_covers_templates_and_tasks(process: Run, container: str) -> None:
    done = process("exec", "-e", "lab", "--check", "--container", container, "--output", "json")
    lines = json.loads(done.stdout)["lines"]
    problems = [line for line in lines if line["verdict"] == "problem"]
    assert problems == []
    assert done.returncode == 0
    seen = {(line["area"], line["what"]) for line in lines if line["verdict"] == "ok"}
    assert ("templates", "a task reaches Session Manager") in seen
    assert ("templates", f"{container}: an init process reaps children") in seen
    assert ("live", "the task role may use the sessions' key") in seen
    assert ("live", "the task role may write transcripts") in seen
    assert ("live", "session-manager-plugin") in seen
    assert any(area == "live" and f"the agent in {container} is running" in what for area, what in seen)


@pytest.mark.parametrize(
    ("mounted", "verdict"),
    [
        (["/managed-agents", "/var/lib/amazon/ssm", "/var/log/amazon/ssm"], "ok"),
        (["/managed-agents", "/var/lib/amazon/ssm"], "problem"),
        ([], "problem"),
    ],
)
def test_a_read_only_container_needs_volumes_for_the_agent(mounted: list[str], verdict: str) -> None:
    points = [{"containerPath": path, "sourceVolume": "x"} for path in mounted]
    for read_only in (True, {"ref": "ReadOnlyRoot"}):
        line = exec_checker._writable("live", {"readonlyRootFilesystem": read_only, "mountPoints": points}, "app")
        assert line.status == verdict
    assert exec_checker._writable("live", {"readonlyRootFilesystem": False}, "app").status == "ok"


def test_the_check_names_denied_actions_and_resources(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role without the sessions' key fails like one without a network: "target not connected"."""
    refused = {"kms:Decrypt", "kms:GenerateDataKey", "ssm:StartSession"}
    monkeypatch.setattr(
        exec_checker, "_denied", lambda _p, _who, actions, *_: [one for one in actions if one in refused]
    )
    monkeypatch.setattr(exec_checker, "_principal", lambda *_: "arn:aws:iam::111122223333:role/operator")
    found = list(exec_checker.check_account(deployed.platform, deployed.platform.service(None), "app"))
    remedies = {line.what: line.remedy for line in found if line.status == "problem"}
    assert "allow kms:Decrypt on arn:aws:kms:" in remedies["the task role may use the sessions' key"]
    assert "kms:GenerateDataKey on arn:aws:kms:" in remedies["you may open sessions"]
    assert ":document/AWS-StartPortForwardingSession" in remedies["you may open sessions"]
    assert "ecs:ExecuteCommand" not in remedies["you may open sessions"]


@pytest.mark.parametrize(
    ("caller", "found"),
    [
        ("arn:aws:iam::111122223333:user/ops/anna", "arn:aws:iam::111122223333:user/ops/anna"),
        ("arn:aws:sts::222233334444:assumed-role/Operator/anna", "arn:aws:iam::222233334444:role/in/a/path/Operator"),
        ("arn:aws:sts::111122223333:assumed-role/Gone/anna", None),
        ("arn:aws:iam::111122223333:root", None),
    ],
)
def test_the_role_behind_a_session_is_asked_for(deployed: parts.Deployed, caller: str, found: str | None) -> None:
    """The session's own ARN leaves out the path, which every role of IAM Identity Center has."""
    iam = deployed.client("iam")
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="Operator", Path="/in/a/path/", AssumeRolePolicyDocument="{}")
    assert exec_checker._principal(deployed.platform, caller) == found


def test_the_check_needs_no_account_for_its_first_half(process: Run) -> None:
    done = process("exec", "-e", "lab", "--check", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert "templates: the task role may open channels" in done.stdout
    assert "not checkable" in done.stdout


# --- the protocol


TOKEN = "0123456789abcdef"


def through(*chunks: bytes, token: str = TOKEN) -> tuple[bytes, execute.OutputFilter]:
    output = execute.OutputFilter(token)
    shown = b"".join(output.feed(chunk) for chunk in chunks)
    return shown + output.finish(), output


BEGIN = b"\x1b]9410;0123456789abcdef;begin\x07"
END = b"\x1b]9410;0123456789abcdef;%d\x07"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_markers_are_found_across_any_split(size: int) -> None:
    stream = b"\nStarting session\n" + BEGIN + b"\x1b[31mred\x1b[0m\x1b]0;title\x07" + END % 23 + b"\nExiting session\n"
    shown, output = through(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert shown == b"\x1b[31mred\x1b[0m\x1b]0;title\x07"
    assert output.status == 23


def test_the_marker_of_another_session_is_ignored() -> None:
    shown, output = through(BEGIN + b"\x1b]9410;ffffffffffffffff;0\x07")
    assert shown == b"\x1b]9410;ffffffffffffffff;0\x07"
    assert output.status is None


def test_a_broken_session_is_no_success() -> None:
    shown, output = through(BEGIN + b"half of the out")
    assert shown == b"half of the out"
    with pytest.raises(DeployerError, match="ended before the command did"):
        execute.require_exit_status(output)


def test_a_command_that_did_not_start_is_an_error_with_the_reason() -> None:
    _, output = through(b"\nStarting session with SessionId: x\n\nUnable to start command: no such file\n")
    with pytest.raises(DeployerError, match="Unable to start command"):
        execute.require_exit_status(output)


def test_the_wrapper_does_not_contain_its_markers() -> None:
    """Otherwise a shell that echoes what it runs would end the session for us."""
    token = execute.new_token()
    assert token not in execute.wrap_command(["true"], token)
