"""`deploy.py package`: build the Lambda packages and upload them with the templates."""

from __future__ import annotations

from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, account_options, connect, environment_options, load_environment


@click.command()
@environment_options
@account_options
@click.option("--upload", is_flag=True, help="Upload missing artifacts to the artifact buckets of the account.")
def package(upload: bool, **given: Any) -> int:
    """Build the Lambda packages and print the S3 key of every artifact. Works offline without --upload."""
    from hosting.deployer import deployment
    from hosting.deployer.errors import StateError
    from hosting.model.stack_order import StackRole

    options = Options(**given)
    environment = load_environment(options)
    if not upload:
        keys = {item.key: len(item.data) for items in environment.artifacts.values() for item in items}
        for key, size in sorted(keys.items()):
            click.echo(f"{size:>9}  {key}")
        return Exit.DONE
    context = connect(options, environment)
    states = deployment.describe_stacks(context)
    if any(states[stack] is None for stack in context.chain if stack.role is StackRole.BOOTSTRAP):
        hint = f"deploy.py deploy -e {options.environment} --through bootstrap"
        raise StateError(
            "the artifact bucket does not exist yet", where=context.stack(StackRole.BOOTSTRAP).name, hint=hint
        )
    roles = [role for role in StackRole if role is not StackRole.BOOTSTRAP]
    for item in deployment.upload(context, states, roles):
        click.echo(f"{'uploaded' if item.uploaded else 'present':<8}  {item.size:>9}  {item.key}")
    return Exit.DONE
