"""`deploy.py logs`: what containers, database, firewall and functions write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect, environment_options, load_without_validation

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosting.deployer.operate.logs import LogLine

_KINDS = ("app", "bastion", "db", "waf", "exec", "lambda")
_PALETTE = ("cyan", "magenta", "green", "yellow", "blue")


@click.command()
@click.argument("kind", type=click.Choice(_KINDS), default="app")
@click.argument("name", required=False)
@environment_options
@account_options
@click.option("--service", metavar="NAME", help="Of this service; of all of them without it.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--since", default="10m", show_default=True, metavar="TIME", help="As in 10m, 2h, 3d or 2026-11-22T09:30."
)
@click.option(
    "--previous", is_flag=True, help="Of the task that stopped last, and why it did; --since counts from its end."
)
@click.option("--grep", metavar="TEXT", help="Only lines that contain exactly this.")
def logs(
    kind: str,
    name: str | None,
    service: str | None,
    follow: bool,
    since: str,
    previous: bool,
    grep: str | None,
    **given: object,
) -> int:
    """Print log lines of the environment in order: app, bastion, db, waf, exec, or lambda NAME."""
    if (kind == "lambda") != (name is not None):
        raise click.UsageError(
            "Name a function after lambda, and only there." if name is None else f'What is "{name}"?'
        )
    if previous and kind not in {"app", "bastion"}:
        raise click.UsageError("--previous is for app and bastion: only tasks stop.")
    if previous and follow:
        raise click.UsageError("--previous cannot be followed: that task says nothing any more.")
    from datetime import UTC, datetime

    from hosting.deployer.errors import DeployerError
    from hosting.deployer.operate import logs as reading
    from hosting.deployer.operate import platform

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    begin = reading.since(since, datetime.now(UTC))
    found = platform.find(connect(options, load_without_validation(options)))
    chosen = reading.sources(found, kind, service=service, name=name or "")
    if not chosen:
        raise DeployerError(f"has no logs of {kind}", where=found.family)
    if previous:
        last, source = reading.of_last_stopped(found, found.service(service), "app" if kind == "app" else "bastion")
        click.echo(
            f"task {last.id[:8]} of {source.label}, {last.stopped:%Y-%m-%d %H:%M:%S}Z: {last.why_stopped()}", err=True
        )
        chosen, begin = [source], reading.since(since, last.stopped)
    show = _printer(labelled=len(chosen) > 1)
    try:
        read = reading.follow if follow else reading.read
        for line in read(found, chosen, begin, grep=grep):
            show(line)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.DONE


def _printer(*, labelled: bool) -> Callable[[LogLine], None]:
    """Prints a line, with its source in front where there are several."""
    colours: dict[str, str] = {}

    def show(line: LogLine) -> None:
        label = ""
        if labelled:
            colour = colours.setdefault(line.label, _PALETTE[len(colours) % len(_PALETTE)])
            label = click.style(f"{line.label}  ", fg=colour)
        click.echo(f"{line.time:%Y-%m-%dT%H:%M:%S}.{line.time.microsecond // 1000:03d}Z  {label}{line.text}")

    return show
