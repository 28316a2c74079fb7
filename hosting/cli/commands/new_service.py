"""`deploy.py new-service`: add a service to the project files."""

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
    help="Path pattern that is routed to the service; up to four.  [default: /NAME and /NAME/*]",
)  # fmt: skip
@click.option(
    "--shared-size", is_flag=True, help="Share the parameters for CPU, memory and task count with other services."
)
@root_option
def new_service(name: str, paths: tuple[str, ...], shared_size: bool, root: Path) -> int:
    """Add a service: its entry in workloads.py, its parameters in every environment, and the templates.

    NAME is in CamelCase. The image is a placeholder in params/*.json, which `params check` reports until it is set.
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
    # All texts are computed before the first file is written, so that an error leaves no partial service.
    written = {file: new_service.insert_entry(file.read_text(encoding="utf-8"), entry)}
    for file in parameter_file.select_files(root / "params", parameter_file.ALL):
        try:
            text = parameter_files.with_service(file.read_text(encoding="utf-8"), entry, services[-1].name)
        except parameter_files.ParameterFileError as error:
            raise click.ClickException(f"params/{file.name}: {error}") from None
        written[file] = text
    for file, text in written.items():
        file.write_text(text, encoding="utf-8")
    # A new process is required: this one has already loaded the old configuration.
    for command in (["-m", "generator"], ["deploy.py", "graph", "--write-docs"]):
        done = subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise click.ClickException(f"python {' '.join(command)}: {done.stderr.strip()}")
        click.echo(done.stdout, nl=False)
    for file in written:
        click.echo(str(file.relative_to(root)))
    _print_next_steps(entry)
    return Exit.DONE


def _print_next_steps(entry: Service) -> None:
    click.echo(
        f"\n{entry.name} receives {' and '.join(entry.path_patterns)} on port {entry.port}. "
        f"Its health check path is {entry.health_check_path}."
        f"\nNext steps for each environment:"
        f"\n  1. Create the repository <project>/{entry.slug}: deploy.py deploy -e ENV --through bootstrap"
        f"\n  2. Push an image, and write its digest to {entry.name}Image in params/ENV.json"
        f"\n  3. deploy.py params check -e ENV, then plan and deploy",
        err=True,
    )
