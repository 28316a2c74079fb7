"""`deploy.py timeline`: show the duration and the critical path of a first deployment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import environments_option, output_option, root_option
from hosting.model.parameter_file import ALL

if TYPE_CHECKING:
    from hosting.analysis.resolve import ResolvedEnvironment
    from hosting.analysis.timeline.schedule import AvoidableWait, Schedule

_WIDTH = 40


@click.command()
@environments_option
@output_option("text", "json")
@root_option
def timeline(environment: str, output: str, root: Path) -> int:
    """Show the critical path of a first deployment: the resources that determine its duration. Works offline.

    Durations are those of the last recorded first deployment in runs/. Otherwise they are typical values, printed with
    their source.
    """
    from hosting.analysis.resolve import resolve
    from hosting.analysis.timeline import durations
    from hosting.analysis.timeline.schedule import compute_schedule, find_avoidable_waits
    from hosting.model.parameter_file import load_environment, select_files
    from hosting.model.templates import load_complete

    templates = load_complete(root / "templates")
    documents, texts = [], []
    for file in select_files(root / "params", environment):
        env = resolve(templates, load_environment(file))
        known = durations.load_measured_durations(root, env.name)
        schedule, found = compute_schedule(env, known), find_avoidable_waits(env, known)
        documents.append(_build_document(env, schedule, found, known.run))
        texts.append("\n".join(_format_timeline(env, schedule, found, known.run)))
    if output == "json":
        click.echo(json.dumps(documents if environment == ALL else documents[0], indent=2))
    else:
        click.echo("\n\n".join(texts))
    return Exit.DONE


def _format_clock(seconds: float) -> str:
    return f"{int(seconds) // 60:>3}:{int(seconds) % 60:02}"


def _format_timeline(
    env: ResolvedEnvironment, schedule: Schedule, found: Sequence[AvoidableWait], run: str
) -> Iterator[str]:
    from hosting.analysis.timeline.durations import ASSUMED
    from hosting.analysis.timeline.schedule import find_longest_chain

    basis = f"as measured in {run}" if run else "with typical durations; no first deployment is recorded in runs/"
    yield f"{env.name}: a first deployment takes about {schedule.total / 60:.0f} minutes, {basis}\n"
    yield "Stacks, minutes and seconds from the start:"
    scale = _WIDTH / schedule.total if schedule.total else 0
    for top, begin, end in schedule.tops:
        yield _format_bar(top, begin, end, scale)
        for task in sorted(schedule.stacks(top), key=lambda one: (one.begin, one.end)):
            yield _format_bar("  " + task.logical_id.removesuffix("Stack"), task.begin, task.end, scale)
    yield "\nCritical path: other resources finish earlier"
    for task in schedule.critical:
        if task.seconds >= 1:
            took = _format_clock(task.seconds).strip()
            yield f"  {_format_clock(task.begin)}  +{took:<6}{task.path}  ({task.source})"
    assumed = sum(task.seconds for task in schedule.critical if task.source == ASSUMED)
    if assumed:
        yield f"  {assumed:.0f} s of it are assumed: 10 s for each resource type without a source"
    for stack in env.chain:
        if len(chain := find_longest_chain(stack)) > 1:
            yield f"\nLongest chain of nested stacks in {stack.path}: {' -> '.join(_shorten_id(one) for one in chain)}"
    yield "\nDependencies between stacks, with the time that the removal of each one would save:"
    for cut in found:
        by = ", ".join(cut.parameters) or "DependsOn"
        gain = _format_clock(cut.gain).strip()
        yield f"  {gain}  {_shorten_id(cut.waits)} waits for {_shorten_id(cut.awaits)}, by {by}"
    if not found:
        yield "  none: another dependency of the same duration remains in each case"


def _shorten_id(logical_id: str) -> str:
    return logical_id.removesuffix("Stack")


def _format_bar(label: str, begin: float, end: float, scale: float) -> str:
    left, width = int(begin * scale), max(1, int((end - begin) * scale))
    return f"  {label:<20}{_format_clock(begin)} {_format_clock(end)}  {' ' * left}{'=' * width}"


def _build_document(
    env: ResolvedEnvironment, schedule: Schedule, found: Sequence[AvoidableWait], run: str
) -> dict[str, Any]:
    return {
        "schema": "hosting-platform/timeline/1",
        "environment": env.name,
        "measuredIn": run or None,
        "seconds": round(schedule.total),
        "stacks": [{"stack": top, "begin": round(begin), "end": round(end)} for top, begin, end in schedule.tops],
        "critical": [
            {"path": task.path, "type": task.type, "begin": round(task.begin), "seconds": round(task.seconds),
             "source": task.source}
            for task in schedule.critical
        ],
        "cuts": [
            {"waits": cut.waits, "awaits": cut.awaits, "parameters": list(cut.parameters), "seconds": round(cut.gain)}
            for cut in found
        ],
    }  # fmt: skip
