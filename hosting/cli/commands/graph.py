"""`deploy.py graph`: draw the architecture from the templates."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    ALL,
    environment_option,
    output_option,
    removed_option,
    root_option,
)

DOCS = "docs"


@click.command()
@environment_option(required=False)
@output_option("svg", "mermaid", "png")
@removed_option("--format", "--output")
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file instead of stdout.",
)
@click.option("--write-docs", is_flag=True, help="Write docs/architecture-ENV.svg for every environment.")
@click.option("--check", is_flag=True, help="Write nothing. Exit 1 if a picture in docs/ is stale.")
@root_option
def graph(environment: str | None, output: str, target: Path | None, write_docs: bool, check: bool, root: Path) -> int:
    """Draw the architecture of an environment from the resolved templates. Works offline.

    PNG requires rsvg-convert or cairosvg. Equal templates and parameters give equal bytes.
    """
    if write_docs and check:
        raise click.UsageError("--write-docs and --check cannot be combined.")
    if write_docs or check:
        if environment or target or output != "svg":
            raise click.UsageError("--write-docs and --check cover every environment as SVG: remove other options.")
        return _check(root) if check else _write(root)
    if environment is None:
        raise click.UsageError("Missing option '-e' / '--env': a picture shows one environment.")
    return _draw(root, environment, output, target)


def _draw(root: Path, environment: str, form: str, target: Path | None) -> int:
    from hosting.analysis.graph import pictures
    from hosting.model.parameter_file import load_environment, locate
    from hosting.model.templates import load_complete

    if form == "png" and target is None and sys.stdout.isatty():
        raise click.UsageError("PNG data cannot be written to a terminal: use --to FILE, or redirect stdout.")
    if environment == ALL:
        raise click.UsageError("A picture shows one environment: use its name instead of all.")
    file = locate(root / "params", environment)
    model = pictures.architecture(load_complete(root / "templates"), load_environment(file))
    data = pictures.as_mermaid(model).encode() if form == "mermaid" else pictures.as_svg(model).encode()
    if form == "png":
        data = pictures.as_png(data.decode())
    if target is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return Exit.DONE
    try:
        target.write_bytes(data)
    except OSError as problem:
        raise click.ClickException(f"{target}: {problem.strerror}") from None
    click.echo(f"{target}: {environment}, {form}, {len(data):,} bytes", err=True)
    return Exit.DONE


def _check(root: Path) -> int:
    from hosting.analysis.graph import pictures

    problems = pictures.stale(root / DOCS, _wanted(root))
    for problem in problems:
        click.echo(f"{DOCS}/{problem}", err=True)
    if problems:
        click.echo("Run `deploy.py graph --write-docs` and commit docs/.", err=True)
    return Exit.ERROR if problems else Exit.DONE


def _write(root: Path) -> int:
    from hosting.analysis.graph import pictures

    touched = pictures.write(root / DOCS, _wanted(root))
    for name in touched:
        click.echo(f"{DOCS}/{name}")
    if not touched:
        click.echo(f"{DOCS}/ is up to date.", err=True)
    return Exit.DONE


def _wanted(root: Path) -> dict[str, str]:
    from hosting.analysis.graph import pictures
    from hosting.model.parameter_file import select_files

    return pictures.documents(root / "templates", select_files(root / "params", ALL))
