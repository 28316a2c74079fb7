"""Print the checks of `exec --check` and `preflight` as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit

if TYPE_CHECKING:
    from hosting.deployer.operate.checklist import Check

_COLOURS = {"ok": "green", "problem": "red", "not checkable": "yellow"}


def print_checks(lines: Iterable[Check], output: str) -> list[Check]:
    """Print each check as soon as it has a result, or all of them as JSON. Return the checks."""
    shown: list[Check] = []
    for line in lines:
        shown.append(line)
        if output == "text":
            click.echo(_format_check(line))
    if output == "json":
        click.echo(json.dumps(build_document(shown), indent=2))
    else:
        click.echo(_format_summary(shown))
    return shown


def select_exit_code(lines: Sequence[Check]) -> Exit:
    """Return ERROR if a check found a problem, else DONE."""
    return Exit.ERROR if any(line.status == "problem" for line in lines) else Exit.DONE


def build_document(lines: Sequence[Check]) -> dict[str, object]:
    """Return the checks as a JSON document."""
    return {
        "schema": "hosting-platform/checklist/1",
        "lines": [
            {
                "area": line.area,
                "what": line.what,
                "verdict": str(line.status),
                "seen": line.seen,
                "remedy": line.remedy,
            }
            for line in lines
        ],
    }


def _format_check(line: Check) -> str:
    mark = click.style(f"{line.status:<13}", fg=_COLOURS[line.status], bold=line.status == "problem")
    seen = click.style(f"  {line.seen}", dim=True) if line.seen else ""
    text = f"{mark}  {line.area}: {line.what}{seen}"
    return f"{text}\n{'':<15}{line.remedy}" if line.remedy and line.status == "problem" else text


def _format_summary(lines: Sequence[Check]) -> str:
    counts = [sum(1 for line in lines if line.status == status) for status in _COLOURS]
    return f"\n{counts[0]} ok, {counts[1]} problem{'s' * (counts[1] != 1)}, {counts[2]} not checkable"
