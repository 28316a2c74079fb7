"""The helpers that other tests rely on."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from tests.support import waiting

PROJECT = Path(__file__).parents[1]


def test_signals_reach_children_also_where_the_parent_ignores_them() -> None:
    """As under `nohup make test &`: otherwise every test of Ctrl-C would wait until its end."""
    child = "import signal; print(*(signal.getsignal(one).name for one in (signal.SIGHUP, signal.SIGTERM)))"
    parent = (
        "import signal, subprocess, sys\n"
        "from tests.support.signals import deliver_to_children\n"
        "for one in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM): signal.signal(one, signal.SIG_IGN)\n"
        "deliver_to_children()\n"
        "signal.raise_signal(signal.SIGHUP)\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
        "waiting = [sys.executable, '-c', 'import time; print(flush=True); time.sleep(60)']\n"
        "interrupted = subprocess.Popen(waiting, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)\n"
        "interrupted.stdout.readline()\n"
        "interrupted.send_signal(signal.SIGINT)\n"
        "print(interrupted.wait())\n"
    )
    done = subprocess.run([sys.executable, "-c", parent], cwd=PROJECT, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["SIG_DFL SIG_DFL", "-2"], done.stderr


def test_eventually_returns_the_first_true_value() -> None:
    numbers = count(-2)
    assert waiting.eventually(lambda: max(next(numbers), 0), pause=0) == 1


def test_eventually_describes_what_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    with pytest.raises(AssertionError, match="not within 0 s: a stack is gone"):
        waiting.eventually(lambda: None, "a stack is gone", pause=0.01)
    with pytest.raises(AssertionError, match="seen: nothing"):
        waiting.eventually(lambda: None, lambda: "seen: nothing", pause=0.01)
