"""`deploy.py recover`: continue a failed update rollback, and list the resources that block a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.operation_monitor import progress_option
from hosting.cli.support.options import (
    Options,
    aws_options,
    confirm,
    connect_to_deployed,
    environment_options,
    require_answer,
)
from hosting.cli.support.signals import interrupt_on_sighup

if TYPE_CHECKING:
    from rich.console import Console

    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer.aws.stacks import StackState
    from hosting.deployer.context import Context
    from hosting.deployer.recovery import Blocker
    from hosting.model.stack_order import Stack


_AFTER_FAILED_DELETION = "remove the blocking resource, then run `deploy.py destroy` again"


@click.command()
@environment_options
@aws_options
@progress_option
@click.option(
    "--skip",
    multiple=True,
    metavar="NESTED.RESOURCE",
    help="Last resort: skip this resource in the rollback (ResourcesToSkip). Its state then differs from the stack's. "
    "Repeatable.",
)
@click.option("--list", "only_list", is_flag=True, help="Only list the blocking resources and the remedy.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@interrupt_on_sighup()
def recover(progress: str, skip: tuple[str, ...], only_list: bool, yes: bool, **given: Any) -> int:
    """List the resources that block a stack in a *_FAILED state, and continue a failed update rollback.

    A resource is skipped only if --skip names it. For a failed deletion the blocking resources are listed; continue
    it with `deploy.py destroy`. Exits 5 if a stack still needs recovery.
    """
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer import deployment, recovery
    from hosting.deployer.aws.stacks import Next
    from hosting.deployer.aws.statuses import STATUSES
    from hosting.deployer.errors import RecoverError

    options = Options(**given)
    context = connect_to_deployed(options)
    console = showing.create_console()
    states = deployment.describe_stacks(context)
    stuck = [
        (stack, state)
        for stack, state in states.items()
        if state is not None and state.next in {Next.RECOVER, Next.DELETE}
    ]
    if not stuck:
        running = [(stack, state) for stack, state in states.items() if state is not None and state.next is Next.WAIT]
        if running:
            for stack, state in running:
                console.print(f"{stack.label} {STATUSES[state.status].meaning} ({state.status}).")
            console.print("No stack needs recovery yet. Follow the running operation with `deploy.py watch`.")
        else:
            console.print("No stack needs recovery.", style="green")
        return Exit.DONE
    monitor = OperationMonitor.create(context, console, "recover", options.root, progress)
    left = []
    for stack, state in stuck:
        found = recovery.find_blockers(context, stack, state)
        _print_blockers(console, stack, state, found)
        if only_list or state.status != "UPDATE_ROLLBACK_FAILED":
            # The blocking resources are listed above, so the remedy does not repeat how to find them.
            remedy = _AFTER_FAILED_DELETION if state.next is Next.DELETE else STATUSES[state.status].remedy
            left.append(f"{stack.label}: {remedy}")
            continue
        skipped = recovery.select_blockers(found, skip)
        require_answer(yes)
        what = f" and skip {', '.join(one.name for one in skipped)}" if skipped else ""
        question = f"Continue the rollback of {stack.label} in account {context.identity.account}{what}?"
        word = context.environment.name if skipped and context.environment.is_production else None
        if not confirm(question, yes=yes, word=word):
            click.echo("Declined. Nothing was changed.", err=True)
            return Exit.INTERRUPTED
        _continue_rollback(context, monitor, stack, state, skipped)
    if left:
        raise RecoverError("stacks still need recovery", where=context.environment.family, hint="\n  ".join(left))
    return Exit.DONE


def _continue_rollback(
    context: Context, monitor: OperationMonitor, stack: Stack, state: StackState, skipped: list[Blocker]
) -> None:
    from hosting.deployer import operations, recovery
    from hosting.deployer.aws.statuses import get_remedy
    from hosting.deployer.errors import DeploymentFailedError

    operation = recovery.continue_rollback(context, stack, state, skipped)
    result = "failed"
    try:
        monitor.follow(context, operation)
        after = operations.wait_for_outcome(context, operation)
        status = after.status if after is not None else "DELETE_COMPLETE"
        if status != "UPDATE_ROLLBACK_COMPLETE":
            raise operations.create_failure(operation, status, get_remedy(status))
        monitor.console.print(f"{stack.label}: {status}. The stack can be deployed again.", style="green")
        result = "succeeded"
    except DeploymentFailedError as error:
        monitor.explain_failure(operation, error)
        raise
    finally:
        monitor.close(result)


def _print_blockers(console: Console, stack: Stack, state: StackState, found: list[Blocker]) -> None:
    from rich.text import Text

    from hosting.deployer.aws.statuses import STATUSES
    from hosting.deployer.failures import report

    console.print(
        Text(f"{stack.label} {STATUSES[state.status].meaning} ({state.status}). Blocking resources:", style="bold")
    )
    for one in found:
        console.print(Text.assemble("  ", (one.name, "red"), f"  {one.type}  {one.physical_id}"))
        console.print(Text(f"    {one.status}: {one.reason or 'no reason reported'}"))
        for line in report.format_cause(one.match):
            console.print(Text(f"    {line}"))
        if one.holds_data:
            advice = ": avoid --skip" if state.status == "UPDATE_ROLLBACK_FAILED" else ""
            console.print(Text(f"    stateful resource{advice}", style="yellow"))
    if not found:
        console.print("  CloudFormation names no resource. Continuing the rollback may succeed.")
