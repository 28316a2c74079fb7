"""Turn SIGTERM and SIGHUP into an interruption, so that a command cleans up as it does after Ctrl-C.

A cancelled CI job sends SIGTERM, and a lost connection sends SIGHUP. Without these handlers change sets would remain
in the account, one-off tasks would run on, and the record of a run would have no end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM or SIGHUP: no user is present who could answer a question."""


def interrupt_on_sigterm() -> None:
    """Raise `Terminated` in the main thread when this process receives SIGTERM. Lasts until the process ends."""
    signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def interrupt_on_sighup() -> Iterator[None]:
    """Raise `Terminated` in this block when its terminal closes. Under nohup SIGHUP remains ignored."""
    number = getattr(signal, "SIGHUP", None)
    is_main = threading.current_thread() is threading.main_thread()
    if number is None or not is_main or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    signal.signal(number, _interrupt)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup that the first one starts.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated
