"""`deploy.py` in the process of the test: the same entry point, without a second of imports for each command."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unittest import mock

from tests.support.environment import exported

# Seconds. The emulator is done before the deployer asks; waiting as long as for AWS would only cost time.
PACE = 0.01


@dataclass(frozen=True)
class Done:
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> Done:
    """Run a command without a terminal, with `environment` and nothing else exported."""
    import hosting.cli.main
    from hosting.deployer import deployment

    connect = functools.partial(deployment.connect, sleep=lambda seconds: time.sleep(min(seconds, PACE)))
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        open("/dev/null", encoding="utf-8") as nothing,  # noqa: PTH123 - a device
        exported(environment),
        mock.patch.object(sys, "stdin", nothing),
        mock.patch.object(deployment, "connect", connect),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = hosting.cli.main.main(list(arguments))
    return Done(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
