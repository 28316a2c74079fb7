"""`deploy.py outputs`: print the outputs of an environment's stacks."""

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
)


@click.command()
@environment_options
@account_options
@output_option("text", "json")
@click.option("--name", metavar="OUTPUT", help="Print only the value of this output.")
def outputs(name: str | None, **given: Any) -> int:
    """Print the outputs of an environment's stacks."""
    from hosting.cli.rendering import outputs
    from hosting.deployer import deployment
    from hosting.deployer.errors import DeployerError

    options = Options(**given)
    context = connect_to_deployed(options)
    found = outputs.collect_outputs(deployment.describe_stacks(context))
    if not found:
        raise DeployerError(
            "the environment is not deployed",
            where=context.environment.family,
            hint=f"deploy.py deploy -e {options.environment}",
        )
    if name is None:
        click.echo(json.dumps(found, indent=2) if options.output == "json" else outputs.format_outputs(found))
        return Exit.DONE
    values = [values[name] for values in found.values() if name in values]
    if not values:
        known = sorted({key for values in found.values() for key in values})
        raise DeployerError(f'there is no output "{name}"', hint=f"known: {', '.join(known)}")
    click.echo(values[-1])
    return Exit.DONE
