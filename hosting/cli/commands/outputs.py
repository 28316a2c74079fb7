"""`deploy.py outputs`: what an environment's stacks tell the outside."""

from __future__ import annotations

import json

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    aws_options,
    connect,
    environment_options,
    load_without_validation,
    output_option,
)


@click.command()
@environment_options
@aws_options
@output_option("text", "json")
@click.option("--name", metavar="OUTPUT", help="Print the value of one output and nothing else.")
def outputs(name: str | None, **given: object) -> int:
    """Print the outputs of an environment's stacks."""
    from hosting.cli.rendering import outputs
    from hosting.deployer import deployment
    from hosting.deployer.errors import DeployerError

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    context = connect(options, load_without_validation(options))
    found = outputs.collect_outputs(deployment.survey(context))
    if not found:
        raise DeployerError(
            "is not deployed", where=context.environment.family, hint=f"deploy.py deploy -e {options.environment}"
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
