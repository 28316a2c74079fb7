"""`deploy.py events`: what happened to an environment lately, from every record that AWS keeps."""

from __future__ import annotations

import json

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    account_options,
    connect,
    environment_options,
    load_without_validation,
    output_option,
)


@click.command()
@environment_options
@account_options
@output_option("text", "json")
@click.option("--since", default="1h", show_default=True, metavar="TIME", help="As in 10m, 2h, 3d or 2026-11-22T09:30.")
def events(since: str, **given: object) -> int:
    """Print what happened to stacks, services, database and alarms, in one order.

    JSON is one document per line.
    """
    from datetime import UTC, datetime

    from hosting.deployer.operate import activity, logs, platform

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    begin = logs.since(since, datetime.now(UTC))
    found = platform.find(connect(options, load_without_validation(options)))
    for one in activity.collect(found, begin):
        if options.output == "json":
            click.echo(json.dumps(activity.document(one)))
        else:
            line = f"{one.time:%Y-%m-%d %H:%M:%S}  {one.source:<8}  {one.subject}  {one.text}"
            click.echo(click.style(line, fg="red") if one.is_bad else line)
    return Exit.DONE
