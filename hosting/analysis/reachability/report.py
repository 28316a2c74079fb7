"""Writes proofs as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from hosting.analysis.reachability.proof import Proof, ProvedClaim, SourceReference

SCHEMA = "reach/1"

_INTRODUCTION = """\
Open and closed network paths of {environment}, proved from the templates without calls to AWS.
Each claim is followed by the rules, routes and settings that prove it, and their line of Python.
"""
_MEANINGS = {
    "The way in": "The path of a request from a browser to the services and the database: open on these ports only.",
    "Closed": "All other pairs. Each line is a control, and each control has to be sufficient by itself.",
    "What tasks need": "Services that a task calls outside its subnets to start, write logs and accept sessions.",
    "The whole network": "No path exists that no claim covers.",
}


def as_text(proofs: Sequence[Proof]) -> str:
    return "\n".join(_proof_text(proof) for proof in proofs)


def _proof_text(proof: Proof) -> str:
    lines = [_INTRODUCTION.format(environment=proof.environment)]
    for section, group in groupby(proof.claims, key=lambda claim: claim.section):
        lines += [f"{section}: {_MEANINGS[section]}", ""]
        for claim in group:
            lines += [*_claim_lines(claim), ""]
    if proof.exceptions:
        lines += [*(f"  declared: {sentence}" for sentence in proof.exceptions), ""]
    broken = [claim for claim in proof.claims if not claim.holds]
    total = len(proof.claims)
    if broken:
        lines.append(f"{proof.environment}: {len(broken)} of {total} claims fail:")
        lines += [f"  FAIL  {claim.text}" for claim in broken]
    else:
        lines.append(f"{proof.environment}: all {total} claims hold.")
    return "\n".join(lines) + "\n"


def _claim_lines(claim: ProvedClaim) -> list[str]:
    lines = [f"  {'ok  ' if claim.holds else 'FAIL'}  {claim.text}"]
    lines += [f"          wrong: {text}" for text in _reference_lines(claim.problems)]
    lines += [f"          {text}" for text in _reference_lines(claim.because)]
    return lines


def _reference_lines(references: Iterable[SourceReference]) -> list[str]:
    return [
        f"{_short(reference)} {reference.text}"
        + (f"  [{reference.source}]" if reference.source else f"  [templates/{reference.template}]")
        for reference in references
    ]


def _short(reference: SourceReference) -> str:
    return f"{reference.stack.rsplit('/', 1)[-1]}/{reference.logical_id}"


def as_json(proofs: Sequence[Proof]) -> str:
    """Return proofs as one JSON object. A change of its form requires another `schema`."""
    body = {
        "schema": SCHEMA,
        "holds": all(proof.holds for proof in proofs),
        "environments": [
            {
                "environment": proof.environment,
                "holds": proof.holds,
                "declaredExceptions": list(proof.exceptions),
                "claims": [_claim_object(claim) for claim in proof.claims],
            }
            for proof in proofs
        ],
    }
    return json.dumps(body, indent=2)


def _claim_object(claim: ProvedClaim) -> dict[str, Any]:
    source, _, target = claim.id.partition(" -> ")
    return {
        "id": claim.id,
        "from": source,
        "to": target,
        "section": claim.section,
        "says": claim.text,
        "holds": claim.holds,
        "because": [_reference_object(reference) for reference in claim.because],
        "problems": [_reference_object(reference) for reference in claim.problems],
    }


def _reference_object(reference: SourceReference) -> dict[str, str]:
    return {
        "stack": reference.stack,
        "template": reference.template,
        "logicalId": reference.logical_id,
        "path": reference.path,
        "says": reference.text,
        "source": reference.source,
    }
