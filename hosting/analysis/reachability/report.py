"""A proof written down: for people, and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from hosting.analysis.reachability.proof import Place, Proof, Proved

SCHEMA = "reach/1"

_INTRODUCTION = """\
Who can reach whom in {environment}, proved from the templates; AWS is not asked.
Each claim stands with the rules, routes and settings that carry it, and the line of Python that made them.
"""
_MEANINGS = {
    "The way in": "A request's way from a browser to the database: open, and on these ports only.",
    "Closed": "Every other pair. Each line is a lock, and every lock has to hold by itself.",
    "What tasks need": "What a task calls outside of its subnets to start, log and be looked into.",
    "The whole network": "That no way exists which none of the claims looks at.",
}


def as_text(proofs: Sequence[Proof]) -> str:
    return "\n".join(_proof_text(proof) for proof in proofs)


def _proof_text(proof: Proof) -> str:
    lines = [_INTRODUCTION.format(environment=proof.environment)]
    for section, group in groupby(proof.claims, key=lambda claim: claim.section):
        lines += [f"{section}: {_MEANINGS[section]}", ""]
        for claim in group:
            lines += [*_claim_lines(claim), ""]
    broken = [claim for claim in proof.claims if not claim.holds]
    total = len(proof.claims)
    if broken:
        lines.append(f"{proof.environment}: {len(broken)} of {total} claims fail:")
        lines += [f"  FAIL  {claim.says}" for claim in broken]
    else:
        lines.append(f"{proof.environment}: all {total} claims hold.")
    return "\n".join(lines) + "\n"


def _claim_lines(claim: Proved) -> list[str]:
    lines = [f"  {'ok  ' if claim.holds else 'FAIL'}  {claim.says}"]
    lines += [f"          wrong: {text}" for text in _placed(claim.problems)]
    lines += [f"          {text}" for text in _placed(claim.because)]
    return lines


def _placed(places: Iterable[Place]) -> list[str]:
    return [
        f"{_short(place)} {place.says}" + (f"  [{place.source}]" if place.source else f"  [templates/{place.template}]")
        for place in places
    ]


def _short(place: Place) -> str:
    return f"{place.stack.rsplit('/', 1)[-1]}/{place.logical_id}"


def as_json(proofs: Sequence[Proof]) -> str:
    """One object; its form changes only together with `schema`."""
    body = {
        "schema": SCHEMA,
        "holds": all(proof.holds for proof in proofs),
        "environments": [
            {
                "environment": proof.environment,
                "holds": proof.holds,
                "claims": [_claim_object(claim) for claim in proof.claims],
            }
            for proof in proofs
        ],
    }
    return json.dumps(body, indent=2)


def _claim_object(claim: Proved) -> dict[str, Any]:
    source, _, target = claim.id.partition(" -> ")
    return {
        "id": claim.id,
        "from": source,
        "to": target,
        "section": claim.section,
        "says": claim.says,
        "holds": claim.holds,
        "because": [_place_object(place) for place in claim.because],
        "problems": [_place_object(place) for place in claim.problems],
    }


def _place_object(place: Place) -> dict[str, str]:
    return {
        "stack": place.stack,
        "template": place.template,
        "logicalId": place.logical_id,
        "path": place.path,
        "says": place.says,
        "source": place.source,
    }
