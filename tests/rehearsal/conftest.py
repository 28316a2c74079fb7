"""Fixtures: a client of CloudFormation that uploads templates, waits for operations and reads their results."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.waiting import eventually

IAM = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
ARTIFACTS = "artifacts"


class Cloud:
    """One account of the emulator, as these tests use it."""

    def __init__(self, aws: Callable[..., Any]) -> None:
        self.aws = aws
        self.cloudformation = aws("cloudformation")
        self.s3 = aws("s3")
        self.numbers = itertools.count(1)

    def put(self, key: str, body: dict[str, Any] | bytes) -> str:
        """Upload a template or an archive. Return its URL as templates use it."""
        if not any(bucket["Name"] == self.bucket for bucket in self.s3.list_buckets()["Buckets"]):
            location = {"LocationConstraint": "ap-northeast-1"}
            self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=location)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body if isinstance(body, bytes) else json.dumps(body))
        return f"https://{self.bucket}.s3.ap-northeast-1.amazonaws.com/{key}"

    @property
    def bucket(self) -> str:
        # Bucket names are global, also in the emulator.
        return f"{ARTIFACTS}-{self.aws('sts').get_caller_identity()['Account']}"

    def create(self, name: str, template: dict[str, Any], **parameters: str) -> dict[str, Any]:
        reply = self.cloudformation.create_stack(
            StackName=name, TemplateBody=json.dumps(template), Parameters=given(parameters), Capabilities=IAM
        )
        return self.wait(reply["StackId"])

    def update(self, name: str, template: dict[str, Any], **parameters: str) -> dict[str, Any]:
        reply = self.cloudformation.update_stack(
            StackName=name, TemplateBody=json.dumps(template), Parameters=given(parameters), Capabilities=IAM
        )
        return self.wait(reply["StackId"])

    def delete(self, name: str) -> dict[str, Any]:
        identifier = self.stack(name)["StackId"]
        self.cloudformation.delete_stack(StackName=name)
        return self.wait(identifier)

    def change_set(
        self, stack: str, template: dict[str, Any], *, kind: str = "UPDATE", name: str = "", **parameters: str
    ) -> dict[str, Any]:
        """Create a change set with nested stacks. Return its description with all pages."""
        reply = self.cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=name or f"change-{next(self.numbers)}",
            ChangeSetType=kind,
            TemplateBody=json.dumps(template),
            Parameters=given(parameters),
            Capabilities=IAM,
            IncludeNestedStacks=True,
        )
        return self.described(reply["Id"])

    def described(self, identifier: str) -> dict[str, Any]:
        pages = self.cloudformation.get_paginator("describe_change_set").paginate(
            ChangeSetName=identifier, IncludePropertyValues=True
        )
        whole: dict[str, Any] = {}
        for page in pages:
            whole = page | {"Changes": whole.get("Changes", []) + page["Changes"]}
        return whole

    def execute(self, change_set: dict[str, Any], **named: Any) -> dict[str, Any]:
        self.cloudformation.execute_change_set(ChangeSetName=change_set["ChangeSetId"], **named)
        return self.wait(change_set["StackId"])

    def wait(self, name: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            stack = self.stack(name)
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        return eventually(ended, f"{name} has ended its operation", pause=0.02)

    def stack(self, name: str) -> dict[str, Any]:
        stack: dict[str, Any] = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return stack

    def outputs(self, name: str) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self.stack(name).get("Outputs", [])}

    def child(self, parent: str, logical_id: str) -> str:
        """Return the stack id of a nested stack."""
        reply = self.cloudformation.describe_stack_resource(StackName=parent, LogicalResourceId=logical_id)
        return str(reply["StackResourceDetail"]["PhysicalResourceId"])

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return logical id and status of each event, the oldest first."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=name)
        events = [event for page in pages for event in page["StackEvents"]]
        return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]

    def reasons(self, name: str) -> dict[str, str]:
        """Return the reasons of failed resources by logical id."""
        events = self.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"].endswith("_FAILED")
        }


def given(parameters: dict[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


@pytest.fixture
def cloud(aws: Callable[..., Any]) -> Cloud:
    """A fresh account."""
    return Cloud(aws)


@pytest.fixture
def nested() -> Callable[..., dict[str, Any]]:
    """Creates a nested stack resource: `nested(url, Name=value)`."""

    def resource(url: str, **parameters: Any) -> dict[str, Any]:
        return {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": url, "Parameters": parameters},
        }

    return resource
