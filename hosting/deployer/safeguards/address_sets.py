"""The addresses that the web ACL blocks and allows. Operators change them without a deployment.

The edge stack contains the sets, and its template contains no addresses. CloudFormation therefore empties a set when it
updates it, for example after a change of the stack's tags. The deployer writes the addresses back after the operation.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from hosting.deployer.aws import stacks
from hosting.model.errors import InputError, Problem

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

SET_TYPE = "AWS::WAFv2::IPSet"
# Another change of the same set came in between: WAF asks the caller to read the set again.
_CHANGED = "WAFOptimisticLockException"
_ATTEMPTS = 5


class Kind(StrEnum):
    """The action of the web ACL for the addresses of a set."""

    BLOCKED = "Blocked"
    ALLOWED = "Allowed"


@dataclass(frozen=True)
class AddressSets:
    """The sets of a deployed edge stack: their ids by logical id."""

    client: Any
    ids: Mapping[str, str]

    def read(self) -> dict[str, tuple[str, ...]]:
        """Return the addresses of each set by its logical id."""
        return {name: tuple(self._get(name)["IPSet"]["Addresses"]) for name in self.ids}

    def change(self, name: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> bool:
        """Add addresses to a set and remove others. Return whether the set changed."""
        for attempt in range(1, _ATTEMPTS + 1):
            reply = self._get(name)
            before = set(reply["IPSet"]["Addresses"])
            after = (before | set(add)) - set(remove)
            if after == before:
                return False
            try:
                self.client.update_ip_set(
                    **self._key(name), Addresses=sorted(after), LockToken=reply["LockToken"], **_description(reply)
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != _CHANGED or attempt == _ATTEMPTS:
                    raise
            else:
                return True
        return False

    def _get(self, name: str) -> dict[str, Any]:
        reply: dict[str, Any] = self.client.get_ip_set(**self._key(name))
        return reply

    def _key(self, name: str) -> dict[str, str]:
        set_name, identifier, scope = self.ids[name].split("|")
        return {"Name": set_name, "Id": identifier, "Scope": scope}


def _description(reply: dict[str, Any]) -> dict[str, str]:
    """Return the description of a set. An update without it would remove it."""
    description = reply["IPSet"].get("Description")
    return {"Description": description} if description else {}


def find_sets(cloudformation: CloudFormationClient, wafv2: Any, stack_id: str) -> AddressSets:
    """Return the sets that a stack contains."""
    found = stacks.list_resources(cloudformation, stack_id)
    return AddressSets(
        wafv2, {item.logical_id: item.physical_id for item in found if item.type == SET_TYPE and item.physical_id}
    )


def restore(sets: AddressSets, kept: Mapping[str, tuple[str, ...]]) -> int:
    """Write the addresses back to each set that an operation emptied. Return the number of addresses."""
    present = sets.read()
    emptied = {name: kept[name] for name, addresses in present.items() if kept.get(name) and not addresses}
    for name, addresses in emptied.items():
        sets.change(name, add=addresses)
    return sum(map(len, emptied.values()))


def set_of(kind: Kind, address: str) -> tuple[str, str]:
    """Return the logical id of the set for an address, and the address as WAF stores it.

    Raises InputError for a value that is neither an address nor a network.
    """
    try:
        network = ipaddress.ip_network(address)
    except ValueError as error:
        hint = "give an address such as 203.0.113.7, or a network such as 203.0.113.0/24"
        raise InputError([Problem(address, str(error), hint)]) from None
    if network.prefixlen == 0:
        raise InputError([Problem(address, "is every address, which WAF does not accept", "give a smaller network")])
    return f"{kind}Ipv{network.version}Set", network.with_prefixlen
