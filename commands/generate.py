"""`deploy.py generate`: write templates/, or say what is stale."""

from __future__ import annotations

import click

from commands.common import ROOT
from commands.exits import Exit


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a template is stale.")
def generate(check: bool) -> int:
    """Write templates/ from generator/. Needs no network and no credentials."""
    from generator import render

    directory = ROOT / "templates"
    stale = render.stale(directory)
    if check:
        for name in stale:
            click.echo(f"templates/{name} is stale; run `deploy.py generate`", err=True)
        return Exit.ERROR if stale else Exit.DONE
    directory.mkdir(exist_ok=True)
    rendered = render.render_all()
    for name in stale:
        path = directory / name
        if name in rendered:
            path.write_text(rendered[name], encoding="utf-8", newline="\n")
        else:
            path.unlink(missing_ok=True)
        click.echo(f"{'wrote' if name in rendered else 'removed'} templates/{name}", err=True)
    if not stale:
        click.echo("templates/ is up to date", err=True)
    return Exit.DONE
