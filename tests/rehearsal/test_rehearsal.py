"""`deploy.py rehearse` with the environments of the frozen project, and the end of the emulator in each case."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from hosting.deployer.aws.session import Clients
from hosting.rehearsal.checks.base import Area, Deployed, examine
from hosting.rehearsal.emulator import ROOT
from tests.support.project import PROJECT, copy_rendered
from tests.support.waiting import PATIENCE, eventually

COMMAND = [sys.executable, "deploy.py", "rehearse", "--root", str(PROJECT)]


_LIVE = pytest.mark.slow(reason="the tests of the policies rehearse live, too, and it exits with 0")


@pytest.mark.parametrize("environment", ["lab", pytest.param("live", marks=_LIVE)])
def test_every_check_of_an_environment_holds(environment: str) -> None:
    done = subprocess.run([*COMMAND, "-e", environment, "--output", "json"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr[-2000:]
    document = json.loads(done.stdout)
    assert [proof for proof in document["proofs"] if not proof["holds"]] == []
    assert done.returncode == 0
    (requests,) = (proof for proof in document["proofs"] if proof["area"] == "requests")
    assert int(requests["seen"].split()[0]) > 40
    areas = {proof["area"] for proof in document["proofs"]}
    assert {"stacks", "network", "services", "database", "distribution", "observation", "effects"} <= areas
    assert {"change", "destroy"} <= areas
    assert document["notProven"]
    assert not answers(endpoint_of(done.stderr))


@pytest.mark.slow(reason="the requests with each change of a resolved template are in test_requests.py")
def test_a_rehearsal_names_the_requests_that_a_changed_template_breaks(tmp_path: Path) -> None:
    folder = copy_rendered(tmp_path / "project")
    (folder / "workloads.py").unlink()  # with it the command refuses templates that differ from the generated ones
    file = folder / "templates" / "distribution.json"
    template = json.loads(file.read_text())
    del template["Resources"]["Distribution"]["Properties"]["DistributionConfig"]["DefaultCacheBehavior"][
        "FunctionAssociations"
    ]
    file.write_text(json.dumps(template))
    command = [*COMMAND[:-1], str(folder), "-e", "lab", "--output", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr[-2000:]
    failed = {proof["name"]: proof["seen"] for proof in json.loads(done.stdout)["proofs"] if not proof["holds"]}
    assert set(failed) == {
        "apps receive and viewers get what the contract states",
        "X-Forwarded-Host is the viewer's Host",
        "headers that change host or path are dropped",
    }
    assert "Portal receives X-Forwarded-Host: evil.example" in failed["X-Forwarded-Host is the viewer's Host"]


def test_ctrl_c_during_a_rehearsal_stops_the_emulator(tmp_path: Path) -> None:
    process, log = begin(tmp_path, "-e", "lab", "--delay", "0.2")
    wait_for(log, "Deploy the whole chain")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert not answers(endpoint_of(log.read_text()))


def test_a_kept_emulator_prints_its_variables_and_runs_until_ctrl_c(tmp_path: Path) -> None:
    process, log = begin(tmp_path, "-e", "lab", "--keep")
    text = wait_for(log, "runs until Ctrl-C")
    text = wait_for(log, "the emulator's log")
    endpoint = endpoint_of(text)
    assert f"export AWS_ENDPOINT_URL={endpoint}" in text
    assert answers(endpoint)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    assert not answers(endpoint)


def test_a_rehearsal_with_a_failed_check_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from hosting.cli.commands import rehearse as command
    from hosting.rehearsal.checks import Proof

    def run(*arguments: Any, **named: Any) -> None:
        result = next(argument for argument in arguments if hasattr(argument, "proofs"))
        result.proofs += [Proof("network", "good", True, "x"), Proof("network", "bad", False, "seen this")]

    monkeypatch.setattr(command, "_run_steps", run)
    done = CliRunner().invoke(command.rehearse, ["--root", str(PROJECT), "-e", "lab"], standalone_mode=False)
    assert done.return_value == 1
    assert "1 of 2 checks hold" in done.stdout
    assert "network: bad\n    seen: seen this" in done.stdout


def test_a_missing_resource_is_a_failed_check_and_no_exception() -> None:
    area = Area("chain")

    def looks(deployed: Deployed) -> Any:
        yield area("first", True, ["a", "b"])
        deployed.id("NetworkStack/Vpc")

    deployed = Deployed("f", "1", "h", "e", {}, {}, {}, (), {}, frozenset(), False, Clients(), resources={"root": []})
    first, second = examine(looks, deployed)
    assert (first.holds, first.seen) == (True, "a, b")
    assert not second.holds
    assert "there is no NetworkStack/Vpc" in second.seen


def begin(tmp_path: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    return process, log


def wait_for(log: Path, words: str) -> str:
    eventually(lambda: words in log.read_text(), lambda: f"{words!r} in {log.read_text()[-2000:]}")
    return log.read_text()


def endpoint_of(text: str) -> str:
    return text.partition("The emulator runs at ")[2].partition(" as account")[0]


def answers(endpoint: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", urlsplit(endpoint).port or 0)) == 0
