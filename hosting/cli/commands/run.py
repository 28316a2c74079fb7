"""`deploy.py run`: run a command in a standalone task of a service or a job."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options
from hosting.cli.support.signals import interrupt_on_sighup

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosting.deployer.context import Context
    from hosting.deployer.operate.standalone_task import StandaloneTask

_FILE = "file"


@click.command()
@environment_options
@account_options
@click.option(
    "--service",
    metavar="NAME",
    help="Service or job whose network, secrets and image the task uses.  [default: the first service]",
)
@click.option(
    "--image",
    metavar="IMAGE",
    help='Other image. "file" is the image of the parameter file, which may not be deployed yet.',
)
@click.option("--detach", is_flag=True, help="Print the task ARN and do not wait for the task.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(service: str | None, image: str | None, detach: bool, command: tuple[str, ...], **given: Any) -> int:
    """Run COMMAND in a standalone task and exit with its status. Its output is written to stdout.

    \b
    deploy.py run -e dev --service backend -- ./manage migrate
    deploy.py run -e dev --service nightly                      # a job with its own command
    deploy.py deploy -e prod --pre-deploy "run --service backend -- ./manage migrate"

    Ctrl-C stops the task.
    """
    options = Options(**given)
    return run_task(connect_to_deployed(options), service, image, command, detach=detach)


def prepare_pre_deploy(text: str, context: Context) -> Callable[[], None]:
    """Parse a command line of `deploy --pre-deploy` and return the function that runs it.

    The task uses the image that will be deployed. On a first deployment the function prints the command to run later
    instead: database, cluster and network do not exist yet.
    """
    name, *words = shlex.split(text) or [""]
    if name != "run":
        raise click.UsageError(f'--pre-deploy requires a "run ..." command, not "{name}".')
    given = run.make_context("run", ["-e", context.environment.name, *words]).params

    def run_now() -> None:
        """Run the task, or print the command to run later on a first deployment."""
        from hosting.deployer.aws.stacks import describe_stack
        from hosting.deployer.errors import DeployerError
        from hosting.model.stack_order import StackRole

        root = context.stack(StackRole.ROOT)
        state = describe_stack(context.clients.cloudformation(root.region), root.name)
        if state is None or "ClusterName" not in state.outputs:
            own = shlex.join(["deploy.py", "run", "-e", context.environment.name, *words])
            click.echo(
                f"A first deployment has no database yet: {text} is skipped. Run it after the deployment: {own}",
                err=True,
            )
            return
        # Written to stderr, because stdout has the outputs of the deployment.
        code = run_task(context, given["service"], given["image"] or _FILE, given["command"], to_stderr=True)
        if code != 0:
            raise DeployerError(f"ended with exit code {code}; nothing was deployed", where=text)

    return run_now


def run_task(
    context: Context,
    service: str | None,
    image: str | None,
    command: tuple[str, ...],
    *,
    detach: bool = False,
    to_stderr: bool = False,
) -> int:
    """Start the task, print its output and return its exit code. With `detach` print its ARN only."""
    from hosting.deployer.operate import platform, standalone_task
    from hosting.model.stack_order import StackRole

    found = platform.find_platform(context)
    chosen = found.workload(service)
    if not command and not isinstance(chosen, platform.Job):
        raise click.UsageError(f"{chosen.slug} is no job: write the command after --, such as -- ./manage migrate")
    if image == _FILE:
        # Workloads that share an image have one parameter.
        root = context.template(context.stack(StackRole.ROOT))
        image = context.environment.file.values.get(root.image_parameter(chosen.name))
    with interrupt_on_sighup():
        started = standalone_task.start_task(found, chosen, command, image=image, sleep=context.sleep)
        title = f"task {started.task.id} of {chosen.slug}: {shlex.join(command) or 'its own command'}"
        if detach:
            click.echo(title, err=True)
            click.echo(started.task.arn)
            return Exit.DONE
        return _print_output(started, title, to_stderr=to_stderr)


def _print_output(started: StandaloneTask, title: str, *, to_stderr: bool) -> int:
    try:
        click.echo(title, err=True)
        for line in started.lines():
            click.echo(line.text, err=to_stderr)
    except KeyboardInterrupt:
        started.stop()
        click.echo(f"stopped task {started.task.id}", err=True)
        raise
    except Exception:
        click.echo(f"task {started.task.id} is no longer monitored; it continues", err=True)
        raise
    return started.exit_code()
