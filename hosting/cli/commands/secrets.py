"""`deploy.py secrets`: list the secrets of workloads, and set the values that people supply."""

from __future__ import annotations

import difflib
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    account_options,
    connect_to_deployed,
    environment_options,
    is_interactive,
    output_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosting.deployer.context import Context
    from hosting.deployer.workload_secrets import SecretState

SCHEMA = "secrets/1"


@click.group()
def secrets() -> None:
    """List the secrets that workloads.py declares, or set a value. Values are never printed."""


@secrets.command("list")
@environment_options
@account_options
@output_option("text", "json")
def list_secrets(**given: Any) -> int:
    """List every declared secret with its source and state. Exits 1 if a supplied secret has no value."""
    from hosting.deployer.workload_secrets import list_missing_values

    options = Options(**given)
    context, states = _describe(options)
    if options.output == "json":
        click.echo(json.dumps({"schema": SCHEMA, "secrets": [_document(state) for state in states]}, indent=2))
    else:
        for line in _format_table(states):
            click.echo(line)
        if not states:
            click.echo(f"{context.environment.family}: workloads.py declares no secret", err=True)
    return Exit.ERROR if list_missing_values(states) else Exit.DONE


@secrets.command("set")
@click.argument("workload", metavar="WORKLOAD")
@click.argument("variable", metavar="VARIABLE")
@environment_options
@account_options
@click.option("--replace-generated", is_flag=True, help="Also replace a value that Secrets Manager generated.")
def set_secret(workload: str, variable: str, replace_generated: bool, **given: Any) -> int:
    """Set the value of the secret VARIABLE of WORKLOAD. The value is read from a hidden prompt or from stdin.

    \b
    deploy.py secrets set -e dev Backend SMTP_PASSWORD
    deploy.py secrets set -e dev Backend SIGNING_KEY < key.pem

    One newline at the end of stdin is not part of the value. Tasks that run keep the old value until they are replaced.
    """
    from hosting.deployer import workload_secrets
    from hosting.deployer.errors import DeployerError, RefusedError
    from hosting.model.workload_secrets import SecretSource

    context, states = _describe(Options(**given))
    state = _find(states, workload, variable)
    name = state.declared.name
    if not state.arn:
        raise DeployerError(
            f"{name} is declared, and the environment does not have it yet",
            where=context.environment.family,
            hint=f"deploy it: deploy.py deploy -e {context.environment.name}",
        )
    if state.declared.source is SecretSource.GENERATED and not replace_generated:
        raise RefusedError(
            f"{name} has a value that Secrets Manager generated. Data that it encrypts would be lost",
            hint="add --replace-generated if the app can live without the old value",
        )
    workload_secrets.set_value(context, state, _read_value(name))
    click.echo(f"{name}: the value is set", err=True)
    return Exit.DONE


def _describe(options: Options) -> tuple[Context, Sequence[SecretState]]:
    """Return the context, and the state of every declared secret."""
    from hosting.deployer.aws.stacks import describe_stack
    from hosting.deployer.workload_secrets import describe_secrets
    from hosting.model.stack_order import StackRole

    context = connect_to_deployed(options)
    root = context.stack(StackRole.ROOT)
    state = describe_stack(context.clients.cloudformation(root.region), root.name)
    return context, describe_secrets(context, state)


def _find(states: Sequence[SecretState], workload: str, variable: str) -> SecretState:
    """Return the secret with this owner, in any case, and this variable. Raises a usage error with a suggestion."""
    for state in states:
        if (state.declared.workload.lower(), state.declared.variable) == (workload.lower(), variable):
            return state
    known = [state.declared.name for state in states]
    if not known:
        raise click.UsageError("workloads.py declares no secret: add Supplied() to the secrets of a workload.")
    near = difflib.get_close_matches(f"{workload} {variable}", known, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else f"Known: {', '.join(known)}."
    raise click.UsageError(f'There is no secret "{workload} {variable}". {hint}')


def _read_value(name: str) -> str:
    """Return the value from a hidden prompt, or from stdin if it is not a terminal."""
    from hosting.deployer.workload_secrets import LONGEST_VALUE

    if is_interactive():
        value: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True)
    elif sys.stdin.isatty():
        raise click.UsageError("The value is read from stdin, and stdin is a terminal: use < FILE or a pipe.")
    else:
        try:
            value = sys.stdin.buffer.read().decode()
        except UnicodeDecodeError:
            raise click.UsageError(
                "The value on stdin is not text in UTF-8. Encode it, for example as Base64."
            ) from None
        value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise click.UsageError(f"The value of {name} is empty. An app would start without its secret.")
    if (size := len(value.encode())) > LONGEST_VALUE:
        raise click.UsageError(
            f"The value of {name} has {size:,} bytes. Secrets Manager stores at most {LONGEST_VALUE:,}."
        )
    return value


def _document(state: SecretState) -> dict[str, object]:
    return {
        "workload": state.declared.workload,
        "variable": state.declared.variable,
        "source": str(state.declared.source),
        "arn": state.arn or None,
        "has_value": state.has_value,
        "changed": state.changed.isoformat() if state.changed else None,
    }


def _format_table(states: Sequence[SecretState]) -> list[str]:
    rows = [
        (state.declared.workload, state.declared.variable, state.declared.source, _format_state(state))
        for state in states
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return ["  ".join((*(row[i].ljust(widths[i]) for i in range(3)), row[3])) for row in rows]


def _format_state(state: SecretState) -> str:
    if not state.arn:
        return "not deployed yet"
    if not state.has_value:
        return "no value"
    return f"set {state.changed:%Y-%m-%d %H:%M} UTC" if state.changed else "set"
