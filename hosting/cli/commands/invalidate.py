"""`deploy.py invalidate`: make CloudFront forget addresses."""

from __future__ import annotations

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect, environment_options, load_without_validation


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@environment_options
@account_options
@click.option("--wait", is_flag=True, help="Wait until every edge has forgotten.")
def invalidate(paths: tuple[str, ...], wait: bool, **given: object) -> int:
    """Make CloudFront forget PATHs, as in "/static/app.css" or "/static/*"."""
    from hosting.deployer.operate import platform, site

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    found = platform.find(connect(options, load_without_validation(options)))
    client, distribution = found.context.clients.cloudfront(found.home), found.output("DistributionId")
    identifier = site.invalidate(client, distribution, paths)
    if wait:
        click.echo(f"waiting for invalidation {identifier}", err=True)
        site.wait(client, distribution, identifier)
    click.echo(identifier)
    return Exit.DONE
