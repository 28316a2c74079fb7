"""`deploy.py deploy`: bring an environment to what the files say, or execute a saved plan."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
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
    placeholder_option,
    prepare,
)
from commands.exits import Exit
from commands.gates import Gates, gate_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.flow import Approve
    from deployer.deployment import Context, StackPlan, States
    from deployer.saved import SavedPlan

_ROLES = ("bootstrap", "edge", "root", "edge-monitoring")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@partial(environment_options, required=False)
@aws_options
@placeholder_option
@output_option("text", "json")
@gate_options
@click.option("--plan", "plan_file", type=click.Path(dir_okay=False, path_type=Path), help="The same as FILE.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Allows no replacement or deletion of what holds data.")
@click.option("--through", type=click.Choice(_ROLES), help="Stop after this stack of the chain.")
@click.option("-v", "--verbose", is_flag=True, help="List what is only added, and what is listed but will not change.")
def deploy(
    file: Path | None,
    plan_file: Path | None,
    allow_replace: tuple[str, ...],
    allow_delete: tuple[str, ...],
    fail_on: tuple[str, ...],
    yes: bool,
    through: str | None,
    verbose: bool,
    **given: object,
) -> int:
    """Create, show, confirm and execute the change sets of an environment's stacks, one after the other.

    With FILE, a plan that `plan --out` saved, execute exactly that, and refuse when anything has moved since.
    """
    source = file or plan_file
    if source is not None:
        _alone(given, through=through, allowed=(*allow_replace, *allow_delete), twice=file and plan_file)
        return _deploy_saved(source, fail_on, given, yes=yes, verbose=verbose)
    if not given["environment"]:
        raise click.UsageError("Name the environment with -e, or a saved plan.")
    need_answer(yes)
    from commands import flow, progress
    from deployer import deployment
    from deployer.chain import Role

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    context = connect(options, prepare(options))
    console = progress.console()
    if options.placeholder:
        context = flow.with_placeholder(context, deployment.survey(context), console, options.placeholder)
    role = Role(through) if through else None
    limits = Gates.of(allow_replace, allow_delete, fail_on)
    try:
        states = flow.deploy_chain(
            context, console, _asker(context, yes=yes), through=role, verbose=verbose, limits=limits
        )
    except flow.Declined:
        return _declined()
    _print_outputs(states, options.output)
    return Exit.DONE


def _deploy_saved(source: Path, fail_on: Sequence[str], given: dict[str, object], *, yes: bool, verbose: bool) -> int:
    from deployer import saved

    found = saved.read(source)
    said = given["environment"]
    if said and said != found.environment:
        raise click.UsageError(f"{source} is a plan of {found.environment}, not of {said}.")
    need_answer(yes)
    from commands import flow, progress

    options = Options(**{**given, "environment": found.environment, "overrides": found.overrides})  # type: ignore[arg-type] # as above
    context = connect(options, prepare(options))
    try:
        states, left = flow.deploy_saved(
            context,
            progress.console(),
            _asker(context, yes=yes, approved=found),
            found,
            str(source),
            fail_on=fail_on,
            verbose=verbose,
        )
    except flow.Declined:
        return _declined()
    _print_outputs(states, options.output)
    if left:
        names = ", ".join(stack.name for stack in left)
        click.echo(f"Not done yet: {names} can be planned now. Make and approve a plan for the rest.", err=True)
        return Exit.CHANGES
    return Exit.DONE


def _alone(given: dict[str, object], *, through: str | None, allowed: Sequence[str], twice: object) -> None:
    """Whatever would change a saved plan is refused: it would not be what was approved."""
    others = {
        "--set": given["overrides"],
        "--through": through,
        "--allow-replace and --allow-delete": allowed,
        "--placeholder-image": given["placeholder"],
        "--plan": twice,
    }
    if wrong := [name for name, value in others.items() if value]:
        raise click.UsageError(f"A saved plan is executed as it was approved: leave out {', '.join(wrong)}.")


def _asker(context: Context, *, yes: bool, approved: SavedPlan | None = None) -> Approve:
    from deployer.deployment import Kind

    environment = context.environment
    what = f"the plan of {approved.created}" if approved else ""

    def approve(plans: Sequence[StackPlan]) -> bool:
        moving = [plan.stack for plan in plans if plan.kind is not Kind.NOTHING]
        stacks = what or (f"{len(moving)} stacks" if len(moving) > 1 else moving[0].label)
        question = f"Deploy {stacks} to account {context.identity.account}?"
        return confirm(question, yes=yes, word=environment.name if environment.is_production else None)

    return approve


def _declined() -> int:
    click.echo("Declined; nothing more was changed.", err=True)
    return Exit.INTERRUPTED


def _print_outputs(states: States, form: str) -> None:
    from commands import views

    found = views.collect_outputs(states)
    click.echo(json.dumps(found, indent=2) if form == "json" else views.outputs_text(found))
