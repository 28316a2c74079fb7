"""Real parts for tests of the bastion: its command from the committed template, a MariaDB server, free ports.

Nothing here imitates: the shell is dash or busybox ash, the relay is socat, the database answers SQL over TLS.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.programs import need
from tests.support.project import PROJECT, REPOSITORY, TEMPLATES, on_project
from tests.support.waiting import PATIENCE, eventually

if TYPE_CHECKING:
    from hosting.deployer.operate.platform import Platform
    from hosting.rehearsal.emulator import Emulator


def command_line(*arguments: str) -> list[str]:
    """Return the command line that runs a command of deploy.py on the project of the tests."""
    return [sys.executable, str(REPOSITORY / "deploy.py"), *on_project(arguments)]


# The ports in the task definition, in which a test replaces them by free ones of this machine.
WRITER, READER = 13306, 13307
PASSWORD = 'a "quoted" #pass\\word'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- the database


@dataclass
class Database:
    """A MariaDB server of its own, which takes TLS only, as the cluster's parameter group demands."""

    directory: Path
    port: int
    programs: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        subprocess.run(
            [
                self.programs["mariadb-install-db"],
                "--no-defaults",
                f"--datadir={self.directory / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--user={_user()}",
            ],
            check=True,
            capture_output=True,
        )
        statements = (
            "CREATE DATABASE IF NOT EXISTS app;",
            "CREATE TABLE IF NOT EXISTS app.items (name VARCHAR(20) PRIMARY KEY);",
            "INSERT IGNORE INTO app.items VALUES ('lamp'), ('chair');",
            f"CREATE USER IF NOT EXISTS admin@'%' IDENTIFIED BY '{_quoted(PASSWORD)}' REQUIRE SSL;",
            "GRANT ALL ON app.* TO admin@'%';",
        )
        (self.directory / "init.sql").write_text("\n".join(statements) + "\n")
        _certificate(self.directory)

    def start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.programs["mariadbd"],
                    "--no-defaults",
                    f"--datadir={self.directory / 'data'}",
                    f"--user={_user()}",
                    "--bind-address=127.0.0.1",
                    f"--port={self.port}",
                    f"--socket={self.directory / 's'}",
                    f"--pid-file={self.directory / 'pid'}",
                    f"--init-file={self.directory / 'init.sql'}",
                    f"--ssl-cert={self.directory / 'cert.pem'}",
                    f"--ssl-key={self.directory / 'key.pem'}",
                    "--require-secure-transport=ON",
                    "--skip-name-resolve",
                    "--innodb-fast-shutdown=2",
                    "--innodb-buffer-pool-size=32M",
                ],
                stdout=log,
                stderr=log,
            )
        eventually(lambda: listening(self.port) and self.query(self.port).returncode == 0, "the database answers")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def options(self, port: int) -> Path:
        path = self.directory / f"client-{port}.cnf"
        password = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        path.write_text(
            f'[client]\nuser=admin\npassword="{password}"\nhost=127.0.0.1\nport={port}\nssl\nconnect-timeout=60\n'
        )
        return path

    def query(self, port: int, sql: str = "SELECT name FROM items ORDER BY name") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs["mariadb"], f"--defaults-file={self.options(port)}", "-N", "-e", sql, "app"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )


def listening(port: int) -> bool:
    """As the container's health check does it, without a connection."""
    rows = Path("/proc/net/tcp").read_text().splitlines()
    return any(f":{port:04X} 00000000:0000 0A" in row for row in rows)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


def _certificate(directory: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    # As with Aurora: the name is the server's, and a client of a tunnel uses another one.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "writer.example.internal")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


# --- the bastion


def bastion_definition() -> dict[str, Any]:
    """The container as the generated task definition describes it."""
    template = json.loads((TEMPLATES / "workload-orders.json").read_text())
    containers = template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    definition: dict[str, Any] = next(one for one in containers if one["Name"] == "bastion")
    return definition


# The command's pauses, a tenth as long.
_SLEEP = """\
case $1 in infinity) exec {real} infinity ;; esac
while [ -e {held} ]; do {real} 0.02; done
exec {real} 0.$1"""


@dataclass
class Bastion:
    """The bastion's command, running under a shell, with a PATH that holds what its image would."""

    shell: Sequence[str]
    directory: Path
    database_port: int
    process: subprocess.Popen[bytes] | None = None
    tools: tuple[str, ...] = ("grep", "cat", "mkdir", "rmdir", "ln", "date", "sh")
    environment: dict[str, str] = field(default_factory=dict)
    writer: int = field(default_factory=free_port)
    reader: int = field(default_factory=free_port)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    @property
    def bin(self) -> Path:
        return self.directory / "bin"

    @property
    def held(self) -> Path:
        """While this file exists, the command's pauses do not end."""
        return self.directory / "held"

    def on_free_ports(self, text: str) -> str:
        """Return a command of the task definition with the ports of this bastion, decimal or hexadecimal."""
        for port, own in ((WRITER, self.writer), (READER, self.reader)):
            text = text.replace(f" {port} ", f" {own} ").replace(f":{port:04X} ", f":{own:04X} ")
        return text

    def prepare(self, *, installed: bool = True) -> None:
        """Put the image's programs in place; without `installed`, socat has to be brought by apk."""
        self.bin.mkdir(parents=True)
        for tool in self.tools:
            if where := shutil.which(tool):
                (self.bin / tool).symlink_to(where)
        self.program("sleep", _SLEEP.format(real=need("sleep")["sleep"], held=self.held))
        if installed:
            (self.bin / "socat").symlink_to(need("socat")["socat"])
            self.program("script", "exit 0")

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def start(self) -> None:
        (command,) = bastion_definition()["Command"]
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*self.shell, "-c", self.on_free_ports(command)],
                env={
                    "PATH": str(self.bin),
                    "DB_HOST": "127.0.0.1",
                    "DB_READER_HOST": "127.0.0.1",
                    "DB_PORT": str(self.database_port),
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def health(self) -> int:
        kind, command = bastion_definition()["HealthCheck"]["Command"]
        assert kind == "CMD-SHELL"
        command = self.on_free_ports(command)
        done = subprocess.run([*self.shell, "-c", command], env={"PATH": str(self.bin)}, timeout=PATIENCE)
        return done.returncode

    def is_up(self) -> bool:
        return listening(self.writer) and listening(self.reader)

    def pids(self, name: str) -> list[int]:
        """Processes of this bastion whose command line starts with a name."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError, IndexError, ValueError):
                session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
                first = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
                if session == self.process.pid and Path(first).name == name:
                    found.append(int(entry.name))
        return found

    def stop(self) -> None:
        """End all processes of the bastion, as the end of its container does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process = None
            eventually(lambda: not listening(self.writer) and not listening(self.reader), "the relay has ended")


# --- a deployed platform


@dataclass(frozen=True)
class Deployed:
    """An environment on the emulator."""

    emulator: Emulator
    account: str
    platform: Platform

    def environment(self) -> dict[str, str]:
        return self.emulator.subprocess_environment(self.account)

    def client(self, service: str, region: str | None = None) -> Any:
        """A client of the environment's account and region."""
        return getattr(self.platform.context.clients, service)(region or self.platform.home)

    def restore_tasks(self) -> None:
        """Start the tasks that a test has stopped: other tests count on them.

        ECS does so by itself. The emulator starts tasks when a service is updated.
        """
        ecs, cluster = self.client("ecs"), self.platform.cluster
        names = ecs.list_services(cluster=cluster)["serviceArns"]
        for service in ecs.describe_services(cluster=cluster, services=names)["services"]:
            ecs.update_service(cluster=cluster, service=service["serviceArn"], desiredCount=service["desiredCount"])

        def complete() -> bool:
            found = ecs.describe_services(cluster=cluster, services=names)["services"]
            return all(one["runningCount"] == one["desiredCount"] for one in found)

        eventually(complete, "every service has its tasks")

    def sessions(self) -> set[str]:
        """Return the ids of the open sessions. A client that was killed by a test leaves its own."""
        return {one["SessionId"] for one in self.client("ssm").describe_sessions(State="Active")["Sessions"]}


def deploy(emulator: Emulator) -> Deployed:
    """Deploy lab as `deploy.py rehearse` does. The account is the file's own, as its guard demands."""
    from hosting.deployer import context as contexts
    from hosting.deployer import environment as environments
    from hosting.deployer import pipeline
    from hosting.deployer.operate import platform
    from hosting.deployer.reporter import SilentReporter
    from hosting.model.stack_order import StackRole
    from hosting.rehearsal.prerequisites import Prerequisites

    environment = environments.prepare(PROJECT, "lab")
    account = environment.file.account or "123456789012"
    clients = emulator.clients(account)
    context = contexts.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
    world = Prerequisites(emulator, account, context.home)
    # These tests end the tasks themselves.
    world.declare_command("", exit_code=None)
    world.prepare(environment.file.values)
    pipeline.deploy_stacks(context, SilentReporter(), through=StackRole.BOOTSTRAP)
    world.push_images(environment.file.values)
    pipeline.deploy_stacks(context, SilentReporter())
    return Deployed(emulator, account, platform.find_platform(context))


def with_plugin(environment: dict[str, str], directory: Path) -> dict[str, str]:
    """Return the environment with a fake session-manager-plugin first on its PATH."""
    folder = directory / "plugin"
    folder.mkdir(exist_ok=True)
    program = folder / "session-manager-plugin"
    fake = Path(__file__).with_name("fake_plugin.py")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
    program.chmod(0o755)
    return {**environment, "PATH": os.pathsep.join((str(folder), environment.get("PATH", os.defpath)))}
