"""Add the lines of Python to the error of a rejected change set, and show what AWS refuses in the whole update."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hosting.deployer.context import Context


@contextmanager
def locate_rejections(root: Path, context: Context) -> Iterator[None]:
    """Raise the error of a rejected change set with the line of Python that creates each rejected resource.

    Before that it prints the predicted updates that AWS refuses: CloudFormation names only some of them, without a way.
    A project folder without workloads.py has no generator, so its error stays as it is.
    """
    from generator.workloads import FILE
    from hosting.cli.support.sources import load_resource_sources
    from hosting.deployer.change_set_rejections import RejectedChangeSetError

    try:
        yield
    except RejectedChangeSetError as error:
        _print_impossible(context)
        if not error.rejections or not (root / FILE).is_file():
            raise
        raise error.with_sources(load_resource_sources(root)) from error


def _print_impossible(context: Context) -> None:
    from hosting.cli.rendering import impossible, progress
    from hosting.cli.support import prediction_check
    from hosting.cli.support.gates import find_secret_values
    from hosting.cli.support.plan_properties import mask_value
    from hosting.deployer.aws.session import AWS_ERRORS

    hidden = find_secret_values(context)
    try:
        found = prediction_check.predict_rejected(context).impossible
    except AWS_ERRORS:
        return  # the rejection itself is more useful than the reason why the stacks cannot be read
    console = progress.create_console()
    for part in impossible.render_impossible(found, lambda text: mask_value(text, (), hidden) or ""):
        console.print(part)
