"""`deploy.py destroy`: delete an environment after a preview of deleted and retained resources."""

from __future__ import annotations

from typing import Any

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
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation. Protected resources remain protected.")
@click.option("--preview", is_flag=True, help="Show the deleted and retained resources; delete nothing.")
@click.option("--unprotect", is_flag=True, help="Disable termination protection and deletion protection first.")
@interrupt_on_sighup()
def destroy(progress: str, yes: bool, preview: bool, unprotect: bool, **given: Any) -> int:
    """Delete the stacks of an environment in reverse order.

    The bootstrap stack and resources with a Retain policy remain. Resources with a Snapshot policy leave a snapshot.
    """
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support.console_reporter import ConsoleReporter
    from hosting.cli.support.operation_monitor import OperationMonitor
    from hosting.deployer import pipeline

    options = Options(**given)
    environment = load_without_validation(options)
    context = connect(options, environment)
    if not preview:
        require_answer(yes)
    monitor = OperationMonitor.create(context, showing.create_console(), "destroy", options.root, progress)
    word = environment.name if environment.is_production else None

    def approve() -> bool:
        question = f"Destroy {environment.family} in account {context.identity.account}?"
        return confirm(question, yes=yes, word=word)

    try:
        with monitor.closing():
            reporter = ConsoleReporter(monitor, approve_deletions=approve)
            pipeline.destroy_stacks(context, reporter, unprotect=unprotect, preview=preview)
    except pipeline.ApprovalDeclined:
        click.echo("Declined. Nothing was deleted.", err=True)
        return Exit.INTERRUPTED
    return Exit.DONE
