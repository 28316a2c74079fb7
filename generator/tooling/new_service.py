"""One more service: its entry, and the place in config.py where it goes. Text in, text out."""

from __future__ import annotations

import ast
import re

from generator.config import Config, ServiceEntry, default_services
from generator.errors import ConfigError

# Steps leave room for a service that has to be asked in between.
_STEP = 100
_FUNCTION = "default_services"


def entry_for(name: str, paths: tuple[str, ...] = (), *, own_size: bool = True) -> ServiceEntry:
    """The entry of a new service, asked after those with paths of their own and before the one that takes the rest.

    Raises ConfigError where the name or the paths cannot be.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{1,29}", name):
        raise ConfigError(f'service "{name}": give it a name in CamelCase, such as Search or UserProfile')
    existing = default_services()
    taken = {entry.slug: entry.name for entry in existing} | {"bastion": "Bastion", "service": "Service"}
    if name.lower() in taken:
        raise ConfigError(f'service "{name}": there is {taken[name.lower()]} already')
    path = "/" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    paths = paths or (path, f"{path}/*")
    if claimed := sorted({pattern for entry in existing for pattern in entry.path_patterns} & set(paths)):
        raise ConfigError(f'service "{name}": path {claimed[0]} belongs to another service')
    entry = ServiceEntry(name, paths, _priority(existing), own_size=own_size)
    Config(services=(*existing, entry))  # judges the rest
    return entry


def _priority(existing: tuple[ServiceEntry, ...]) -> int:
    rest = min((entry.priority for entry in existing if "/*" in entry.path_patterns), default=50_000)
    before = max((entry.priority for entry in existing if entry.priority < rest), default=0)
    if rest - before < 2:
        raise ConfigError(f"no priority is free between {before} and {rest}: spread them in config.py")
    return before + _STEP if before + _STEP < rest else (before + rest) // 2


def added(source: str, entry: ServiceEntry) -> str:
    """config.py with the entry at the end of default_services."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == _FUNCTION and isinstance(node.body[-1], ast.Return):
            value = node.body[-1].value
            if isinstance(value, ast.Tuple) and value.elts and value.elts[-1].end_lineno is not None:
                lines = source.splitlines(keepends=True)
                return "".join([*lines[: value.elts[-1].end_lineno], _line(entry), *lines[value.elts[-1].end_lineno :]])
    raise ConfigError(f"config.py: {_FUNCTION} does not return a tuple of entries, one a line; add the entry by hand")


def _line(entry: ServiceEntry) -> str:
    patterns = ", ".join(f'"{pattern}"' for pattern in entry.path_patterns)
    paths = f"({patterns},)" if len(entry.path_patterns) == 1 else f"({patterns})"
    size = "" if entry.own_size else ", own_size=False"
    return f'        ServiceEntry("{entry.name}", {paths}, priority={entry.priority}{size}),\n'
