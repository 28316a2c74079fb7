"""The store of releases: numbers under concurrent deployers, lost replies, and migrations between releases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer import pipeline, releases
from hosting.deployer.context import Context
from hosting.deployer.errors import DeployerError
from hosting.deployer.packaging import artifacts
from hosting.deployer.releases import Release, Store
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import StackRole
from tests.deployer.test_pipeline import RecordingReporter


@pytest.fixture
def context(connected: Callable[..., Context], project: Path) -> Context:
    return connected(project)


@pytest.fixture
def store(context: Context) -> Store:
    states = pipeline.deploy_stacks(context, SilentReporter(), through=StackRole.BOOTSTRAP)
    return releases.open_store(context, states)


def test_concurrent_deployments_get_different_numbers(context: Context, store: Store) -> None:
    with ThreadPoolExecutor(5) as pool:
        added = list(pool.map(lambda _: store.add(releases.describe_release(context)), range(5)))
    assert sorted(one.number for one in added) == [1, 2, 3, 4, 5] == store.list_numbers()
    assert {store.read(one.number).id for one in added} == {one.id for one in added}


def test_a_lost_reply_records_no_second_release(
    context: Context, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 has the object, and refuses the repeated request because the object exists."""
    put = artifacts.put_new_object

    def put_twice(*arguments: Any) -> bool:
        put(*arguments)
        return put(*arguments)

    monkeypatch.setattr(artifacts, "put_new_object", put_twice)
    assert store.add(releases.describe_release(context)).number == 1
    assert store.list_numbers() == [1]


def test_a_deployment_that_cannot_be_recorded_has_succeeded(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DeployerError("refused", where="releases")

    monkeypatch.setattr(releases, "open_store", refuse)
    reporter = RecordingReporter()
    states = pipeline.deploy_stacks(context, reporter)
    assert all(state is not None for state in states.values())
    assert "the deployment succeeded, but is not recorded" in reporter.text


def test_migrations_between_releases_are_named(context: Context) -> None:
    def release(number: int, **images: str) -> Release:
        return replace(releases.describe_release(context), number=number, migrations=images)

    chain = [release(3, Web="one"), release(4, Web="one"), release(5, Web="two"), release(6, Web="two", Shop="new")]
    assert releases.find_migrations(chain) == {"Web": [5], "Shop": [6]}
