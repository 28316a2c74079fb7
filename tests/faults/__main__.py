"""The whole matrix, in as many processes as there are processors: what `make faults` runs."""

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
    parser.add_argument("--only", default="", help="Only cases whose name contains this.")
    parser.add_argument("--sample", type=int, default=0, help="Only so many of them, always the same.")
    parser.add_argument("--real", type=int, default=12, help="So many cases with the real templates.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
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
    click.echo(
        f"{len(cases)} cases, {real} of them with the real templates; the rest with a small project that calls the same"
    )
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
