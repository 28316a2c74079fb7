"""`deploy.py params`: check parameter files, and show the values of an environment with their origins."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    environment_options,
    environments_option,
    load_environment,
    load_without_validation,
    output_option,
    root_option,
    set_option,
)


@click.group()
def params() -> None:
    """Check parameter files, or show their values. Works offline."""


@params.command()
@environments_option
@set_option
@root_option
def check(environment: str, overrides: tuple[str, ...], root: Path) -> int:
    """Check parameter files against the templates."""
    from hosting.model import parameter_file
    from hosting.model.errors import InputError, Problem

    problems: list[Problem] = []
    for path in parameter_file.select_files(root / "params", environment):
        try:
            ready = load_environment(Options(path.stem, root, overrides))
        except InputError as error:
            problems += error.problems
        else:
            click.echo(f"{ready.file.path}: {len(ready.file.values)} values, no problem found", err=True)
    if problems:
        raise InputError(dict.fromkeys(problems))
    return Exit.DONE


@params.command()
@environment_options
@output_option("text", "json")
def show(environment: str, overrides: tuple[str, ...], root: Path, output: str) -> int:
    """Print every value of an environment with its origin.

    The origin is the file and line that set the value, --set, the default of a template, or deploy.py itself.
    params/ENV.json overrides params/base.json. The values are not checked.
    """
    from hosting.model import parameter_check

    loaded = load_without_validation(Options(environment, root, overrides))
    found = list(parameter_check.list_settings(loaded.file, loaded.templates))
    if output == "json":
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return Exit.DONE
    width = max(len(one.name) for one in found)
    for one in found:
        click.echo(f"{one.name:<{width}}  {'-' if one.value is None else json.dumps(one.value)}  ({one.origin})")
    return Exit.DONE
