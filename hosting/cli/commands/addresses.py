"""`deploy.py addresses`: block or allow addresses at the web ACL, without a deployment."""

from __future__ import annotations

from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options


@click.command()
@click.option("--block", multiple=True, metavar="ADDRESS", help="Block an address or a network.")
@click.option("--allow", multiple=True, metavar="ADDRESS", help="Allow an address or a network: no rule inspects it.")
@click.option("--remove", multiple=True, metavar="ADDRESS", help="Neither block nor allow it any more.")
@environment_options
@account_options
def addresses(block: tuple[str, ...], allow: tuple[str, ...], remove: tuple[str, ...], **given: Any) -> int:
    """Block or allow addresses at the web ACL, and print those that are blocked and allowed.

    The change applies within seconds, in both modes of WAF, and survives deployments. A blocked address is blocked
    even if an allowed network contains it.
    """
    from hosting.deployer.operate import addresses as operate
    from hosting.deployer.safeguards.address_sets import Kind

    context = connect_to_deployed(Options(**given))
    wanted = [(Kind.BLOCKED, block), (Kind.ALLOWED, allow)]
    for kind, address in operate.change_addresses(context, wanted, remove):
        click.echo(f"{kind.lower()}  {address}")
    return Exit.DONE
