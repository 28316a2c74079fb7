"""Current state of stacks. `statuses` has the table of what may follow from each status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from hosting.deployer.aws.statuses import STATUSES, Next, get_next_step, is_good, is_terminal

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

__all__ = [
    "STACK_TYPE",
    "STATUSES",
    "Next",
    "Resource",
    "StackState",
    "describe_stack",
    "get_next_step",
    "is_good",
    "is_missing",
    "is_terminal",
    "list_resources",
    "read_template",
]

STACK_TYPE = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class StackState:
    """Existing stack, as DescribeStacks returns it."""

    id: str
    name: str
    status: str
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False

    @property
    def next(self) -> Next:
        return get_next_step(self.status)


@dataclass(frozen=True)
class Resource:
    """Resource of a stack, as ListStackResources returns it."""

    logical_id: str
    physical_id: str
    type: str
    status: str


def describe_stack(client: CloudFormationClient, name: str) -> StackState | None:
    """Return the stack with this name or id, or None. A deleted stack is found only by id."""
    try:
        found = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return _state(found[0]) if found else None


def list_resources(client: CloudFormationClient, name: str) -> Iterator[Resource]:
    """Yield the resources of a stack that are not deleted."""
    for page in client.get_paginator("list_stack_resources").paginate(StackName=name):
        for item in page["StackResourceSummaries"]:
            if item["ResourceStatus"] != "DELETE_COMPLETE":
                yield Resource(
                    item["LogicalResourceId"],
                    item.get("PhysicalResourceId", ""),
                    item["ResourceType"],
                    item["ResourceStatus"],
                )


def read_template(client: CloudFormationClient, name: str) -> Mapping[str, Any]:
    """Return the template that was last deployed to the stack. botocore parses JSON bodies itself."""
    body: Any = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    if isinstance(body, str):
        import json

        body = json.loads(body)
    return dict(body)


def is_missing(error: ClientError) -> bool:
    """Return whether the error means that a stack or change set does not exist. The messages differ."""
    answer = error.response.get("Error", {})
    if answer.get("Code") in {"ChangeSetNotFound", "ChangeSetNotFoundException", "StackNotFoundException"}:
        return True
    return answer.get("Code") == "ValidationError" and "does not exist" in answer.get("Message", "")


def _state(raw: Any) -> StackState:
    return StackState(
        id=raw["StackId"],
        name=raw["StackName"],
        status=raw["StackStatus"],
        reason=raw.get("StackStatusReason", ""),
        parameters={item["ParameterKey"]: item.get("ParameterValue", "") for item in raw.get("Parameters", ())},
        outputs={item["OutputKey"]: item["OutputValue"] for item in raw.get("Outputs", ())},
        tags={item["Key"]: item["Value"] for item in raw.get("Tags", ())},
        protected=bool(raw.get("EnableTerminationProtection", False)),
    )
