"""`deploy.py exec`: a shell or a command in a container of a running task."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from hosting.cli.support.options import (
    Options,
    account_options,
    connect,
    environment_options,
    load_without_validation,
    output_option,
)
from hosting.cli.support.signals import interrupt_on_sighup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosting.deployer.operate.checklist import Line
    from hosting.deployer.operate.execute import Output, Session


@click.command(name="exec")
@environment_options
@account_options
@output_option("text", "json")
@click.option("--service", metavar="NAME", help="The service; the first one without it.")
@click.option("--container", default="app", show_default=True, metavar="NAME", help="The container: app or bastion.")
@click.option("--task", metavar="ID", help="This task, by the beginning of its id; a healthy one without it.")
@click.option("--check", is_flag=True, help="Open no session; prove why one would work or would not.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def execute(
    service: str | None, container: str, task: str | None, check: bool, command: tuple[str, ...], **given: object
) -> int:
    """Run COMMAND in a container of a running task and exit with its status; a shell without COMMAND.

    \b
    deploy.py exec -e dev
    deploy.py exec -e dev --service backend -- ls -l /srv
    deploy.py exec -e dev -- sh -c 'env | sort'

    The command's words reach it as they are: for pipes and variables of the container, call a shell. Its output goes
    to stdout. Keys are passed on from a terminal only; a session without any is closed after 20 minutes of silence.
    """
    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    if check:
        return _check(options, service, container)
    from hosting.deployer.errors import DeployerError
    from hosting.deployer.operate import execute as executing
    from hosting.deployer.operate import platform, plugin, tasks

    if os.name != "posix":
        raise DeployerError("sessions need a POSIX terminal", hint="run this in WSL; tunnel and --check work here too")
    program = plugin.find()
    found = platform.find(connect(options, load_without_validation(options)))
    chosen = tasks.pick(found, found.service(service), container, task_id=task)
    token = executing.new_token()
    output = executing.Output(token)
    with interrupt_on_sighup():
        session = executing.start(found, program, chosen, container, executing.wrapped(command, token))
        try:
            _copy(session, output)
        finally:
            executing.end(found, session)
    return executing.outcome(output)


def _copy(session: Session, output: Output) -> None:
    """Run the session, showing only what the command itself writes."""
    from hosting.cli.support import pty_runner

    interactive = sys.stdin.isatty() and sys.stdout.isatty()

    held = b""

    def show(data: bytes) -> bytes:
        nonlocal held
        shown = held + output.feed(data)
        if interactive:
            return shown
        # The other end has a terminal even where we have none; a file or a pipe gets plain lines.
        held = b"\r" if shown.endswith(b"\r") else b""
        return shown.removesuffix(b"\r").replace(b"\r\n", b"\n")

    pty_runner.run(session.command, session.environment, show, interactive=interactive)
    os.write(sys.stdout.fileno(), held + output.finish())


def _check(options: Options, service: str | None, container: str) -> int:
    from hosting.cli.rendering import checklist
    from hosting.deployer.operate import exec_checker, platform

    environment = load_without_validation(options)

    def lines() -> Iterator[Line]:
        from hosting.deployer.errors import DeployerError
        from hosting.deployer.operate.checklist import unknown

        yield from exec_checker.of_templates(environment.templates, container)
        try:
            found = platform.find(connect(options, environment))
            chosen = found.service(service)
        except DeployerError as error:
            # The templates' half is worth having without an account.
            yield unknown(exec_checker.LIVE, "the deployed tasks", str(error).splitlines()[0])
        else:
            yield from exec_checker.of_live(found, chosen, container)

    return checklist.exit_code(checklist.print_checks(lines(), options.output))
