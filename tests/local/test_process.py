"""Containers as processes of this machine: what Fargate enforces, bubblewrap enforces."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hosting.local.container import Container, LocalImage, read_container
from hosting.local.database import DatabaseServer
from hosting.local.errors import LocalError
from hosting.local.process import Destination, RunningContainer, start, user_ids
from tests.support.processes import family
from tests.support.programs import need
from tests.support.waiting import eventually

CONTAINER = Container(
    "Web",
    {"COLOR": "blue"},
    {"TOKEN": "secret"},
    port=8080,
    user="10001:10002",
    read_only=True,
    writable_paths=("/tmp", "/app/media", "/srv/data"),
    stop_seconds=20,
)
SERVER = """
import http.server, json, os, signal, socket, sys

def written(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen = {
            "ids": [os.getuid(), os.getgid(), os.getgroups()],
            "environment": {key: value for key, value in os.environ.items() if key != "LC_CTYPE"},
            "written": [path for path in %(paths)r if written(path)],
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(seen).encode())

signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
http.server.HTTPServer((%(host)r, 8080), Handler).serve_forever()
"""
PATHS = ["/x", "/app/x", "/app/media/x", "/etc/x", "/run/x", "/srv/data/x", "/tmp/x", "/var/x"]


def write_server(image: LocalImage, host: str = "0.0.0.0") -> None:  # noqa: S104 -- as an app in a container has to
    (image.folders["/app"] / "main.py").write_text(SERVER % {"paths": PATHS, "host": host})


def get(running: RunningContainer) -> bytes | None:
    assert running.address is not None
    assert running.exit_code is None, running.tail()
    try:
        connection = http.client.HTTPConnection(*running.address, timeout=30)
        connection.request("GET", "/")
        return connection.getresponse().read()
    except OSError:
        return None


def test_a_container_has_exactly_what_its_task_definition_declares(python_image: LocalImage, tmp_path: Path) -> None:
    need("bwrap", "ip")
    write_server(python_image)
    running = start(CONTAINER, python_image, tmp_path / "web")
    seen = json.loads(eventually(lambda: get(running), running.tail))
    assert seen["ids"] == [10001, 10002, []]
    assert seen["environment"] == {
        "COLOR": "blue",
        "TOKEN": "secret",
        "HOME": "/",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    assert seen["written"] == ["/app/media/x", "/srv/data/x", "/tmp/x"]
    assert running.stop() == 3
    assert "secret" not in repr(CONTAINER)


def test_two_containers_listen_on_the_same_port(python_image: LocalImage, tmp_path: Path) -> None:
    need("bwrap", "ip")
    write_server(python_image)
    first = start(CONTAINER, python_image, tmp_path / "1")
    second = start(replace(CONTAINER, read_only=False), python_image, tmp_path / "2")
    assert eventually(lambda: get(first), first.tail)
    written = json.loads(eventually(lambda: get(second), second.tail))["written"]
    assert written == ["/app/x", "/app/media/x", "/run/x", "/srv/data/x", "/tmp/x"]
    assert [first.stop(), second.stop()] == [3, 3]


def test_an_app_on_127_0_0_1_is_not_reached(python_image: LocalImage, tmp_path: Path) -> None:
    need("bwrap", "ip")
    (python_image.folders["/app"] / "main.py").write_text(
        "print('listening')\n" + SERVER % {"paths": [], "host": "127.0.0.1"}
    )
    lines: list[str] = []
    running = start(CONTAINER, python_image, tmp_path / "web", show=lines.append)
    eventually(lambda: lines)
    assert [get(running) for _ in range(3)] == [None] * 3
    running.kill()
    running.stop()


def test_a_container_reaches_the_database_with_tls_and_nothing_else(
    python_image: LocalImage, tmp_path: Path, database: DatabaseServer
) -> None:
    client = need("bwrap", "ip", "mariadb")["mariadb"]
    login = database.login
    (tmp_path / "app" / "client.cnf").write_text(
        '[client]\nhost=database.example\nuser=admin\npassword="a \\"quoted\\" #pass\\\\word\'"\n'
        "ssl-ca=/app/ca.pem\nssl-verify-server-cert\n"
    )
    (tmp_path / "app" / "ca.pem").write_bytes(database.certificate.read_bytes())
    image = replace(
        python_image,
        entry_point=(client, "--defaults-file=/app/client.cnf"),
        command=("-e", "SHOW STATUS LIKE 'Ssl_version'", login.database),
    )
    container = replace(CONTAINER, port=None)
    lines: list[str] = []
    running = start(
        container, image, tmp_path / "1", [Destination("database.example", 3306, database.address)], lines.append
    )
    assert running.wait() == 0, running.tail()
    running.stop()
    assert "TLSv1.3" in running.tail()
    lookup = replace(container, entry_point=("getent", "hosts"), command=("database.example",))
    alone = start(lookup, image, tmp_path / "2")
    assert alone.wait() == 2
    alone.stop()


def test_a_container_that_ignores_the_stop_signal_is_killed_with_all_its_processes(
    python_image: LocalImage, tmp_path: Path
) -> None:
    need("bwrap", "ip")
    (python_image.folders["/app"] / "main.py").write_text(
        "import signal, subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\nprint('ready')\nchild.wait()\n"
    )
    lines: list[str] = []
    running = start(replace(CONTAINER, stop_seconds=1), python_image, tmp_path / "web", show=lines.append)
    eventually(lambda: lines, running.tail)
    assert len(processes := family(running.pid)) > 3
    assert running.stop() == 137
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]


def test_a_container_ends_with_the_program_that_started_it(python_image: LocalImage, tmp_path: Path) -> None:
    need("bwrap", "ip")
    (python_image.folders["/app"] / "main.py").write_text("import time\nprint('ready')\ntime.sleep(600)\n")
    program = (
        "import pathlib, sys, time\n"
        "from hosting.local.container import *\nfrom hosting.local.process import start\n"
        f"image = {python_image!r}\n"
        f"folder = pathlib.Path({str(tmp_path / 'web')!r})\n"
        "running = start(Container('Web', {}, user='1:1'), image, folder)\n"
        "print('pid', running.pid, flush=True)\ntime.sleep(600)\n"
    ).replace("PosixPath", "pathlib.Path")
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(next(line for line in parent.stdout if line.startswith("pid")).split()[1])
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [("nothing-here", 127, "nothing-here: No such file"), ("/etc", 126, "/etc: Permission denied")],
)
def test_a_command_that_cannot_start_ends_as_in_a_container(
    python_image: LocalImage, tmp_path: Path, command: str, code: int, text: str
) -> None:
    need("bwrap", "ip")
    running = start(replace(CONTAINER, entry_point=(command,)), python_image, tmp_path / "web")
    assert running.wait() == code
    assert text in running.tail()
    running.stop()


def test_without_bubblewrap_the_rest_of_the_contract_holds(python_image: LocalImage, tmp_path: Path) -> None:
    (python_image.folders["/app"] / "main.py").write_text(
        "import os, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(4))\n"
        "print(os.environ['COLOR'], os.environ['TOKEN'], 'AWS_REGION' in os.environ)\nsignal.pause()\n"
    )
    lines: list[str] = []
    here = f"{os.getuid()}:{os.getgid()}"
    running = start(replace(CONTAINER, user=here), python_image, tmp_path / "web", show=lines.append, isolated=False)
    assert eventually(lambda: lines, running.tail) == ["blue secret False"]
    assert {"read-only root", "writable paths", "network"} <= set(running.not_enforced)
    assert running.address == ("127.0.0.1", 8080)
    assert running.stop() == 4


def test_a_container_without_a_command_or_with_an_unknown_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="workload Web has no command"):
        start(CONTAINER, LocalImage(), tmp_path / "web")
    with pytest.raises(LocalError, match='user "missing-user" does not exist'):
        user_ids("missing-user")
    assert [user_ids(text) for text in ("0", "33:7", "root:33")] == [(0, 0), (33, 7), (0, 33)]


def test_both_spellings_of_a_task_definition_are_read() -> None:
    app = {
        "Name": "app",
        "Environment": [{"Name": "DATABASE_HOST", "Value": "<host>"}],
        "Secrets": [{"Name": "DatabasePassword", "ValueFrom": "arn:password::"}],
        "EntryPoint": ["sh"],
        "Command": ["-c", "run"],
        "PortMappings": [{"ContainerPort": "3000"}],
        "MountPoints": [
            {"SourceVolume": "a", "ContainerPath": "/tmp"},
            {"SourceVolume": "b", "ContainerPath": "/managed-agents"},
        ],
        "ReadonlyRootFilesystem": "true",
        "User": "1:2",
        "StopTimeout": 60,
    }
    api = {
        "containerDefinitions": [
            {"name": "bastion"},
            {
                "name": "app",
                "environment": [{"name": "DATABASE_HOST", "value": "<host>"}],
                "secrets": [{"name": "DatabasePassword", "valueFrom": "arn:password::"}],
                "entryPoint": ["sh"],
                "command": ["-c", "run"],
                "portMappings": [{"containerPort": 3000}],
                "mountPoints": [{"sourceVolume": "a", "containerPath": "/tmp"}],
                "readonlyRootFilesystem": True,
                "user": "1:2",
                "stopTimeout": 60,
            },
        ]
    }
    expected = Container(
        "Web",
        {"DATABASE_HOST": "database.example"},
        {"DatabasePassword": "value of arn:password::"},
        "",
        ("sh",),
        ("-c", "run"),
        3000,
        "1:2",
        True,
        ("/tmp",),
        {},
        60,
    )
    for definition in ({"ContainerDefinitions": [app]}, api):
        read = read_container(
            "Web",
            definition,
            lambda text: str(text).replace("<host>", "database.example"),
            lambda _name, value_from: f"value of {value_from}",
        )
        assert read == expected
