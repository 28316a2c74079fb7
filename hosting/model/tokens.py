"""Tokens: texts that replace the values that exist only after the creation of a resource.

A reference to a resource resolves to a token such as ``<<root/NetworkStack:Vpc.Ref>>``. A token is text, so Join, Sub
and lists keep it like any literal. It can be compared, and it names the resource that will return the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# A value of a CloudFormation template. Its shape is known only at run time.
Json = Any

REF = "Ref"

_TOKEN = re.compile(
    r"<<(?P<stack>[A-Za-z0-9/-]+):(?P<id>[A-Za-z0-9]+)\.(?P<attribute>[A-Za-z0-9.:]+)"
    r"(?:~(?P<index>\d+)~(?P<separator>[^>]*))?>>"
)


@dataclass(frozen=True)
class Origin:
    """The resource and the attribute that a token names. `attribute` is "Ref" for a plain reference."""

    stack: str
    logical_id: str
    attribute: str
    # Set if the template uses one part of the value: Select(index, Split(separator, value)).
    index: int | None = None
    separator: str = ""

    def token(self) -> str:
        """Return the token."""
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
    """Return the origin of a value that is exactly one token, or None."""
    match = _TOKEN.fullmatch(value) if isinstance(value, str) else None
    return _origin(match) if match else None


def origins(value: Json) -> Iterator[Origin]:
    """Yield every origin inside a value, at any depth."""
    for text in strings(value):
        for match in _TOKEN.finditer(text):
            yield _origin(match)


def strings(value: Json) -> Iterator[str]:
    """Yield every string inside a value, but not the keys of its mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def pieces(text: str) -> list[str | Origin]:
    """Return the literal parts and the origins of a text, in order."""
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
    """Return the parts of a text like Fn::Split, without splitting a token."""
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
    """Return whether a value contains no token."""
    return next(origins(value), None) is None
