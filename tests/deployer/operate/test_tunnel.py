"""`deploy.py tunnel db` from the command line to the rows, with nothing imitated but AWS and its plugin.

mariadb -> port of this machine -> fake plugin -> the bastion's own command -> MariaDB over TLS
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.deployer.operate import parts
from tests.support.programs import need
from tests.support.project import REPOSITORY, on_project
from tests.support.waiting import PATIENCE, eventually

ROWS = "chair\nlamp\n"


@dataclass
class Running:
    """A `deploy.py tunnel` at work."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)

    def collect(self) -> None:
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            assert stream is not None
            reader = threading.Thread(target=lines.extend, args=(stream,), daemon=True)
            reader.start()
            self.readers.append(reader)

    def seen(self, text: str) -> bool:
        return any(text in line for line in self.err)

    def is_open(self) -> bool:
        """Whether more output can come."""
        return any(reader.is_alive() for reader in self.readers)

    def until(self, text: str) -> None:
        eventually(lambda: self.seen(text) or not self.is_open(), lambda: f"{text!r} in {self.err}")
        assert self.seen(text), f"no {text!r} in {self.err}"

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    @property
    def command(self) -> list[str]:
        import shlex

        eventually(lambda: self.out)
        return shlex.split(self.out[0])


Start = Callable[..., Running]
# deploy.py, but it looks after its task twice a second instead of every 15 seconds.
_IMPATIENT = """
import functools, sys
from hosting.cli.main import main
from hosting.cli.support.signals import interrupt_on_sigterm
from hosting.deployer.operate import tunnel
tunnel.Tunnel = functools.partial(tunnel.Tunnel, watch_seconds=0.5)
interrupt_on_sigterm()
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def start(deployed: parts.Deployed, database: parts.Database, relay: parts.Bastion, tmp_path: Path) -> Iterator[Start]:
    secret = deployed.platform.output("DatabaseSecretArn")
    value = json.dumps({"username": "admin", "password": parts.PASSWORD})
    deployed.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=value)
    environment = parts.with_plugin(deployed.environment(), tmp_path)
    environment["STAND_IN_PORTS"] = json.dumps({parts.WRITER: relay.writer, parts.READER: relay.reader})
    environment["STAND_IN_RECORD"] = str(tmp_path / "arguments")
    made: list[Running] = []

    def run(*arguments: str, **more: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-c", _IMPATIENT, *on_project(["tunnel", "db", "-e", "lab", *arguments])],
            cwd=REPOSITORY,
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(process)
        running.collect()
        made.append(running)
        return running

    yield run
    for running in made:
        if running.process.poll() is None:
            running.end()


def mysql(running: Running, sql: str = "SELECT name FROM items ORDER BY name") -> subprocess.CompletedProcess[str]:
    """The printed command line, with the client that is installed."""
    program, *arguments = running.command
    assert program == "mysql"
    program = need("mariadb")["mariadb"]
    return subprocess.run([program, *arguments, "-N", "-e", sql], capture_output=True, text=True, timeout=PATIENCE)


def plugin_arguments(tmp_path: Path) -> list[list[str]]:
    return [json.loads(line) for line in (tmp_path / "arguments").read_text().splitlines()]


def test_rows_come_through_the_tunnel(
    start: Start, relay: parts.Bastion, deployed: parts.Deployed, tmp_path: Path
) -> None:
    before = deployed.sessions()
    running = start()
    running.until("open: 127.0.0.1:")
    done = mysql(running)
    assert done.stdout == ROWS, done.stderr
    status = mysql(running, "SHOW STATUS LIKE 'Ssl_cipher'")
    assert len(status.stdout.split()) == 2, "the session is encrypted"

    file = Path(running.command[1].partition("=")[2])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    everything = "".join(running.out + running.err) + json.dumps(plugin_arguments(tmp_path))
    assert parts.PASSWORD not in everything
    assert json.dumps(parts.PASSWORD)[1:-1] not in everything
    assert running.out[1].startswith("mysql://admin@127.0.0.1:")

    (arguments,) = plugin_arguments(tmp_path)
    assert arguments[0] == "AWS_SSM_START_SESSION_RESPONSE", "the session's token stays off the command line"
    assert arguments[1:4] == ["ap-northeast-1", "StartSession", ""]
    assert json.loads(arguments[4])["Parameters"]["portNumber"] == ["13306"]

    assert running.end() == 130
    assert not file.exists()
    assert not file.parent.exists()
    assert not parts.listening(int(running.out[1].rpartition(":")[2].partition("/")[0]))
    assert deployed.sessions() == before
    assert deployed.client("ssm").describe_sessions(State="History")["Sessions"]


def test_the_reader_has_its_own_relay(start: Start, relay: parts.Bastion, tmp_path: Path) -> None:
    running = start("--reader", "-L", str(parts.free_port()), "--service", "orders")
    running.until("is the reader")
    assert mysql(running).stdout == ROWS
    assert json.loads(plugin_arguments(tmp_path)[0][4])["Parameters"]["portNumber"] == ["13307"]


def test_an_old_plugin_gets_the_session_as_it_can_read_it(start: Start, relay: parts.Bastion, tmp_path: Path) -> None:
    running = start(STAND_IN_VERSION="1.2.497.0")
    running.until("open: ")
    assert set(json.loads(plugin_arguments(tmp_path)[0][0])) == {"SessionId", "TokenValue", "StreamUrl"}


def test_variables_instead_of_a_command_line(start: Start, relay: parts.Bastion) -> None:
    running = start("--print-env")
    running.until("open: ")
    eventually(lambda: len(running.out) == 5)
    client = 'mariadb --defaults-file="$DB_OPTIONS_FILE" -N -e "SELECT * FROM items" "$DB_NAME"'
    script = "".join(running.out) + client
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == ROWS, done.stderr


def plugin_of(running: Running) -> int:
    """Return the process of the fake plugin that a tunnel started."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == running.process.pid and b"fake_plugin" in (entry / "cmdline").read_bytes():
                return int(entry.name)
    raise AssertionError("no plugin runs")


def test_a_dead_session_is_replaced(start: Start, relay: parts.Bastion) -> None:
    running = start("--reconnect")
    running.until("open: ")
    os.killpg(plugin_of(running), signal.SIGKILL)
    running.until("lost: the session ended")
    eventually(lambda: sum("open: " in line for line in running.err) == 2)
    assert mysql(running).stdout == ROWS, "on the same port, with the same file"
    assert running.end(signal.SIGTERM) == 130
    assert not Path(running.command[1].partition("=")[2]).exists()


def test_a_killed_tunnel_leaves_no_process_or_file(start: Start, relay: parts.Bastion) -> None:
    """After SIGKILL only another process can clean up."""
    running = start()
    running.until("open: ")
    file, plugin = Path(running.command[1].partition("=")[2]), plugin_of(running)
    assert file.exists()
    running.process.kill()
    running.process.wait()
    eventually(lambda: not file.parent.exists())
    eventually(lambda: not Path(f"/proc/{plugin}").exists() or is_dead(plugin))


def is_dead(process: int) -> bool:
    """Return whether a process has ended. Its parent may not have read its exit status yet."""
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_without_reconnect_the_error_names_the_remedy(start: Start, relay: parts.Bastion) -> None:
    running = start()
    running.until("open: ")
    os.killpg(plugin_of(running), signal.SIGKILL)
    assert running.process.wait(PATIENCE) == 1
    running.until("--reconnect opens it again automatically")


def test_a_stopped_task_is_left_for_another(start: Start, relay: parts.Bastion, deployed: parts.Deployed) -> None:
    running = start("--reconnect")
    running.until("open: ")
    (first,) = [line.split("task ")[1].split()[0] for line in running.err if line.startswith("opening: ")]
    ecs = deployed.client("ecs")
    (arn,) = [
        arn for arn in ecs.list_tasks(cluster="atlas-lab")["taskArns"] if arn.rpartition("/")[2].startswith(first)
    ]
    ecs.stop_task(cluster="atlas-lab", task=arn, reason="scaled in")
    running.until(f"lost: task {first} is stopping: scaled in")
    eventually(lambda: sum("open: " in line for line in running.err) == 2)
    second = [line.split("task ")[1].split()[0] for line in running.err if line.startswith("opening: ")][-1]
    assert second != first
    assert mysql(running).stdout == ROWS
    deployed.restore_tasks()


def test_a_database_that_is_away_is_waited_for(start: Start, relay: parts.Bastion, database: parts.Database) -> None:
    database.stop()
    try:
        running = start()
        running.until("opening: ")
        eventually(lambda: "Connection refused" in relay.log)
        assert not running.seen("open: ")
    finally:
        database.start()
    running.until("open: ")
    assert mysql(running).stdout == ROWS


def test_a_user_of_ones_own_types_the_password(start: Start, relay: parts.Bastion) -> None:
    running = start("--user", "reporting")
    running.until("open: ")
    command = running.command
    assert "-p" in command
    text = Path(command[1].partition("=")[2]).read_text()
    assert 'user="reporting"' in text
    assert "password" not in text


# --- what may be missing


def test_a_port_in_use_is_an_error(process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = process("tunnel", "db", "-e", "lab", "-L", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "is in use" in done.stderr


def test_a_missing_plugin_is_an_error_with_the_install_command(deployed: parts.Deployed, tmp_path: Path) -> None:
    done = subprocess.run(
        parts.command_line("tunnel", "db", "-e", "lab"),
        env={**deployed.environment(), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "session-manager-plugin is not installed" in done.stderr
    assert "install it: " in done.stderr


def test_a_misspelt_service_is_an_error_with_a_suggestion(
    process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = process("tunnel", "db", "-e", "lab", "--service", "portl")
    assert done.returncode == 1
    assert 'did you mean "portal"?' in done.stderr
