"""`deploy.py validate`: check the templates with the values of each environment."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    ROOT,
    environments_option,
    output_option,
    removed_option,
    root_option,
)

if TYPE_CHECKING:
    from hosting.analysis.validation import Validation


@click.command()
@environments_option
@output_option("text", "json", "sarif", "junit")
@removed_option("--format", "--output")
@root_option
def validate(environment: str, output: str, root: Path) -> int:
    """Check the templates with cfn-lint, alone and with each environment's values, and run the project's own rules.

    Works offline. Exits 1 if there are findings.
    """
    from hosting.analysis.validation import validate as run
    from hosting.model.parameter_file import select_files

    started = time.monotonic()
    files = select_files(root / "params", environment)
    result = run(root / "templates", files, lambda line: click.echo(f"validate: {line}", err=True))
    _print_findings(result, output, root)
    click.echo(f"validate: {time.monotonic() - started:.1f} s", err=True)
    return Exit.ERROR if result.findings else Exit.DONE


def _print_findings(result: Validation, output: str, root: Path) -> None:
    from hosting.analysis import report
    from hosting.analysis.rules import RULES
    from hosting.cli.support.sources import locate_findings

    findings = locate_findings(result.findings, root)
    if output == "json":
        click.echo(report.as_json(findings, result.checked))
    elif output == "sarif":
        folder = (root / "templates").resolve()
        shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
        titles = {rule.id: rule.title for rule in RULES.values()}
        click.echo(report.as_sarif(findings, result.checked, shown.as_posix(), titles))
    elif output == "junit":
        click.echo(report.as_junit(findings, result.checked))
    else:
        report.write_text(findings, result.checked, sys.stdout)
