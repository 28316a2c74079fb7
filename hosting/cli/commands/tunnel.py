"""`deploy.py tunnel`: forward a local port to the database."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options
from hosting.cli.support.signals import interrupt_on_sighup

if TYPE_CHECKING:
    from pathlib import Path

    from hosting.deployer.operate.credentials import Login

_PREFERRED = {"writer": 13306, "reader": 13307}


@click.command()
@click.argument("what", type=click.Choice(["db"]))
@environment_options
@account_options
@click.option(
    "-L",
    "--local-port",
    "port",
    type=click.IntRange(1, 65535),
    help="Local port.  [default: 13306, with --reader 13307]",
)
@click.option("--reader", is_flag=True, help="Connect to the reader endpoint instead of the writer.")
@click.option("--reconnect", is_flag=True, help="Open the tunnel again if the session or its task ends.")
@click.option("--service", metavar="NAME", help="Use a task of this service or job.  [default: any running task]")
@click.option(
    "--user", metavar="NAME", help="Database user. The client asks for its password.  [default: the master user]"
)
@click.option("--print-env", is_flag=True, help="Print the connection as shell variables.")
def tunnel(
    what: str,  # noqa: ARG001 - the only target so far
    port: int | None,
    reader: bool,
    reconnect: bool,
    service: str | None,
    user: str | None,
    print_env: bool,
    **given: Any,
) -> int:
    """Open a tunnel to the database through the bastion of a running task, until Ctrl-C.

    Prints the command line of a client as soon as the database answers. The password is in a file that only you can
    read. The file is deleted with the tunnel, and the password is never printed.
    """
    from hosting.deployer.operate import credentials, platform, plugin
    from hosting.deployer.operate.tunnel import (
        DatabaseEnd,
        Lost,
        Opened,
        Opening,
        Tunnel,
        choose_local_port,
    )

    options = Options(**given)
    program = plugin.find_plugin()
    found = platform.find_platform(connect_to_deployed(options))
    found.require_database()
    end = DatabaseEnd.READER if reader else DatabaseEnd.WRITER
    workload = found.workload(service) if service else None
    connection = Tunnel(found, program, workload, end, choose_local_port(port, _PREFERRED[end]))
    shown = False
    try:
        with (
            interrupt_on_sighup(),
            credentials.create_options_file() as file,
            contextlib.closing(connection.follow(reconnect=reconnect)) as events,
        ):
            connection.on_process = file.set_tunnel_process
            for event in events:
                match event:
                    case Opening(task, slug):
                        _print_status(f"opening: task {task.id[:8]} of {slug}, {end} of {found.family}")
                    case Opened():
                        # Read again after each reconnection, because the secret can be rotated.
                        login = credentials.Login(user) if user else credentials.read_master_login(found)
                        file.write(login, "127.0.0.1", event.port)
                        _print_status(
                            f"open: 127.0.0.1:{event.port} is the {end} ({event.server}); close it with Ctrl-C"
                        )
                        if not shown:
                            show = _format_variables if print_env else _format_client
                            click.echo(show(event.port, file.path, login, found.output("DatabaseName")))
                        shown = True
                    case Lost(reason, wait):
                        again = "" if wait is None else f"; retry in {wait:.0f} s"
                        _print_status(f"lost: {reason}{again}")
    except KeyboardInterrupt:
        _print_status("closed")
        return Exit.INTERRUPTED
    _print_status("the tunnel has ended; --reconnect opens it again automatically")
    return Exit.ERROR


def _print_status(message: str) -> None:
    click.echo(message, err=True)


def _format_client(port: int, file: Path, login: Login, database: str) -> str:
    """Return the command line of the mysql client, and the URL for other clients."""
    from urllib.parse import quote

    ask = " -p" if login.password is None else ""
    return (
        f"mysql --defaults-file={shlex.quote(str(file))}{ask} {database}\n"
        f"mysql://{quote(login.user, safe='')}@127.0.0.1:{port}/{database}"
    )


def _format_variables(port: int, file: Path, login: Login, database: str) -> str:
    values = {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(port),
        "DB_NAME": database,
        "DB_USER": login.user,
        "DB_OPTIONS_FILE": str(file),
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())
