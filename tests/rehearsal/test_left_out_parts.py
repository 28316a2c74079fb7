"""Environments without a database or an archive: rehearsed, and the way to them from an environment that has both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting.rehearsal.emulator import DEFAULT_ACCOUNT, DEFAULT_REGION, ROOT, Emulator
from tests.rehearsal.test_shared_bootstrap import make_checkout
from tests.support import commands
from tests.support.project import copy_project, leave_out, write_templates


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator of its own, because the checkout deploys into the default account."""
    with Emulator() as started:
        yield started


@pytest.mark.slow("rehearses an environment")
@pytest.mark.parametrize("parts", [("database",), ("archive",), ("database", "archive")], ids=" and ".join)
def test_every_check_holds_of_an_environment_without(tmp_path: Path, parts: tuple[str, ...]) -> None:
    project = copy_project(tmp_path / "project")
    leave_out(project, *parts)
    write_templates(project)
    command = [sys.executable, "deploy.py", "rehearse", "--root", str(project), "-e", "live", "--output", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    proofs = json.loads(done.stdout)["proofs"]
    assert [proof for proof in proofs if not proof["holds"]] == []
    names = {proof["name"] for proof in proofs}
    assert ("the project has no database, and the environment has none" in names) == ("database" in parts)
    assert ("the archive of logs is kept" in names) == ("archive" not in parts)


@pytest.mark.slow("deploys an environment, and deploys it again without its database")
def test_a_deployed_database_is_removed_only_by_name_and_the_commands_know_it(
    tmp_path: Path, emulator: Emulator
) -> None:
    checkout = make_checkout(tmp_path / "project", emulator)
    checkout.deploy("lab")

    def run(*arguments: str) -> commands.Done:
        variables = emulator.subprocess_environment(DEFAULT_ACCOUNT)
        return commands.run([*arguments, "-e", "lab", "--root", str(checkout.folder)], variables)

    leave_out(checkout.folder, "database")
    write_templates(checkout.folder)
    refused = run("deploy", "--yes")
    assert refused.code == 3
    names = ("Database/Cluster", "Network/DbSubnet1", "Network/DbSubnet2")
    options = [part for name in names for part in ("--allow-delete", name)]
    assert " ".join(options) in refused.err
    assert "database      ok" in run("status").out, "it exists still"
    rds = emulator.clients(DEFAULT_ACCOUNT, DEFAULT_REGION).rds(DEFAULT_REGION)
    rds.modify_db_cluster(DBClusterIdentifier="atlas-lab", DeletionProtection=True, ApplyImmediately=True)
    protected = run("deploy", "--yes", *options)
    assert protected.code == 3
    assert "deletion protection of Database/Cluster is enabled, and the plan deletes it" in protected.err
    assert "--no-deletion-protection --apply-immediately --db-cluster-identifier atlas-lab" in protected.err
    rds.modify_db_cluster(DBClusterIdentifier="atlas-lab", DeletionProtection=False, ApplyImmediately=True)
    assert run("deploy", "--yes", *options).code == 0
    status = run("status").out
    assert "declared: no database" in status
    assert "database      ok" not in status
    logs = run("logs", "db")
    assert logs.code == 1
    assert "atlas-lab: the environment has no database" in logs.err
