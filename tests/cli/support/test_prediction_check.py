"""The values that the prediction of a plan compares."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from hosting.cli.support import prediction_check
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.deployment import Kind, StackPlan
from hosting.model.stack_order import Stack, StackRole
from hosting.model.templates import Template

ROOT = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")
EDGE = Stack(StackRole.EDGE, "shop-dev-edge", "us-east-1")


@pytest.mark.parametrize(
    ("deployed", "planned", "compared"),
    [
        ("true,true", "false,false", "false,false"),
        ("true", "false,true", "true"),
        (None, None, None),
    ],
    ids=["services are not new any more", "a service is added", "there is no root yet"],
)
def test_service_is_new_changes_no_prediction(
    monkeypatch: pytest.MonkeyPatch, deployed: str | None, planned: str | None, compared: str | None
) -> None:
    seen: list[Mapping[str, str]] = []
    monkeypatch.setattr(prediction_check, "_resolve", lambda _context, _templates, values: seen.append(values))
    monkeypatch.setattr(prediction_check, "_read_deployed_templates", lambda *_: {})
    file = SimpleNamespace(values={"Note": "hello"})
    bootstrap = Template.from_body("bootstrap.json", {"Resources": {}})
    context: Any = SimpleNamespace(environment=SimpleNamespace(templates={"bootstrap.json": bootstrap}, file=file))
    stack = EDGE if deployed is None else ROOT
    known = {} if deployed is None else {"ServiceIsNew": deployed}
    plan = StackPlan(stack, Kind.UPDATE, parameters={} if planned is None else {"ServiceIsNew": planned})
    prediction_check._resolve_both(
        context, {stack: StackState("arn", stack.name, "CREATE_COMPLETE", parameters=known)}, [plan], [plan]
    )
    before, after = seen
    assert (before.get("ServiceIsNew"), after.get("ServiceIsNew")) == (compared, planned)
