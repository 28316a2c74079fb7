"""`deploy.py graph`: draw the architecture from the templates."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    environment_option,
    output_option,
    removed_option,
    root_option,
)
from hosting.model.parameter_file import ALL


@click.command()
@environment_option()
@output_option("svg", "mermaid", "png")
@removed_option("--format", "--output")
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file instead of stdout.",
)
@root_option
def graph(environment: str, output: str, target: Path | None, root: Path) -> int:
    """Draw the architecture of an environment from the resolved templates. Works offline.

    PNG requires rsvg-convert or cairosvg. Equal templates and parameters give equal bytes. `generate` writes the
    pictures of all environments to docs/.
    """
    from hosting.analysis.graph import pictures
    from hosting.model.parameter_file import load_environment, locate
    from hosting.model.templates import load_complete

    if output == "png" and target is None and sys.stdout.isatty():
        raise click.UsageError("PNG data cannot be written to a terminal: use --to FILE, or redirect stdout.")
    if environment == ALL:
        raise click.UsageError("A picture shows one environment: use its name instead of all.")
    file = locate(root / "params", environment)
    model = pictures.architecture(load_complete(root / "templates"), load_environment(file))
    data = pictures.as_mermaid(model).encode() if output == "mermaid" else pictures.as_svg(model).encode()
    if output == "png":
        data = pictures.as_png(data.decode())
    if target is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return Exit.DONE
    try:
        target.write_bytes(data)
    except OSError as problem:
        raise click.ClickException(f"{target}: {problem.strerror}") from None
    click.echo(f"{target}: {environment}, {output}, {len(data):,} bytes", err=True)
    return Exit.DONE
