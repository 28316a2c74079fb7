"""Drift: changes that were made without CloudFormation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from hosting.deployer import deployment, drift
from hosting.deployer.deployment import Context
from hosting.deployer.errors import DeployerError, StateError
from hosting.model.stack_order import Stack, StackRole

STACK = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")


def test_drift_is_found_in_every_nested_stack(
    connected: Callable[..., Context], deploy: Callable[..., Any], project: Path, aws: Callable[..., Any]
) -> None:
    context = connected(project)
    with pytest.raises(DeployerError, match="shop-dev: the environment is not deployed"):
        drift.require_deployed(context, deployment.describe_stacks(context))
    states = deploy(context)
    drift.require_deployed(context, states)
    reports = drift.detect(context, states)
    assert [one for report in reports for one in report.drifted] == []
    assert {"/".join((report.stack.name, *report.path)) for report in reports} == {
        "shop-bootstrap",
        "shop-dev-edge",
        "shop-dev",
        "shop-dev/NetworkStack",
        "shop-dev/FrontendServiceStack",
        "shop-dev/OperationsStack",
        "shop-dev-edge-monitoring",
    }
    assert all(report.checked == report.resources for report in reports)

    sns = aws("sns")
    topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    (touched,) = [arn for arn in topics if "NetworkStack" in arn]
    (deleted,) = [arn for arn in topics if "OperationsStack" in arn]
    sns.set_topic_attributes(TopicArn=touched, AttributeName="DisplayName", AttributeValue="by hand")
    sns.delete_topic(TopicArn=deleted)
    found = {one.name: one for report in drift.detect(context, states) for one in report.drifted}
    assert found.keys() == {"Network/Topic", "Operations/Topic"}
    assert found["Operations/Topic"].status == "DELETED"
    (difference,) = found["Network/Topic"].differences
    assert (difference.path, difference.expected, difference.actual) == ("/DisplayName", "2", "by hand")


def test_a_stack_in_progress_is_not_compared(
    connected: Callable[..., Context], deploy: Callable[..., Any], project: Path
) -> None:
    context = connected(project)
    states = deploy(context, through=StackRole.EDGE)
    edge = context.stack(StackRole.EDGE)
    with pytest.raises(StateError, match="an operation is running"):
        drift.detect(context, {edge: replace(states[edge], status="UPDATE_IN_PROGRESS")})


def test_one_stack_that_cannot_be_compared_does_not_hide_the_others() -> None:
    client = boto3.client("cloudformation", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stub:
        stub.add_client_error("detect_stack_drift", "ValidationError", "is in ROLLBACK_FAILED state")
        report = drift._detect_stack(client, STACK, (), "arn:x", lambda _: None)
    assert report.problem == "is in ROLLBACK_FAILED state"


def test_all_pages_are_read_and_a_partial_failure_is_reported() -> None:
    client = boto3.client("cloudformation", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
    asleep: list[float] = []
    detection = {"StackId": "arn:x", "StackDriftDetectionId": "d", "Timestamp": "2026-01-01T00:00:00Z"}

    def one(name: str, status: str) -> dict[str, Any]:
        return {
            "StackId": "arn:x",
            "LogicalResourceId": name,
            "ResourceType": "AWS::X",
            "StackResourceDriftStatus": status,
            "Timestamp": "2026-01-01T00:00:00Z",
        }

    with Stubber(client) as stub:
        stub.add_response("detect_stack_drift", {"StackDriftDetectionId": "d"})
        asked = {"StackDriftDetectionId": "d"}
        waiting = {**detection, "DetectionStatus": "DETECTION_IN_PROGRESS"}
        stub.add_response("describe_stack_drift_detection_status", waiting, asked)
        failed = {**detection, "DetectionStatus": "DETECTION_FAILED", "DetectionStatusReason": "no right to read B"}
        stub.add_response("describe_stack_drift_detection_status", failed, asked)
        first = {"StackResourceDrifts": [one("A", "IN_SYNC"), one("C", "UNKNOWN")], "NextToken": "t"}
        stub.add_response("describe_stack_resource_drifts", first, {"StackName": "arn:x", "MaxResults": 100})
        second = {"StackResourceDrifts": [one("B", "DELETED")]}
        stub.add_response(
            "describe_stack_resource_drifts", second, {"StackName": "arn:x", "MaxResults": 100, "NextToken": "t"}
        )
        stub.add_response("list_stack_resources", {"StackResourceSummaries": []})
        report = drift._detect_stack(client, STACK, ("AStack",), "arn:x", asleep.append)
    assert asleep == [0.5]
    assert report.problem == "no right to read B"
    assert [item.name for item in report.drifted] == ["A/B"]
    assert report.checked == 2
