"""`deploy.py restart`: replace all tasks of a service."""

from __future__ import annotations

from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options


@click.command()
@click.option("--service", metavar="NAME", required=True, help="The service whose tasks are replaced.")
@environment_options
@account_options
def restart(service: str, **given: Any) -> int:
    """Replace all tasks of a service without a new image, and wait until the new ones are healthy.

    New tasks read the current values of secrets. The old tasks run until the new ones are healthy. Ctrl-C ends only the
    wait.
    """
    from hosting.deployer.operate import platform
    from hosting.deployer.operate import restart as restarting

    found = platform.find_platform(connect_to_deployed(Options(**given)))
    for line in restarting.restart_service(found, found.service(service)):
        click.echo(line, err=True)
    return Exit.DONE
