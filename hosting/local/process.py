"""Starts and stops the process of a container.

With bubblewrap the process has a root file system, a user and a network namespace of its own, as on Fargate. Without
bubblewrap it has the variables, the secrets, the command and, for root, the user; ``not_enforced`` lists the rest.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hosting.local import sandbox
from hosting.local.container import Container, LocalImage
from hosting.local.container_init import INGRESS, INPUT, Relays
from hosting.local.errors import LocalError

# Lines of the log that a message about an ended container quotes.
_TAIL = 20


@dataclass(frozen=True)
class Destination:
    """A server that a container may call: its name and port in the container, and its address on this machine.

    The address is a host with a port, or a Unix socket.
    """

    name: str
    port: int
    address: tuple[str, int] | Path


class RunningContainer:
    """A container that has been started. ``address`` is where this machine reaches its port."""

    def __init__(
        self,
        container: Container,
        process: subprocess.Popen[str],
        address: tuple[str, int] | None,
        relays: Relays | None = None,
    ) -> None:
        self.container = container
        self.address = address
        self.not_enforced: tuple[str, ...] = ()
        self._process = process
        self._relays = relays
        # The process that gets the signals: the child of bubblewrap, which does not forward any.
        self._signalled = process.pid
        self._lines: deque[str] = deque(maxlen=_TAIL)
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id of the container's first process."""
        return self._signalled

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while the container runs. A signal N counts as 128 + N, as Amazon ECS reports it."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the container, and return its exit code."""
        self._process.wait(timeout)
        code = self.exit_code
        assert code is not None  # noqa: S101 -- the process has ended
        return code

    def tail(self) -> str:
        """Return the last lines of the container's log."""
        if self.exit_code is not None and self._reader is not None:
            self._reader.join()
        return "\n".join(self._lines)

    def stop(self, stop_signal: str = "SIGTERM") -> int:
        """Send the stop signal, kill the container after its stop time, and return the exit code (137 if killed)."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._signalled, signal.Signals[stop_signal])
        try:
            self._process.wait(self.container.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._relays is not None:
            self._relays.close()
        if self._reader is not None:
            self._reader.join()
        return self.wait()

    def kill(self) -> None:
        """End the container at once, with all its processes."""
        with contextlib.suppress(ProcessLookupError):
            if self._signalled == self._process.pid:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                os.kill(self._signalled, signal.SIGKILL)  # the first process of a namespace ends all others
        self._process.wait()

    def follow(self, show: Callable[[str], None]) -> None:
        """Pass on each line of the container's log."""

        def read() -> None:
            assert self._process.stdout is not None  # noqa: S101 -- a pipe
            for line in self._process.stdout:
                self._lines.append(line.rstrip("\n"))
                show(line.rstrip("\n"))

        self._reader = threading.Thread(target=read, name=f"log of {self.container.name}", daemon=True)
        self._reader.start()


def start(
    container: Container,
    image: LocalImage,
    folder: Path,
    destinations: Sequence[Destination] = (),
    show: Callable[[str], None] = lambda _line: None,
    *,
    isolated: bool | None = None,
    volumes: Path | None = None,
) -> RunningContainer:
    """Start a container and return it. Raises LocalError if it has no command or an unknown user.

    ``folder`` is an empty or missing folder for the container's files. ``isolated`` demands or forbids bubblewrap; by
    default it is used if it is installed. ``volumes`` is the folder that keeps the files of volumes; by default they
    end with the container.
    """
    if not image.command_of(container):
        raise LocalError(f"workload {container.name} has no command: its image is not on this machine")
    ids = user_ids(container.user or image.user)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.defpath, "HOME": "/", **image.variables, **container.variables, **container.secrets}
    bubblewrap = sandbox.find_bubblewrap()
    if isolated and not bubblewrap:
        raise LocalError("bubblewrap is not installed. Install it: apt-get install bubblewrap")
    if bubblewrap and isolated is not False:
        kept = volumes or folder / "volumes"
        return _start_isolated(bubblewrap, container, image, folder, kept, destinations, show, ids, environment)
    return _start_plain(container, image, show, ids, environment)


def user_ids(user: str) -> tuple[int, int]:
    """Return user and group id of the field User of a container: names or numbers, with or without a group."""
    name, _, group = user.partition(":")
    try:
        entry = None if name.isdigit() else pwd.getpwnam(name or "root")
        uid = entry.pw_uid if entry else int(name)
        if group:
            return uid, int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
        return uid, entry.pw_gid if entry else 0
    except KeyError:
        raise LocalError(f'user "{user}" does not exist on this machine. Declare the ids as numbers.') from None


def _start_isolated(
    bubblewrap: str,
    container: Container,
    image: LocalImage,
    folder: Path,
    volumes: Path,
    destinations: Sequence[Destination],
    show: Callable[[str], None],
    ids: tuple[int, int],
    environment: Mapping[str, str],
) -> RunningContainer:
    control = folder / "control"
    control.mkdir(mode=0o700)
    relays = Relays()
    addresses = {
        name: sandbox.DESTINATION_ADDRESS.format(number)
        for number, name in enumerate(dict.fromkeys(destination.name for destination in destinations), start=1)
    }
    sockets = []
    for number, destination in enumerate(destinations):
        relays.add(control / f"egress-{number}", destination.address)
        sockets.append((f"egress-{number}", addresses[destination.name], destination.port))
    settings = {
        "command": image.command_of(container),
        "directory": image.working_directory,
        "environment": dict(environment),
        "uid": ids[0],
        "gid": ids[1],
        "port": container.port,
        "destinations": sockets,
        "ip": sandbox.find_ip(),
    }
    (control / INPUT).touch(mode=0o600)
    (control / INPUT).write_text(json.dumps(settings), encoding="utf-8")
    arguments = sandbox.command_line(container, image, folder, volumes, addresses, ids)
    reading, writing = os.pipe()
    process = _spawn([bubblewrap, "--info-fd", str(writing), *arguments], {}, "/", pass_fds=(writing,))
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as information:
        described = information.read()
    address = None
    if container.port is not None:
        address = ("127.0.0.1", relays.add(("127.0.0.1", 0), control / INGRESS))
    running = RunningContainer(container, process, address, relays)
    if described:
        running._signalled = json.loads(described)["child-pid"]
    running.follow(show)
    return running


def _start_plain(
    container: Container,
    image: LocalImage,
    show: Callable[[str], None],
    ids: tuple[int, int],
    environment: Mapping[str, str],
) -> RunningContainer:
    command = image.command_of(container)
    source = image.folders.get(image.working_directory)
    directory = str(source) if source else image.working_directory
    if shutil.which(command[0], path=environment["PATH"]) is None:
        raise LocalError(f"workload {container.name}: the command {command[0]} is not found on the container's PATH")
    root = os.getuid() == 0
    process = _spawn(command, environment, directory, user=ids[0] if root else None, group=ids[1] if root else None)
    address = ("127.0.0.1", container.port) if container.port is not None else None
    running = RunningContainer(container, process, address)
    user = () if root else ("user",)
    volumes = ("volumes",) if container.volumes else ()
    running.not_enforced = ("read-only root", "writable paths", "network", *volumes, *user)
    running.follow(show)
    return running


def _spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    *,
    user: int | None = None,
    group: int | None = None,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=dict(environment),
        cwd=directory,
        user=user,
        group=group,
        extra_groups=[] if user is not None else None,
        pass_fds=pass_fds,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches only the parent, which then stops the container
    )
