"""`deploy.py tunnel`: a port of this machine that leads to the database."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect, environment_options, load_without_validation
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
    "-L", "--local-port", "port", type=click.IntRange(1, 65535), help="Port of this machine. [default: 13306]"
)
@click.option("--reader", is_flag=True, help="To a reader of the database instead of its writer.")
@click.option("--reconnect", is_flag=True, help="Open the tunnel again when the session or its task ends.")
@click.option("--service", metavar="NAME", help="Go through a task of this service; the first one without it.")
@click.option("--user", metavar="NAME", help="A database user of yours, whose password the client asks for.")
@click.option("--print-env", is_flag=True, help="Print the connection as shell variables.")
def tunnel(
    what: str,  # noqa: ARG001 - there is one thing to tunnel to, and its name keeps room for others
    port: int | None,
    reader: bool,
    reconnect: bool,
    service: str | None,
    user: str | None,
    print_env: bool,
    **given: object,
) -> int:
    """Open a tunnel to the database through the bastion of a running task, until Ctrl-C.

    Prints a client's command line once the database answers. The password is in a file that only you can read and
    that goes away with the tunnel; it is never shown and on no command line.
    """
    from hosting.deployer.operate import credentials, platform, plugin
    from hosting.deployer.operate.tunnel import (
        End,
        Lost,
        Opened,
        Opening,
        Tunnel,
        local_port,
    )

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    program = plugin.find()
    found = platform.find(connect(options, load_without_validation(options)))
    end = End.READER if reader else End.WRITER
    door = Tunnel(found, program, found.service(service), end, local_port(port, _PREFERRED[end]))
    shown = False
    try:
        with (
            interrupt_on_sighup(),
            credentials.options_file() as file,
            contextlib.closing(door.follow(reconnect=reconnect)) as events,
        ):
            door.carried_by = file.carried_by
            for event in events:
                match event:
                    case Opening(task):
                        _say(f"opening: task {task.id[:8]} of {door.service.slug}, {end} of {found.family}")
                    case Opened():
                        # Read again each time: the secret may have been rotated since.
                        login = credentials.Login(user) if user else credentials.master(found)
                        file.write(login, "127.0.0.1", event.port)
                        _say(f"open: 127.0.0.1:{event.port} is the {end} ({event.server}); Ctrl-C closes it")
                        if not shown:
                            show = _variables if print_env else _lines
                            click.echo(show(event.port, file.path, login, found.output("DatabaseName")))
                        shown = True
                    case Lost(reason, wait):
                        again = "" if wait is None else f"; trying again in {wait:.0f} s"
                        _say(f"lost: {reason}{again}")
    except KeyboardInterrupt:
        _say("closed")
        return Exit.INTERRUPTED
    _say("the tunnel is gone; --reconnect opens it again by itself")
    return Exit.ERROR


def _say(message: str) -> None:
    click.echo(message, err=True)


def _lines(port: int, file: Path, login: Login, database: str) -> str:
    """A client's command line, and the address for clients that take one."""
    from urllib.parse import quote

    ask = " -p" if login.password is None else ""
    return (
        f"mysql --defaults-file={shlex.quote(str(file))}{ask} {database}\n"
        f"mysql://{quote(login.user, safe='')}@127.0.0.1:{port}/{database}"
    )


def _variables(port: int, file: Path, login: Login, database: str) -> str:
    values = {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(port),
        "DB_NAME": database,
        "DB_USER": login.user,
        "DB_OPTIONS_FILE": str(file),
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())
