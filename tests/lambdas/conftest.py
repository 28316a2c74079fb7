"""Fixtures: the packaged functions, started as Lambda starts them, and the servers that they call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hosting.deployer.packaging.lambda_packages import Archive, package_functions
from hosting.rehearsal.emulator import Emulator
from tests.lambdas.proxy import Proxy
from tests.lambdas.runtime import PLATFORM, Function, Interpreter, interpreter
from tests.lambdas.sink import Sink
from tests.support.waiting import PATIENCE

LAMBDA = Path(__file__).resolve().parent.parent.parent / "lambda"


@pytest.fixture(scope="session")
def packaged() -> Mapping[str, Archive]:
    """The packages that `deploy.py package` uploads, by name."""
    return {archive.name: archive for archive in package_functions(LAMBDA, PLATFORM)}


@pytest.fixture(scope="session", params=[interpreter()], ids=lambda python: f"python{python.version}")
def python(request: pytest.FixtureRequest) -> Interpreter:
    """The interpreter of the functions. The name of every test contains its version."""
    chosen: Interpreter = request.param
    return chosen


@pytest.fixture
def function(packaged: Mapping[str, Archive], python: Interpreter) -> Iterator[Callable[..., Function]]:
    """Starts a function: `function("log_processor", {"REDACT": "none"}, memory_mb=64)`. It ends with the test."""
    with contextlib.ExitStack() as running:

        def start(
            name: str,
            environment: Mapping[str, str] | None = None,
            *,
            timeout: float = PATIENCE,
            memory_mb: int = 256,
            pace: float = 1.0,
        ) -> Function:
            made = Function(
                packaged[name].data,
                environment or {},
                timeout=timeout,
                memory_mb=memory_mb,
                python=python,
                pace=pace,
            )
            return running.enter_context(made)

        yield start


@pytest.fixture
def endpoint(emulator: Emulator, account: str) -> Mapping[str, str]:
    """The variables with which a function's boto3 calls the emulator, in this test's account."""
    return emulator.environment(account)


@pytest.fixture
def sink() -> Iterator[Sink]:
    """The server that receives the custom resource's responses in place of CloudFormation."""
    with Sink() as waiting:
        yield waiting


@pytest.fixture
def proxied(emulator: Emulator) -> Iterator[Proxy]:
    """The emulator behind a proxy that can send other replies."""
    with Proxy(emulator.endpoint) as proxy:
        yield proxy
