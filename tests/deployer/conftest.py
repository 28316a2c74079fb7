"""Fixtures: a small project, deployed to the emulator with the same calls as to AWS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer import deployment
from hosting.deployer.aws.session import Clients
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.deployment import Context, Kind, StackPlan
from hosting.model.stack_order import StackRole
from hosting.rehearsal.emulator import Emulator
from tests import small_project

States = dict[Any, StackState | None]


@pytest.fixture
def no_sleep() -> Callable[[float], None]:
    """Wait no time: the emulator continues its operations during each call."""
    return lambda _seconds: None


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small_project.write(tmp_path / "project")


@pytest.fixture
def clients(emulator: Emulator, account: str) -> Clients:
    return emulator.clients(account)


@pytest.fixture
def connected(clients: Clients, no_sleep: Callable[[float], None]) -> Callable[..., Context]:
    """Connects an environment to this test's account: `connected(project, "dev", Note="x")`."""

    def connect(project: Path, environment: str = "dev", **overrides: str) -> Context:
        pairs = [f"{key}={value}" for key, value in overrides.items()]
        prepared = deployment.prepare(project, environment, overrides=pairs)
        return deployment.connect(prepared, clients, sleep=no_sleep)

    return connect


@pytest.fixture
def deploy() -> Callable[..., States]:
    """Deploys the stacks like `hosting.deployer.pipeline`, without questions, and plans one stack at a time."""

    def run(context: Context, through: StackRole = StackRole.EDGE_MONITORING) -> States:
        states: States = dict(deployment.describe_stacks(context))
        for stack in context.chain:
            list(deployment.upload(context, states, list(StackRole)))
            plan = deployment.plan_stack(context, stack, states, verb="deploy", final=True)
            states[stack] = run_plan(context, plan, states[stack])
            if stack.role is through and stack == [one for one in context.chain if one.role is through][-1]:
                break
        return states

    return run


def run_plan(context: Context, plan: StackPlan, state: StackState | None) -> StackState | None:
    assert plan.kind is not Kind.LATER, plan
    if plan.change_set is None:
        return state
    operation = deployment.execute(context, plan)
    for _ in operation.follow():
        pass
    return deployment.require_success(context, operation)
