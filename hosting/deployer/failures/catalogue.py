"""Search in the failure catalogue."""

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
    general,
    network,
    observation,
    tasks,
    templates,
)

SIGNATURES: tuple[Signature, ...] = (
    *tasks.SIGNATURES,
    *containers.SIGNATURES,
    *network.SIGNATURES,
    *database.SIGNATURES,
    *access.SIGNATURES,
    *edge.SIGNATURES,
    *observation.SIGNATURES,
    *templates.SIGNATURES,
    *engine.SIGNATURES,
    *general.SIGNATURES,
)

_UNKNOWN = "(not said)"


def classify(text: str, *, resource_type: str = "", seen: Seen = Seen.EVENT) -> Match | None:
    """Return what the text means, or None: a guess would lead the reader to the wrong place."""
    return next(find_matches(text, resource_type=resource_type, seen=seen), None)


def find_matches(text: str, *, resource_type: str = "", seen: Seen = Seen.EVENT) -> Iterator[Match]:
    """Yield each specific signature that matches the text, else the first general one.

    More than one specific match is a fault of the catalogue. The order of the general signatures is their precedence.
    """
    found = [
        (signature, place)
        for signature in SIGNATURES
        if signature.applies(resource_type, seen) and (place := signature.pattern.search(text))
    ]
    specific = [one for one in found if not one[0].general]
    for signature, place in specific or found[:1]:
        yield _match(signature, place)


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
    """Replace only the names of the pattern's own groups: AWS's words are data, never a format."""
    return re.sub(r"\{(\w+)\}", lambda place: values.get(place[1], place[0]), text)
