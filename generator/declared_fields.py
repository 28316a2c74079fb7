"""Types of the fields that workloads.py fills. mypy checks them too, but `generate` does not run mypy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from generator.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class _Unset(Enum):
    UNSET = "unset"


# The value of a field that an entry does not set.
UNSET: Any = _Unset.UNSET


def check_types(entry: DataclassInstance, name: str) -> None:
    """Raise ConfigError if a field of ``entry`` has a value of another type than its annotation."""
    hints = _hints(type(entry))
    for field in fields(entry):
        value = getattr(entry, field.name)
        if value is not UNSET and not _has_type(value, hints[field.name]):
            raise ConfigError(f"{name}: {field.name} is {value!r}: give a value of type {field.type}")


@cache
def _hints(kind: type[DataclassInstance]) -> dict[str, Any]:
    return get_type_hints(kind)


def _has_type(value: object, hint: Any) -> bool:
    """Return whether a value has a type: a class, a union, ``tuple[X, ...]`` or ``Mapping[K, X]``."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_has_type(value, one) for one in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_has_type(item, arguments[0]) for item in value)
    if origin is Mapping:
        key, item = arguments
        return isinstance(value, Mapping) and all(_has_type(k, key) and _has_type(i, item) for k, i in value.items())
    # True and False are integers of Python too.
    return type(value) is int if hint is int else isinstance(value, hint)
