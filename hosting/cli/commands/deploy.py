"""`deploy.py deploy`: create or update the stacks of an environment, or execute a saved plan."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.gates import create_gates, gate_options
from hosting.cli.support.operation_monitor import progress_option, wait_timeout_option
from hosting.cli.support.options import (
    Options,
    aws_options,
    confirm,
    connect,
    environment_options,
    flat_option,
    load_environment,
    output_option,
    placeholder_option,
    require_answer,
)
from hosting.cli.support.rejections import locate_rejections
from hosting.cli.support.signals import interrupt_on_sighup
from hosting.model.parameter_file import environments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hosting.deployer.deployment import Context, StackPlan, States
    from hosting.deployer.safeguards.gates import Allowed
    from hosting.deployer.saved_plan import SavedPlan
    from hosting.model.stack_order import StackRole

_ROLES = ("bootstrap", "edge", "root", "edge-monitoring")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@partial(environment_options, required=False)
@aws_options
@placeholder_option
@flat_option
@output_option("text", "json")
@gate_options
@progress_option
@wait_timeout_option
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Do not ask for confirmation. Data loss still needs --allow-*.",
)
@click.option("--through", type=click.Choice(_ROLES), help="Deploy and check the stacks up to and including this one.")
@click.option(
    "--pre-deploy",
    multiple=True,
    metavar='"run ..."',
    help="After the confirmation, run this standalone task before any change. If it fails, nothing is deployed. "
    "A first deployment skips it: the cluster does not exist yet.",
)
@click.option("-v", "--verbose", is_flag=True, help="List additions one by one, and entries that will not change.")
@interrupt_on_sighup()
def deploy(
    file: Path | None,
    allow_replace: tuple[str, ...],
    allow_delete: tuple[str, ...],
    fail_on: tuple[str, ...],
    progress: str,
    wait_timeout: float | None,
    yes: bool,
    through: str | None,
    pre_deploy: tuple[str, ...],
    verbose: bool,
    **given: Any,
) -> int:
    """Create change sets for the stacks of an environment, show them, ask, and execute them in order.

    FILE is a plan that `plan --out` saved. Exactly this plan is executed; a stale plan is refused. If an operation is
    already running, it is followed to its end first. Ctrl-C asks whether to detach or to cancel.
    """
    if file is not None:
        if not file.exists() and str(file) in environments(given["root"] / "params"):
            raise click.UsageError(f"{file} is an environment, not the FILE of a saved plan. Use -e {file}.")
        _refuse_options(given, through=through, allowed=(*allow_replace, *allow_delete))
        return _deploy_saved(file, fail_on, given, yes=yes, pre_deploy=pre_deploy, verbose=verbose, mode=progress)
    if not given["environment"]:
        raise click.UsageError("Missing option '-e' / '--env', or the FILE of a saved plan.")
    from hosting.deployer.safeguards.gates import Allowed
    from hosting.model.stack_order import StackRole

    options = Options(**given)
    last = StackRole(through) if through else None
    return deploy_environment(
        connect(options, load_environment(options, last)),
        options,
        allowed=Allowed.named(allow_replace, allow_delete),
        fail_on=fail_on,
        progress=progress,
        wait_timeout=wait_timeout,
        yes=yes,
        through=last,
        pre_deploy=pre_deploy,
        verbose=verbose,
    )


def deploy_environment(
    context: Context,
    options: Options,
    *,
    allowed: Allowed,
    fail_on: Sequence[str],
    progress: str,
    wait_timeout: float | None,
    yes: bool,
    through: StackRole | None = None,
    pre_deploy: tuple[str, ...] = (),
    verbose: bool = False,
) -> int:
    """Plan an environment, show the plan, ask, execute it and print the outputs. Return the exit code."""
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.console_reporter import ConsoleReporter
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer import deployment, pipeline

    require_answer(yes)
    monitor = OperationMonitor.create(context, showing.create_console(), "deploy", options.root, progress)
    reporter = ConsoleReporter(monitor, verbose=verbose)
    if options.placeholder:
        context = pipeline.use_placeholder_image(
            context, deployment.describe_stacks(context), reporter, options.placeholder
        )
    reporter.approve_plans = _make_approval(context, yes=yes, pre_deploy=pre_deploy)
    try:
        with monitor.closing(), locate_rejections(options.root, context):
            states = pipeline.deploy_stacks(
                context,
                reporter,
                through=through,
                limits=create_gates(allowed, fail_on, lambda: reporter.impossible),
                wait_minutes=wait_timeout,
            )
    except pipeline.ApprovalDeclined:
        return _report_declined()
    _print_outputs(states, "ndjson" if progress == "ndjson" else options.output)
    if names := ", ".join(item.partition("=")[0] for item in options.overrides):
        file = context.environment.file.path
        click.echo(
            f"{file} does not have the value of {names} that --set gave. Write it there: the next deployment without "
            "--set uses the value of the file.",
            err=True,
        )
    return Exit.DONE


def _deploy_saved(
    source: Path,
    fail_on: Sequence[str],
    given: dict[str, Any],
    *,
    yes: bool,
    pre_deploy: tuple[str, ...],
    verbose: bool,
    mode: str,
) -> int:
    from hosting.deployer import saved_plan

    found = saved_plan.read(source)
    wanted = given["environment"]
    if wanted and wanted != found.environment:
        raise click.UsageError(f"{source} is a plan for {found.environment}, not for {wanted}.")
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.console_reporter import ConsoleReporter
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer import pipeline

    options = Options(**{**given, "environment": found.environment, "overrides": found.overrides})
    context = connect(options, load_environment(options))
    require_answer(yes)
    monitor = OperationMonitor.create(context, showing.create_console(), "deploy", options.root, mode)
    ask = _make_approval(context, yes=yes, approved=found, pre_deploy=pre_deploy)
    reporter = ConsoleReporter(monitor, ask, verbose=verbose)
    gates = create_gates(found.allowed, fail_on, lambda: reporter.impossible)
    try:
        with monitor.closing():
            states, left = pipeline.deploy_saved_plan(context, reporter, found, str(source), limits=gates)
    except pipeline.ApprovalDeclined:
        return _report_declined()
    _print_outputs(states, "ndjson" if mode == "ndjson" else options.output)
    if left:
        names = ", ".join(stack.name for stack in left)
        click.echo(f"Not deployed yet: {names}. Create and approve another plan for these stacks.", err=True)
        return Exit.CHANGES
    return Exit.DONE


def _refuse_options(given: dict[str, Any], *, through: str | None, allowed: Sequence[str]) -> None:
    """Refuse options that would change a saved plan after its approval."""
    others = {
        "--set": given["overrides"],
        "--through": through,
        "--allow-replace and --allow-delete": allowed,
        "--placeholder-image": given["placeholder"],
        "--flat": given["flat"],
    }
    if wrong := [name for name, value in others.items() if value]:
        raise click.UsageError(f"A saved plan is executed as it was approved. Remove {', '.join(wrong)}.")


def _make_approval(
    context: Context, *, yes: bool, approved: SavedPlan | None = None, pre_deploy: tuple[str, ...] = ()
) -> Callable[[Sequence[StackPlan]], bool]:
    """Return the function that asks for approval. After the first approval it runs the pre-deploy tasks."""
    from hosting.cli.commands import run
    from hosting.deployer.deployment import Kind

    waiting = [run.prepare_pre_deploy(text, context) for text in pre_deploy]
    environment = context.environment
    what = f"the plan of {approved.created}" if approved else ""

    def approve(plans: Sequence[StackPlan]) -> bool:
        moving = [plan.stack for plan in plans if plan.kind is not Kind.NOTHING]
        stacks = what or (f"{len(moving)} stacks" if len(moving) > 1 else moving[0].label)
        question = f"Deploy {stacks} to account {context.identity.account}?"
        if not confirm(question, yes=yes, word=environment.name if environment.is_production else None):
            return False
        while waiting:
            waiting.pop(0)()
        return True

    return approve


def _report_declined() -> int:
    click.echo("Declined. No further change was made.", err=True)
    return Exit.INTERRUPTED


def _print_outputs(states: States, form: str) -> None:
    from hosting.cli.rendering import outputs

    found = outputs.collect_outputs(states)
    if form == "ndjson":
        from hosting.cli.rendering.progress import write_ndjson

        write_ndjson("outputs", {"outputs": found})
        return
    click.echo(json.dumps(found, indent=2) if form == "json" else outputs.format_outputs(found))
