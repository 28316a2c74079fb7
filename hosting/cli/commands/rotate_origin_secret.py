"""`deploy.py rotate-origin-secret`: replace the secret between CloudFront and the load balancer."""

from __future__ import annotations

from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options


@click.command("rotate-origin-secret")
@environment_options
@account_options
def rotate_origin_secret(**given: Any) -> int:
    """Replace the secret header by which the load balancer recognizes CloudFront. No request is refused.

    Takes a few minutes. If the command is interrupted, run it again: it continues.
    """
    from hosting.deployer.operate import origin_secret, platform

    found = platform.find_platform(connect_to_deployed(Options(**given)))
    origin_secret.rotate(found, lambda line: click.echo(line, err=True))
    click.echo("the origin secret is rotated", err=True)
    return Exit.DONE
