"""`deploy.py generate`: write every generated file, or report which of them are stale."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import root_option


@click.command()
@click.option("--check", is_flag=True, help="Write nothing. Exit 1 if a generated file is stale.")
@root_option
def generate(check: bool, root: Path) -> int:
    """Write templates/ and the tables and pictures of docs/. Works offline.

    They are generated from workloads.py, params/ and generator/.
    """
    from generator.config import load_config
    from hosting.cli.support import generated

    # A run is short and keeps most of its objects: collections would only walk through them again.
    gc.freeze()
    gc.disable()
    try:
        files = generated.render_project(root, load_config(root))
    finally:
        gc.enable()
    fits = generated.report_limits(files)
    if check:
        findings = generated.find_stale(root, files)
        for finding in findings:
            click.echo(finding, err=True)
        if findings:
            click.echo("Run `deploy.py generate` and commit the files that it changes.", err=True)
        return Exit.DONE if fits and not findings else Exit.ERROR
    if not fits:
        click.echo("Nothing is written: the templates exceed a limit of CloudFormation.", err=True)
        return Exit.ERROR
    touched = generated.write(root, files)
    for name in touched:
        click.echo(name)
    if not touched:
        click.echo("All generated files are up to date.", err=True)
    return Exit.DONE
