"""`deploy.py watch`: follow what is running on an environment, whoever started it."""

from __future__ import annotations

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.operation_monitor import progress_option
from hosting.cli.support.options import Options, aws_options, connect, environment_options, load_without_validation
from hosting.cli.support.signals import interrupt_on_sighup


@click.command()
@environment_options
@aws_options
@progress_option
@interrupt_on_sighup()
def watch(progress: str, **given: object) -> int:
    """Attach to the operations that are running on an environment's stacks, and follow them to their end.

    Exits 4 when one failed, 5 when it needs recovery, 0 otherwise, also when nothing is running.
    """
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.operation_monitor import Watching
    from hosting.deployer import deployment, operations
    from hosting.deployer.aws.statuses import STATUSES, is_good, remedy

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    context = connect(options, load_without_validation(options))
    console = showing.create_console()
    watching = Watching.of(context, console, "watch", options.root, progress)
    states = deployment.survey(context)
    running = operations.running(context, states)
    if not running:
        for stack, state in states.items():
            said = f"{STATUSES[state.status].meaning} ({state.status})" if state else "is not there"
            console.print(f"{stack.label}: {said}", style="dim")
        console.print("Nothing is running.")
        return Exit.DONE
    for operation in running:
        console.print(f"{operation.stack.label}: {operation.verb}", style="bold")
        result = "failed"
        try:
            watching.follow(context, operation)
            state = operations.outcome(context, operation)
            status = state.status if state is not None else "DELETE_COMPLETE"
            if not is_good(status):
                error = operations.failed(operation, status, remedy(status))
                watching.explain(operation, error)
                raise error
            result = "succeeded"
        finally:
            watching.close(result)
    return Exit.DONE
