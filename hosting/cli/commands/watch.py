"""`deploy.py watch`: follow the running operations of an environment."""

from __future__ import annotations

from typing import Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.operation_monitor import progress_option
from hosting.cli.support.options import Options, account_options, connect_to_deployed, environment_options
from hosting.cli.support.signals import interrupt_on_sighup


@click.command()
@environment_options
@account_options
@progress_option
@interrupt_on_sighup()
def watch(progress: str, **given: Any) -> int:
    """Follow the running operations of an environment's stacks to their end.

    The operations can have been started by other users. Exits 4 if an operation fails and 5 if a stack needs recovery.
    """
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer import deployment, operations
    from hosting.deployer.aws.statuses import STATUSES, get_remedy, is_good

    options = Options(**given)
    context = connect_to_deployed(options)
    console = showing.create_console()
    monitor = OperationMonitor.create(context, console, "watch", options.root, progress)
    states = deployment.describe_stacks(context)
    running = operations.find_running_operations(context, states)
    if not running:
        for stack, state in states.items():
            text = f"{STATUSES[state.status].meaning} ({state.status})" if state else "does not exist"
            console.print(f"{stack.label}: {text}", style="dim")
        console.print("No operation is running.")
        return Exit.DONE
    for operation in running:
        console.print(f"{operation.stack.label}: {operation.verb}", style="bold")
        result = "failed"
        try:
            monitor.follow(context, operation)
            state = operations.wait_for_outcome(context, operation)
            status = state.status if state is not None else "DELETE_COMPLETE"
            if not is_good(status):
                error = operations.create_failure(operation, status, get_remedy(status))
                monitor.explain_failure(operation, error)
                raise error
            result = "succeeded"
        finally:
            monitor.close(result)
    return Exit.DONE
