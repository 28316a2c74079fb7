"""A program in a pseudo-terminal of its own, its output read on the way to ours.

session-manager-plugin wants a terminal even where there is none, as in a build, and ends with "EOF" otherwise.
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
# Where nobody looks, programs that format to the width should not break lines.
_WIDE = (50, 250)
_PATIENCE = 5.0


def run(
    command: Sequence[str], environment: Mapping[str, str], show: Callable[[bytes], bytes], *, interactive: bool
) -> None:
    """Run a program until it ends. `show` decides what of its output is written to stdout."""
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
        # Raw: every key is for the other end, and what comes from there is a terminal's output already.
        tty.setraw(0)
        try:
            os.execve(command[0], list(command), dict(environment))  # noqa: S606 - a fixed argument list
        finally:
            os._exit(127)
    resize()
    try:
        with _raw(interactive, resize):
            _copy(terminal, show, interactive=interactive)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.close(terminal)
        _reap(pid)


def _reap(pid: int) -> None:
    """Wait for the program's end, which the closed terminal is a reason for; not for ever."""
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
                return  # Linux says so when the program is gone; others answer nothing
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
def _raw(interactive: bool, resize: Callable[..., None]) -> Iterator[None]:
    """Our own terminal in raw mode, and back however this ends."""
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
