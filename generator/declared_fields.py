"""Types of the fields that workloads.py fills. mypy checks them too, but `generate` does not run mypy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING

from generator.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def _is_integer(value: object) -> bool:
    return type(value) is int  # True and False are integers of Python too


def _is_tuple_of(value: object, check: Callable[[object], bool]) -> bool:
    return isinstance(value, tuple) and all(check(item) for item in value)


# Annotation -> check of a value.
_CHECKS: dict[str, Callable[[object], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": _is_integer,
    "bool": lambda value: isinstance(value, bool),
    "tuple[str, ...]": lambda value: _is_tuple_of(value, lambda item: isinstance(item, str)),
    "tuple[int, ...]": lambda value: _is_tuple_of(value, _is_integer),
}


def check_types(entry: DataclassInstance, name: str) -> None:
    """Raise ConfigError if a field of ``entry`` has a value of another type than its annotation."""
    for field in fields(entry):
        value = getattr(entry, field.name)
        if not _CHECKS[str(field.type)](value):
            raise ConfigError(f"{name}: {field.name} is {value!r}: give a value of type {field.type}")
