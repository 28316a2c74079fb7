"""Change sets: reply sequences that no emulator gives, by Stubber, and classification by tables of cases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from hosting.deployer import change_sets
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.change_sets import Change, ChangeSet, ChangeSetRequest, Detail
from hosting.deployer.errors import ChangeSetError, DeployerError, StateError

ARN = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/plan-1/11111111-1111-1111-1111-111111111111"
CHILD = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/plan-1-Net/22222222-2222-2222-2222-222222222222"
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/33333333-3333-3333-3333-333333333333"
REQUEST = ChangeSetRequest(
    "shop", "plan-1", True, {"TemplateBody": "{}"}, {"A": "1"}, {"Team": "web"}, "plan-1 of shop"
)
DESCRIBE = {"IncludePropertyValues": True}


@pytest.fixture
def client() -> Any:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    return session.client("cloudformation")


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def described(status: str, *changes: dict[str, Any], arn: str = ARN, **more: Any) -> dict[str, Any]:
    wrapped = [{"Type": "Resource", "ResourceChange": change} for change in changes]
    known = {"ChangeSetId": arn, "ChangeSetName": "plan-1", "StackId": STACK, "StackName": "shop", "Status": status}
    return {**known, "Changes": wrapped, **more}


def added(logical_id: str, **more: Any) -> dict[str, Any]:
    return {"Action": "Add", "LogicalResourceId": logical_id, "ResourceType": "AWS::SNS::Topic", **more}


# --- creating


def test_a_request_contains_all_parameters_and_tags(client: Any, stub: Stubber) -> None:
    stub.add_response(
        "create_change_set",
        {"Id": ARN, "StackId": STACK},
        {
            "StackName": "shop",
            "ChangeSetName": "plan-1",
            "ChangeSetType": "CREATE",
            "ClientToken": "plan-1",
            "Description": "plan-1 of shop",
            "IncludeNestedStacks": True,
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            "Parameters": [{"ParameterKey": "A", "ParameterValue": "1"}],
            "Tags": [{"Key": "Team", "Value": "web"}],
            "TemplateBody": "{}",
        },
    )
    assert change_sets.create(client, REQUEST) == ARN


def test_a_lost_reply_is_recognised_by_the_description(client: Any, stub: Stubber) -> None:
    stub.add_client_error("create_change_set", "AlreadyExistsException", "ChangeSet plan-1 already exists")
    stub.add_response("describe_change_set", described("CREATE_PENDING", Description="plan-1 of shop"))
    assert change_sets.create(client, REQUEST) == ARN


def test_a_change_set_of_another_client_is_not_used(client: Any, stub: Stubber) -> None:
    stub.add_client_error("create_change_set", "AlreadyExistsException", "ChangeSet plan-1 already exists")
    stub.add_response("describe_change_set", described("CREATE_COMPLETE", Description="other"))
    with pytest.raises(ChangeSetError, match="the name plan-1 belongs to another change set"):
        change_sets.create(client, REQUEST)


def test_a_refusal_names_the_stack(client: Any, stub: Stubber) -> None:
    stub.add_client_error("create_change_set", "ValidationError", "Template format error: no")
    with pytest.raises(ChangeSetError, match="shop: Template format error: no"):
        change_sets.create(client, REQUEST)


def test_a_stack_that_is_there_after_all_is_no_lost_reply(client: Any, stub: Stubber) -> None:
    stub.add_client_error("create_change_set", "AlreadyExistsException", "Stack [shop] already exists")
    stub.add_client_error("describe_change_set", "ChangeSetNotFound", "ChangeSet [plan-1] does not exist")
    with pytest.raises(DeployerError):
        change_sets.create(client, REQUEST)


# --- waiting


def test_pending_is_waited_for_and_every_page_is_read(client: Any, stub: Stubber) -> None:
    slept: list[float] = []
    expected = {"ChangeSetName": ARN, **DESCRIBE}
    stub.add_response("describe_change_set", described("CREATE_PENDING"), expected)
    stub.add_response("describe_change_set", described("CREATE_IN_PROGRESS"), expected)
    stub.add_response("describe_change_set", described("CREATE_COMPLETE", added("A"), NextToken="2"), expected)
    second = {**expected, "NextToken": "2"}
    stub.add_response("describe_change_set", described("CREATE_COMPLETE", added("B")), second)
    found = change_sets.wait_for_change_set(client, ARN, sleep=slept.append)
    assert [change.logical_id for change in found.changes] == ["A", "B"]
    assert len(slept) == 2
    assert slept == sorted(slept)


def test_nested_sets_are_read_to_their_own_end_even_when_the_parent_failed(client: Any, stub: Stubber) -> None:
    nested = added("NetworkStack", ChangeSetId=CHILD) | {"ResourceType": STACK_TYPE}
    reason = f"Nested change set {CHILD} was not successfully created: Currently in FAILED."
    stub.add_response("describe_change_set", described("FAILED", nested, StatusReason=reason))
    stub.add_response(
        "describe_change_set", described("CREATE_IN_PROGRESS", arn=CHILD), {"ChangeSetName": CHILD, **DESCRIBE}
    )
    stub.add_response("describe_change_set", described("FAILED", arn=CHILD, StatusReason="Size must be a number"))
    found = change_sets.wait_for_change_set(client, ARN, sleep=lambda _: None)
    assert change_sets.find_problem(found) == "NetworkStack: Size must be a number"
    assert not change_sets.has_no_changes(found)


def test_a_parent_that_failed_because_its_only_child_is_empty_is_empty(client: Any, stub: Stubber) -> None:
    nested = {"Action": "Modify", "LogicalResourceId": "N", "ResourceType": STACK_TYPE, "ChangeSetId": CHILD}
    reason = f"Nested change set {CHILD} was not successfully created: Currently in FAILED."
    stub.add_response("describe_change_set", described("FAILED", nested, StatusReason=reason))
    empty = "The submitted information didn't contain changes. Submit different information to create a change set."
    stub.add_response("describe_change_set", described("FAILED", arn=CHILD, StatusReason=empty))
    assert change_sets.has_no_changes(change_sets.wait_for_change_set(client, ARN, sleep=lambda _: None))


# --- executing and deleting


def whole(status: str = "CREATE_COMPLETE", *changes: Change, reason: str = "") -> ChangeSet:
    return ChangeSet(ARN, "plan-1", STACK, "shop", status, reason, changes)


def test_execution_is_started_once(client: Any, stub: Stubber) -> None:
    expected = {"ChangeSetName": ARN, "ClientRequestToken": "t", "DisableRollback": True}
    stub.add_response("execute_change_set", {}, expected)
    change_sets.execute(client, whole(), "t", keep=True)


def test_a_lost_reply_to_execute_is_recognised(client: Any, stub: Stubber) -> None:
    stub.add_client_error("execute_change_set", "InvalidChangeSetStatus", "is in EXECUTE_IN_PROGRESS status")
    stub.add_response("describe_change_set", described("CREATE_COMPLETE", ExecutionStatus="EXECUTE_IN_PROGRESS"))
    change_sets.execute(client, whole(), "t")


def test_an_obsolete_change_set_does_not_count_as_started(client: Any, stub: Stubber) -> None:
    stub.add_client_error("execute_change_set", "InvalidChangeSetStatus", "is in OBSOLETE status")
    stub.add_response("describe_change_set", described("CREATE_COMPLETE", ExecutionStatus="OBSOLETE"))
    with pytest.raises(StateError, match="shop: another deployment of this stack has started"):
        change_sets.execute(client, whole(), "t")


BUSY = f"Stack:{STACK} is in UPDATE_IN_PROGRESS state and can not be updated."


def test_a_set_that_was_deleted_by_the_execution_of_another_is_named_as_such(client: Any, stub: Stubber) -> None:
    stub.add_client_error("execute_change_set", "ChangeSetNotFound", f"ChangeSet [{ARN}] does not exist")
    with pytest.raises(StateError, match=r"another deployment of this stack.*\n.*deploy.py watch"):
        change_sets.execute(client, whole(), "t")


def test_a_stack_that_another_deployment_updates_is_named_as_such(client: Any, stub: Stubber) -> None:
    stub.add_client_error("create_change_set", "ValidationError", BUSY)
    with pytest.raises(StateError, match="shop: another deployment of this stack"):
        change_sets.create(client, REQUEST)
    stub.add_client_error("execute_change_set", "ValidationError", BUSY)
    stub.add_response("describe_change_set", described("CREATE_COMPLETE", ExecutionStatus="AVAILABLE"))
    with pytest.raises(StateError, match="shop: another deployment of this stack"):
        change_sets.execute(client, whole(), "t")


def test_a_busy_stack_that_executes_our_set_is_a_lost_reply(client: Any, stub: Stubber) -> None:
    stub.add_client_error("execute_change_set", "ValidationError", BUSY)
    stub.add_response("describe_change_set", described("CREATE_COMPLETE", ExecutionStatus="EXECUTE_IN_PROGRESS"))
    change_sets.execute(client, whole(), "t")


def test_a_secret_in_a_refusal_is_masked(client: Any, stub: Stubber) -> None:
    stub.add_client_error("create_change_set", "ValidationError", "Parameter DbPassword=hunter2hunter2 is too long")
    with pytest.raises(ChangeSetError) as refused:
        change_sets.create(client, REQUEST)
    assert "hunter2" not in str(refused.value)
    assert "is too long" in str(refused.value)


def test_deletion_of_nested_sets_is_waited_for(client: Any, stub: Stubber) -> None:
    stub.add_response("delete_change_set", {}, {"ChangeSetName": ARN})
    stub.add_response("describe_change_set", described("DELETE_PENDING"))
    stub.add_response("describe_change_set", described("DELETE_IN_PROGRESS"))
    stub.add_client_error("describe_change_set", "ChangeSetNotFound", "ChangeSet does not exist")
    change_sets.discard(client, ARN, sleep=lambda _: None)


def test_deleting_a_deleted_change_set_is_no_error(client: Any, stub: Stubber) -> None:
    stub.add_client_error("delete_change_set", "ChangeSetNotFound", "ChangeSet does not exist")
    change_sets.discard(client, ARN, sleep=lambda _: None)


def test_pending_change_sets_are_the_top_level_ones_of_every_page(client: Any, stub: Stubber) -> None:
    first = {"Summaries": [{"ChangeSetId": ARN}], "NextToken": "2"}
    second = {"Summaries": [{"ChangeSetId": CHILD, "ParentChangeSetId": ARN}, {"ChangeSetId": ARN[:-1] + "2"}]}
    stub.add_response("list_change_sets", first, {"StackName": "shop"})
    stub.add_response("list_change_sets", second, {"StackName": "shop", "NextToken": ANY})
    assert change_sets.list_pending_change_sets(client, "shop") == [ARN, ARN[:-1] + "2"]


def test_only_abandoned_change_sets_are_deleted(client: Any, stub: Stubber) -> None:
    def summary(name: str, age: int, **more: str) -> dict[str, Any]:
        made = datetime.now(UTC) - timedelta(minutes=age)
        return {"ChangeSetId": f"{ARN}{name}{age}", "ChangeSetName": f"{name}-2026", "CreationTime": made, **more}

    waiting = [summary("plan", 61), summary("plan", 2), summary("saved", 500), summary("deploy", 1)]
    others = [summary("release", 500), summary("plan", 90, ParentChangeSetId=ARN)]
    executed = summary("deploy", 99, ExecutionStatus="EXECUTE_COMPLETE")
    stub.add_response("list_change_sets", {"Summaries": [*waiting, *others, executed]})
    for name in ("plan61", "deploy1"):
        stub.add_response("delete_change_set", {}, {"ChangeSetName": ARN + name})
        stub.add_client_error("describe_change_set", "ChangeSetNotFound", "ChangeSet does not exist")
    lifetimes = {"plan": timedelta(hours=1), "deploy": timedelta()}
    change_sets.delete_abandoned_change_sets(client, "shop", lifetimes, sleep=lambda _: None)


# --- classification


@pytest.mark.parametrize(
    ("status", "reason", "empty"),
    [
        ("FAILED", "The submitted information didn't contain changes. Submit different information", True),
        ("FAILED", "No updates are to be performed.", True),
        ("FAILED", "Template error", False),
        ("CREATE_COMPLETE", "didn't contain changes", False),
    ],
)
def test_empty(status: str, reason: str, empty: bool) -> None:
    assert change_sets.is_empty(status, reason) is empty


def change(action: str, name: str = "A", type: str = "AWS::SNS::Topic", **more: Any) -> Change:
    return Change(action, name, "", type, **more)


AUTOMATIC = Detail("Properties", "Parameters", None, None, "Never", "Dynamic", "Automatic", "")
PARAMETER = Detail("Properties", "Parameters", "1", "2", "Never", "Static", "ParameterReference", "Size")


@pytest.mark.parametrize(
    ("given", "effect"),
    [
        (change("Add"), "add"),
        (change("Remove"), "delete"),
        (change("Import"), "import"),
        (change("Dynamic"), "unknown"),
        (change("Modify"), "modify"),
        (change("Modify", replacement="False"), "modify"),
        (change("Modify", replacement="True"), "replace"),
        (change("Modify", replacement="Conditional"), "may replace"),
        (change("Modify", type=STACK_TYPE, details=(AUTOMATIC,)), "nothing"),
        (change("Modify", type=STACK_TYPE, details=(AUTOMATIC, PARAMETER)), "modify"),
        (change("Modify", type=STACK_TYPE, nested=whole("CREATE_COMPLETE", change("Add"))), "modify"),
        (change("Modify", type=STACK_TYPE, nested=whole("CREATE_COMPLETE")), "modify"),  # its outputs or tags
        (change("Modify", type=STACK_TYPE, nested=whole("FAILED", reason="didn't contain changes")), "nothing"),
    ],
)
def test_effects(given: Change, effect: str) -> None:
    assert given.effect == effect


def test_counts_reach_into_nested_sets_worst_first() -> None:
    inner = whole("CREATE_COMPLETE", change("Modify", replacement="True"), change("Add", "B"))
    tree = whole("CREATE_COMPLETE", change("Add"), change("Modify", "N", STACK_TYPE, nested=inner))
    assert tree.counts() == {"replace": 1, "add": 2}
    assert [(path, one.logical_id) for path, one in tree.walk()] == [((), "A"), (("N",), "A"), (("N",), "B")]


def test_a_set_of_nested_stacks_that_only_might_change_is_empty() -> None:
    assert whole("CREATE_COMPLETE", change("Modify", type=STACK_TYPE, details=(AUTOMATIC,))).is_empty
