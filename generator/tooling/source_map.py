"""Map from resources to the lines of Python that created them, so that findings refer to code instead of JSON.

The map is recorded while the templates are built, and only for commands that need it. It does not change the templates.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from troposphere import AWSObject, BaseAWSObject

from generator import render
from generator.config import Config

_GENERATOR = Path(__file__).resolve().parents[1]
# Frames of these modules are skipped: the line of their caller is recorded.
_SKIPPED = {str(_GENERATOR / name) for name in ("wiring.py", "tooling/source_map.py", "render.py", "resources/iam.py")}
# These create resources for layers. The line of a resource is the layer's, the line of a property inside is theirs.
_HELPERS = {str(path) for path in (_GENERATOR / "resources").glob("*.py")}
_ATTRIBUTE = "_made_at"

SourceMap = dict[str, dict[str, dict[str, str]]]


def source_map(config: Config) -> SourceMap:
    """Return template file -> logical id -> property path -> ``generator/layers/network.py:42``.

    The path ``""`` is the resource itself. ``Properties.Listeners.0`` is a property that is an object of its own.
    """
    with _recording():
        templates = render.build_all(config)
    return {
        file: {title: dict(_places(resource, "")) for title, resource in template.resources.items()}
        for file, template in templates.items()
    }


@contextmanager
def _recording() -> Iterator[None]:
    """Record the line of every troposphere object that is created in the context."""
    original = BaseAWSObject.__init__

    def remember(self: BaseAWSObject, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        skipped = _SKIPPED | _HELPERS if isinstance(self, AWSObject) else _SKIPPED
        self.__dict__[_ATTRIBUTE] = _calling_line(skipped)

    BaseAWSObject.__init__ = remember  # type: ignore[method-assign]
    try:
        yield
    finally:
        BaseAWSObject.__init__ = original  # type: ignore[method-assign]


def _calling_line(skipped: set[str]) -> str:
    """Return the nearest line of the generator on the stack outside the skipped files; "" if there is none."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        if file.startswith(str(_GENERATOR)) and file not in skipped:
            return f"{_GENERATOR.name}/{Path(file).relative_to(_GENERATOR).as_posix()}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _places(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the property path and line of each object inside a value."""
    if isinstance(value, BaseAWSObject):
        line = value.__dict__.get(_ATTRIBUTE)
        if line:
            yield path, line
        inside = f"{path}." if path else "Properties."
        for name, item in value.properties.items():
            yield from _places(item, inside + name)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _places(item, f"{path}.{position}")
