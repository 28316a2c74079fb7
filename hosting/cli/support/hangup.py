"""Ends that are not Ctrl-C and should be as orderly. (A `kill` is taken care of where the program begins.)"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def ended_by_hangup() -> Iterator[None]:
    """A closed terminal does in here what Ctrl-C does; under nohup, where it is to be ignored, it still is."""
    number = getattr(signal, "SIGHUP", None)
    if number is None or signal.getsignal(number) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)
