"""Ends that are not Ctrl-C and should be as orderly: a closed terminal, a `kill`, a cancelled build."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP do in here what Ctrl-C does; what was to be ignored, as under nohup, still is."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    names = ["SIGTERM", "SIGHUP"] if os.name == "posix" else ["SIGTERM"]
    numbers = [number for name in names if signal.getsignal(number := getattr(signal, name)) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
