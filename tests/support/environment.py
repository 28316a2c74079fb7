"""Environment variables for commands that a test calls in its own process, as a user's shell would export them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace the whole environment by `variables` for the block.

    Only for `main([...])`, which reads it as a new process does. A test that calls the deployer gives it
    `emulator.clients(...)`, which keep their endpoint after the block.
    """
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
