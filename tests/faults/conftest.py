"""Fixtures of a session: an emulator behind a fault proxy, and clean deployments for comparison."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hosting.rehearsal.emulator import Emulator
from tests.faults import matrix
from tests.faults.lab import Lab, laboratory


@pytest.fixture(scope="session")
def lab(emulator: Emulator) -> Iterator[Lab]:
    with laboratory(emulator) as found:
        yield found


@pytest.fixture(scope="session")
def recording(lab: Lab) -> matrix.Recording:
    found = matrix.Recording()
    matrix.record(lab, lab.small, found)
    matrix.record(lab, lab.stuck, found)
    return found
