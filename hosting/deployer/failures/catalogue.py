"""Looks a text up in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.deployer.failures.signature import Match, Seen, Signature
from hosting.deployer.failures.signatures import (
    access,
    containers,
    database,
    edge,
    engine,
    network,
    observation,
)

SIGNATURES: tuple[Signature, ...] = (
    *containers.SIGNATURES,
    *network.SIGNATURES,
    *database.SIGNATURES,
    *access.SIGNATURES,
    *edge.SIGNATURES,
    *observation.SIGNATURES,
    *engine.SIGNATURES,
)

_UNKNOWN = "(not said)"


def classify(text: str, *, resource_type: str = "", seen: Seen = Seen.EVENT) -> Match | None:
    """What the text means, or None: an unknown text stays unknown, a guess would send people the wrong way."""
    return next(find_matches(text, resource_type=resource_type, seen=seen), None)


def find_matches(text: str, *, resource_type: str = "", seen: Seen = Seen.EVENT) -> Iterator[Match]:
    """Every signature that is found in the text; more than one is a fault of the catalogue."""
    for signature in SIGNATURES:
        if signature.applies(resource_type, seen) and (found := signature.pattern.search(text)):
            yield _match(signature, found)


def _match(signature: Signature, found: re.Match[str]) -> Match:
    values: Mapping[str, str] = {
        name: (value or _UNKNOWN).strip("\"'.,;") for name, value in found.groupdict(_UNKNOWN).items()
    }
    return Match(
        signature.name,
        signature.cause,
        _filled(signature.meaning, values),
        _filled(signature.remedy, values),
        signature.document,
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Only the pattern's own groups: AWS's words are data, and never a format."""
    return re.sub(r"\{(\w+)\}", lambda place: values.get(place[1], place[0]), text)
