"""Diagnosis as text and as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hosting.deployer.failures.rootcause import Diagnosis, Finding
from hosting.deployer.failures.signature import Match


def format_diagnosis(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the lines that follow a failure in a message: cause, remedy, chain, and other failures."""
    found = list(format_cause(diagnosis.first.match))
    if len(diagnosis.chain) > 1:
        found.append(f"led to: {' -> '.join(diagnosis.chain[1:])}")
    found += [f"also failed: {_short(other)}" for other in diagnosis.others]
    if diagnosis.cancelled:
        found.append(f"cancelled because of it: {diagnosis.cancelled}")
    for blocker in diagnosis.rollback:
        found.append(f"the rollback failed at: {_short(blocker)}")
        found += format_cause(blocker.match)
    return tuple(found)


def format_cause(match: Match | None) -> tuple[str, ...]:
    """Return the lines with cause, remedy and document of a match. Empty without a match."""
    if match is None:
        return ()
    return (f"cause ({match.cause}): {match.meaning}", f"what to do: {match.remedy}", f"see: {match.document}")


def diagnosis_as_data(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis in the format of summary.json."""
    return {
        "first": _finding(diagnosis.first),
        "chain": list(diagnosis.chain),
        "others": [_finding(one) for one in diagnosis.others],
        "cancelled": diagnosis.cancelled,
        "rollback": [_finding(one) for one in diagnosis.rollback],
    }


def match_as_data(match: Match | None) -> Mapping[str, str] | None:
    """Return the match in the format of summary.json."""
    if match is None:
        return None
    return {
        "signature": match.name,
        "cause": str(match.cause),
        "meaning": match.meaning,
        "remedy": match.remedy,
        "document": match.document,
    }


def _short(finding: Finding) -> str:
    return f"{finding.name} ({finding.failure.resource_type}): {finding.failure.status} {finding.failure.reason}"


def _finding(finding: Finding) -> dict[str, Any]:
    failure = finding.failure
    return {
        "resource": finding.name,
        "stack": failure.stack,
        "type": failure.resource_type,
        "status": failure.status,
        "reason": failure.reason,
        "match": match_as_data(finding.match),
    }
