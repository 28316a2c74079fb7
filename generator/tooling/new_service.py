"""Entry of a new workload, and its insertion into the text of workloads.py."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields

from generator import workloads
from generator.declared_fields import UNSET
from generator.errors import ConfigError
from generator.workloads import WebService, Workload

# The step leaves free priorities for a service that the load balancer must try in between.
_STEP = 100
_LINE = 120


def new_entry(
    existing: tuple[Workload, ...], name: str, paths: tuple[str, ...] = (), *, own_size: bool = True, like: str = ""
) -> WebService:
    """Return the entry of a new web service. The load balancer tries it after the services with paths of their own, and
    before the service that takes all other requests.

    Raises ConfigError for a name or a path that is not valid or belongs to another service.
    """
    check_new_name(existing, name)
    path = "/" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    paths = paths or (path, f"{path}/*")
    services = [entry for entry in existing if isinstance(entry, WebService)]
    if claimed := sorted({path for entry in services for path in entry.paths} & set(paths)):
        raise ConfigError(f'service "{name}": path {claimed[0]} belongs to another service')
    return WebService(name, paths=paths, priority=_free_priority(services), own_size=own_size, like=like)


def check_new_name(existing: tuple[Workload, ...], name: str) -> None:
    """Raise ConfigError for a name that is not valid or belongs to another workload."""
    workloads.check_name(name)
    taken = {entry.slug: entry.name for entry in existing}
    if name.lower() in taken:
        raise ConfigError(f'workload "{name}": there is {taken[name.lower()]} already')


def _free_priority(existing: list[WebService]) -> int:
    rest = min((entry.priority for entry in existing if "/*" in entry.paths), default=50_000)
    before = max((number for entry in existing for number in entry.rules if number < rest), default=0)
    if rest - before < 2:
        raise ConfigError(f"no priority is free between {before} and {rest}: spread them in {workloads.FILE}")
    return before + _STEP if before + _STEP < rest else (before + rest) // 2


def insert_entry(source: str, entry: Workload) -> str:
    """Return the text of workloads.py with the entry at the end of WORKLOADS."""
    source = insert_import(source, type(entry).__name__)
    for node in ast.parse(source).body:
        value = workloads.workloads_value(node)
        if isinstance(value, ast.Tuple) and value.elts and _one_per_line(value, source):
            end = value.elts[-1].end_lineno
            lines = source.splitlines(keepends=True)
            return "".join([*lines[:end], entry_line(entry), *lines[end:]])
    raise ConfigError(
        f"{workloads.FILE}: {workloads.WORKLOADS} is not a tuple of entries that begin and end on lines of their own: "
        "add the entry by hand"
    )


def _one_per_line(value: ast.Tuple, source: str) -> bool:
    """Return whether the last entry ends its line with a comma, and the parenthesis follows on a later line."""
    last = value.elts[-1]
    rest = source.splitlines()[(last.end_lineno or 0) - 1].encode()[last.end_col_offset :].decode()
    return bool(re.fullmatch(r"\s*,\s*(#.*)?", rest)) and (value.end_lineno or 0) > (last.end_lineno or 0)


def entry_line(entry: Workload) -> str:
    """Return the line of workloads.py that declares a workload: the fields that differ from their defaults."""
    given = [_literal(entry.name)]
    for item in fields(entry):
        value = getattr(entry, item.name)
        usual = entry.default(item.name) if item.metadata.get("shared") else item.default
        if item.name != "name" and value is not UNSET and (entry.like or value != usual) and value != item.default:
            given.append(f"{item.name}={_literal(value)}")
    return f"    {type(entry).__name__}({', '.join(given)}),\n"


def _literal(value: object) -> str:
    """Return a text, a number, or a tuple of texts as Python writes it with double quotes."""
    if isinstance(value, tuple):
        items = ", ".join(_literal(item) for item in value)
        return f"({items},)" if len(value) == 1 else f"({items})"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def insert_import(source: str, kind: str) -> str:
    """Return the text of workloads.py with a type in its import from generator.workloads."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.module == "generator.workloads":
            names = sorted({*(alias.name for alias in node.names), kind})
            lines = source.splitlines(keepends=True)
            line = f"from generator.workloads import {', '.join(names)}\n"
            if len(line) > _LINE:
                line = f"from generator.workloads import (\n    {', '.join(names)},\n)\n"
            return "".join([*lines[: node.lineno - 1], line, *lines[node.end_lineno :]])
    return source
