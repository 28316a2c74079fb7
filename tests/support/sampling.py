"""Cross products of cases: a part in `make test`, all of them in `make test-full`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

SLOW = pytest.mark.slow(reason="one case of a cross product, of which `make test` runs a part")


def diagonal(rows: Sequence[str], columns: Sequence[str], *, without: Iterable[tuple[str, str]] = ()) -> list[Any]:
    """Return a parameter per pair; all but a tenth, or but one per column, carry the marker `slow`.

    Each row and each column has pairs that remain.
    """
    step, left_out = min(10, len(rows), len(columns)), set(without)
    return [
        pytest.param(row, column, id=f"{row}-{column!r}", marks=() if (i + j) % step == 0 else SLOW)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if (row, column) not in left_out
    ]
