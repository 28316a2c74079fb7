"""`deploy.py package`: build the Lambda packages, and write or upload them with the templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect, environment_options, load_environment


@click.command()
@environment_options
@account_options
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write every artifact below this directory, under its key.",
)
@click.option("--upload", is_flag=True, help="Upload missing artifacts to the artifact buckets of the account.")
def package(upload: bool, out: Path | None, **given: Any) -> int:
    """Build the Lambda packages and print the S3 key of every artifact. Works offline without --upload.

    Notes on stderr name large packages, and sources that were not compiled because their Python is not installed.
    """
    from hosting.deployer import deployment
    from hosting.deployer.errors import StateError
    from hosting.model.stack_order import StackRole

    options = Options(**given)
    environment = load_environment(options)
    contents = {item.key: item for items in environment.artifacts.values() for item in items}
    if out is not None:
        for key, item in contents.items():
            target = out / key
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(item.data)
    if not upload:
        for key, item in sorted(contents.items()):
            click.echo(f"{len(item.data):>9}  {key}")
        return Exit.DONE
    context = connect(options, environment)
    states = deployment.describe_stacks(context)
    if any(states[stack] is None for stack in context.chain if stack.role is StackRole.BOOTSTRAP):
        hint = f"deploy.py deploy -e {options.environment} --through bootstrap"
        raise StateError(
            "the artifact bucket does not exist yet", where=context.stack(StackRole.BOOTSTRAP).name, hint=hint
        )
    roles = [role for role in StackRole if role is not StackRole.BOOTSTRAP]
    for done in deployment.upload(context, states, roles):
        click.echo(f"{'uploaded' if done.uploaded else 'present':<8}  {done.size:>9}  {done.key}")
    return Exit.DONE
