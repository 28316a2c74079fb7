"""What a rehearsal asks the AWS API after a deployment, and what has to be true of the answers.

One module per part of the platform; a check yields named proofs with what was seen. Checks read through the
same API a user would, never the emulator's insides, so they would say the same of a real account.
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
    services,
)
from hosting.rehearsal.checks.base import Deployed, Proof, examine

CHECKS = (
    *chain.CHECKS,
    *network.CHECKS,
    *services.CHECKS,
    *database.CHECKS,
    *distribution.CHECKS,
    *monitoring.CHECKS,
    *end_to_end.CHECKS,
)

__all__ = ["CHECKS", "Deployed", "Proof", "prove", "prove_afterwards"]


def prove(deployed: Deployed) -> Iterator[Proof]:
    """Every proof, as soon as it is known."""
    for check in CHECKS:
        yield from examine(check, deployed)


def prove_afterwards(deployed: Deployed) -> Iterator[Proof]:
    """What has to be true once the environment is destroyed."""
    for check in after_destroy.CHECKS:
        yield from examine(check, deployed)
