"""`deploy.py events`: print recent events of an environment from all AWS sources."""

from __future__ import annotations

import json
from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    account_options,
    connect_to_deployed,
    environment_options,
    output_option,
    since_option,
)


@click.command()
@environment_options
@account_options
@output_option("text", "json")
@since_option("1h")
def events(since: str, **given: Any) -> int:
    """Print the events of stacks, services, database and alarms in order of time.

    JSON output has one document in each line.
    """
    from datetime import UTC, datetime

    from hosting.deployer.operate import activity, logs, platform

    options = Options(**given)
    begin = logs.parse_since(since, datetime.now(UTC))
    found = platform.find_platform(connect_to_deployed(options))
    for one in activity.collect_activity(found, begin):
        if options.output == "json":
            click.echo(json.dumps(activity.as_document(one)))
        else:
            line = f"{one.time:%Y-%m-%d %H:%M:%S}  {one.source:<8}  {one.subject}  {one.text}"
            click.echo(click.style(line, fg="red") if one.is_bad else line)
    return Exit.DONE
