"""`deploy.py plan`: show the changes of a deployment, and save them with --out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.gates import create_gates, find_refusals, gate_options, review_plans
from hosting.cli.support.options import (
    Options,
    aws_options,
    connect,
    environment_options,
    flat_option,
    load_environment,
    output_option,
    placeholder_option,
)
from hosting.cli.support.rejections import locate_rejections
from hosting.cli.support.signals import interrupt_on_sighup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosting.cli.rendering.plan_text import PlanReview
    from hosting.cli.support.prediction_check import PredictionCheck
    from hosting.deployer.deployment import Context, StackPlan
    from hosting.deployer.safeguards.gates import Gates


@click.command()
@environment_options
@aws_options
@placeholder_option
@flat_option
@output_option("text", "json", "markdown")
@gate_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the change sets and save the plan. `deploy.py deploy FILE` executes exactly this plan.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there are changes.")
@click.option("-v", "--verbose", is_flag=True, help="List additions one by one, and entries that will not change.")
@interrupt_on_sighup()
def plan(
    allow_replace: tuple[str, ...],
    allow_delete: tuple[str, ...],
    fail_on: tuple[str, ...],
    out: Path | None,
    detailed_exitcode: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """Show the changes of a deployment in all nested stacks, the most severe first.

    Creates change sets and deletes them again. Templates and Lambda packages are uploaded under the SHA-256 of their
    content, which does not change an environment.
    """
    from hosting.cli.rendering import progress
    from hosting.cli.support import prediction_check
    from hosting.cli.support.console_reporter import ConsoleReporter
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer import deployment, pipeline
    from hosting.deployer.safeguards.gates import Allowed, find_unused

    options = Options(**given)
    gates = create_gates(Allowed.named(allow_replace, allow_delete), fail_on)
    context = connect(options, load_environment(options))
    reporter = ConsoleReporter(OperationMonitor(progress.create_console()))
    states = deployment.describe_stacks(context)
    deployment.require_ready(states)
    context = pipeline.use_placeholder_image(context, states, reporter, options.placeholder)
    with locate_rejections(options.root, context):
        plans = pipeline.plan_stacks(context, states, reporter, verb="saved" if out else "plan", final=out is not None)
    kept = False
    try:
        gates.check_names(context, plans)
        foreseen = prediction_check.check_prediction(context, states, plans)
        review = review_plans(context, plans, gates.allowed, foreseen)
        _print_plan(review, foreseen, options, context, verbose=verbose)
        for name in find_unused(gates.allowed, review.losses):
            click.echo(f"{name} has no effect: the plan does not contain this change", err=True)
        refused = list(find_refusals(plans, fail_on, review.impossible))
        for line in refused:
            click.echo(f"{click.style('refused:', fg='red', bold=True)} {line}", err=True)
        if out is not None and not refused:
            kept = _save_plan(context, plans, gates, review, options, out)
    finally:
        if not kept:
            with reporter.show_progress("deleting the change sets"):
                for one in plans:
                    deployment.discard(context, one)
    if refused:
        return Exit.REFUSED
    changes = any(one.kind is not deployment.Kind.NOTHING for one in plans)
    return Exit.CHANGES if changes and detailed_exitcode else Exit.DONE


def _print_plan(
    review: PlanReview, foreseen: PredictionCheck, options: Options, context: Context, *, verbose: bool
) -> None:
    from hosting.cli.rendering import plan_json, plan_text, progress

    if options.output == "json":
        document = plan_json.build_document(review, options.environment, context.identity.account)
        document["prediction"] = foreseen.as_json()
        click.echo(json.dumps(document, indent=2))
    elif options.output == "markdown":
        click.echo(plan_json.render_markdown(review, options.environment), nl=False)
    else:
        console = progress.create_console(stderr=False)
        for part in plan_text.render_plan(review, verbose=verbose):
            console.print(part)
        for line in foreseen.lines():
            console.print(line, style="dim", markup=False)


def _save_plan(
    context: Context, plans: Sequence[StackPlan], gates: Gates, review: PlanReview, options: Options, out: Path
) -> bool:
    """Save the plan and return whether it has changes. A plan that `deploy` would refuse is not saved."""
    from hosting.deployer import saved_plan
    from hosting.deployer.deployment import Kind
    from hosting.deployer.safeguards.gates import require_allowed

    require_allowed(review.losses, gates.allowed)
    if not any(plan.change_set is not None for plan in plans):
        click.echo(f"The plan has no changes. {out} was not written.", err=True)
        return False
    created = datetime.now(UTC).isoformat(timespec="seconds")
    overrides = [*options.overrides, *_list_placeholder_values(context, options)]
    saved_plan.write(out, saved_plan.save(context, plans, gates.allowed, overrides, created))
    click.echo(f"Saved to {out}. Execute it with: deploy.py deploy {out}", err=True)
    if waiting := [plan.stack.name for plan in plans if plan.kind is Kind.LATER]:
        click.echo(
            f"{', '.join(waiting)} cannot be planned yet. Create another plan after this one is deployed.", err=True
        )
    return True


def _list_placeholder_values(context: Context, options: Options) -> list[str]:
    """Return the parameters that use the placeholder image, as overrides for the execution of the plan."""
    values = context.environment.file.values
    return [f"{name}={value}" for name, value in values.items() if options.placeholder and value == options.placeholder]
