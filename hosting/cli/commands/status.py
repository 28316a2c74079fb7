"""`deploy.py status`: show the health of an environment on one screen."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    account_options,
    connect_to_deployed,
    environment_options,
    output_option,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from hosting.deployer.context import Context
    from hosting.deployer.operate.status import Status

_STYLES = {"good": "green", "busy": "yellow", "bad": "bold red", "unknown": "bold magenta"}
_MARKS = {"good": "ok", "busy": "..", "bad": "!!", "unknown": "??"}


@click.command()
@environment_options
@account_options
@output_option("text", "json")
@click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two refreshes of --watch.",
)
def status(watch: bool, interval: float, **given: Any) -> int:
    """Show stacks, services, targets, database, distribution, alarms and the last events.

    The first line names the most urgent problem and the next command. Exits 1 if a component is unhealthy or unknown.
    """
    from hosting.cli.rendering import progress
    from hosting.deployer.operate import status as looking

    options = Options(**given)
    context = connect_to_deployed(options)
    console = progress.create_console(stderr=False)
    if watch:
        return _watch_status(context, console, interval, as_json=options.output == "json")
    found = looking.collect_status(context)
    if options.output == "json":
        click.echo(json.dumps(looking.as_document(found), indent=2))
    else:
        console.print(render_status(found))
    return Exit.ERROR if found.health in ("bad", "unknown") else Exit.DONE


def _watch_status(context: Context, console: Console, interval: float, *, as_json: bool) -> int:
    """Refresh the screen on a terminal. Elsewhere print each status, or one line of JSON for each."""
    from rich.live import Live

    from hosting.deployer.operate import status as looking

    found = looking.collect_status(context)
    try:
        if as_json or not console.is_terminal:
            for seen in itertools.chain([found], looking.poll_status(context, interval)):
                if isinstance(seen, str):
                    click.echo(seen, err=True)
                elif as_json:
                    click.echo(json.dumps(looking.as_document(seen)))
                else:
                    console.print(render_status(seen))
        with Live(_render_screen(found, console), console=console, auto_refresh=False, screen=True) as live:
            for seen in looking.poll_status(context, interval):
                found, trouble = (found, seen) if isinstance(seen, str) else (seen, "")
                live.update(_render_screen(found, console, trouble), refresh=True)
    except KeyboardInterrupt:
        pass
    return Exit.INTERRUPTED


def _render_screen(found: Status, console: Console, trouble: str = "") -> RenderableType:
    """Return the part of the status that fits the terminal. The last events have priority."""
    from dataclasses import replace

    from rich.console import Group
    from rich.text import Text

    head = [Text(trouble, style="bold red", no_wrap=True, overflow="ellipsis")] if trouble else []
    without = console.render_lines(render_status(replace(found, events=())), pad=False)
    room = max(0, console.height - len(without) - len(head) - 2)
    return Group(*head, render_status(replace(found, events=found.events[-room:] if room else ())))


def render_status(found: Status) -> RenderableType:
    """Return the screen: the most urgent problem, one line for each component by area, then the last events."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    area = ""
    for part in found.parts:
        title = part.area if part.area != area else ""
        area = part.area
        style = _STYLES[part.health]
        table.add_row(Text(title, style="bold"), Text(_MARKS[part.health], style=style), part.name, Text(part.text))
    head = Text.assemble((found.family, "bold"), "  ", (str(found.health), _STYLES[found.health]))
    head.append(f"  {found.headline}", style=_STYLES[found.health])
    time = Text(f"{found.time:%Y-%m-%d %H:%M:%S} UTC", style="dim")
    rows: list[RenderableType] = [head, time, Text(), table]
    if found.exceptions:
        rows += [Text(), *(Text(f"declared: {sentence}", style="yellow") for sentence in found.exceptions)]
    if found.events:
        rows += [Text(), Text("last events", style="bold")]
        for one in found.events:
            line = f"{one.time:%m-%d %H:%M:%S}  {one.source}  {one.subject}  {one.text}"
            rows.append(Text(line, style="red" if one.is_bad else "", overflow="ellipsis", no_wrap=True))
    return Group(*rows)
