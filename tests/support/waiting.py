"""Waiting for other processes: by their events, and with one limit that a loaded machine keeps too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds. An idle machine needs a fraction of a second for what is awaited; one that runs nine such suites at once
# needs up to half a minute. Only a failing test waits until the end.
PATIENCE = 180.0


def eventually(
    condition: Callable[[], T | None], describe: Callable[[], object] | str = "", *, pause: float = 0.05
) -> T:
    """Return the first true value of `condition`; raise an AssertionError with the description after PATIENCE.

    It polls, because what is awaited happens in another process.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            described = describe if isinstance(describe, str) else describe()
            raise AssertionError(f"not within {PATIENCE:.0f} s: {described or condition}")
        time.sleep(pause)
    return found
