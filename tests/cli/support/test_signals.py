"""A command that is told to end tidies up first."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hosting.cli.support.operation_monitor import Detached, Watching
from hosting.cli.support.signals import Terminated, tidily
from hosting.deployer.events import Event
from hosting.deployer.operations import Operation
from hosting.deployer.stack_order import Role, Stack


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_is_interrupted_and_signals_are_as_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    tidied = False

    @tidily()
    def command() -> None:
        nonlocal tidied
        try:
            os.kill(os.getpid(), number)
        finally:
            # The second one, of somebody impatient, does not stop the tidying.
            os.kill(os.getpid(), number)
            tidied = True

    with pytest.raises(Terminated):
        command()
    assert tidied
    assert signal.getsignal(number) is before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with tidily():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_detaches_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def __iter__(self) -> Iterator[Sequence[Event]]:
            yield ()
            raise Terminated

    monkeypatch.setattr(
        "hosting.cli.support.operation_monitor.click.prompt", lambda *_, **__: pytest.fail("nobody is there")
    )
    context: Any = SimpleNamespace(environment=SimpleNamespace(name="dev"))
    operation = Operation(Stack(Role.ROOT, "shop-dev", "eu-west-1"), "arn", "update", Ended())
    with pytest.raises(Detached):
        Watching(Console(file=io.StringIO()), interactive=True).follow(context, operation)
