"""`deploy.py new-service`: add a workload to the project files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import root_option

if TYPE_CHECKING:
    from generator.workloads import Workload
    from hosting.model.parameter_file import ParameterFile


@click.command("new-service")
@click.argument("name")
@click.option(
    "--path", "paths", multiple=True, metavar="PATTERN",
    help="Path pattern that is routed to the service; several are possible.  [default: /NAME and /NAME/*]",
)  # fmt: skip
@click.option("--like", default="", metavar="WORKLOAD", help="Use the image, variables and secrets of this workload.")
@click.option("--worker", is_flag=True, help="Add a worker, which receives no requests.")
@click.option(
    "--job", "schedule", default="", metavar="SCHEDULE", help='Add a job, such as --job "cron(0 18 * * ? *)".'
)
@click.option(
    "--called-by", multiple=True, metavar="WORKLOAD", help="Add an internal service with this caller; repeatable."
)
@click.option(
    "--shared-size", is_flag=True, help="Share the parameters for CPU, memory and task count with other services."
)
@root_option
def new_service(
    name: str,
    paths: tuple[str, ...],
    like: str,
    worker: bool,
    schedule: str,
    called_by: tuple[str, ...],
    shared_size: bool,
    root: Path,
) -> int:
    """Add a workload: its entry in workloads.py, its parameters in every environment, and the generated files.

    NAME is in CamelCase. It is a web service without --worker, --job or --called-by. Its image in params/*.json has the
    digest FILL-IN, unless --like names a workload with an image. `params check` reports it until it is set.
    """
    from generator import workloads
    from generator.config import load_config
    from generator.tooling import new_service, parameter_files
    from hosting.cli.support import generated

    if sum(map(bool, (paths, worker, schedule, called_by))) > 1:
        raise click.UsageError("--path, --worker, --job and --called-by exclude each other")
    existing = workloads.load(root)
    if worker or schedule or called_by:
        new_service.check_new_name(existing, name)
    entry: Workload
    if worker:
        entry = workloads.Worker(name, like=like, own_size=not shared_size)
    elif schedule:
        entry = workloads.Job(name, like=like, own_size=not shared_size, schedule=schedule)
    elif called_by:
        entry = workloads.InternalService(name, like=like, own_size=not shared_size, called_by=called_by)
    else:
        entry = new_service.new_entry(existing, name, paths, own_size=not shared_size, like=like)
    config = replace(load_config(root), workloads=(*existing, entry))
    if not generated.report_limits(generated.render_templates(config)):
        return Exit.ERROR
    file = root / workloads.FILE
    # All texts are computed before the first file is written, so that an error leaves no partial workload.
    written = {file: new_service.insert_entry(file.read_text(encoding="utf-8"), entry)}
    for file, parameters in _place_parameters(root / "params", entry, _model(existing, entry)).items():
        try:
            written[file] = parameter_files.insert_parameters(file.read_text("utf-8-sig"), parameters)
        except parameter_files.ParameterFileError as error:
            raise click.ClickException(f"params/{file.name}: {error}") from None
    for file, text in written.items():
        file.write_text(text, encoding="utf-8")
    touched = generated.write(root, generated.render_project(root, load_config(root)))
    for path in [*(str(file.relative_to(root)) for file in written), *touched]:
        click.echo(path)
    _print_next_steps(next(one for one in config.workloads if one.name == name))
    return Exit.DONE


def _model(existing: tuple[Workload, ...], entry: Workload) -> str:
    """Return the workload whose size suits the new one: the one that it resembles, or the last one."""
    return entry.like or existing[-1].name


def _place_parameters(folder: Path, entry: Workload, model: str) -> dict[Path, dict[str, str]]:
    """Return the new parameters of each file.

    A parameter is added to the file that has the same parameter of the service `model`: base.json or the environment's.
    """
    from generator.tooling.parameter_files import service_parameters
    from hosting.model import parameter_file

    base = folder / f"{parameter_file.BASE}.json"
    placed: dict[Path, dict[str, str]] = {}
    for file in parameter_file.select_files(folder, parameter_file.ALL):
        environment = parameter_file.read(file, f"params/{file.name}")
        placed[file] = {}
        for key, (same, default) in service_parameters(entry, model).items():
            if key in environment.values:
                continue
            is_shared = environment.where(same).startswith(f"params/{base.name}:")
            is_image = key == f"{entry.name}Image"
            value = _image_to_fill_in(environment, entry) if is_image else environment.values.get(same, default)
            placed.setdefault(base if is_shared else file, {}).setdefault(key, value)
    return placed


def _image_to_fill_in(values: ParameterFile, entry: Workload) -> str:
    """Return the image of the service in the repository that bootstrap creates, without its digest.

    The picture of the environment shows the repository. So it stays the same when the digest is filled in.
    """
    from generator.tooling.parameter_files import FILL_IN

    project = values.values.get("Project")
    if not (values.account and values.region and project):
        return FILL_IN
    return f"{values.account}.dkr.ecr.{values.region}.amazonaws.com/{project}/{entry.slug}@sha256:{FILL_IN}"


def _print_next_steps(entry: Workload) -> None:
    """Print how to deploy the workload. Every field of the entry has a value."""
    from generator.workloads import InternalService, Job, WebService

    match entry:
        case WebService():
            about = (
                f"receives {' and '.join(entry.paths)} on port {entry.port}. "
                f"Its health check path is {entry.health_check.path}."
            )
        case InternalService():
            about = f'is reached by {" and ".join(entry.called_by)} at AddressOf("{entry.name}"), port {entry.port}.'
        case Job():
            about = f"runs at {entry.schedule} ({entry.timezone}). Give it a command in workloads.py."
        case _:
            about = "receives no requests. Give it a command in workloads.py."
    steps = ["deploy.py params check -e ENV, then plan and deploy"]
    if not entry.like:
        steps[:0] = [
            f"Create the repository <project>/{entry.slug}: deploy.py deploy -e ENV --through bootstrap",
            f"Push an image, and replace FILL-IN in {entry.name}Image of params/ENV.json by its digest",
        ]
    listed = "".join(f"\n  {number}. {step}" for number, step in enumerate(steps, start=1))
    click.echo(f"\n{entry.name} {about}\nNext steps for each environment:{listed}", err=True)
