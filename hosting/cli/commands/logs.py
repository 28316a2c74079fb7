"""`deploy.py logs`: print logs of containers, database, WAF and functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options, since_option

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
@click.option("--service", metavar="NAME", help="Only this service or job.  [default: all services and jobs]")
@click.option("-f", "--follow", is_flag=True, help="Print new lines until Ctrl-C.")
@since_option("10m")
@click.option(
    "--previous", is_flag=True, help="Print the last stopped task and its stop reason. --since is relative to its end."
)
@click.option("--grep", metavar="TEXT", help="Only lines that contain this text. Case-sensitive.")
def logs(
    kind: str,
    name: str | None,
    service: str | None,
    follow: bool,
    since: str,
    previous: bool,
    grep: str | None,
    **given: Any,
) -> int:
    """Print log lines of an environment in order of time.

    \b
    app          application containers (default)
    bastion      bastion containers
    db           Aurora
    waf          AWS WAF
    exec         ECS Exec sessions
    lambda NAME  one Lambda function
    """
    if (kind == "lambda") != (name is not None):
        raise click.UsageError(
            "logs lambda requires the name of a function." if name is None else f'Unexpected argument "{name}".'
        )
    if previous and kind not in {"app", "bastion"}:
        raise click.UsageError("--previous requires app or bastion: other logs have no tasks.")
    if previous and follow:
        raise click.UsageError("--previous and --follow cannot be combined: the task has stopped.")
    from datetime import UTC, datetime

    from hosting.deployer.errors import DeployerError
    from hosting.deployer.operate import logs as reading
    from hosting.deployer.operate import platform

    options = Options(**given)
    begin = reading.parse_since(since, datetime.now(UTC))
    found = platform.find_platform(connect_to_deployed(options))
    chosen = reading.find_log_sources(found, kind, service=service, name=name or "")
    if not chosen:
        raise DeployerError(f"has no {kind} logs", where=found.family)
    if previous:
        last, source = reading.find_last_stopped_task(
            found, found.workload(service), "app" if kind == "app" else "bastion"
        )
        click.echo(
            f"task {last.id[:8]} of {source.label}, {last.stopped:%Y-%m-%d %H:%M:%S}Z: {last.why_stopped()}", err=True
        )
        chosen, begin = [source], reading.parse_since(since, last.stopped)
    show = _make_printer(labelled=len(chosen) > 1)
    try:
        read = reading.follow_lines if follow else reading.read_lines
        for line in read(found, chosen, begin, grep=grep):
            show(line)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.DONE


def _make_printer(*, labelled: bool) -> Callable[[LogLine], None]:
    """Return the function that prints a line. With several sources it adds the source."""
    colours: dict[str, str] = {}

    def show(line: LogLine) -> None:
        label = ""
        if labelled:
            colour = colours.setdefault(line.label, _PALETTE[len(colours) % len(_PALETTE)])
            label = click.style(f"{line.label}  ", fg=colour)
        click.echo(f"{line.time:%Y-%m-%dT%H:%M:%S}.{line.time.microsecond // 1000:03d}Z  {label}{line.text}")

    return show
