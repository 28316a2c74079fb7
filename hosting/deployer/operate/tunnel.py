"""Tunnel from a local port to the database, through the bastion container of a running task.

    client -> 127.0.0.1:port -> session-manager-plugin -> Session Manager -> relay in the bastion -> Aurora

No port is open to a network at either end, and no security group changes. A session ends with its task, and Session
Manager ends it after a period without traffic. `follow` can then open the tunnel again through the next task.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.session import explain, is_denied
from hosting.deployer.errors import CredentialsError, DeployerError
from hosting.deployer.operate import tasks
from hosting.deployer.operate.platform import Job, Platform, Service
from hosting.deployer.operate.plugin import Plugin
from hosting.deployer.operate.tasks import Task

BASTION = "bastion"
LOOPBACK = "127.0.0.1"
DOCUMENT = "AWS-StartPortForwardingSession"

_TICK = 0.2
# A paused database needs about fifteen seconds for the first answer, after a long pause up to thirty more (Amazon
# Aurora User Guide, "Scaling to Zero ACUs with automatic pause and resume").
_OPEN_SECONDS = 90.0
_GREETING_SECONDS = 60.0
_WATCH_SECONDS = 15.0
_LONGEST_PAUSE = 30.0
_PROTOCOL_10 = 0x0A
_ERROR_PACKET = 0xFF


class DatabaseEnd(StrEnum):
    """Endpoint of the database at the end of a tunnel."""

    WRITER = "writer"
    READER = "reader"


@dataclass(frozen=True)
class Opening:
    """Event: a session is being started through this task of a workload."""

    task: Task
    workload: str


@dataclass(frozen=True)
class Opened:
    """Event: the database has answered through the tunnel."""

    task: Task
    port: int
    server: str


@dataclass(frozen=True)
class Lost:
    """Event: the tunnel was closed. `wait` is the delay of the next attempt in seconds. None: there is none."""

    reason: str
    wait: float | None


TunnelEvent = Opening | Opened | Lost


@dataclass
class Tunnel:
    """One tunnel: database endpoint, service, and local port."""

    platform: Platform
    plugin: Plugin
    # None: a task of any workload, because every task has a relay to the database.
    service: Service | Job | None
    end: DatabaseEnd
    port: int
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    watch_seconds: float = _WATCH_SECONDS
    open_seconds: float = _OPEN_SECONDS
    # Called with the id of the process that runs the tunnel, and with None when it has ended.
    on_process: Callable[[int | None], None] = lambda _: None
    _session: str | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _output: IO[bytes] | None = field(default=None, init=False)

    def follow(self, *, reconnect: bool) -> Generator[TunnelEvent, None, None]:
        """Open the tunnel, keep it open, and yield its events. Close the generator to end the tunnel."""
        pause = 1.0
        try:
            while True:
                try:
                    workload, task = self._pick()
                    yield Opening(task, workload.slug)
                    server = self._open(task)
                    yield Opened(task, self.port, server)
                    pause = 1.0
                    reason = self._watch(task)
                except _NotOpenedError as error:
                    # The first attempt reports an error immediately. Later ones continue, for
                    # example during a deployment.
                    if not reconnect:
                        raise DeployerError(error.what, where=error.where, hint=error.hint) from error
                    reason = error.what
                except (ClientError, BotoCoreError) as error:
                    # A temporary network failure, for example after a laptop was suspended, or
                    # AWS is throttling.
                    explained = explain(error)
                    if not reconnect or _is_final(error):
                        raise explained from error
                    reason = explained.what
                finally:
                    self.close()
                yield Lost(reason, pause if reconnect else None)
                if not reconnect:
                    return
                self.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self.close()

    def close(self) -> None:
        """End the session locally and at AWS. A session that is not terminated counts as open until it times out."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
            self.on_process(None)
        if self._output is not None:
            self._output.close()
            self._output = None
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(ClientError, BotoCoreError):
                self.platform.context.clients.ssm(self.platform.home).terminate_session(SessionId=session)

    def _pick(self) -> tuple[Service | Job, Task]:
        try:
            if self.service is None:
                return tasks.select_any_task(self.platform, BASTION)
            return self.service, tasks.select_task(self.platform, self.service, BASTION)
        except DeployerError as error:
            raise _NotOpenedError(error.what, where=error.where, hint=error.hint) from error

    def _open(self, task: Task) -> str:
        target = task.target(BASTION)
        parameters = {
            "portNumber": [str(find_relay_port(tasks.read_task_definition(self.platform, task.definition), self.end))],
            "localPortNumber": [str(self.port)],
        }
        client = self.platform.context.clients.ssm(self.platform.home)
        try:
            answer = client.start_session(Target=target, DocumentName=DOCUMENT, Parameters=parameters)
        except ClientError as error:
            refused = _refused(error, task, self.platform)
            if refused is None:
                raise
            raise refused from error
        self._session = answer["SessionId"]
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the session
        command, environment = self.plugin.command(
            {name: answer[name] for name in ("SessionId", "TokenValue", "StreamUrl")},
            self.platform.home,
            self.platform.context.clients.profile,
            {"Target": target, "DocumentName": DOCUMENT, "Parameters": parameters},
            client.meta.endpoint_url,
        )
        # The plugin has its own process group, so that Ctrl-C reaches only this program, which then ends the
        # plugin.
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            # A file instead of a pipe: the plugin prints a line for every connection, and this program
            # does not read the pipe.
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=os.name == "posix",
        )
        self.on_process(self._process.pid)
        return self._await(self._process, task)

    def _await(self, process: subprocess.Popen[bytes], task: Task) -> str:
        """Return the version of the database server, read through the tunnel.

        The greeting of the server is read from one connection. An open port alone only shows that the plugin listens.
        """
        deadline = self.clock() + self.open_seconds
        trouble = "the plugin does not listen"
        while self.clock() < deadline:
            if process.poll() is not None:
                line = self._last_line(process)
                raise _NotOpenedError(f"{self.plugin.path} ended: {line}", where=f"task {task.id[:8]}")
            answer = read_greeting(self.port)
            if answer.server:
                return answer.server
            if answer.refusal:
                raise _NotOpenedError(f"the database refused the connection: {answer.refusal}", where=self.end)
            trouble = answer.trouble or trouble
            self.sleep(_TICK if answer.trouble is None else 1.0)
        name = self.platform.context.environment.name
        raise _NotOpenedError(
            f"{trouble}; waited {self.open_seconds:.0f} s",
            where=f"task {task.id[:8]}",
            hint=f"check relay and database: deploy.py logs bastion -e {name}, deploy.py status -e {name}",
        )

    def _last_line(self, process: subprocess.Popen[bytes]) -> str:
        """Return the last line of the output of an ended plugin."""
        if self._output is None:
            return ""
        self._output.seek(0)
        lines = [line.strip() for line in self._output.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"code {process.returncode}"

    def _watch(self, task: Task) -> str:
        """Wait until the tunnel is closed. Return the reason."""
        client = self.platform.context.clients.ecs(self.platform.home)
        process = self._process
        looked = self.clock()
        while process is not None:
            if process.poll() is not None:
                return f"the session ended: {self._last_line(process)}"
            if self.clock() - looked >= self.watch_seconds:
                looked = self.clock()
                # The plugin may need minutes to notice that its task has stopped.
                with contextlib.suppress(ClientError, BotoCoreError):
                    found = tasks.describe_tasks(client, task.cluster, [task.arn])
                    if not found or not found[0].is_running:
                        why = found[0].reason if found else ""
                        return f"task {task.id[:8]} is stopping" + (f": {why}" if why else "")
            self.sleep(_TICK)
        return "closed"


@dataclass(frozen=True)
class Greeting:
    """Result of a connection: the version of the server, its refusal, or the failure before either."""

    server: str = ""
    refusal: str = ""
    # None while no program listens on the port.
    trouble: str | None = None


def read_greeting(port: int, timeout: float = _GREETING_SECONDS) -> Greeting:
    """Connect to a local port and return the first packet of the MySQL protocol."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout) as connection:
            return _read_greeting(connection)
    except ConnectionRefusedError:
        return Greeting()
    except OSError as error:
        return Greeting(trouble=f"no answer through the tunnel ({error})")


def _read_greeting(connection: socket.socket) -> Greeting:
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:3], "little"):
        chunk = connection.recv(4096)
        if not chunk:
            return Greeting(trouble="the tunnel is open, but the server behind the relay closes the connection")
        data += chunk
    packet = data[4:]
    if packet[0] == _ERROR_PACKET:
        return Greeting(refusal=packet[3:].decode("utf-8", "replace").lstrip("#"))
    if packet[0] != _PROTOCOL_10:
        return Greeting(refusal="the server is not a MySQL server")
    return Greeting(server=packet[1:].split(b"\0", 1)[0].decode("ascii", "replace"))


def find_relay_port(definition: dict[str, object], end: DatabaseEnd) -> int:
    """Return the port of the relay of a running task, from the labels of its bastion container."""
    containers = definition.get("containerDefinitions")
    for container in containers if isinstance(containers, list) else ():
        if container.get("name") == BASTION and (port := container.get("dockerLabels", {}).get(f"relay.{end}")):
            return int(port)
    arn = str(definition.get("taskDefinitionArn", "")).rpartition("/")[2]
    raise DeployerError(
        f'has no container "{BASTION}" with a relay to the {end}', where=arn, hint="deploy the service again"
    )


def choose_local_port(wanted: int | None, preferred: int) -> int:
    """Return a free local port: the wanted one, the preferred one, or any.

    Raises DeployerError if the wanted one is in use.
    """
    if _is_free(wanted or preferred):
        return wanted or preferred
    if wanted is not None:
        raise DeployerError(f"local port {wanted} is in use", hint="use another one with -L, or omit -L")
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":
            # Otherwise a connection that was just closed would block the port for a minute.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


class _NotOpenedError(DeployerError):
    """One attempt to open the tunnel failed."""


def _is_final(error: ClientError | BotoCoreError) -> bool:
    """Return whether the next attempt would fail too: a missing permission, or expired credentials."""
    return isinstance(error, ClientError) and (is_denied(error) or isinstance(explain(error), CredentialsError))


def _refused(error: ClientError, task: Task, platform: Platform) -> DeployerError | None:
    """Return an error about the session itself, or None for any other error."""
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", str(error))
    where = f"task {task.id[:8]}"
    if code == "TargetNotConnected":
        name = platform.context.environment.name
        hint = f"find the reason: deploy.py exec --check -e {name}"
        return _NotOpenedError("the agent of the task is not connected to Session Manager", where=where, hint=hint)
    if code in {"AccessDenied", "AccessDeniedException"}:
        hint = (
            f"you need ssm:StartSession on {task.arn} and on the document {DOCUMENT}, and ssm:TerminateSession on "
            "your own sessions"
        )
        return DeployerError(f"AWS denied the session: {message}", where=where, hint=hint)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGTERM)
            else:
                process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
