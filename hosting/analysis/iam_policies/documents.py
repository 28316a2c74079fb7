"""Splits statements into managed policies, each within IAM's limit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hosting.analysis.errors import AnalysisError
from hosting.analysis.iam_policies.grants import PolicyStatement

# IAM User Guide, IAM and AWS STS quotas: characters of a managed policy without white space, and the default number of
# managed policies per role.
LIMIT = 6144
PER_ROLE = 10


@dataclass(frozen=True)
class ManagedPolicy:
    """One managed policy."""

    name: str
    statements: tuple[PolicyStatement, ...]

    @property
    def body(self) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": [item.document() for item in self.statements]}

    @property
    def size(self) -> int:
        return _size(self.body)


def _size(body: object) -> int:
    return len(json.dumps(body, separators=(",", ":")))


_FRAME = _size({"Version": "2012-10-17", "Statement": []})


def split_into_policies(prefix: str, statements: Iterable[PolicyStatement]) -> list[ManagedPolicy]:
    """Return as few policies as possible: each piece, largest first, is added to the first policy with room."""
    pieces = sorted(
        (piece for item in statements for piece in _pieces(item)), key=lambda item: (-_size(item.document()), item.why)
    )
    bins: list[list[PolicyStatement]] = []
    room: list[int] = []
    for piece in pieces:
        need = _size(piece.document()) + 1  # and a comma
        index = next((number for number, left in enumerate(room) if left >= need), None)
        if index is None:
            bins.append([])
            room.append(LIMIT - _FRAME)
            index = len(bins) - 1
        bins[index].append(piece)
        room[index] -= need
    if len(bins) > PER_ROLE:
        raise AnalysisError(
            f"{prefix} needs {len(bins)} managed policies, but a role can have {PER_ROLE}",
            hint="raise the quota (Managed policies attached to an IAM role), or deploy with --role-arn",
        )
    return [
        ManagedPolicy(f"{prefix}-{number}", tuple(sorted(items, key=lambda item: item.why)))
        for number, items in enumerate(bins, 1)
    ]


def _pieces(statement: PolicyStatement) -> Iterator[PolicyStatement]:
    """Yield the statement, or halves of its actions (of one action: of its resources) that fit into a policy."""
    if _size(statement.document()) <= LIMIT - _FRAME - 1:
        yield statement
        return
    actions, resources = statement.actions, statement.resources
    if len(actions) > 1:
        half = len(actions) // 2
        parts = [replace(statement, actions=actions[:half]), replace(statement, actions=actions[half:])]
    elif len(resources) > 1:
        half = len(resources) // 2
        parts = [replace(statement, resources=resources[:half]), replace(statement, resources=resources[half:])]
    else:
        raise AnalysisError(f"the statement {statement.why} alone exceeds the size of a managed policy")
    for letter, part in zip("AB", parts, strict=True):
        yield from _pieces(replace(part, why=f"{statement.why}{letter}"))
