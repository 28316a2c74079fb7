"""`deploy.py cancel`: have a running update go back to how it was."""

from __future__ import annotations

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.operation_monitor import progress_option
from hosting.cli.support.options import (
    Options,
    aws_options,
    confirm,
    connect,
    environment_options,
    load_without_validation,
    require_answer,
)
from hosting.cli.support.signals import interrupt_on_sighup


@click.command()
@environment_options
@aws_options
@progress_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@interrupt_on_sighup()
def cancel(progress: str, yes: bool, **given: object) -> int:
    """Cancel the update that is running on an environment's stacks, and follow it back.

    CloudFormation can cancel updates only: a first creation goes on, and is deleted afterwards.
    """
    require_answer(yes)
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.operation_monitor import Watching
    from hosting.deployer import deployment, operations
    from hosting.deployer.aws.statuses import remedy
    from hosting.deployer.errors import DeploymentFailedError, StateError

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    context = connect(options, load_without_validation(options))
    console = showing.create_console()
    states = deployment.survey(context)
    running = [stack for stack, state in states.items() if state is not None and state.next.value == "wait"]
    if not running:
        console.print("Nothing is running, so nothing was cancelled.")
        return Exit.DONE
    found = [
        (stack, state)
        for stack, state in states.items()
        if state is not None and operations.is_cancellable(state.status)
    ]
    if not found:
        names = ", ".join(f"{stack.label} ({state.status})" for stack in running if (state := states[stack]))
        hint = "only an update that goes forward can be cancelled; `deploy.py watch` follows this to its end"
        raise StateError(f"cannot be cancelled: {names}", where=context.environment.family, hint=hint)
    labels = ", ".join(stack.label for stack, _ in found)
    if not confirm(f"Cancel the update of {labels} in account {context.identity.account}?", yes=yes):
        click.echo("Declined; the update goes on.", err=True)
        return Exit.INTERRUPTED
    watching = Watching.of(context, console, "cancel", options.root, progress)
    for stack, state in found:
        operation = operations.attach(context, stack, state)
        operations.cancel(context, operation)
        watching.cancelled = True
        console.print(f"{stack.label}: cancelled, it goes back now", style="bold")
        try:
            watching.follow(context, operation)
            after = operations.outcome(context, operation)
            status = after.status if after is not None else "DELETE_COMPLETE"
            if status == "UPDATE_ROLLBACK_FAILED":
                raise operations.failed(operation, status, remedy(status))
            # It may have been complete before the wish arrived.
            console.print(f"{stack.label}: {status}", style="green" if "ROLLBACK" in status else "yellow")
        except DeploymentFailedError as error:
            watching.explain(operation, error)
            raise
        finally:
            watching.close("cancelled")
    return Exit.DONE
