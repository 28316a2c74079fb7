"""Signals for the processes that a test starts, also where the tests themselves ignore them."""

from __future__ import annotations

import signal


def deliver_to_children() -> None:
    """Let new processes start with the default handlers of SIGINT, SIGHUP and SIGTERM.

    `nohup` and a shell's `&` make this process ignore some of them, and a child inherits that. A handler is not
    inherited: one that does nothing protects this process as well, and leaves the children the defaults.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)


def _ignore(*_: object) -> None:
    pass
