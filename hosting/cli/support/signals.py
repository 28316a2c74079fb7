"""A command that is told to end tidies up as after Ctrl-C, instead of dying where it stands.

A cancelled build sends SIGTERM and a lost connection SIGHUP: change sets would stay, and a record without an end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """Nobody is there to be asked any more."""


@contextmanager
def tidily() -> Iterator[None]:
    """A block that these signals interrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup SIGHUP is ignored, and stays so.
        if signal.getsignal(number) is signal.SIG_DFL:
            before[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # Once is enough: a second one must not interrupt the tidying.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated
