"""The functions that change MiniStack's modules; each records its subject, which patches.py has to describe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from hosting.rehearsal.ministack_patch.patches import PATCHES

SERVICES = "ministack.services."
CLOUDFORMATION = f"{SERVICES}cloudformation"

# Everything that was patched in this process, by the names that `Patch.subjects` uses.
APPLIED: set[str] = set()


class IncompatibleError(Exception):
    """MiniStack differs from the version that the patches are written for. The emulator must not start then."""


def record(subject: str) -> None:
    """Note that a subject is patched, so that `require_described` can compare it with patches.py."""
    APPLIED.add(subject)


def require_described() -> None:
    """Compare what was patched with the table in patches.py, and raise IncompatibleError on any difference."""
    described = {subject for patch in PATCHES for subject in patch.subjects}
    if missing := APPLIED - described:
        raise IncompatibleError(
            f"patches.py does not describe: {', '.join(sorted(missing))}. Add a row with AWS's behaviour."
        )
    if obsolete := described - APPLIED:
        raise IncompatibleError(f"patches.py describes what is not patched: {', '.join(sorted(obsolete))}. Remove it.")


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
    record(f"{original.__module__.removeprefix(SERVICES)}.{original.__name__}")


def set_attribute(module: ModuleType, name: str, value: Any) -> None:
    """Bind one name of one module to `value`; raise IncompatibleError if the module has no such name."""
    if not hasattr(module, name):
        raise IncompatibleError(f"{module.__name__} has no {name}")
    setattr(module, name, value)
    record(f"{module.__name__.removeprefix(SERVICES)}.{name}")
