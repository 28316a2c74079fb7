"""Change of the addresses that the web ACL of a deployed environment blocks and allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws import stacks
from hosting.deployer.aws.session import explain
from hosting.deployer.context import Context
from hosting.deployer.errors import DeployerError
from hosting.deployer.safeguards import address_sets
from hosting.deployer.safeguards.address_sets import AddressSets, Kind
from hosting.model.stack_order import StackRole


def change_addresses(
    context: Context, wanted: Sequence[tuple[Kind, Iterable[str]]], remove: Iterable[str]
) -> list[tuple[Kind, str]]:
    """Add and remove addresses, and return all addresses with what the web ACL does with them.

    Raises InputError for a value that is no address, before any change. Raises DeployerError if there are no sets.
    """
    added = [address_sets.set_of(kind, address) for kind, addresses in wanted for address in addresses]
    removed = [address_sets.set_of(kind, address) for address in remove for kind in Kind]
    try:
        sets = _find(context)
        for name, address in removed:
            sets.change(name, remove=[address])
        for name, address in added:
            sets.change(name, add=[address])
        present = sets.read()
    except (BotoCoreError, ClientError) as error:
        raise explain(error) from error
    return [
        (kind, address)
        for kind in Kind
        for name in sorted(present)
        if name.startswith(kind)
        for address in present[name]
    ]


def _find(context: Context) -> AddressSets:
    stack = context.stack(StackRole.EDGE)
    cloudformation = context.clients.cloudformation(stack.region)
    state = stacks.describe_stack(cloudformation, stack.name)
    sets = address_sets.find_sets(cloudformation, context.clients.wafv2(stack.region), state.id) if state else None
    if sets is None or not sets.ids:
        hint = f"deploy the current templates: deploy.py deploy -e {context.environment.name}"
        raise DeployerError("has no sets of addresses", where=stack.label, hint=hint)
    return sets
