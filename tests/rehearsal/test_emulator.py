"""Process of the emulator: its start, the isolation of accounts, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.rehearsal.emulator import DEFAULT_ACCOUNT, DEFAULT_REGION, INTERPRETER, ROOT, Emulator
from hosting.rehearsal.errors import EmulatorError
from tests.support.waiting import PATIENCE, eventually


def test_an_account_is_the_twelve_digits_of_the_access_key(account: str, aws: Callable[..., Any]) -> None:
    assert aws("sts").get_caller_identity()["Account"] == account


def test_the_error_for_a_missing_environment_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="make install"), Emulator(interpreter=tmp_path / "python"):
        pass


def test_the_error_for_a_process_that_ends_at_once_contains_the_end_of_its_log(tmp_path: Path) -> None:
    impostor = tmp_path / "python"
    impostor.write_text("#!/bin/sh\necho no such module here\nexit 3\n")
    impostor.chmod(0o755)
    with pytest.raises(EmulatorError, match=r"(?s)code 3.*no such module here"), Emulator(interpreter=impostor):
        pass


def test_stop_ends_the_process_and_removes_its_directory() -> None:
    with Emulator() as emulator:
        pid, directory = emulator.pid, emulator.log.parent
    assert not alive(pid)
    assert not directory.exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_emulator_ends_when_its_parent_is_killed(how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                """
                import time
                from hosting.rehearsal.emulator import Emulator
                with Emulator() as emulator:
                    print(emulator.pid, emulator.log.parent, flush=True)
                    time.sleep(60)
                """
            ),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid, directory = parent.stdout.readline().split()
    parent.send_signal(how)
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not alive(int(pid)), "the emulator has ended")
    eventually(lambda: not Path(directory).exists(), "its directory is removed")


def test_the_environment_of_a_subprocess_refers_to_no_real_account(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://elsewhere.example.com")
    environment = emulator.subprocess_environment(account="210987654321")
    assert "AWS_PROFILE" not in environment
    assert "AWS_ENDPOINT_URL_S3" not in environment
    assert environment["AWS_ACCESS_KEY_ID"] == "210987654321"


def test_a_delay_makes_states_in_progress_visible(sdk: Any) -> None:
    with Emulator(delay=0.2) as emulator:
        client = sdk.client(
            "cloudformation",
            region_name=DEFAULT_REGION,
            endpoint_url=emulator.endpoint,
            aws_access_key_id=DEFAULT_ACCOUNT,
            aws_secret_access_key="not-a-secret",
        )
        template = {"Resources": {"First": {"Type": "AWS::SNS::Topic"}, "Second": {"Type": "AWS::SNS::Topic"}}}
        client.create_stack(StackName="slow", TemplateBody=json.dumps(template))
        seen = set()
        while "CREATE_COMPLETE" not in seen:
            seen.add(client.describe_stacks(StackName="slow")["Stacks"][0]["StackStatus"])
            resources = client.describe_stack_resources(StackName="slow")["StackResources"]
            seen.add(f"{len(resources)} resources")
    assert {"CREATE_IN_PROGRESS", "1 resources", "CREATE_COMPLETE"} <= seen


def test_an_emulator_in_the_foreground_prints_the_variables_for_its_use() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hosting.rehearsal", "--account", "210987654321"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    assert lines[0].startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:")
    assert lines[1] == "export AWS_ACCESS_KEY_ID=210987654321"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    process.stdout.close()


def test_another_version_of_ministack_is_refused() -> None:
    code = (
        "import hosting.rehearsal.ministack_patch as extension; extension.SUPPORTED_VERSION = '9.9.9'; "
        "from hosting.rehearsal.ministack_patch.__main__ import refuse_other_versions; refuse_other_versions()"
    )
    done = subprocess.run([str(INTERPRETER), "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "written against MiniStack 9.9.9 and found 1.5.33" in done.stderr


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie process still exists until its parent collects its exit code.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")
