"""Workloads of a resolved environment on this machine: internal services, secrets, and errors before the start."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from generator.config import load_config
from generator.render import render_all
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.local import sandbox
from hosting.local.errors import LocalError
from hosting.local.run import LocalRun
from hosting.local.settings import load_settings
from hosting.local.workloads import MissingSecretsError
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load
from tests.support.example import EXAMPLES, TEST_DIGEST
from tests.support.programs import need
from tests.support.waiting import PATIENCE

WORKLOADS = """
from generator.workloads import (
    AddressOf, DatabasePassword, DatabaseUsername, Fact, Generated, InternalService, Supplied, Text, WebService,
)

WORKLOADS = (
    WebService(
        "Portal",
        paths=("/*",),
        priority=900,
        variables={"SEARCH": Text("http://", AddressOf("Search"), ":8080/"), "DB": Fact.DATABASE_NAME},
        secrets={
            "KEY": Generated(40), "TOKEN": Supplied(), "DB_USER": DatabaseUsername(), "DB_PASSWORD": DatabasePassword()
        },
        schema="portal",
    ),
    InternalService("Search", called_by=("Portal",), variables={}, secrets={}),
)
"""
# Each answers with its environment; the portal adds what the search service answers.
APP = """
import http.server, json, os, sys, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen = {name: os.environ.get(name) for name in ("KEY", "TOKEN", "SEARCH", "DB", "DB_USER", "DB_PASSWORD")}
        if self.path == "/search":
            seen["answer"] = urllib.request.urlopen(os.environ["SEARCH"]).read().decode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(seen).encode())

http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
PATH = "/usr/local/bin:/usr/bin:/bin"
COMMANDS = ("Portal=python3 app.py", "Search=python3 app.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "workloads.py").write_text(WORKLOADS)
    tmp_path.chmod(0o755)
    (tmp_path / "app.py").write_text(APP)
    for name, text in render_all(load_config(tmp_path)).items():
        (tmp_path / "templates" / name).write_text(text)
    return tmp_path


@pytest.fixture
def resolved(project: Path) -> ResolvedEnvironment:
    """Return the environment, with the values of an example for parameters that are not of a workload."""
    found = load_environment(EXAMPLES / "petclinic" / "params" / "dev.json")
    values = {name: value for name, value in found.parameters.items() if not name.startswith("Petclinic")}
    for name in ("Portal", "Search"):
        values[f"{name}Image"] = (
            f"{found.account}.dkr.ecr.{found.region}.amazonaws.com/shop/{name.lower()}@{TEST_DIGEST}"
        )
        values |= {f"{name}Cpu": "256", f"{name}Memory": "512", f"{name}MinTasks": "2", f"{name}MaxTasks": "4"}
    return resolve(load(project / "templates"), replace(found, parameters=values))


@pytest.fixture
def local(project: Path) -> LocalRun:
    from hosting.local.database import _free_port

    return LocalRun(project / "build", _free_port(), lambda _name, _line: None)


def get(run: LocalRun, path: str) -> dict[str, str]:
    context = ssl.create_default_context(cafile=str(run.folder / "edge" / "cert.pem"))
    host, port = run.site.removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=PATIENCE)
    connection.request("GET", path)
    found: dict[str, str] = json.load(connection.getresponse())
    return found


def log_in(run: LocalRun, answer: dict[str, str], statement: str) -> int:
    """Execute a statement as the user of the app. Returns the exit code of the client."""
    host, port = run._database.address
    command = ["mariadb", "--no-defaults", f"--host={host}", f"--port={port}", f"--user={answer['DB_USER']}"]
    command += [f"--password={answer['DB_PASSWORD']}", "--ssl", "--ssl-verify-server-cert=0", "-e", statement]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.slow("starts a database server twice")
def test_workloads_call_each_other_by_name_and_keep_generated_secrets(
    project: Path, resolved: ResolvedEnvironment, local: LocalRun
) -> None:
    need("bwrap", "ip", "mariadb", "mariadbd", "mariadb-install-db")
    settings = load_settings(project, COMMANDS, PATH)
    keys = set()
    for run in (local, LocalRun(local.folder, int(local.site.rsplit(":")[-1]), lambda _name, _line: None)):
        try:
            run.start(resolved, settings, {"Portal.TOKEN": "typed by a person"})
            assert run.wait_until_healthy(PATIENCE), run.explain()
            assert run.health() == {"Portal": "healthy", "Search": "running"}
            answer = get(run, "/search")
            assert log_in(run, answer, "CREATE TABLE IF NOT EXISTS portal.t (id INT)") == 0
            assert log_in(run, answer, "CREATE TABLE app.t (id INT)") == 1
        finally:
            run.stop()
        assert set(json.loads(answer["answer"]).values()) == {None}
        assert (answer["DB"], answer["DB_USER"]) == ("portal", "portal_a")
        assert answer["TOKEN"] == "typed by a person"
        assert len(answer["KEY"]) == 40
        keys.add(answer["KEY"])
    assert len(keys) == 1


def test_a_supplied_secret_without_a_value_is_named(
    project: Path, resolved: ResolvedEnvironment, local: LocalRun
) -> None:
    with pytest.raises(MissingSecretsError, match=r"Portal\.TOKEN: the secret has no value on this machine"):
        local.start(resolved, load_settings(project, COMMANDS, PATH), {})
    assert not (local.folder / "database").exists()


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (
            lambda patch: patch.setattr(sandbox, "find_bubblewrap", lambda: None),
            "Portal and Search both listen on port 8080",
        ),
        (lambda patch: patch.setenv("PATH", "/nowhere"), "mariadbd is not installed. Install MariaDB"),
    ],
)
def test_what_this_machine_lacks_is_one_message(
    prepare: Callable[[pytest.MonkeyPatch], None],
    message: str,
    project: Path,
    resolved: ResolvedEnvironment,
    local: LocalRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hosting.local import database

    monkeypatch.setattr(database, "_PATH", "/nowhere")
    monkeypatch.setattr(sandbox, "find_bubblewrap", lambda: "/usr/bin/bwrap")
    prepare(monkeypatch)
    run = LocalRun(local.folder, int(local.site.rsplit(":")[-1]), lambda _name, _line: None)
    with pytest.raises(LocalError, match=message):
        run.start(resolved, load_settings(project, COMMANDS, PATH), {"TOKEN": "x"})
