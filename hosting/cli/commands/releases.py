"""`deploy.py releases`: list the releases of an environment, or show one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
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
    from collections.abc import Mapping

    from hosting.deployer.releases import Release

SCHEMA = "releases/1"
_LATEST = 20


@click.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--all", "everything", is_flag=True, help=f"List all releases, not only the latest {_LATEST}.")
@environment_options
@account_options
@output_option("text", "json")
def releases(number: int | None, everything: bool, **given: Any) -> int:
    """List the latest releases of an environment, or show release NUMBER and its changes.

    Each successful deployment of all stacks that changes something is a release.
    """
    from hosting.deployer import deployment
    from hosting.deployer.releases import open_store

    options = Options(**given)
    context = connect_to_deployed(options)
    store = open_store(context, deployment.describe_stacks(context))
    numbers = store.list_numbers()
    if number is not None:
        earlier = [one for one in numbers if one < number][-1:]
        shown = [*(store.read(one) for one in earlier), store.read(number)]
    else:
        # One more than shown, so that the changes of the first one are known.
        count = len(numbers) if everything else _LATEST
        found = store.read_latest(count + 1)
        shown = found if len(found) <= count else found[1:]
    if options.output == "json":
        chosen = shown[-1:] if number is not None else shown
        click.echo(json.dumps({"schema": SCHEMA, "releases": [asdict(one) for one in chosen]}, indent=2))
        return Exit.DONE
    if number is not None:
        lines = _describe(shown[-1], shown[-2] if len(shown) > 1 else None)
    else:
        lines = _format_table(found, len(shown))
        if not shown:
            click.echo(f"{context.environment.family}: no release is recorded", err=True)
    for line in lines:
        click.echo(line)
    return Exit.DONE


def list_changes(before: Release | None, after: Release) -> Iterator[str]:
    """Yield what a release changed: parameters with their values, and the names of templates and functions."""
    if before is None:
        yield "first release"
        return
    for name in _differing(before.parameters, after.parameters):
        yield f"{name}: {before.parameters.get(name, 'not set')} -> {after.parameters.get(name, 'not set')}"
    for name in _differing(before.tags, after.tags):
        yield f"tag {name}: {before.tags.get(name, 'not set')} -> {after.tags.get(name, 'not set')}"
    for name in _differing(before.templates, after.templates):
        yield f"templates/{name}{_added_or_removed(name, before.templates, after.templates)}"
    for name in _differing(before.packages, after.packages):
        yield f"function {name.removesuffix('CodeKey')}{_added_or_removed(name, before.packages, after.packages)}"


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _added_or_removed(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    return " added" if name not in before else " removed" if name not in after else ""


def _format_table(found: list[Release], count: int) -> Iterator[str]:
    """Yield a line for each of the last `count` releases, the latest first."""
    rows = []
    for index in range(len(found) - 1, len(found) - count - 1, -1):
        release = found[index]
        changes = list(list_changes(found[index - 1] if index else None, release))
        if not index and release.number > 1:
            changes = ["earlier releases are not recorded"]
        first = f"restores release {release.rollback_of}; " if release.rollback_of else ""
        more = f" and {len(changes) - 2} more" if len(changes) > 2 else ""
        text = first + ", ".join(_shorten(change) for change in changes[:2]) + more
        rows.append((str(release.number), release.time, release.commit or "-", release.caller.rpartition("/")[2], text))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]])


def _shorten(change: str) -> str:
    """Return a change of an image with the first digits of its new digest only."""
    name, _, values = change.partition(": ")
    new = values.rpartition(" -> ")[2]
    return f"{name}: {new.partition('@sha256:')[2][:12]}" if "@sha256:" in new else change


def _describe(release: Release, before: Release | None) -> Iterator[str]:
    yield f"release {release.number}  {release.time}"
    yield f"  by      {release.caller}"
    yield f"  commit  {release.commit or 'unknown: deployed outside of a git clone'}"
    if release.rollback_of:
        yield f"  restores release {release.rollback_of}"
    yield "  changes" if before is None else f"  changes since release {before.number}"
    for change in list_changes(before, release):
        yield f"    {change}"
    yield "  parameters"
    for name, value in sorted(release.parameters.items()):
        yield f"    {name}: {value}"
