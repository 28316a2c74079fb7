"""Process 1 of a sandbox: relays connections into and out of its network namespace, and runs the app as its user.

Bubblewrap runs this file by its path, so it uses only the standard library. The other end of each relay is a ``Relays``
of the process that started the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

# The address of the container. An app that listens only on 127.0.0.1 refuses it, as on Fargate.
OWN_ADDRESS = "127.0.2.1"
# Where a sandbox mounts the folder with the sockets of its relays and this program's input.
CONTROL = "/run/container"
INPUT = "init.json"
INGRESS = "ingress"
_FORWARDED = tuple(getattr(signal, f"SIG{name}") for name in ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH"])
_APP_ADDRESS = "10.254.0.1"
_PREFIX = 16
_CLONE_NEWNET = 0x40000000
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
# Exit codes of a shell for a command that cannot be executed and for a command that is not found.
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127

Address = tuple[str, int] | Path
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _connect(address: Address) -> Streams:
    if isinstance(address, Path):
        return await asyncio.open_unix_connection(address)
    return await asyncio.open_connection(*address)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until the end, and pass on that one direction ended."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Address) -> None:
    """Connect a connection with the target, until both directions have ended."""
    with contextlib.suppress(asyncio.CancelledError, OSError):
        far_reader, far_writer = await _connect(target)
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            far_writer.close()
    writer.close()


async def listen(address: Address, target: Address) -> asyncio.Server:
    """Accept connections at an address, and connect each with the target. A refused connection is closed."""
    # The event loop has only weak references to tasks.
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(_relay(reader, writer, target))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if isinstance(address, Path):
        return await asyncio.start_unix_server(accept, address)
    return await asyncio.start_server(accept, *address)


class Relays:
    """Relays of this process, in a thread with an event loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []

    def add(self, address: Address, target: Address) -> int:
        """Start a relay. Return the port at which it listens, or 0 for a Unix socket."""
        server = self._run(listen(address, target))
        self._servers.append(server)
        name = server.sockets[0].getsockname()
        return name[1] if isinstance(name, tuple) else 0

    def close(self) -> None:
        """End all relays and their connections."""

        async def end() -> None:
            for server in self._servers:
                server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def main() -> int:
    """Run the app until it ends, and return its exit code as a shell would."""
    control = Path(CONTROL)
    settings = json.loads((control / INPUT).read_text(encoding="utf-8"))
    # The input contains the values of secrets. The app gets them in its environment only.
    (control / INPUT).unlink()
    if os.getuid() != 0:
        # bubblewrap made the network namespace in a user namespace in which this process has no capabilities.
        _unshare_network()
        _ip(settings, "link", "set", "lo", "up")
    _start_relays(control, settings)
    app = 0
    # A signal that arrives before the app has started is delivered at its start.
    pending: list[int] = []

    def forward(number: int, _frame: object) -> None:
        if app:
            with contextlib.suppress(ProcessLookupError):
                os.kill(app, number)
        else:
            pending.append(number)

    for name in _FORWARDED:
        signal.signal(name, forward)
    app = os.fork()
    if not app:
        _execute(settings)
    for number in pending:
        forward(number, None)
    while True:
        # Process 1 also reaps the orphans of the app.
        pid, status = os.wait()
        if pid == app:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _start_relays(control: Path, settings: dict[str, Any]) -> None:
    """Start the relays in processes of their own, and wait until they listen.

    Destinations have a network namespace of their own, because the app may listen on the same port on all addresses.
    """
    if settings["port"]:
        own = ((control / INGRESS, (OWN_ADDRESS, settings["port"])),)
        _start_process(lambda ready: _serve(own, ready))
    if settings["destinations"]:
        listeners = tuple(((address, port), control / name) for name, address, port in settings["destinations"])
        connected, connect = os.pipe()

        def serve(ready: Callable[[], object]) -> None:
            _unshare_network()
            ready()
            os.read(connected, 1)
            for address in dict.fromkeys(address for _, address, _ in settings["destinations"]):
                _ip(settings, "address", "add", f"{address}/{_PREFIX}", "dev", "relay")
            _ip(settings, "link", "set", "relay", "up")
            _serve(listeners, ready)

        pid, ready = _start_process(serve)
        _ip(settings, "link", "add", "app0", "type", "veth", "peer", "name", "relay", "netns", str(pid))
        _ip(settings, "address", "add", f"{_APP_ADDRESS}/{_PREFIX}", "dev", "app0")
        _ip(settings, "link", "set", "app0", "up")
        os.write(connect, b"1")
        _await(ready)


def _unshare_network() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare of a network namespace")


def _start_process(run: Callable[[Callable[[], object]], None]) -> tuple[int, int]:
    """Run a function in a new process, and return its id when it is ready, and the pipe that repeats this."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        _await(reading)
        return pid, reading
    run(lambda: os.write(writing, b"1"))
    os._exit(1)


def _await(pipe: int) -> None:
    if not os.read(pipe, 1):
        sys.exit("the relays of the container did not start")


def _serve(listeners: Sequence[tuple[Address, Address]], ready: Callable[[], object]) -> None:
    """Serve relays until the container ends."""

    async def serve() -> None:
        for address, target in listeners:
            await listen(address, target)
        ready()
        await asyncio.Event().wait()

    asyncio.run(serve())


def _ip(settings: dict[str, Any], *arguments: str) -> None:
    subprocess.run([settings["ip"], *arguments], check=True)


def _execute(settings: dict[str, Any]) -> NoReturn:
    """Replace this process by the app, as the app's user, in its folder and with its environment."""
    for name in _FORWARDED:
        signal.signal(name, signal.SIG_DFL)
    command: list[str] = settings["command"]
    subject = command[0]
    try:
        os.umask(0o022)
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(settings["gid"])
            os.setuid(settings["uid"])
        # In a user namespace the capabilities for the network would stay.
        ctypes.CDLL(None).prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        subject = settings["directory"]
        os.chdir(subject)
        subject = command[0]
        os.execvpe(command[0], command, settings["environment"])  # noqa: S606 -- the command of the container
    except OSError as error:
        print(f"{subject}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201 -- the container's log
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


if __name__ == "__main__":
    sys.exit(main())
