"""A command that receives SIGTERM or SIGHUP cleans up first."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hosting.cli.support.operation_monitor import Detached, OperationMonitor
from hosting.cli.support.signals import Terminated, interrupt_on_sighup, interrupt_on_sigterm
from hosting.deployer.events import Event
from hosting.deployer.operations import Operation
from hosting.model.stack_order import Stack, StackRole


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Set the default handlers for the test: the runner's parent may ignore SIGHUP."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default_signals")
def test_a_closed_terminal_interrupts_a_command_once() -> None:
    cleaned = False

    @interrupt_on_sighup()
    def command() -> None:
        nonlocal cleaned
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            # A second signal does not stop the cleanup.
            os.kill(os.getpid(), signal.SIGHUP)
            cleaned = True

    with pytest.raises(Terminated):
        command()
    assert cleaned
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@pytest.mark.usefixtures("default_signals")
def test_sigterm_interrupts_the_process_once() -> None:
    interrupt_on_sigterm()
    with pytest.raises(Terminated):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("default_signals")
def test_nohup_keeps_sighup_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupt_on_sighup():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_terminated_command_detaches_without_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def __iter__(self) -> Iterator[Sequence[Event]]:
            yield ()
            raise Terminated

    monkeypatch.setattr(
        "hosting.cli.support.operation_monitor.click.prompt", lambda *_, **__: pytest.fail("a question was asked")
    )
    context: Any = SimpleNamespace(environment=SimpleNamespace(name="dev"))
    operation = Operation(Stack(StackRole.ROOT, "shop-dev", "eu-west-1"), "arn", "update", Ended())
    with pytest.raises(Detached):
        OperationMonitor(Console(file=io.StringIO()), interactive=True).follow(context, operation)
