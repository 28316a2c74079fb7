"""`deploy.py validate`: are the templates right, with the values that each environment has?"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import ROOT, folder_options

if TYPE_CHECKING:
    from hosting.analysis.validation import Validation


@click.command()
@click.option("-e", "--env", "environment", default="all", show_default=True, help="dev, prod, ... or all.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True,
    help="How findings are written to stdout.",
)  # fmt: skip
@folder_options
def validate(environment: str, form: Literal["text", "json", "sarif"], templates: Path, params: Path) -> int:
    """Lint the templates, alone and with each environment's values, and check what lint is blind to.

    Needs neither credentials nor a network. Exits 0 when nothing was found, 1 with findings, 64 on bad input.
    """
    from hosting.analysis.errors import AnalysisError
    from hosting.analysis.validation import validate as run

    started = time.monotonic()
    try:
        files = parameter_files(params, environment)
        result = run(templates, files, lambda line: click.echo(f"validate: {line}", err=True))
    except AnalysisError as error:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
        return Exit.USAGE
    _write(result, form, templates)
    click.echo(f"validate: {time.monotonic() - started:.1f} s", err=True)
    return Exit.ERROR if result.findings else Exit.DONE


def parameter_files(folder: Path, environment: str) -> list[Path]:
    """The parameter file of one environment, or of all of them."""
    from hosting.analysis.errors import ParameterFileError

    files = sorted(folder.glob("*.json"))
    if not files:
        raise ParameterFileError("no parameter files", where=str(folder), remedy="write <environment>.json there")
    chosen = [file for file in files if environment in ("all", file.stem)]
    if not chosen:
        known = ", ".join(file.stem for file in files)
        raise ParameterFileError(
            f'no environment "{environment}"', where=str(folder), remedy=f"there are {known}, and all"
        )
    return chosen


def _write(result: Validation, form: str, templates: Path) -> None:
    from hosting.analysis import report
    from hosting.analysis.findings import located
    from hosting.analysis.rules import GUARDS

    findings = list(result.findings)
    if findings:
        from hosting.cli.support.sources import resource_sources

        sources = resource_sources(templates)
        findings = [located(finding, sources) for finding in findings]
    if form == "json":
        click.echo(report.as_json(findings, result.checked))
    elif form == "sarif":
        folder = templates.resolve()
        shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
        titles = {rule.id: rule.title for rule in GUARDS.values()}
        click.echo(report.as_sarif(findings, result.checked, shown.as_posix(), titles))
    else:
        report.write_text(findings, result.checked, sys.stdout)
