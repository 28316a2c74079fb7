"""`deploy.py completion`: print the completion script of a shell."""

from __future__ import annotations

from typing import Literal

import click

from hosting.cli.support.exit_codes import Exit

# The name of the program in the shell, and the variable with which the shell asks click for completions.
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

    The script completes deploy.py on PATH, ./deploy.py and aliases of it.
    """
    from click.shell_completion import get_completion_class

    from hosting.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"click does not support completion for {shell}")
    click.echo(found(cli, {}, NAME, VARIABLE).source())
    return Exit.DONE
