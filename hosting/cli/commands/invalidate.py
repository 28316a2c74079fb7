"""`deploy.py invalidate`: invalidate CloudFront paths."""

from __future__ import annotations

from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@environment_options
@account_options
@click.option("--wait", is_flag=True, help="Wait until the invalidation is complete.")
def invalidate(paths: tuple[str, ...], wait: bool, **given: Any) -> int:
    """Invalidate CloudFront paths, such as "/static/app.css" or "/static/*". Prints the invalidation id."""
    from hosting.deployer.operate import platform, site

    options = Options(**given)
    found = platform.find_platform(connect_to_deployed(options))
    client, distribution = found.context.clients.cloudfront(found.home), found.output("DistributionId")
    identifier = site.invalidate(client, distribution, paths)
    if wait:
        click.echo(f"waiting for invalidation {identifier}", err=True)
        site.wait_for_invalidation(client, distribution, identifier)
    click.echo(identifier)
    return Exit.DONE
