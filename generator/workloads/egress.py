"""Egress: what the tasks of a workload reach on the internet beside HTTPS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from generator.declared_fields import check_types
from generator.errors import ConfigError
from generator.workloads.checks import check_range, find_twice

HTTPS = 443
ANYWHERE = "0.0.0.0/0"
# A group may have 60 rules that leave (Amazon VPC User Guide, "Amazon VPC quotas"). HTTPS, the database and calls of
# internal services need some.
MOST_RULES = 30
# Addresses that no route of the VPC leads to, or that are in the VPC itself (RFC 1122, 1918, 3927, 6598).
_NOT_PUBLIC = tuple(
    ipaddress.IPv4Network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16")
)


@dataclass(frozen=True)
class Egress:
    """A TCP port that the tasks of a workload reach on the internet, such as ``Egress(587, "SMTP of the mailer")``.

    HTTPS is open to every address without it. ``cidr`` limits the port to a range of public addresses. The description
    is that of the rule in the security group.
    """

    port: int
    description: str
    cidr: str = ANYWHERE

    def __post_init__(self) -> None:
        where = "Egress(...)"
        check_types(self, where)
        check_range(where, "port", self.port, 1, 65_535)
        if self.port == HTTPS:
            raise ConfigError(f"{where}: port 443 is open to every address for each workload, remove the entry")
        # The characters that EC2 accepts in the description of a rule.
        if not re.fullmatch(r"[A-Za-z0-9. _:/()#,@\[\]+=&;{}!$*-]{1,255}", self.description):
            raise ConfigError(f'{where}: description "{self.description}", give 1 to 255 plain characters')
        check_cidr(self.cidr, where)

    @property
    def logical_id(self) -> str:
        """Return the logical id of the rule. It is the same in any order of the entries."""
        address = "" if self.cidr == ANYWHERE else "To" + re.sub(r"[./]", "x", self.cidr)
        return f"Port{self.port}{address}Egress"


def check_cidr(cidr: str, where: str) -> None:
    """Raise ConfigError if ``cidr`` is not a range of public IPv4 addresses."""
    try:
        block = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ConfigError(f'{where}: cidr "{cidr}" is not valid ({error}), give one such as 203.0.113.0/24') from None
    if cidr != str(block):
        raise ConfigError(f'{where}: cidr "{cidr}", write it as {block}')
    if cidr != ANYWHERE and any(block.overlaps(inner) for inner in _NOT_PUBLIC):
        raise ConfigError(f'{where}: cidr "{cidr}" contains private addresses, give a range of public ones')


def check_egress(rules: Sequence[Egress], where: str) -> None:
    """Raise ConfigError if a security group cannot have these rules."""
    if twice := find_twice(rule.logical_id for rule in rules):
        rule = next(rule for rule in rules if rule.logical_id == twice)
        raise ConfigError(f"{where}: egress has port {rule.port} to {rule.cidr} twice")
    if len(rules) > MOST_RULES:
        raise ConfigError(f"{where}: egress has {len(rules)} rules, give at most {MOST_RULES}")
