"""Follows one operation of a stack through all its nested stacks, and says what failed first.

Stacks are read by id, because a deleted stack is not found by name. Only nested stacks that are being worked
on are asked, and the pause between rounds grows while nothing happens: CloudFormation throttles readers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from deployer.errors import Failure
from deployer.stacks import STACK_TYPE, is_missing, is_terminal

Sleep = Callable[[float], None]

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0
# How often the stack must be found at rest, without any news, before we believe that the event which says
# so will not come. Both reads are eventually consistent.
_PATIENCE = 8

_EMBEDDED = re.compile(r"Embedded stack (arn:\S+) was not successfully")
_NOISE = re.compile(r"resource (creation|update|deletion) cancel+ed|operation cancel+ed", re.IGNORECASE)


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


def cursor(client: Reader, stack_id: str) -> Cursor:
    """Where the stack's history ends now. Taken before the operation starts."""
    events = client.describe_stack_events(StackName=stack_id)["StackEvents"]
    return Cursor(stack_id, events[0]["EventId"] if events else "")


def follow(client: Reader, start: Cursor, *, sleep: Sleep) -> Iterator[Sequence[Event]]:
    """The operation's events in rounds, oldest first, until it ends.

    A round may be empty: it tells the caller that time has passed, for a clock or a sign of life.
    """
    watched = _Watched(client, start)
    delay = _FIRST_DELAY
    quiet = 0
    while True:
        batch = watched.round()
        if watched.ended:
            # The end may have come while the nested stacks were being read: their last events belong before it.
            yield sorted([*batch, *watched.round(everything=True)], key=lambda event: event.time)
            return
        yield batch
        quiet = 0 if batch else quiet + 1
        if quiet >= _PATIENCE and is_terminal(status(client, start.stack_id)):
            return
        delay = _FIRST_DELAY if batch else min(delay * 1.5, _LONGEST_DELAY)
        # Jitter, so that several deployers of one account do not ask in step.
        sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - no secret


def status(client: Reader, stack_id: str) -> str:
    """The stack's status now; a stack that is not found any more has been deleted."""
    try:
        found = client.describe_stacks(StackName=stack_id)["Stacks"]
    except ClientError as error:
        if is_missing(error):
            return "DELETE_COMPLETE"
        raise
    return str(found[0]["StackStatus"]) if found else "DELETE_COMPLETE"


def first_failure(events: Iterable[Event]) -> Failure | None:
    """The first resource that failed by itself, in whichever nested stack.

    What was cancelled because something else failed is noise, and so is a nested stack that only passes on
    the failure of a resource in it; if nothing else failed, the nested stack is the failure.
    """
    failed = [event for event in events if event.failed and not _NOISE.search(event.reason)]
    own = [event for event in failed if not event.is_stack_itself and not event.is_nested_stack]
    candidates = own or [event for event in failed if event.is_nested_stack] or failed
    if not candidates:
        return None
    first = min(candidates, key=lambda event: event.time)
    return Failure(
        stack="/".join((_root_name(first), *first.path)),
        logical_id=first.logical_id,
        resource_type=first.resource_type,
        status=first.status,
        reason=first.reason or "no reason was given",
    )


def _root_name(event: Event) -> str:
    """A nested stack is named after its parent: CloudFormation adds the logical id and a random part."""
    name = event.stack
    for logical_id in reversed(event.path):
        name = re.sub(rf"-{re.escape(logical_id)}-[^-]*$", "", name)
    return name


@dataclass
class _Nested:
    path: tuple[str, ...]
    # Whether its parent says that something is happening in it.
    active: bool = True
    # Whether its parent has said something since it was last read: the last word comes with its last events.
    unread: bool = True


@dataclass
class _Watched:
    """What has been seen of the tree so far."""

    client: Reader
    start: Cursor
    seen: set[str] = field(default_factory=set)
    nested: dict[str, _Nested] = field(default_factory=dict)
    began: datetime | None = None
    ended: bool = False

    def round(self, *, everything: bool = False) -> list[Event]:
        found = self._new(self.start.stack_id, ())
        # A nested stack that starts in this round is read in this round, and so are those in it.
        asked: set[str] = set()
        while waiting := [
            stack_id
            for stack_id, nested in self.nested.items()
            if stack_id not in asked and (nested.active or nested.unread or everything)
        ]:
            for stack_id in waiting:
                asked.add(stack_id)
                self.nested[stack_id].unread = False
                found += self._new(stack_id, self.nested[stack_id].path)
        return sorted(found, key=lambda event: event.time)

    def _new(self, stack_id: str, path: tuple[str, ...]) -> list[Event]:
        """The events of one stack that have not been seen, oldest first."""
        found: list[Event] = []
        token = ""
        while True:
            try:
                page = self.client.describe_stack_events(StackName=stack_id, **({"NextToken": token} if token else {}))
            except ClientError as error:
                if is_missing(error):
                    return self._gone(stack_id)
                raise
            fresh = self._fresh(page["StackEvents"], path)
            found += fresh
            token = page.get("NextToken", "")
            if not token or len(fresh) < len(page["StackEvents"]):
                break
        found.reverse()
        for event in found:
            self._note(event)
        return found

    def _fresh(self, raw: Iterable[Any], path: tuple[str, ...]) -> list[Event]:
        """The new ones of a page, which is newest first: the first known or older one ends it."""
        fresh: list[Event] = []
        for item in raw:
            event = _event(item, path)
            older = self.began is not None and bool(path) and event.time < self.began
            if event.id == self.start.event_id or event.id in self.seen or older:
                break
            fresh.append(event)
        return fresh

    def _note(self, event: Event) -> None:
        self.seen.add(event.id)
        if event.stack_id == self.start.stack_id:
            self.began = event.time if self.began is None else min(self.began, event.time)
            if event.is_stack_itself:
                self.ended = is_terminal(event.status)
        if event.is_nested_stack and (nested_id := event.nested_id):
            known = self.nested.setdefault(nested_id, _Nested((*event.path, event.logical_id)))
            known.active = not is_terminal(event.status)
            known.unread = True

    def _gone(self, stack_id: str) -> list[Event]:
        if stack_id == self.start.stack_id:
            self.ended = True
        elif stack_id in self.nested:
            self.nested[stack_id].active = False
        return []


def _event(raw: Any, path: tuple[str, ...]) -> Event:
    return Event(
        id=raw["EventId"],
        stack_id=raw["StackId"],
        stack=raw["StackName"],
        path=path,
        logical_id=raw["LogicalResourceId"],
        physical_id=raw.get("PhysicalResourceId", ""),
        resource_type=raw.get("ResourceType", ""),
        status=raw["ResourceStatus"],
        reason=raw.get("ResourceStatusReason", ""),
        time=raw["Timestamp"],
    )
