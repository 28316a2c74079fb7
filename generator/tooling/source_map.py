"""Which line of Python made a resource: the map that lets findings point at code instead of generated JSON.

Taken while the templates are built, and only when asked for: an ordinary ``deploy.py generate`` does not pay for it,
and nothing of it enters the templates.
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
# Frames of these are machinery: the line that matters is the one that called them.
_MACHINERY = {
    str(_GENERATOR / name) for name in ("wiring.py", "tooling/source_map.py", "render.py", "resources/iam.py")
}
# These make whole resources for layers: the resource is the layer's line, a property inside it is theirs.
_HELPERS = {str(path) for path in (_GENERATOR / "resources").glob("*.py")}
_ATTRIBUTE = "_made_at"

SourceMap = dict[str, dict[str, dict[str, str]]]


def source_map(config: Config) -> SourceMap:
    """Return template file -> logical id -> property path -> ``generator/layers/network.py:42``.

    The path ``""`` is the resource itself; ``Properties.Listeners.0`` is a property that an object of its own made.
    """
    with _recording():
        templates = render.build_all(config)
    return {
        file: {title: dict(_places(resource, "")) for title, resource in template.resources.items()}
        for file, template in templates.items()
    }


@contextmanager
def _recording() -> Iterator[None]:
    """Every object of troposphere made meanwhile remembers its line."""
    original = BaseAWSObject.__init__

    def remember(self: BaseAWSObject, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        passed = _MACHINERY | _HELPERS if isinstance(self, AWSObject) else _MACHINERY
        self.__dict__[_ATTRIBUTE] = _calling_line(passed)

    BaseAWSObject.__init__ = remember  # type: ignore[method-assign]
    try:
        yield
    finally:
        BaseAWSObject.__init__ = original  # type: ignore[method-assign]


def _calling_line(passed: set[str]) -> str:
    frame = sys._getframe(2)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        if file.startswith(str(_GENERATOR)) and file not in passed:
            return f"{_GENERATOR.name}/{Path(file).relative_to(_GENERATOR).as_posix()}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _places(value: Any, path: str) -> Iterator[tuple[str, str]]:
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
