"""`deploy.py params check`: the input errors of an environment, without AWS."""

from __future__ import annotations

from pathlib import Path

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import ALL, Options, environments_option, load_environment, root_option, set_option


@click.group()
def params() -> None:
    """Work on parameter files."""


@params.command()
@environments_option
@set_option
@root_option
def check(environment: str, overrides: tuple[str, ...], root: Path) -> int:
    """Check params/ENV.json against the templates; ENV may be "all". Needs no credentials."""
    from hosting.deployer import parameters
    from hosting.deployer.errors import InputError, Problem

    names = parameters.environments(root / "params") if environment == ALL else (environment,)
    problems: list[Problem] = []
    for name in names:
        try:
            ready = load_environment(Options(name, root, overrides))
        except InputError as error:
            problems += error.problems
        else:
            click.echo(f"{ready.file.path}: {len(ready.file.values)} values, all right", err=True)
    if problems:
        raise InputError(dict.fromkeys(problems))
    return Exit.DONE
