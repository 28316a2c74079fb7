"""`deploy.py destroy`: delete an environment, after saying what goes and what stays."""

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
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Does not lift any protection.")
@click.option("--preview", is_flag=True, help="Only show what would go and what would stay.")
@click.option("--unprotect", is_flag=True, help="Switch termination and deletion protection off, where they are on.")
@interrupt_on_sighup()
def destroy(progress: str, yes: bool, preview: bool, unprotect: bool, **given: object) -> int:
    """Delete an environment's stacks, backwards through the chain. Bootstrap and what holds data are kept."""
    if not preview:
        require_answer(yes)
    from hosting.cli.rendering import progress as showing
    from hosting.cli.support import flow
    from hosting.cli.support.operation_monitor import Watching

    options = Options(**given)  # type: ignore[arg-type] # click has made them what Options declares
    environment = load_without_validation(options)
    context = connect(options, environment)
    console = showing.create_console()
    watching = Watching.of(context, console, "destroy", options.root, progress)
    word = environment.name if environment.is_production else None

    def approve() -> bool:
        question = f"Destroy {environment.family} in account {context.identity.account}?"
        return confirm(question, yes=yes, word=word)

    try:
        with watching.closing():
            flow.destroy_chain(context, console, approve, unprotect=unprotect, preview=preview, watching=watching)
    except flow.Declined:
        click.echo("Declined; nothing was deleted.", err=True)
        return Exit.INTERRUPTED
    return Exit.DONE
