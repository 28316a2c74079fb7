"""Checks that every kind of workload uses."""

from __future__ import annotations

import re
from collections.abc import Iterable

from generator.errors import ConfigError
from generator.workloads.values import DatabasePassword, DatabaseUsername, Fact, Text

_OF_DATABASE = frozenset({Fact.DATABASE_HOST, Fact.DATABASE_READER_HOST, Fact.DATABASE_PORT, Fact.DATABASE_NAME})


def check_name(name: str, what: str = "workload") -> None:
    """Raise ConfigError if ``name`` cannot be the name of a workload, or of ``what``."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{0,29}", name):
        raise ConfigError(f'{what} "{name}": give it a name in CamelCase, such as Search or UserProfile')
    # The bastion has a repository beside those of the workloads; ServiceCpu is the size that workloads share.
    if name.lower() in ("bastion", "service"):
        raise ConfigError(f'{what} "{name}": there is {name.capitalize()} already')


def check_range(where: str, name: str, value: int, low: int, high: int) -> None:
    """Raise ConfigError if a number is outside its limits."""
    if not low <= value <= high:
        raise ConfigError(f"{where}: {name} is {value}, give {low} to {high}")


def find_twice(values: Iterable[str]) -> str:
    """Return a value that occurs twice; empty if none does."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return ""


def contains_port(value: object) -> bool:
    """Return whether the value of a variable contains the port of the app."""
    return value is Fact.PORT or (isinstance(value, Text) and Fact.PORT in value.parts)


def uses_database(value: object) -> bool:
    """Return whether the value of a variable or secret comes from the database."""
    if isinstance(value, Text):
        return not _OF_DATABASE.isdisjoint(value.parts)
    return isinstance(value, (DatabaseUsername, DatabasePassword)) or (
        isinstance(value, Fact) and value in _OF_DATABASE
    )
