"""What the prediction of a plan is given to compare."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from commands import foresight
from deployer.chain import Role, Stack
from deployer.deployment import Kind, StackPlan
from deployer.stacks import StackState

ROOT = Stack(Role.ROOT, "shop-dev", "eu-west-1")
EDGE = Stack(Role.EDGE, "shop-dev-edge", "us-east-1")


@pytest.mark.parametrize(
    ("deployed", "planned", "compared"),
    [
        ("true,true", "false,false", "false,false"),
        ("true", "false,true", "true"),
        (None, None, None),
    ],
    ids=["services are not new any more", "a service is added", "there is no root yet"],
)
def test_the_newness_of_services(
    monkeypatch: pytest.MonkeyPatch, deployed: str | None, planned: str | None, compared: str | None
) -> None:
    seen: list[Mapping[str, str]] = []
    monkeypatch.setattr(foresight, "_resolved", lambda _context, _templates, values: seen.append(values))
    monkeypatch.setattr(foresight, "_deployed", lambda *_: {})
    monkeypatch.setattr(foresight, "predict", lambda *_: None)
    file = SimpleNamespace(values={"Note": "hello"})
    context: Any = SimpleNamespace(environment=SimpleNamespace(templates={}, file=file))
    stack = EDGE if deployed is None else ROOT
    known = {} if deployed is None else {"ServiceIsNew": deployed}
    plan = StackPlan(stack, Kind.UPDATE, parameters={} if planned is None else {"ServiceIsNew": planned})
    foresight._predict(
        context, {stack: StackState("arn", stack.name, "CREATE_COMPLETE", parameters=known)}, [plan], [plan]
    )
    before, after = seen
    assert (before.get("ServiceIsNew"), after.get("ServiceIsNew")) == (compared, planned)
