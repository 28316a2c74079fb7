"""`deploy.py site`: the files of the static site."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect, environment_options, load_without_validation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosting.deployer.operate.platform import Platform
    from hosting.deployer.operate.site import Step

_MARKS = {"new": "+", "changed": "~", "headers": "~", "deleted": "-", "left": "?"}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@environment_options
@account_options
@click.option("--prefix", type=click.Choice(["static", "sorry"]), default="static", show_default=True)
@click.option("--delete", is_flag=True, help="Also delete what is in the bucket and not in DIRECTORY.")
@click.option("--preview", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--wait", is_flag=True, help="Wait until every edge of CloudFront shows it.")
def site(directory: Path, prefix: str, delete: bool, preview: bool, wait: bool, **given: object) -> int:
    """Bring the files of DIRECTORY to https://.../static/.

    Uploads what differs, parts before pages, and invalidates the addresses that changed and no others.
    """
    from hosting.deployer.operate import platform
    from hosting.deployer.operate import site as syncing

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    files = syncing.scan(directory, prefix)
    found = platform.find(connect(options, load_without_validation(options)))
    s3 = found.context.clients.s3(found.home)
    bucket, distribution = found.output("StaticBucketName"), found.output("DistributionId")
    steps = syncing.compare(s3, bucket, prefix, files, delete=delete)
    stale = syncing.paths(steps, prefix)
    if preview:
        for step in steps:
            if step.action != "same":
                _show(step)
        for path in stale:
            click.echo(f"! {path}")
        _summary(steps)
        return Exit.DONE
    identifier = ""
    try:
        for step in syncing.upload(s3, bucket, steps):
            _show(step)
        # Deleted before the invalidation: otherwise an edge could fetch it again in between.
        for step in syncing.remove(s3, bucket, steps):
            _show(step)
    finally:
        # After a failure too: the next run finds what has been uploaded unchanged, and would not tell CloudFront.
        if stale:
            identifier = _forget(found, distribution, stale)
    if identifier and wait:
        click.echo(f"waiting for invalidation {identifier}", err=True)
        syncing.wait(found.context.clients.cloudfront(found.home), distribution, identifier)
    _summary(steps)
    click.echo(f"{found.output('SiteUrl')}/{prefix}/", err=True)
    return Exit.DONE


def _forget(found: Platform, distribution: str, stale: Sequence[str]) -> str:
    from hosting.deployer.errors import DeployerError
    from hosting.deployer.operate import site as syncing

    try:
        identifier = syncing.invalidate(found.context.clients.cloudfront(found.home), distribution, stale)
    except DeployerError as error:
        paths = " ".join(shlex.quote(path) for path in stale)
        hint = f"then, because viewers may see what was there before: deploy.py invalidate -e {found.name} {paths}"
        raise DeployerError(f"uploaded, but not invalidated: {error.what}", hint=hint) from error
    for path in stale:
        click.echo(f"! {path}")
    return identifier


def _show(step: Step) -> None:
    click.echo(f"{_MARKS[step.action]} {step.key}")


def _summary(steps: Sequence[Step]) -> None:
    counts = Counter(str(step.action) for step in steps)
    click.echo(", ".join(f"{count} {action}" for action, count in sorted(counts.items())), err=True)
    if counts["left"]:
        click.echo("left: in the bucket and not in the directory; --delete removes them", err=True)
