"""How the extension reaches into MiniStack: one function replaced wherever it was imported by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class IncompatibleError(Exception):
    """MiniStack does not look as this extension expects; a start that fails beats an emulator that lies."""


def replace(original: Callable[..., Any], replacement: Callable[..., Any], package: str) -> None:
    """Bind every name in `package` that means `original` to `replacement`, tables of handlers included."""
    found = 0
    for name, module in list(sys.modules.items()):
        if module is None or not (name == package or name.startswith(package + ".")):
            continue
        for attribute, value in list(vars(module).items()):
            if value is original:
                setattr(module, attribute, replacement)
                found += 1
            elif isinstance(value, dict) and attribute.endswith("_HANDLERS"):
                for key, handler in value.items():
                    if handler is original:
                        value[key] = replacement
                        found += 1
    if not found:
        raise IncompatibleError(f"{package} does not use {getattr(original, '__name__', original)!r}")
