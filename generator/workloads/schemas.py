"""Schemas: the part of the database that is a workload's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from generator.errors import ConfigError
from generator.workloads.values import parameter_part

# Schemas of MySQL and of RDS, and the one that the platform creates for all workloads without their own.
_RESERVED = frozenset({"app", "information_schema", "innodb", "mysql", "performance_schema", "sys", "tmp", "test"})


@dataclass(frozen=True)
class OwnSchema:
    """A schema of the database with users of its own. workloads.py gives its name as ``schema``."""

    name: str

    @property
    def subject(self) -> str:
        """Return the beginning of logical ids: ``MyShop`` for ``my_shop``."""
        return parameter_part(self.name)

    @property
    def first_user(self) -> str:
        """Return the user that the secret names first. lambda/database_user has the same rule."""
        return f"{self.name}_a"

    @property
    def secret_id(self) -> str:
        """Return the logical id of the secret in the layer ``database_users``."""
        return f"{self.subject}UserSecret"

    @property
    def arn_output(self) -> str:
        """Return the name of the output with the ARN of the secret."""
        return f"{self.secret_id}Arn"


def check_schema(name: str, where: str) -> None:
    """Raise ConfigError if a workload cannot have a schema of this name; an empty one is the platform's."""
    # A user of MySQL has up to 32 characters, two of which distinguish the users of the schema.
    if name and not re.fullmatch(r"[a-z][a-z0-9_]{0,29}", name):
        raise ConfigError(f'{where}: schema "{name}", give up to 30 small letters, digits and underscores')
    if name in _RESERVED:
        raise ConfigError(f"{where}: the schema {name} exists already, give another name")
