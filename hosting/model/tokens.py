"""Values that exist only after creation, as text that carries where it comes from.

A reference to a resource resolves to a token such as ``<<root/NetworkStack:Vpc.Ref>>``. Being text, it survives
Join, Sub and lists as any literal does, can be compared, and still names the resource that will give the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# A CloudFormation template is JSON without a schema of ours: what is inside a value is only known when looked at.
Json = Any

REF = "Ref"

_TOKEN = re.compile(
    r"<<(?P<stack>[A-Za-z0-9/-]+):(?P<id>[A-Za-z0-9]+)\.(?P<attribute>[A-Za-z0-9.:]+)"
    r"(?:~(?P<index>\d+)~(?P<separator>[^>]*))?>>"
)


@dataclass(frozen=True)
class Origin:
    """The resource, and its attribute, that a token stands for. `attribute` is "Ref" for a plain reference."""

    stack: str
    logical_id: str
    attribute: str
    # Set when the template takes one piece of the value apart: Select(index, Split(separator, value)).
    index: int | None = None
    separator: str = ""

    def token(self) -> str:
        piece = "" if self.index is None else f"~{self.index}~{self.separator}"
        return f"<<{self.stack}:{self.logical_id}.{self.attribute}{piece}>>"


def _origin(match: re.Match[str]) -> Origin:
    index = match["index"]
    return Origin(
        match["stack"],
        match["id"],
        match["attribute"],
        int(index) if index is not None else None,
        match["separator"] or "",
    )


def origin(value: Json) -> Origin | None:
    """The origin of a value that is one token and nothing else."""
    match = _TOKEN.fullmatch(value) if isinstance(value, str) else None
    return _origin(match) if match else None


def origins(value: Json) -> Iterator[Origin]:
    """Every origin anywhere inside a value, however deep."""
    for text in strings(value):
        for match in _TOKEN.finditer(text):
            yield _origin(match)


def strings(value: Json) -> Iterator[str]:
    """Every string inside a value (not the keys of its mappings)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def pieces(text: str) -> list[str | Origin]:
    """Literal text and origins, in order."""
    parts: list[str | Origin] = []
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() > end:
            parts.append(text[end : match.start()])
        parts.append(_origin(match))
        end = match.end()
    if end < len(text):
        parts.append(text[end:])
    return parts


def split(separator: str, text: str) -> list[str]:
    """Fn::Split, which must not cut through a token."""
    result = [""]
    for part in pieces(text):
        if isinstance(part, Origin):
            result[-1] += part.token()
        else:
            first, *rest = part.split(separator)
            result[-1] += first
            result.extend(rest)
    return result


def literal(value: Json) -> bool:
    """Whether nothing inside has to wait for a resource."""
    return next(origins(value), None) is None
