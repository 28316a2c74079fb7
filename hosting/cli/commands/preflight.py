"""`deploy.py preflight`: check the prerequisites of a first deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.options import (
    Options,
    account_options,
    confirm,
    connect,
    environment_options,
    is_interactive,
    load_environment,
    output_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosting.deployer.context import Context
    from hosting.deployer.operate.checklist import Check


@click.command()
@environment_options
@account_options
@output_option("text", "json")
@click.option("--create-roles", is_flag=True, help="Create missing service-linked roles without confirmation.")
def preflight(create_roles: bool, **given: Any) -> int:
    """Check account, quotas, roles, images, certificates and names against the files.

    The result of a check is ok, problem with its remedy, or not checkable with these credentials. Exits 1 if there is
    a problem. Missing service-linked roles are created only after confirmation.
    """
    from hosting.cli.rendering import checklist
    from hosting.deployer.operate import preflight as checking

    options = Options(**given)
    context = connect(options, load_environment(options))
    lines = checklist.print_checks(checking.run_checks(context), options.output)
    created = _create_missing_roles(context, lines, create_roles=create_roles)
    return checklist.select_exit_code([line for line in lines if line.offer not in created or not line.offer])


def _create_missing_roles(context: Context, lines: Sequence[Check], *, create_roles: bool) -> set[str]:
    """Create missing service-linked roles after confirmation. Return the services that got one."""
    from hosting.deployer.operate import preflight as checking

    missing = [line for line in lines if line.offer]
    if not missing or not (create_roles or is_interactive()):
        return set()
    names = ", ".join(line.what for line in missing)
    if not confirm(f"Create {names}?", yes=create_roles):
        return set()
    for line in missing:
        checking.create_linked_role(context, line.offer)
        click.echo(f"created {line.what}", err=True)
    return {line.offer for line in missing}
