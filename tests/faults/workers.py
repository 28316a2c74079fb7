"""Runs cases in processes of their own, each with an emulator and a proxy of its own."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from hosting.rehearsal.emulator import Emulator
from tests.faults import matrix
from tests.faults.lab import Lab, laboratory
from tests.faults.matrix import Case, End, Recording, Result

_lab: Lab
_recording: Recording


def _start(recording: Recording) -> None:
    global _lab, _recording  # noqa: PLW0603 - each worker process has one of its own
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    _lab = stack.enter_context(laboratory(stack.enter_context(Emulator())))
    _recording = recording


def _run(case: Case) -> Result:
    try:
        return matrix.run(_lab, _recording, case)
    except Exception as error:  # noqa: BLE001 - a case that cannot be run is a finding like any other
        return Result(case, End.WRONG, (f"{type(error).__name__}: {error}",))


def run_all(cases: Sequence[Case], recording: Recording, jobs: int) -> Iterator[Result]:
    """Results as they come."""
    # Spawned, because a forked process would share the threads' locks with its parent.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(recording,)) as pool:
        for done in as_completed([pool.submit(_run, case) for case in cases]):
            yield done.result()
