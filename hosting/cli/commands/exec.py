"""`deploy.py exec`: run a command or a shell in a container of a running task."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.options import (
    Options,
    account_options,
    connect,
    connect_to_deployed,
    environment_options,
    load_without_validation,
    output_option,
)
from hosting.cli.support.signals import interrupt_on_sighup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosting.deployer.operate.checklist import Check
    from hosting.deployer.operate.execute import OutputFilter, Session


@click.command(name="exec")
@environment_options
@account_options
@output_option("text", "json")
@click.option("--service", metavar="NAME", help="Service or job.  [default: the first service]")
@click.option("--container", default="app", show_default=True, metavar="NAME", help="Container: app or bastion.")
@click.option("--task", metavar="ID", help="Beginning of the task id.  [default: a healthy task]")
@click.option("--check", is_flag=True, help="Check the prerequisites of a session; open no session.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def execute(
    service: str | None, container: str, task: str | None, check: bool, command: tuple[str, ...], **given: Any
) -> int:
    """Run COMMAND in a container of a running task and exit with its status. Default: a shell.

    \b
    deploy.py exec -e dev
    deploy.py exec -e dev --service backend -- ls -l /srv
    deploy.py exec -e dev -- sh -c 'env | sort'

    The arguments are passed unchanged. For pipes and for variables of the container, call a shell. The output is
    written to stdout. Input is passed only from a terminal. A session without input ends after 20 minutes.
    """
    options = Options(**given)
    if check:
        return _check_session(options, service, container)
    from hosting.deployer.errors import DeployerError
    from hosting.deployer.operate import execute as executing
    from hosting.deployer.operate import platform, plugin, tasks

    if os.name != "posix":
        raise DeployerError(
            "sessions require a POSIX terminal", hint="use WSL; `tunnel` and `exec --check` also work on Windows"
        )
    program = plugin.find_plugin()
    found = platform.find_platform(connect_to_deployed(options))
    chosen = tasks.select_task(found, found.workload(service), container, task_id=task)
    token = executing.new_token()
    output = executing.OutputFilter(token)
    with interrupt_on_sighup():
        session = executing.start_session(found, program, chosen, container, executing.wrap_command(command, token))
        try:
            _run_session(session, output)
        finally:
            executing.end_session(found, session)
    return executing.require_exit_status(output)


def _run_session(session: Session, output: OutputFilter) -> None:
    """Run the session and write only the output of the command itself."""
    from hosting.cli.support import pty_runner

    interactive = sys.stdin.isatty() and sys.stdout.isatty()

    held = b""

    def show(data: bytes) -> bytes:
        nonlocal held
        shown = held + output.feed(data)
        if interactive:
            return shown
        # The remote side always has a terminal. A file or a pipe gets lines without carriage returns.
        held = b"\r" if shown.endswith(b"\r") else b""
        return shown.removesuffix(b"\r").replace(b"\r\n", b"\n")

    pty_runner.run(session.command, session.environment, show, interactive=interactive)
    os.write(sys.stdout.fileno(), held + output.finish())


def _check_session(options: Options, service: str | None, container: str) -> int:
    from hosting.cli.rendering import checklist
    from hosting.deployer.operate import exec_checker, platform

    environment = load_without_validation(options)

    def run_checks() -> Iterator[Check]:
        """Yield the checks of the templates, then those of the account."""
        from hosting.deployer.errors import DeployerError
        from hosting.deployer.operate.checklist import unknown

        yield from exec_checker.check_templates(environment.templates, container, service)
        try:
            found = platform.find_platform(connect(options, environment))
            chosen = found.workload(service)
        except DeployerError as error:
            # Without an account, the checks of the templates are still useful.
            yield unknown(exec_checker.LIVE, "the deployed tasks", str(error).splitlines()[0])
        else:
            yield from exec_checker.check_account(found, chosen, container)

    return checklist.select_exit_code(checklist.print_checks(run_checks(), options.output))
