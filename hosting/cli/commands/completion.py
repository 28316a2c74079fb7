"""`deploy.py completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

from typing import Literal

import click

from hosting.cli.support.exit_codes import Exit

# The name under which the shell calls it, and the variable by which click knows that a shell asks.
NAME = "deploy.py"
VARIABLE = "_DEPLOY_PY_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: Literal["bash", "zsh", "fish"]) -> int:
    """Print the completion script of a shell.

    \b
    bash   eval "$(deploy.py completion bash)"    in ~/.bashrc
    zsh    eval "$(deploy.py completion zsh)"     in ~/.zshrc
    fish   deploy.py completion fish | source     in ~/.config/fish/config.fish

    It completes `deploy.py` where that is on PATH, an alias of it, or ./deploy.py.
    """
    from click.shell_completion import get_completion_class

    from hosting.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    click.echo(found(cli, {}, NAME, VARIABLE).source())
    return Exit.DONE
