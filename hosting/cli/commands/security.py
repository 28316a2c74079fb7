"""`deploy.py security`: scan templates and policies with third-party scanners."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    ROOT,
    environments_option,
    output_option,
    root_option,
)
from hosting.model.parameter_file import ALL

if TYPE_CHECKING:
    from hosting.analysis.findings import Finding
    from hosting.analysis.security_scan import Scan
    from hosting.analysis.suppressions import Suppression

PYTHON = ROOT / ".venv-security" / "bin" / "python"


@click.command()
@environments_option
@output_option("text", "json")
@root_option
def security(environment: str, output: str, root: Path) -> int:
    """Scan templates and policies with checkov, parliament and the project's rules.

    Suppressed findings are listed with their reasons. Works offline; `make security` installs the scanners. Exits 1 if
    there are findings or if a scanner fails.
    """
    from hosting.analysis.security_scan import scan
    from hosting.cli.support.sources import locate_findings
    from hosting.model.parameter_file import select_files

    started = time.monotonic()
    files = select_files(root / "params", environment)
    result = scan(
        root / "templates",
        files,
        PYTHON,
        complete=environment == ALL,
        progress=lambda line: click.echo(f"security: {line}", err=True),
    )
    findings = locate_findings(result.findings, root)
    if output == "json":
        click.echo(_format_json(result, findings))
    else:
        _print_result(result, findings)
    click.echo(f"security: {time.monotonic() - started:.1f} s", err=True)
    return Exit.ERROR if findings else Exit.DONE


def _format_json(result: Scan, findings: Sequence[Finding]) -> str:
    """Return the result as JSON. Fields may be added; a removed or changed field requires a new schema."""
    from hosting.analysis.findings import as_dict

    document = {
        "schema": "security/1",
        # The keys of security/1, which are older than the names of the fields.
        "checked": {"guards" if name == "own_rules" else name: value for name, value in asdict(result.checked).items()},
        "findings": [as_dict(finding) for finding in findings],
        "suppressions": [asdict(suppression) for suppression in result.suppressions],
    }
    return json.dumps(document, indent=2)


def _print_result(result: Scan, findings: Sequence[Finding]) -> None:
    from hosting.analysis import report

    by_reason: dict[tuple[str, str], list[Suppression]] = {}
    for item in result.suppressions:
        by_reason.setdefault((item.rule, item.reason), []).append(item)
    for (rule, reason), items in sorted(by_reason.items()):
        where = ", ".join(f"{item.template} {item.logical_id}" for item in items)
        click.echo(f"suppressed {rule}  {where}\n    why {reason}")
    report.write_text(findings, result.checked, sys.stdout)
