"""`deploy.py rollback`: deploy an earlier release again."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hosting.cli.support.gates import gate_options
from hosting.cli.support.operation_monitor import progress_option, wait_timeout_option
from hosting.cli.support.options import (
    Options,
    account_options,
    connect_to_deployed,
    environment_option,
    flat_option,
    output_option,
    root_option,
)
from hosting.cli.support.signals import interrupt_on_sighup


@click.command()
@click.option("--to", "number", type=click.IntRange(min=1), required=True, metavar="N", help="Number of the release.")
@environment_option()
@root_option
@account_options
@click.option("--role-arn", metavar="ARN", help="Service role for CloudFormation.  [default: the caller's permissions]")
@flat_option
@output_option("text", "json")
@gate_options
@progress_option
@wait_timeout_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation. Data loss still needs --allow-*.")
@click.option("-v", "--verbose", is_flag=True, help="List additions one by one, and entries that will not change.")
@interrupt_on_sighup()
def rollback(
    number: int,
    allow_replace: tuple[str, ...],
    allow_delete: tuple[str, ...],
    fail_on: tuple[str, ...],
    progress: str,
    wait_timeout: float | None,
    yes: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """Deploy the templates, functions, images and parameters of release N again, through the plan and its gates.

    The files of this project are not used, except for account, region and secret parameters. Data is never rolled back:
    databases and buckets keep their content. `deploy.py releases` lists the releases.

    CloudFormation rolls back a failed update by itself, and `recover` continues such a rollback if it fails.
    """
    from hosting.cli.commands.deploy import deploy_environment
    from hosting.deployer import deployment, releases
    from hosting.deployer.safeguards.gates import Allowed

    options = Options(**given)
    context = connect_to_deployed(options)
    store = releases.open_store(context, deployment.describe_stacks(context))
    release = store.read(number)
    later = [store.read(one) for one in store.list_numbers() if one >= number]
    for workload, numbers in releases.find_migrations(later).items():
        times = ", ".join(str(one) for one in numbers)
        click.echo(
            f"{workload} migrated the database with release {times}, and the schema stays as it is. "
            f"Make sure that the version of release {number} works with it.",
            err=True,
        )
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        environment = releases.restore_environment(store, release, context.environment, Path(folder) / "project")
        code = deploy_environment(
            replace(context, environment=environment),
            options,
            allowed=Allowed.named(allow_replace, allow_delete),
            fail_on=fail_on,
            progress=progress,
            wait_timeout=wait_timeout,
            yes=yes,
            verbose=verbose,
        )
    if code == 0:
        name = context.environment.name
        click.echo(
            f"params/{name}.json and workloads.py still describe the newer state, and the next "
            f"`deploy.py deploy -e {name}` deploys it again. "
            f"`deploy.py releases {number} -e {name}` shows the values of release {number}.",
            err=True,
        )
    return code
