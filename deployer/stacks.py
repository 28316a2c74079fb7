"""Stacks as they are now, and the one table that says what may follow from each status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

STACK_TYPE = "AWS::CloudFormation::Stack"


class Next(Enum):
    """What a deployment has to do first with a stack in a given status."""

    CREATE = "create"
    UPDATE = "update"
    # The last operation failed and kept what was finished: the next one goes on from there.
    CONTINUE = "continue"
    # The first creation was rolled back: the empty shell takes no change set and has to go.
    REPLACE = "delete and create"
    WAIT = "wait"
    RECOVER = "recover"
    # A deletion that did not end: deploying into half a stack would be guesswork.
    DELETE = "delete"


_NEXT: Mapping[str, Next] = {
    "REVIEW_IN_PROGRESS": Next.CREATE,
    "DELETE_COMPLETE": Next.CREATE,
    "CREATE_COMPLETE": Next.UPDATE,
    "UPDATE_COMPLETE": Next.UPDATE,
    "UPDATE_ROLLBACK_COMPLETE": Next.UPDATE,
    "IMPORT_COMPLETE": Next.UPDATE,
    "IMPORT_ROLLBACK_COMPLETE": Next.UPDATE,
    "CREATE_FAILED": Next.CONTINUE,
    "UPDATE_FAILED": Next.CONTINUE,
    "ROLLBACK_COMPLETE": Next.REPLACE,
    "ROLLBACK_FAILED": Next.DELETE,
    "DELETE_FAILED": Next.DELETE,
    "UPDATE_ROLLBACK_FAILED": Next.RECOVER,
    "IMPORT_ROLLBACK_FAILED": Next.RECOVER,
    "CREATE_IN_PROGRESS": Next.WAIT,
    "ROLLBACK_IN_PROGRESS": Next.WAIT,
    "DELETE_IN_PROGRESS": Next.WAIT,
    "UPDATE_IN_PROGRESS": Next.WAIT,
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": Next.WAIT,
    "UPDATE_ROLLBACK_IN_PROGRESS": Next.WAIT,
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Next.WAIT,
    "IMPORT_IN_PROGRESS": Next.WAIT,
    "IMPORT_ROLLBACK_IN_PROGRESS": Next.WAIT,
}

STATUSES = frozenset(_NEXT)

# Where an operation ended as it was meant to. UPDATE_ROLLBACK_COMPLETE is a healthy stack, but no success.
_GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", "IMPORT_COMPLETE"})


def following(status: str | None) -> Next:
    """What to do with a stack of this status; None is a stack that does not exist."""
    return Next.CREATE if status is None else _NEXT[status]


def is_terminal(status: str) -> bool:
    """Whether CloudFormation has stopped working on the stack."""
    return not status.endswith("_IN_PROGRESS")


def is_good(status: str) -> bool:
    return status in _GOOD


@dataclass(frozen=True)
class StackState:
    """An existing stack, as one description shows it."""

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
        return following(self.status)


@dataclass(frozen=True)
class Resource:
    """A resource of a stack as CloudFormation lists it."""

    logical_id: str
    physical_id: str
    type: str
    status: str


def describe(client: CloudFormationClient, name: str) -> StackState | None:
    """The stack with this name or id; None when there is none (a deleted one is found by id only)."""
    try:
        found = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return _state(found[0]) if found else None


def resources(client: CloudFormationClient, name: str) -> Iterator[Resource]:
    """The live resources of a stack."""
    for page in client.get_paginator("list_stack_resources").paginate(StackName=name):
        for item in page["StackResourceSummaries"]:
            if item["ResourceStatus"] != "DELETE_COMPLETE":
                yield Resource(
                    item["LogicalResourceId"],
                    item.get("PhysicalResourceId", ""),
                    item["ResourceType"],
                    item["ResourceStatus"],
                )


def template_body(client: CloudFormationClient, name: str) -> Mapping[str, Any]:
    """The template that the stack was last given. botocore parses JSON bodies itself."""
    body: Any = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    if isinstance(body, str):
        import json

        body = json.loads(body)
    return dict(body)


def is_missing(error: ClientError) -> bool:
    """Whether AWS says that a stack or change set does not exist; the words around it differ."""
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
