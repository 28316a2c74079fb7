"""Checks of a deployed environment: queries of the AWS API, and the conditions that the answers have to meet.

There is one module per part of the platform. A check yields named proofs with the observed values. Checks use the AWS
API only, never the emulator's internals, so they also hold for a real account.
"""

from __future__ import annotations

from collections.abc import Iterator

from hosting.rehearsal.checks import (
    after_destroy,
    chain,
    database,
    distribution,
    end_to_end,
    monitoring,
    network,
    notices,
    requests,
    services,
    stores,
)
from hosting.rehearsal.checks.base import Deployed, Proof, examine

CHECKS = (
    *chain.CHECKS,
    *network.CHECKS,
    *services.CHECKS,
    *stores.CHECKS,
    *database.CHECKS,
    *distribution.CHECKS,
    *requests.CHECKS,
    *monitoring.CHECKS,
    *notices.CHECKS,
    *end_to_end.CHECKS,
)

__all__ = ["CHECKS", "Deployed", "Proof", "prove", "prove_afterwards"]


def prove(deployed: Deployed) -> Iterator[Proof]:
    """Yield each proof of a deployment when its check has finished."""
    for check in CHECKS:
        yield from examine(check, deployed)


def prove_afterwards(deployed: Deployed) -> Iterator[Proof]:
    """Yield each proof that has to hold after the environment is destroyed."""
    for check in after_destroy.CHECKS:
        yield from examine(check, deployed)
