"""Fixtures every part of the suite may use: one emulator per test session, one account per test.

With pytest-xdist each worker is a session of its own and starts its own emulator.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rehearsal.emulator import DEFAULT_REGION, Emulator

_accounts = itertools.count(1)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """A running emulator, shared by the session; it starts with the first test that asks for it."""
    with Emulator() as running:
        yield running


@pytest.fixture
def account() -> str:
    """Twelve digits nobody else uses: accounts do not see each other, so a test needs no clean-up."""
    return f"{os.getpid() % 1_000_000:06d}{next(_accounts):06d}"


@pytest.fixture
def aws(emulator: Emulator, account: str) -> Callable[..., Any]:
    """`aws("ec2")` or `aws("wafv2", region="us-east-1")`: a boto3 client of this test's account."""
    import boto3
    from botocore.config import Config

    def client(service: str, region: str = DEFAULT_REGION) -> Any:
        session = boto3.session.Session(
            aws_access_key_id=account, aws_secret_access_key="not-a-secret", region_name=region
        )
        # No retries: an answer of the emulator is the answer, and a hidden second try would hide a defect.
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        return session.client(service, endpoint_url=emulator.endpoint, config=config)  # type: ignore[call-overload]

    return client
