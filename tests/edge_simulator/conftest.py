"""Apps and simulators for the tests of the edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.edge_simulator import EdgeSimulator, running
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load
from tests.support.echo_app import EchoApp, echo_app
from tests.support.project import PARAMS, TEMPLATES


@pytest.fixture
def app() -> Iterator[EchoApp]:
    with echo_app() as running_app:
        yield running_app


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """Return the content of the static bucket: the first pages."""
    for name, text in {"static/index.html": "<p>index</p>" * 200, "sorry/index.html": "<p>sorry</p>"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def start() -> Iterator[Callable[..., EdgeSimulator]]:
    """Start simulators with the arguments of `EdgeSimulator`, and stop them after the test."""
    with ExitStack() as stack:
        yield lambda resources, **settings: stack.enter_context(running(EdgeSimulator(resources, **settings)))


def resolved(environment: str, **parameters: str) -> ResolvedEnvironment:
    """Return an environment of the project of the tests, with changed parameters."""
    found = load_environment(PARAMS / f"{environment}.json")
    return resolve(load(TEMPLATES), replace(found, parameters={**found.parameters, **parameters}))
