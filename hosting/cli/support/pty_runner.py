"""Run a program in a pseudo-terminal and filter its output.

session-manager-plugin requires a terminal and ends with "EOF" without one, for example in a CI job.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

_CHUNK = 65536
# Size without a user: programs that format to the width should not break lines.
_WIDE = (50, 250)
_PATIENCE = 5.0


def run(
    command: Sequence[str], environment: Mapping[str, str], show: Callable[[bytes], bytes], *, interactive: bool
) -> None:
    """Run a program until it ends. `show` returns the part of its output to write to stdout."""
    import fcntl
    import pty
    import struct
    import termios
    import tty

    def resize(*_: object) -> None:
        size = struct.pack("HHHH", *_WIDE, 0, 0)
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(sys.stdin.fileno(), termios.TIOCGWINSZ, size) if interactive else size
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)

    pid, terminal = pty.fork()
    if pid == 0:
        # Raw mode: the remote shell handles every key, and its output is already formatted for a terminal.
        tty.setraw(0)
        try:
            os.execve(command[0], list(command), dict(environment))  # noqa: S606 - a fixed argument list
        finally:
            os._exit(127)
    resize()
    try:
        with _use_raw_mode(interactive, resize):
            _copy(terminal, show, interactive=interactive)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.close(terminal)
        _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    """Wait until the program ends after its terminal is closed. Kill it after `_PATIENCE` seconds."""
    deadline = time.monotonic() + _PATIENCE
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.02)


def _copy(terminal: int, show: Callable[[bytes], bytes], *, interactive: bool) -> None:
    keyboard, screen = sys.stdin.fileno() if interactive else -1, sys.stdout.fileno()
    watched = [terminal, keyboard] if interactive else [terminal]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if terminal in ready:
            try:
                data = os.read(terminal, _CHUNK)
            except OSError:
                return  # Linux reports EIO after the program has ended; other systems return no data
            if not data:
                return
            _write(screen, show(data))
        if keyboard in ready:
            typed = os.read(keyboard, _CHUNK)
            if typed:
                _write(terminal, typed)
            else:
                watched.remove(keyboard)


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


@contextlib.contextmanager
def _use_raw_mode(interactive: bool, resize: Callable[..., None]) -> Iterator[None]:
    """Put the user's terminal into raw mode in this block, and restore it in every case."""
    if not interactive:
        yield
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    handler = signal.signal(signal.SIGWINCH, resize)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
