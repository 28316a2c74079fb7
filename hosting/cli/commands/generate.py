"""`deploy.py generate`: write templates/, or report stale files."""

from __future__ import annotations

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import ROOT


@click.command()
@click.option("--check", is_flag=True, help="Write nothing. Exit 1 if a template is stale.")
def generate(check: bool) -> int:
    """Write templates/ from generator/. Works offline."""
    from generator import render
    from generator.config import load_config
    from generator.resources import limits

    folder = ROOT / "templates"
    rendered = render.render_all(load_config(ROOT))
    excesses = limits.check(rendered)
    for excess in excesses:
        click.echo(f"{'note: ' if excess.adjustable else ''}{excess}", err=True)
    refused = not all(excess.adjustable for excess in excesses)
    if check:
        findings = render.stale(folder, rendered)
        for finding in findings:
            click.echo(f"templates/{finding}", err=True)
        if findings:
            click.echo("Run `deploy.py generate` and commit templates/.", err=True)
        return Exit.ERROR if findings or refused else Exit.DONE
    if refused:
        click.echo("Nothing is written: the templates exceed a limit of CloudFormation.", err=True)
        return Exit.ERROR
    touched = render.write(folder, rendered)
    for name in touched:
        click.echo(f"templates/{name}")
    if not touched:
        click.echo("templates/ is up to date.", err=True)
    return Exit.DONE
