"""Add the lines of Python to the error of a rejected change set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locate_rejections(root: Path) -> Iterator[None]:
    """Raise the error of a rejected change set with the line of Python that creates each rejected resource.

    A project folder without workloads.py has no generator, so its error stays as it is.
    """
    from generator.workloads import FILE
    from hosting.cli.support.sources import load_resource_sources
    from hosting.deployer.change_set_rejections import RejectedChangeSetError

    try:
        yield
    except RejectedChangeSetError as error:
        if not error.rejections or not (root / FILE).is_file():
            raise
        raise error.with_sources(load_resource_sources(root)) from error
