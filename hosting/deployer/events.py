"""Events of a stack as data, and the position in its history at which an operation begins.

Stacks are read by id, because a deleted stack cannot be found by name. `event_poller` reads the events while an
operation runs, and `failures` finds the cause of a failure in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from hosting.deployer.aws.stacks import STACK_TYPE, is_missing, is_terminal
from hosting.model.lambda_shared.redact import redact

_EMBEDDED = re.compile(r"Embedded stack (arn:\S+) was not successfully")
# The reason of a resource that was cancelled because another one failed.
CANCELLATION = re.compile(r"resource (creation|update|deletion) cancel+ed|operation cancel+ed", re.IGNORECASE)


class Reader(Protocol):
    """The two calls of CloudFormation that reading events needs."""

    def describe_stack_events(self, *, StackName: str, NextToken: str = ...) -> Any: ...  # noqa: N803 - boto3's names

    def describe_stacks(self, *, StackName: str) -> Any: ...  # noqa: N803 - boto3's names


@dataclass(frozen=True)
class Event:
    """One event of a stack. `path` has the logical ids of its nested stacks, outermost first."""

    id: str
    stack_id: str
    stack: str
    path: tuple[str, ...]
    logical_id: str
    physical_id: str
    resource_type: str
    status: str
    reason: str
    time: datetime

    @property
    def is_stack_itself(self) -> bool:
        """True if the event is about the stack that it belongs to, not about a resource in it."""
        return self.resource_type == STACK_TYPE and self.physical_id == self.stack_id

    @property
    def is_nested_stack(self) -> bool:
        return self.resource_type == STACK_TYPE and not self.is_stack_itself

    @property
    def nested_id(self) -> str:
        """The id of the nested stack. For a nested stack that fails at once, only the reason contains it."""
        if self.physical_id.startswith("arn:"):
            return self.physical_id
        named = _EMBEDDED.search(self.reason)
        return named.group(1) if named else ""

    @property
    def failed(self) -> bool:
        return self.status.endswith("_FAILED")

    @property
    def name(self) -> str:
        """The path of the resource, such as DatabaseStack/Cluster."""
        return "/".join(self.path if self.is_stack_itself and self.path else (*self.path, self.logical_id))


@dataclass(frozen=True)
class Cursor:
    """Last event before an operation. All later events belong to the operation."""

    stack_id: str
    event_id: str = ""


def read_cursor(client: Reader, stack_id: str) -> Cursor:
    """Return the cursor at the current end of the history. Call it before the operation starts."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    return Cursor(stack_id, events[0]["EventId"] if events else "")


def find_operation_start(client: Reader, stack_id: str, *, ended: bool = False) -> Cursor:
    """Return the cursor of the running operation, or with `ended=True` of the last operation that ended."""
    # Newest first: the events of the stack itself end with the last event of the previous operation.
    own = (raw for raw in _history(client, stack_id) if raw.get("PhysicalResourceId") == stack_id)
    for number, raw in enumerate(own):
        before = is_terminal(raw["ResourceStatus"]) or raw["ResourceStatus"] == "REVIEW_IN_PROGRESS"
        if before and not (ended and number == 0):
            return Cursor(stack_id, raw["EventId"])
    return Cursor(stack_id)


def read_status(client: Reader, stack_id: str) -> str:
    """Return the current status of a stack. DELETE_COMPLETE if it is not found."""
    try:
        found = client.describe_stacks(StackName=stack_id)["Stacks"]
    except ClientError as error:
        if is_missing(error):
            return "DELETE_COMPLETE"
        raise
    return str(found[0]["StackStatus"]) if found else "DELETE_COMPLETE"


def parse_root_name(event: Event) -> str:
    """Return the name of the root stack of an event.

    CloudFormation names a nested stack after its parent, with the logical id and a random part appended.
    """
    name = event.stack
    for logical_id in reversed(event.path):
        name = re.sub(rf"-{re.escape(logical_id)}-[^-]*$", "", name)
    return name


def read_pages(client: Reader, stack_id: str) -> Iterator[list[Any]]:
    """Yield the pages of a stack's history, newest first."""
    token = ""
    while True:
        page = client.describe_stack_events(StackName=stack_id, **({"NextToken": token} if token else {}))
        yield list(page["StackEvents"])
        token = page.get("NextToken", "")
        if not token:
            return


def _history(client: Reader, stack_id: str) -> Iterator[Any]:
    for page in read_pages(client, stack_id):
        yield from page


def parse_event(raw: Any, path: tuple[str, ...]) -> Event:
    """Return an event of DescribeStackEvents as data."""
    return Event(
        id=raw["EventId"],
        stack_id=raw["StackId"],
        stack=raw["StackName"],
        path=path,
        logical_id=raw["LogicalResourceId"],
        physical_id=raw.get("PhysicalResourceId", ""),
        resource_type=raw.get("ResourceType", ""),
        status=raw["ResourceStatus"],
        # AWS quotes the input: the reason of a custom resource, for example, can contain a password.
        reason=redact(raw.get("ResourceStatusReason", "")),
        time=raw["Timestamp"],
    )
