"""`make faults`: run the whole fault matrix, with one process for each processor."""

from __future__ import annotations

import argparse
import os
import sys
import time

import click

from hosting.rehearsal.emulator import Emulator
from tests.faults import matrix
from tests.faults.lab import laboratory
from tests.faults.matrix import End, Recording, Result
from tests.faults.workers import run_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--only", default="", help="Run only the cases whose name contains this text. Default: all cases."
    )
    parser.add_argument(
        "--sample", type=int, default=0, help="Run only this number of cases, always the same ones. Default: all."
    )
    parser.add_argument("--real", type=int, default=12, help="Number of cases with the real templates. Default: 12.")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="Number of processes. Default: all processors."
    )
    options = parser.parse_args()

    begun = time.monotonic()
    recording = Recording()
    with Emulator() as emulator, laboratory(emulator) as lab:
        matrix.record(lab, lab.small, recording)
        matrix.record(lab, lab.stuck, recording)
        if options.real:
            matrix.record(lab, lab.real, recording)
    everything = matrix.matrix(recording)
    cases = [case for case in matrix.choose(everything, options.real) if options.only in str(case)]
    if options.sample:
        cases = matrix.sample(cases, options.sample)
    real = sum(1 for case in cases if case.project == "real")
    click.echo(f"{len(cases)} cases: {real} use the real templates, the other ones a small project with the same calls")
    results: list[Result] = []
    for result in run_all(cases, recording, options.jobs):
        results.append(result)
        if result.end is End.WRONG:
            click.echo("\n".join([f"WRONG  {result.case}", *(f"    {line}" for line in result.problems)]))
        elif len(results) % 50 == 0:
            click.echo(f"{len(results)} of {len(cases)} done")
    click.echo("\n".join(["", *matrix.table(results)]))
    click.echo(f"\n{matrix.summary(results, len(matrix.choose(everything, options.real)), time.monotonic() - begun)}")
    return 1 if any(result.end is End.WRONG for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
