"""Why CloudFormation rejects a change set: every resource, read before the change set is deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from rich.tree import Tree

from hosting.cli.rendering import plan_text
from hosting.cli.support.gates import find_refusals
from hosting.deployer import change_set_rejections, deployment
from hosting.deployer.change_set_rejections import RejectedChangeSetError
from hosting.deployer.change_sets import ChangeSet
from hosting.deployer.deployment import Context, Kind, StackPlan
from hosting.deployer.errors import RefusedError
from hosting.deployer.safeguards.gates import Allowed, Gates
from hosting.model.stack_order import StackRole
from hosting.model.templates import Template
from tests import small_project

ARN = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/plan-1/11111111-1111-1111-1111-111111111111"
CHILD = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/plan-1-NetworkStack-ABC/22222222-2222-2222-2222-2222"
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/33333333-3333-3333-3333-333333333333"
VALIDATION = "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]."
TAKEN = "Resource of type 'AWS::SNS::Topic' with identifier '{name}' already exists."
FAILED_ONLY = {"FailedEvents": True}


def stubbed() -> tuple[Any, Stubber]:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    client: Any = session.client("cloudformation")
    return client, Stubber(client)


def event(logical_id: str, reason: str, path: str = "/Properties/TopicName") -> dict[str, Any]:
    return {
        "LogicalResourceId": logical_id,
        "ResourceType": "AWS::SNS::Topic",
        "ValidationStatusReason": reason,
        "ValidationPath": f"/Resources/{logical_id}{path}",
    }


def explain(client: Any, reason: str = VALIDATION) -> RejectedChangeSetError:
    failed = ChangeSet(ARN, "plan-1", STACK, "shop", "FAILED", reason)
    bodies = small_project.templates()
    templates = {name: Template.from_body(name, body) for name, body in bodies.items()}
    return change_set_rejections.explain_change_set(client, failed, templates["root.json"], templates, "shop")


def test_every_page_of_the_events_is_shown_with_cause_and_next_step() -> None:
    client, stub = stubbed()
    first = {"OperationEvents": [event("A", TAKEN.format(name="news"))], "NextToken": "2"}
    stub.add_response("describe_events", first, {"ChangeSetName": ARN, "Filters": FAILED_ONLY})
    second = {"OperationEvents": [event("B", TAKEN.format(name="other"))]}
    stub.add_response("describe_events", second, {"ChangeSetName": ARN, "Filters": FAILED_ONLY, "NextToken": "2"})
    with stub:
        text = str(explain(client))
    assert f"A (AWS::SNS::Topic), Properties.TopicName: {TAKEN.format(name='news')}" in text
    assert "B (AWS::SNS::Topic), Properties.TopicName" in text
    assert text.count("cause (name taken)") == text.count("what to do:") == 2


def test_a_nested_change_set_that_the_parent_only_names_is_read_too() -> None:
    client, stub = stubbed()
    stub.add_response("describe_events", {"OperationEvents": []}, {"ChangeSetName": ARN, "Filters": FAILED_ONLY})
    rejected = {"OperationEvents": [event("Topic", TAKEN.format(name="news"))]}
    stub.add_response("describe_events", rejected, {"ChangeSetName": CHILD, "Filters": FAILED_ONLY})
    stub.add_response("describe_change_set", {"StatusReason": VALIDATION}, {"ChangeSetName": CHILD})
    reason = f"Nested change set {CHILD} was not successfully created: Currently in FAILED."
    with stub:
        found = explain(client, reason)
    assert [one.name for one in found.rejections] == ["NetworkStack/Topic"]
    sources = {"network.json": {"Topic": {"": "network.py:1", "Properties.TopicName": "network.py:3"}}}
    assert "created in network.py:3" in str(found.with_sources(sources))


def test_a_secret_in_the_reason_of_an_event_is_masked() -> None:
    client, stub = stubbed()
    stub.add_response(
        "describe_events", {"OperationEvents": [event("A", "MasterPassword=hunter2hunter2 is too short")]}
    )
    with stub:
        assert "hunter2" not in str(explain(client))


def test_a_missing_permission_leaves_the_reason_of_the_change_set() -> None:
    client, stub = stubbed()
    stub.add_client_error("describe_events", "AccessDenied", "no")
    with stub:
        text = str(explain(client))
    assert VALIDATION in text
    assert "needs permission for DescribeEvents" in text


def test_a_reason_without_events_is_looked_up_in_the_catalogue() -> None:
    client, stub = stubbed()
    stub.add_response("describe_events", {"OperationEvents": []})
    with stub:
        text = str(
            explain(client, "Parameter validation failed: parameter value x for parameter name Vpc does not exist")
        )
    assert "what to do:" in text


def test_a_name_that_exists_in_a_nested_stack_is_explained_before_the_change_set_is_deleted(
    connected: Callable[..., Context], deploy: Callable[..., Any], tmp_path: Path, aws: Callable[..., Any]
) -> None:
    body = small_project.templates()["operations.json"]
    body["Resources"]["Taken"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "shop-news"}}
    body["Resources"]["Logs"] = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/shop/logs"}}
    context = connected(small_project.write(tmp_path / "project", changed={"operations.json": body}))
    states = deploy(context, StackRole.EDGE)
    aws("sns", context.home).create_topic(Name="shop-news")
    aws("logs", context.home).create_log_group(logGroupName="/shop/logs")
    root = context.stack(StackRole.ROOT)
    list(deployment.upload(context, states, list(StackRole)))
    with pytest.raises(RejectedChangeSetError) as rejected:
        deployment.plan_stack(context, root, states, verb="plan")
    assert {(one.name, one.property_path) for one in rejected.value.rejections} == {
        ("OperationsStack/Taken", "Properties.TopicName"),
        ("OperationsStack/Logs", "Properties.LogGroupName"),
    }
    assert all(one.match is not None for one in rejected.value.rejections)
    assert deployment.describe_stacks(context)[root] is None


@pytest.fixture
def flat(connected: Callable[..., Context], deploy: Callable[..., Any], tmp_path: Path) -> Callable[..., StackPlan]:
    """Return the plan of root with --flat, after a deployment."""
    project = small_project.write(tmp_path / "project")
    deploy(connected(project))

    def plan(**overrides: str) -> StackPlan:
        context = replace(connected(project, **overrides), flat=True)
        states = deployment.describe_stacks(context)
        found = deployment.plan_stack(context, context.stack(StackRole.ROOT), states, verb="plan")
        deployment.discard(context, found)
        return found

    return plan


def test_a_flat_change_set_names_the_stacks_that_it_does_not_show(flat: Callable[..., StackPlan]) -> None:
    plan = flat(Note="changed")
    assert plan.change_set is not None
    assert [one.logical_id for one in plan.change_set.hidden] == ["OperationsStack"]
    text = "\n".join(str(part.label) + "".join(str(one.label) for one in part.children) for part in trees(plan))
    assert "--flat: the changes in OperationsStack are not shown" in text


def test_a_stack_whose_contents_are_not_shown_may_lose_data(flat: Callable[..., StackPlan]) -> None:
    plan = flat(Note="changed")
    with pytest.raises(RefusedError, match=r"OperationsStack.*\n.*add: --allow-replace OperationsStack"):
        Gates().require([plan])
    Gates(Allowed.named(["OperationsStack"])).require([plan])
    refused = list(find_refusals([plan], ["broadening"]))
    assert refused == ["--fail-on broadening: OperationsStack (its contents are not shown with --flat)"]


def test_a_flat_change_set_without_changes_changes_nothing(flat: Callable[..., StackPlan]) -> None:
    assert flat().kind is Kind.NOTHING


def trees(plan: StackPlan) -> list[Tree]:
    return [part for part in plan_text.render_plan(plan_text.PlanReview([plan])) if isinstance(part, Tree)]
