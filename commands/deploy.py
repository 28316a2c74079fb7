"""`deploy.py deploy`: bring an environment to what the files say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from commands.common import (
    Options,
    aws_options,
    confirm,
    connect,
    environment_options,
    need_answer,
    output_option,
    prepare,
)
from commands.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployer.deployment import StackPlan

_ROLES = ("bootstrap", "edge", "root", "edge-monitoring")


@click.command()
@environment_options
@aws_options
@output_option("text", "json")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--through", type=click.Choice(_ROLES), help="Stop after this stack of the chain.")
@click.option("-v", "--verbose", is_flag=True, help="List every resource that is only added, too.")
def deploy(yes: bool, through: str | None, verbose: bool, **given: object) -> int:
    """Create, show, confirm and execute the change sets of an environment's stacks, one after the other."""
    need_answer(yes)
    from commands import flow, progress, views
    from deployer.chain import Role
    from deployer.deployment import Kind

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    environment = prepare(options)
    context = connect(options, environment)
    console = progress.console()

    def approve(plans: Sequence[StackPlan]) -> bool:
        moving = [plan.stack for plan in plans if plan.kind is not Kind.NOTHING]
        stacks = f"{len(moving)} stacks" if len(moving) > 1 else moving[0].label
        question = f"Deploy {stacks} to account {context.identity.account}?"
        return confirm(question, yes=yes, word=environment.name if environment.is_production else None)

    role = Role(through) if through else None
    try:
        states = flow.deploy_chain(context, console, approve, through=role, verbose=verbose)
    except flow.Declined:
        click.echo("Declined; nothing more was changed.", err=True)
        return Exit.INTERRUPTED
    found = views.collect_outputs(states)
    click.echo(json.dumps(found, indent=2) if options.output == "json" else views.outputs_text(found))
    return Exit.DONE
