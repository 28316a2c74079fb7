"""Entry of a new service, and its insertion into the text of workloads.py."""

from __future__ import annotations

import ast
import re

from generator import workloads
from generator.errors import ConfigError
from generator.workloads import Service

# The step leaves free priorities for a service that the load balancer must try in between.
_STEP = 100


def new_entry(
    existing: tuple[Service, ...], name: str, paths: tuple[str, ...] = (), *, own_size: bool = True
) -> Service:
    """Return the entry of a new service. The load balancer tries it after the services with paths of their own, and
    before the service that takes all other requests.

    Raises ConfigError for a name or a path that is not valid or belongs to another service.
    """
    workloads.check_name(name)
    taken = {entry.slug: entry.name for entry in existing}
    if name.lower() in taken:
        raise ConfigError(f'service "{name}": there is {taken[name.lower()]} already')
    path = "/" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    paths = paths or (path, f"{path}/*")
    if claimed := sorted({pattern for entry in existing for pattern in entry.path_patterns} & set(paths)):
        raise ConfigError(f'service "{name}": path {claimed[0]} belongs to another service')
    return Service(name, paths, _free_priority(existing), own_size=own_size)


def _free_priority(existing: tuple[Service, ...]) -> int:
    rest = min((entry.priority for entry in existing if "/*" in entry.path_patterns), default=50_000)
    before = max((entry.priority for entry in existing if entry.priority < rest), default=0)
    if rest - before < 2:
        raise ConfigError(f"no priority is free between {before} and {rest}: spread them in {workloads.FILE}")
    return before + _STEP if before + _STEP < rest else (before + rest) // 2


def insert_entry(source: str, entry: Service) -> str:
    """Return the text of workloads.py with the entry at the end of SERVICES."""
    for node in ast.parse(source).body:
        value = workloads.services_value(node)
        if isinstance(value, ast.Tuple) and value.elts and _one_per_line(value, source):
            end = value.elts[-1].end_lineno
            lines = source.splitlines(keepends=True)
            return "".join([*lines[:end], entry_line(entry), *lines[end:]])
    raise ConfigError(
        f"{workloads.FILE}: {workloads.SERVICES} is not a tuple of entries that begin and end on lines of their own: "
        "add the entry by hand"
    )


def _one_per_line(value: ast.Tuple, source: str) -> bool:
    """Return whether the last entry ends its line with a comma, and the parenthesis follows on a later line."""
    last = value.elts[-1]
    rest = source.splitlines()[(last.end_lineno or 0) - 1].encode()[last.end_col_offset :].decode()
    return bool(re.fullmatch(r"\s*,\s*(#.*)?", rest)) and (value.end_lineno or 0) > (last.end_lineno or 0)


def entry_line(entry: Service) -> str:
    """Return the line of workloads.py that declares a service."""
    patterns = ", ".join(f'"{pattern}"' for pattern in entry.path_patterns)
    paths = f"({patterns},)" if len(entry.path_patterns) == 1 else f"({patterns})"
    size = "" if entry.own_size else ", own_size=False"
    return f'    Service("{entry.name}", {paths}, priority={entry.priority}{size}),\n'
