"""`deploy.py run`: a one-off task of a service, for migrations and the like."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect, environment_options, load_without_validation
from hosting.cli.support.signals import interrupt_on_sighup

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosting.deployer.context import Context
    from hosting.deployer.operate.standalone_task import Run

_FILE = "file"


@click.command()
@environment_options
@account_options
@click.option(
    "--service", metavar="NAME", help="The service whose network, secrets and image it gets; the first one without it."
)
@click.option(
    "--image",
    metavar="IMAGE",
    help='Another image; "file" is the one that the parameter file names for the service, deployed or not.',
)
@click.option("--detach", is_flag=True, help="Print the task's ARN and do not wait for it.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(service: str | None, image: str | None, detach: bool, command: tuple[str, ...], **given: object) -> int:
    """Run COMMAND in a task of its own and exit with its status. Its output goes to stdout.

    \b
    deploy.py run -e dev --service backend -- ./manage migrate
    deploy.py deploy -e prod --pre-deploy "run --service backend -- ./manage migrate"

    Ctrl-C stops the task.
    """
    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    return start(connect(options, load_without_validation(options)), service, image, command, detach=detach)


def prepare_pre_deploy(text: str, context: Context) -> Callable[[], None]:
    """A command line given to `deploy --pre-deploy`, checked at once and run when called.

    It gets the image that is about to be deployed. On a first deployment it is left out, and said how to make up for
    it: there is no database yet that could be migrated, and no service whose network it could have.
    """
    name, *words = shlex.split(text) or [""]
    if name != "run":
        raise click.UsageError(f'--pre-deploy takes a "run ..." command, not "{name}".')
    given = run.make_context("run", ["-e", context.environment.name, *words]).params

    def now() -> None:
        from hosting.deployer.aws.stacks import describe
        from hosting.deployer.errors import DeployerError
        from hosting.model.stack_order import StackRole

        root = context.stack(StackRole.ROOT)
        state = describe(context.clients.cloudformation(root.region), root.name)
        if state is None or "ClusterName" not in state.outputs:
            own = shlex.join(["deploy.py", "run", "-e", context.environment.name, *words])
            click.echo(f"A first deployment has no database yet: {text} is left out. When it is done: {own}", err=True)
            return
        # On stderr: what deploy writes to stdout is its own.
        code = start(context, given["service"], given["image"] or _FILE, given["command"], to_stderr=True)
        if code != 0:
            raise DeployerError(f"ended with {code}; nothing was deployed", where=text)

    return now


def start(
    context: Context,
    service: str | None,
    image: str | None,
    command: tuple[str, ...],
    *,
    detach: bool = False,
    to_stderr: bool = False,
) -> int:
    from hosting.deployer.operate import platform, standalone_task

    found = platform.find(context)
    chosen = found.service(service)
    if image == _FILE:
        image = context.environment.file.values.get(f"{chosen.name}Image")
    with interrupt_on_sighup():
        started = standalone_task.start(found, chosen, command, image=image, sleep=context.sleep)
        click.echo(f"task {started.task.id} of {chosen.slug}: {shlex.join(command)}", err=True)
        if detach:
            click.echo(started.task.arn)
            return Exit.DONE
        return _watch(started, to_stderr=to_stderr)


def _watch(started: Run, *, to_stderr: bool) -> int:
    try:
        for line in started.lines():
            click.echo(line.text, err=to_stderr)
    except KeyboardInterrupt:
        started.stop()
        click.echo(f"stopped task {started.task.id}", err=True)
        raise
    except Exception:
        click.echo(f"no longer watching task {started.task.id}; it goes on", err=True)
        raise
    return started.exit_code()
