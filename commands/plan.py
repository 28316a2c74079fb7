"""`deploy.py plan`: what a deployment would change, with nothing left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from commands.common import Options, aws_options, connect, environment_options, output_option, prepare
from commands.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployer.deployment import StackPlan


@click.command()
@environment_options
@aws_options
@output_option("text", "json", "markdown")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there is something to change.")
@click.option("-v", "--verbose", is_flag=True, help="List every resource that is only added, too.")
def plan(detailed_exitcode: bool, verbose: bool, **given: object) -> int:
    """Show what a deployment would change, over all nested stacks, worst first.

    Asks CloudFormation for real change sets and deletes them again. Uploads templates and archives, which
    are addressed by content and change nothing.
    """
    from commands import flow, progress
    from deployer import deployment

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    context = connect(options, prepare(options))
    console = progress.console()
    states = deployment.survey(context)
    deployment.require_ready(states)
    plans = flow.plan_chain(context, states, console, verb="plan")
    try:
        _print(plans, options, verbose=verbose)
    finally:
        with console.status("deleting the change sets"):
            for one in plans:
                deployment.discard(context, one)
    changes = any(one.kind is not deployment.Kind.NOTHING for one in plans)
    return Exit.CHANGES if changes and detailed_exitcode else Exit.DONE


def _print(plans: Sequence[StackPlan], options: Options, *, verbose: bool) -> None:
    from commands import progress, views

    if options.output == "json":
        click.echo(json.dumps(views.plan_json(plans), indent=2))
    elif options.output == "markdown":
        click.echo(views.plan_markdown(plans, options.environment))
    else:
        console = progress.console(stderr=False)
        for part in views.plan_trees(plans, verbose=verbose):
            console.print(part)
