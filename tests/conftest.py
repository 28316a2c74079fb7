"""Fixtures every part of the suite may use: one emulator per test session, one account per test.

With pytest-xdist each worker is a session of its own and starts its own emulator.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hosting.rehearsal.emulator import DEFAULT_REGION, Emulator
from tests.support.offline import sitecustomize as network
from tests.support.signals import deliver_to_children
from tests.support.waiting import PATIENCE

_accounts = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the processes that run tests. The controller of pytest-xdist runs none."""
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        environment = network.environment(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        network.forbid()
        deliver_to_children()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are processors: many tests wait for a process, an emulator or a clock."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def offline() -> Iterator[None]:
    """Fail a test that tried to leave this machine, also where the code under test or a thread swallowed the error."""
    network.attempts.clear()
    yield
    assert network.attempts == [], "tests must not leave this machine"


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Iterator[None]:
    """Let all boto3 sessions of this process share the parsed service models, which cost more than the calls do."""
    import botocore.loaders

    shared = botocore.loaders.create_loader()

    def share(_search_path: str | None = None) -> botocore.loaders.Loader:
        # Each boto3 session appends its own folder once more.
        shared._search_paths = list(dict.fromkeys(shared.search_paths))  # type: ignore[attr-defined]
        return shared

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.loaders, "create_loader", share)
        yield


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A running emulator, shared by the session; it starts with the first test that asks for it."""
    with Emulator() as running:
        yield running


@pytest.fixture
def account() -> str:
    """Return twelve digits that no other test uses. Accounts do not see each other, so a test needs no clean-up."""
    return f"{os.getpid() % 1_000_000:06d}{next(_accounts):06d}"


@pytest.fixture(scope="session")
def sdk() -> Any:
    """One boto3 session: it keeps the parsed service models, which cost more than the calls do."""
    import boto3

    return boto3.session.Session()


@pytest.fixture
def aws(emulator: Emulator, account: str, sdk: Any) -> Callable[..., Any]:
    """`aws("ec2")` or `aws("wafv2", region="us-east-1")`: a boto3 client of this test's account."""
    from botocore.config import Config

    # No retries: an answer of the emulator is the answer, and a hidden second try would hide a defect.
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=PATIENCE, read_timeout=PATIENCE)

    def client(service: str, region: str = DEFAULT_REGION) -> Any:
        return sdk.client(
            service,
            region_name=region,
            endpoint_url=emulator.endpoint,
            aws_access_key_id=account,
            aws_secret_access_key="not-a-secret",
            config=config,
        )

    return client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests recorded as their `summary` (with record_property), on all workers."""
    reports = [one for outcome in ("passed", "failed") for one in terminalreporter.getreports(outcome)]
    for report in reports:
        for name, value in report.user_properties:
            if name == "summary":
                terminalreporter.write_line(str(value))
