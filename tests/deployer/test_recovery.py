"""Stacks in a *_FAILED status: named blockers, a continued rollback, and no deletion of data."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer import deployment, operations, recovery
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.deployment import Context
from hosting.deployer.errors import DeploymentFailedError, StateError
from hosting.model.errors import InputError
from hosting.model.stack_order import Stack, StackRole
from tests import small_project

Connect = Callable[..., Context]
Deploy = Callable[..., dict[Any, StackState | None]]

STUBBORN = """
import json, urllib.request, boto3
def handler(event, context):
    properties = event["ResourceProperties"]
    stuck = boto3.client("s3").list_objects_v2(Bucket=properties["Bucket"], Prefix="stuck")["KeyCount"]
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "FAILED" if stuck else "SUCCESS", "Reason": "stuck", "PhysicalResourceId": "it"}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


def stubborn(project: Path, bucket: str, text: str) -> None:
    """Return a network layer with a custom resource. Its update and rollback fail while an object `stuck` exists."""
    body = small_project.templates()["network.json"]
    function = {
        "Role": "arn:aws:iam::123456789012:role/none",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Timeout": 20,
        "Code": {"S3Bucket": bucket, "S3Key": "stubborn.zip"},
    }
    custom = {
        "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
        "ServiceTimeout": "20",
        "Bucket": bucket,
        "Text": text,
    }
    body["Resources"]["Function"] = {"Type": "AWS::Lambda::Function", "Properties": function}
    body["Resources"]["Stubborn"] = {"Type": "Custom::Stubborn", "Properties": custom}
    small_project.write(project, changed={"network.json": body})


@pytest.fixture
def stuck(connected: Connect, deploy: Deploy, project: Path, account: str) -> Context:
    """An environment whose root is UPDATE_ROLLBACK_FAILED because of NetworkStack.Stubborn."""
    bucket = f"stubborn-{account}"
    stubborn(project, bucket, "one")
    context = connected(project)
    s3 = context.clients.s3("ap-northeast-1")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", STUBBORN)
    s3.put_object(Bucket=bucket, Key="stubborn.zip", Body=archive.getvalue())
    deploy(context, through=StackRole.ROOT)
    s3.put_object(Bucket=bucket, Key="stuck", Body=b"")
    stubborn(project, bucket, "two")
    with pytest.raises(DeploymentFailedError) as failed:
        deploy(connected(project), through=StackRole.ROOT)
    assert failed.value.status == "UPDATE_ROLLBACK_FAILED"
    assert "the rollback failed at: NetworkStack/Stubborn" in str(failed.value)
    assert "deploy.py recover" in failed.value.hint
    return context


def root_of(context: Context) -> StackState:
    state = deployment.describe_stacks(context)[context.stack(StackRole.ROOT)]
    assert state is not None
    return state


def proceed(context: Context, *names: str) -> str:
    root = context.stack(StackRole.ROOT)
    state = root_of(context)
    found = recovery.find_blockers(context, root, state)
    operation = recovery.continue_rollback(context, root, state, recovery.select_blockers(found, names))
    for _ in operation.follow():
        pass
    after = operations.wait_for_outcome(context, operation)
    assert after is not None
    return after.status


def test_a_stuck_rollback_is_named_and_continued(stuck: Context) -> None:
    root = stuck.stack(StackRole.ROOT)
    (blocker,) = recovery.find_blockers(stuck, root, root_of(stuck))
    assert blocker.name == "NetworkStack.Stubborn"
    assert blocker.skip.startswith("shop-dev-NetworkStack-")
    assert blocker.skip.endswith(".Stubborn")
    assert (blocker.type, blocker.reason) == ("Custom::Stubborn", "stuck")
    assert proceed(stuck) == "UPDATE_ROLLBACK_FAILED", "the cause is still there"
    assert proceed(stuck, "NetworkStack/Stubborn") == "UPDATE_ROLLBACK_COMPLETE"
    with pytest.raises(StateError, match="UPDATE_ROLLBACK_COMPLETE"):
        recovery.continue_rollback(stuck, root, root_of(stuck))


def test_without_its_cause_nothing_has_to_be_skipped(stuck: Context) -> None:
    stuck.clients.s3("ap-northeast-1").delete_object(Bucket=f"stubborn-{stuck.identity.account}", Key="stuck")
    assert proceed(stuck) == "UPDATE_ROLLBACK_COMPLETE"


def test_a_lost_reply_to_continuing_is_no_error(stuck: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK retries, and CloudFormation replies that there is no rollback to continue."""
    stuck.clients.s3("ap-northeast-1").delete_object(Bucket=f"stubborn-{stuck.identity.account}", Key="stuck")
    client = stuck.clients.cloudformation("ap-northeast-1")
    ask = client.continue_update_rollback

    def twice(**arguments: Any) -> Any:
        ask(**arguments)
        return ask(**arguments)

    monkeypatch.setattr(client, "continue_update_rollback", twice)
    assert proceed(stuck) == "UPDATE_ROLLBACK_COMPLETE"


def test_only_a_blocker_can_be_skipped(stuck: Context) -> None:
    with pytest.raises(InputError, match=r"NetworkStack.Topic does not block .*NetworkStack.Stubborn"):
        proceed(stuck, "NetworkStack.Topic")


class Listing:
    """Return the summary of a resource by ListStackResources."""

    def __init__(self, *resources: tuple[str, str, str]) -> None:
        self.resources = resources

    def get_paginator(self, _: str) -> Listing:
        return self

    def paginate(self, **_: str) -> Any:
        return [
            {
                "StackResourceSummaries": [
                    {
                        "LogicalResourceId": name,
                        "PhysicalResourceId": f"id-{name}",
                        "ResourceType": type,
                        "ResourceStatus": status,
                    }
                    for name, type, status in self.resources
                ]
            }
        ]


@pytest.mark.parametrize(
    ("resources", "kept"),
    [
        ([("Topic", "AWS::SNS::Topic", "DELETE_COMPLETE")], None),
        ([("Bucket", "AWS::S3::Bucket", "DELETE_COMPLETE")], None),
        ([("Bucket", "AWS::S3::Bucket", "CREATE_FAILED")], None),
        ([("Role", "AWS::IAM::Role", "DELETE_SKIPPED")], None),
        ([("Bucket", "AWS::S3::Bucket", "DELETE_SKIPPED")], "Bucket"),
        ([("Cluster", "AWS::RDS::DBCluster", "DELETE_FAILED")], "Cluster"),
    ],
)
def test_an_empty_stack_is_deleted_only_without_data(resources: list[tuple[str, str, str]], kept: str | None) -> None:
    client: Any = Listing(*resources)
    stack = Stack(StackRole.EDGE, "shop-dev-edge", "us-east-1")
    state = StackState("arn", stack.name, "ROLLBACK_COMPLETE")
    if kept is None:
        recovery.require_no_data(client, stack, state)
    else:
        with pytest.raises(StateError, match=f"resources with data may remain: {kept}"):
            recovery.require_no_data(client, stack, state)


def test_a_running_operation_is_followed_from_its_start(connected: Connect, deploy: Deploy, project: Path) -> None:
    context = connected(project)
    states = deploy(context, through=StackRole.EDGE)
    edge = context.stack(StackRole.EDGE)
    state = states[edge]
    assert state is not None
    assert operations.find_running_operations(context, states) == []
    operation = operations.load_last_operation(context, edge, state)
    assert [event.status for event in operation.events if event.is_stack_itself] == [
        "CREATE_IN_PROGRESS",
        "CREATE_COMPLETE",
    ]


def test_an_operation_that_cannot_be_cancelled_is_an_error(connected: Connect, deploy: Deploy, project: Path) -> None:
    context = connected(project)
    states = deploy(context, through=StackRole.EDGE)
    edge = context.stack(StackRole.EDGE)
    state = states[edge]
    assert state is not None
    with pytest.raises(StateError, match="cannot be cancelled: its status is CREATE_COMPLETE"):
        operations.cancel(context, operations.attach(context, edge, state))
