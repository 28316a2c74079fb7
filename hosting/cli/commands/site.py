"""`deploy.py site`: upload a directory to the static site."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    account_options,
    connect,
    environment_options,
    load_without_validation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosting.deployer.operate.platform import Platform
    from hosting.deployer.operate.site import Step

_MARKS = {"new": "+", "changed": "~", "headers": "~", "deleted": "-", "left": "?"}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@environment_options
@account_options
@click.option(
    "--prefix",
    type=click.Choice(["static", "sorry"]),
    default="static",
    show_default=True,
    help="static: files of the site; sorry: the error page.",
)
@click.option("--delete", is_flag=True, help="Delete objects that are not in DIRECTORY.")
@click.option("--preview", is_flag=True, help="Show the steps; change nothing.")
@click.option("--wait", is_flag=True, help="Wait until the CloudFront invalidation is complete.")
def site(directory: Path, prefix: str, delete: bool, preview: bool, wait: bool, **given: Any) -> int:
    """Upload the files of DIRECTORY to CloudFront's static path and invalidate the changed CloudFront paths.

    The static path is https://.../static/ unless workloads.py sets another one. Only files that differ are uploaded.
    Assets are uploaded before the HTML pages that refer to them.
    """
    from hosting.deployer.operate import platform
    from hosting.deployer.operate import site as syncing
    from hosting.model.errors import InputError, Problem
    from hosting.model.stack_order import ROOT

    options = Options(**given)
    environment = load_without_validation(options)
    if prefix == "static":
        prefix = environment.templates[ROOT].static_path.strip("/")
        if not prefix:
            raise InputError([Problem("workloads.py", "EDGE has static_path empty: the apps serve every path")])
    files = syncing.scan_directory(directory, prefix)
    found = platform.find_platform(connect(options, environment))
    s3 = found.context.clients.s3(found.home)
    bucket, distribution = found.output("StaticBucketName"), found.output("DistributionId")
    steps = syncing.plan_sync(s3, bucket, prefix, files, delete=delete)
    stale = syncing.find_stale_paths(steps, prefix)
    if preview:
        for step in steps:
            if step.action != "same":
                _print_step(step)
        for path in stale:
            click.echo(f"! {path}")
        _print_summary(steps)
        return Exit.DONE
    identifier = ""
    try:
        for step in syncing.upload_files(s3, bucket, steps):
            _print_step(step)
        # Deletion precedes the invalidation. Otherwise an edge location could fetch the object again in between.
        for step in syncing.delete_objects(s3, bucket, steps):
            _print_step(step)
    finally:
        # Also after a failure: the next run would find the uploaded files unchanged and would not invalidate them.
        if stale:
            identifier = _invalidate_paths(found, distribution, stale)
    if identifier and wait:
        click.echo(f"waiting for invalidation {identifier}", err=True)
        syncing.wait_for_invalidation(found.context.clients.cloudfront(found.home), distribution, identifier)
    _print_summary(steps)
    click.echo(f"{found.output('SiteUrl')}/{prefix}/", err=True)
    return Exit.DONE


def _invalidate_paths(found: Platform, distribution: str, stale: Sequence[str]) -> str:
    from hosting.deployer.errors import DeployerError
    from hosting.deployer.operate import site as syncing

    try:
        identifier = syncing.invalidate(found.context.clients.cloudfront(found.home), distribution, stale)
    except DeployerError as error:
        paths = " ".join(shlex.quote(path) for path in stale)
        hint = f"viewers may get old files until you run: deploy.py invalidate -e {found.name} {paths}"
        raise DeployerError(f"uploaded, but not invalidated: {error.what}", hint=hint) from error
    for path in stale:
        click.echo(f"! {path}")
    return identifier


def _print_step(step: Step) -> None:
    click.echo(f"{_MARKS[step.action]} {step.key}")


def _print_summary(steps: Sequence[Step]) -> None:
    counts = Counter(str(step.action) for step in steps)
    click.echo(", ".join(f"{count} {action}" for action, count in sorted(counts.items())), err=True)
    if counts["left"]:
        click.echo("left: objects that are not in the directory; --delete deletes them", err=True)
