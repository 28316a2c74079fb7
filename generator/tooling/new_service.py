"""Entry of a new service, and its insertion into the text of workloads.py."""

from __future__ import annotations

import ast
import re

from generator import workloads
from generator.errors import ConfigError
from generator.workloads import WebService, Workload

# The step leaves free priorities for a service that the load balancer must try in between.
_STEP = 100


def new_entry(
    existing: tuple[Workload, ...], name: str, paths: tuple[str, ...] = (), *, own_size: bool = True
) -> WebService:
    """Return the entry of a new web service. The load balancer tries it after the services with paths of their own, and
    before the service that takes all other requests.

    Raises ConfigError for a name or a path that is not valid or belongs to another service.
    """
    workloads.check_name(name)
    taken = {entry.slug: entry.name for entry in existing}
    if name.lower() in taken:
        raise ConfigError(f'service "{name}": there is {taken[name.lower()]} already')
    path = "/" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    paths = paths or (path, f"{path}/*")
    services = [entry for entry in existing if isinstance(entry, WebService)]
    if claimed := sorted({path for entry in services for path in entry.paths} & set(paths)):
        raise ConfigError(f'service "{name}": path {claimed[0]} belongs to another service')
    return WebService(name, paths=paths, priority=_free_priority(services), own_size=own_size)


def _free_priority(existing: list[WebService]) -> int:
    rest = min((entry.priority for entry in existing if "/*" in entry.paths), default=50_000)
    before = max((number for entry in existing for number in entry.rules if number < rest), default=0)
    if rest - before < 2:
        raise ConfigError(f"no priority is free between {before} and {rest}: spread them in {workloads.FILE}")
    return before + _STEP if before + _STEP < rest else (before + rest) // 2


def insert_entry(source: str, entry: WebService) -> str:
    """Return the text of workloads.py with the entry at the end of WORKLOADS."""
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


def entry_line(entry: WebService) -> str:
    """Return the line of workloads.py that declares a web service."""
    patterns = ", ".join(f'"{path}"' for path in entry.paths)
    paths = f"({patterns},)" if len(entry.paths) == 1 else f"({patterns})"
    size = "" if entry.own_size else ", own_size=False"
    return f'    WebService("{entry.name}", paths={paths}, priority={entry.priority}{size}),\n'
