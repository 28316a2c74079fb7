"""A stack's history as data, and where in it an operation begins.

Stacks are read by id, because a deleted stack is not found by name. `following` reads on while an operation
runs, and `failures` says what went wrong in it.
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
# What was only cancelled because something else failed.
CANCELLATION = re.compile(r"resource (creation|update|deletion) cancel+ed|operation cancel+ed", re.IGNORECASE)


class Reader(Protocol):
    """The two calls that following takes."""

    def describe_stack_events(self, *, StackName: str, NextToken: str = ...) -> Any: ...  # noqa: N803 - boto3's names

    def describe_stacks(self, *, StackName: str) -> Any: ...  # noqa: N803 - boto3's names


@dataclass(frozen=True)
class Event:
    """One line of a stack's history. `path` is the nested stacks that lead to it, outermost first."""

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
        """Whether it speaks of the stack that it belongs to, not of a resource in it."""
        return self.resource_type == STACK_TYPE and self.physical_id == self.stack_id

    @property
    def is_nested_stack(self) -> bool:
        return self.resource_type == STACK_TYPE and not self.is_stack_itself

    @property
    def nested_id(self) -> str:
        """The nested stack that the event is about. One that fails at once is named in the reason only."""
        if self.physical_id.startswith("arn:"):
            return self.physical_id
        named = _EMBEDDED.search(self.reason)
        return named.group(1) if named else ""

    @property
    def failed(self) -> bool:
        return self.status.endswith("_FAILED")

    @property
    def name(self) -> str:
        """The resource's place in the tree: DatabaseStack/Cluster."""
        return "/".join(self.path if self.is_stack_itself and self.path else (*self.path, self.logical_id))


@dataclass(frozen=True)
class Cursor:
    """The last event before an operation: what comes after it belongs to the operation."""

    stack_id: str
    event_id: str = ""


def read_cursor(client: Reader, stack_id: str) -> Cursor:
    """Where the stack's history ends now. Taken before the operation starts."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    return Cursor(stack_id, events[0]["EventId"] if events else "")


def find_operation_start(client: Reader, stack_id: str, *, ended: bool = False) -> Cursor:
    """The cursor of the operation that is running, for somebody who comes later; or of the last one that ended."""
    # Newest first: what the stack says of itself ends with the word of the operation before.
    own = (raw for raw in _history(client, stack_id) if raw.get("PhysicalResourceId") == stack_id)
    for number, raw in enumerate(own):
        before = is_terminal(raw["ResourceStatus"]) or raw["ResourceStatus"] == "REVIEW_IN_PROGRESS"
        if before and not (ended and number == 0):
            return Cursor(stack_id, raw["EventId"])
    return Cursor(stack_id)


def read_status(client: Reader, stack_id: str) -> str:
    """The stack's status now; a stack that is not found any more has been deleted."""
    try:
        found = client.describe_stacks(StackName=stack_id)["Stacks"]
    except ClientError as error:
        if is_missing(error):
            return "DELETE_COMPLETE"
        raise
    return str(found[0]["StackStatus"]) if found else "DELETE_COMPLETE"


def parse_root_name(event: Event) -> str:
    """A nested stack is named after its parent: CloudFormation adds the logical id and a random part."""
    name = event.stack
    for logical_id in reversed(event.path):
        name = re.sub(rf"-{re.escape(logical_id)}-[^-]*$", "", name)
    return name


def read_pages(client: Reader, stack_id: str) -> Iterator[list[Any]]:
    """A stack's history as AWS gives it, newest first, a page at a time."""
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
