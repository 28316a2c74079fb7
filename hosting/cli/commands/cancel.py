"""`deploy.py cancel`: cancel a running stack update and roll it back."""

from __future__ import annotations

from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.operation_monitor import progress_option
from hosting.cli.support.options import (
    Options,
    account_options,
    confirm,
    connect_to_deployed,
    environment_options,
)
from hosting.cli.support.signals import interrupt_on_sighup


@click.command()
@environment_options
@account_options
@progress_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@interrupt_on_sighup()
def cancel(progress: str, yes: bool, **given: Any) -> int:
    """Cancel the running update of an environment's stacks and follow the rollback.

    CloudFormation can cancel an update only. A first creation continues and can be deleted afterwards.
    """
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer import deployment, operations
    from hosting.deployer.aws.statuses import get_remedy
    from hosting.deployer.errors import DeploymentFailedError, StateError

    options = Options(**given)
    context = connect_to_deployed(options)
    console = showing.create_console()
    states = deployment.describe_stacks(context)
    running = [stack for stack, state in states.items() if state is not None and state.next.value == "wait"]
    if not running:
        console.print("No operation is running. Nothing was cancelled.")
        return Exit.DONE
    found = [
        (stack, state)
        for stack, state in states.items()
        if state is not None and operations.is_cancellable(state.status)
    ]
    if not found:
        names = ", ".join(f"{stack.label} ({state.status})" for stack in running if (state := states[stack]))
        hint = "only a running update can be cancelled; follow this operation with `deploy.py watch`"
        raise StateError(f"cannot be cancelled: {names}", where=context.environment.family, hint=hint)
    labels = ", ".join(stack.label for stack, _ in found)
    if not confirm(f"Cancel the update of {labels} in account {context.identity.account}?", yes=yes):
        click.echo("Declined. The update continues.", err=True)
        return Exit.INTERRUPTED
    monitor = OperationMonitor.create(context, console, "cancel", options.root, progress)
    for stack, state in found:
        operation = operations.attach(context, stack, state)
        operations.cancel(context, operation)
        monitor.cancelled = True
        console.print(f"{stack.label}: cancelled, the stack is rolled back", style="bold")
        try:
            monitor.follow(context, operation)
            after = operations.wait_for_outcome(context, operation)
            status = after.status if after is not None else "DELETE_COMPLETE"
            if status == "UPDATE_ROLLBACK_FAILED":
                raise operations.create_failure(operation, status, get_remedy(status))
            # The update can complete before the cancellation arrives.
            console.print(f"{stack.label}: {status}", style="green" if "ROLLBACK" in status else "yellow")
        except DeploymentFailedError as error:
            monitor.explain_failure(operation, error)
            raise
        finally:
            monitor.close("cancelled")
    return Exit.DONE
