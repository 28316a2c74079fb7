"""`deploy.py new-service`: one more service, as far as files can say it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import root_option

if TYPE_CHECKING:
    from generator.workloads import Service


@click.command("new-service")
@click.argument("name")
@click.option(
    "--path", "paths", multiple=True, metavar="PATTERN",
    help="A path that belongs to it, up to four; /NAME and /NAME/* without.",
)  # fmt: skip
@click.option("--shared-size", is_flag=True, help="Share CPU, memory and number of tasks with all such services.")
@root_option
def new_service(name: str, paths: tuple[str, ...], shared_size: bool, root: Path) -> int:
    """Add the service NAME, in CamelCase: its entry, the templates, and its parameters in every environment.

    What nobody can guess, its image, is marked in params/*.json; `params check` names it until it is filled in.
    """
    from generator import render, workloads
    from generator.config import Config
    from generator.resources import limits
    from generator.tooling import new_service, parameter_files
    from hosting.model import parameter_file

    services = workloads.load(root)
    entry = new_service.new_entry(services, name, paths, own_size=not shared_size)
    rendered = render.render_all(Config(services=(*services, entry)))
    if excesses := [excess for excess in limits.check(rendered) if not excess.adjustable]:
        raise click.ClickException("\n".join(str(excess) for excess in excesses))
    file = root / workloads.FILE
    # Every text is ready before the first is written: half a service helps no user.
    written = {file: new_service.insert_entry(file.read_text(encoding="utf-8"), entry)}
    for file in parameter_file.select_files(root / "params", parameter_file.ALL):
        try:
            text = parameter_files.with_service(file.read_text(encoding="utf-8"), entry, services[-1].name)
        except parameter_files.ParameterFileError as error:
            raise click.ClickException(f"params/{file.name}: {error}") from None
        written[file] = text
    for file, text in written.items():
        file.write_text(text, encoding="utf-8")
    # Another process: this one has already read the configuration as it was.
    for command in (["-m", "generator"], ["deploy.py", "graph", "--write-docs"]):
        done = subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"python {' '.join(command)}: {done.stderr.strip()}")
        click.echo(done.stdout, nl=False)
    for file in written:
        click.echo(str(file.relative_to(root)))
    _next(entry)
    return Exit.DONE


def _next(entry: Service) -> None:
    click.echo(
        f"\n{entry.name} answers {' and '.join(entry.path_patterns)}, listens on port {entry.port}, and says at "
        f"{entry.health_check_path} that it is well."
        f"\nNext, for each environment:"
        f"\n  deploy.py deploy -e ENV --through bootstrap   makes the repository <project>/{entry.slug}"
        f"\n  push an image there, and put its digest into {entry.name}Image in params/ENV.json"
        f"\n  deploy.py params check -e ENV, plan, deploy",
        err=True,
    )
