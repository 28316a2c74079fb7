"""Worker processes that run cases. Each worker has an emulator and a proxy of its own."""

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
    global _lab, _recording  # noqa: PLW0603 - the state of one worker process
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    _lab = stack.enter_context(laboratory(stack.enter_context(Emulator())))
    _recording = recording


def _run(case: Case) -> Result:
    try:
        return matrix.run(_lab, _recording, case)
    except Exception as error:  # noqa: BLE001 - a case that cannot be run is a finding, too
        return Result(case, End.WRONG, (f"{type(error).__name__}: {error}",))


def run_all(cases: Sequence[Case], recording: Recording, jobs: int) -> Iterator[Result]:
    """Run the cases in `jobs` processes, and yield each result when it is ready."""
    # The processes are spawned: a forked process would share the threads' locks with its parent.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(recording,)) as pool:
        for done in as_completed([pool.submit(_run, case) for case in cases]):
            yield done.result()
