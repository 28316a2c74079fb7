"""Stack policies of production, on the root and what is nested in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer import deployment
from hosting.deployer.deployment import Context
from hosting.deployer.errors import DeploymentFailedError
from hosting.deployer.safeguards import stack_policies
from hosting.deployer.safeguards.gates import Allowed
from hosting.model.stack_order import StackRole
from tests import small_project

Aws = Callable[..., Any]
Names = dict[str, list[dict[str, Any]]]


def denied(aws: Aws, stack: str) -> Names:
    """Layer -> the denials of its policy; only those that have a policy."""
    client = aws("cloudformation")
    found: Names = {}
    for one in client.describe_stacks()["Stacks"]:
        body = client.get_stack_policy(StackName=one["StackId"]).get("StackPolicyBody")
        if body and one["StackName"].startswith(stack):
            layer = (one["StackName"].removeprefix(stack).strip("-") or "root").split("-")[0]
            found[layer] = json.loads(body)["Statement"][1:]
    return found


def denial(*names: str, actions: tuple[str, ...] = ("Replace", "Delete")) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Action": [f"Update:{action}" for action in actions],
        "Principal": "*",
        "Resource": [f"LogicalResourceId/{name}" for name in names],
    }


CLOSED = {"root": [denial("OperationsStack")], "OperationsStack": [denial("Data")]}


def test_a_policy_allows_everything_else() -> None:
    assert stack_policies.create_policy([])["Statement"] == [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    ]


@pytest.mark.parametrize(
    ("replaceable", "deletable", "denials"),
    [
        ((), (), [denial("A", "B")]),
        (("A",), (), [denial("B", actions=("Replace",)), denial("A", "B", actions=("Delete",))]),
        (("A",), ("A",), [denial("B")]),
        (("A", "B"), ("A", "B"), []),
    ],
)
def test_a_policy_allows_exactly_the_named_losses(
    replaceable: tuple[str, ...], deletable: tuple[str, ...], denials: list[dict[str, Any]]
) -> None:
    assert stack_policies.create_policy(["B", "A"], replaceable, deletable)["Statement"][1:] == denials


def test_policies_are_closed_opened_and_closed_again(
    connected: Callable[..., Context], deploy: Callable[..., Any], project: Path, aws: Aws
) -> None:
    context = connected(project, "prod")
    root = context.stack(StackRole.ROOT)
    state = deploy(context)[root]
    assert denied(aws, "shop-prod") == {}
    assert stack_policies.restore(context, root, state.id) == 2
    assert denied(aws, "shop-prod") == CLOSED, "stacks that hold nothing get no policy"
    assert stack_policies.restore(context, root, state.id) == 0

    stack_policies.allow_updates(context, root, state.id, Allowed.named(delete=["Operations/Data"]))
    opened = denied(aws, "shop-prod")
    assert opened["OperationsStack"] == [denial("Data", actions=("Replace",))]
    assert opened["root"] == CLOSED["root"]
    assert stack_policies.restore(context, root, state.id) == 1
    assert denied(aws, "shop-prod") == CLOSED


def test_cloudformation_itself_refuses_a_loss(
    connected: Callable[..., Context], deploy: Callable[..., Any], project: Path
) -> None:
    context = connected(project, "prod")
    root = context.stack(StackRole.ROOT)
    stack_policies.restore(context, root, deploy(context)[root].id)
    body = small_project.templates()["operations.json"]
    del body["Resources"]["Data"]
    small_project.write(project, changed={"operations.json": body})
    with pytest.raises(DeploymentFailedError) as caught:
        deploy(connected(project, "prod"))
    assert caught.value.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "Update:Delete" in str(caught.value)
    found = deployment.describe_stacks(context)[root]
    assert found is not None
    stack_policies.allow_updates(context, root, found.id, Allowed.named(delete=["Operations/Data"]))
    assert deploy(connected(project, "prod"))[root].status == "UPDATE_COMPLETE"


def test_a_replacement_is_refused_too(
    connected: Callable[..., Context], deploy: Callable[..., Any], project: Path
) -> None:
    context = connected(project, "prod")
    root = context.stack(StackRole.ROOT)
    stack_policies.restore(context, root, deploy(context)[root].id)
    body = small_project.templates()["operations.json"]
    body["Resources"]["Data"]["Properties"]["BucketName"] = {"Fn::Sub": "other-${AWS::AccountId}"}
    small_project.write(project, changed={"operations.json": body})
    with pytest.raises(DeploymentFailedError, match="Action denied by stack policy"):
        deploy(connected(project, "prod"))


@pytest.mark.parametrize(("environment", "role", "applies"), [
    ("prod", StackRole.ROOT, True),
    ("prod", StackRole.EDGE, True),
    ("prod", StackRole.BOOTSTRAP, False),
    ("dev", StackRole.ROOT, False),
])  # fmt: skip
def test_policies_are_enforced_in_production_except_bootstrap(
    connected: Callable[..., Context], project: Path, environment: str, role: StackRole, applies: bool
) -> None:
    context = connected(project, environment)
    assert stack_policies.is_enforced(context, context.stack(role)) is applies
