"""Reads the events of an operation for what failed first, and how that became the failure of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hosting.deployer.errors import Failure
from hosting.deployer.events import CANCELLATION, Event, parse_root_name
from hosting.deployer.failures import catalogue
from hosting.deployer.failures.signature import Match, Seen


@dataclass(frozen=True)
class Finding:
    """A resource that failed by itself, and what is known about such a failure."""

    failure: Failure
    # The resource's place in the tree, `DatabaseStack/Cluster`.
    name: str
    match: Match | None


@dataclass(frozen=True)
class Diagnosis:
    """Why an operation failed."""

    first: Finding
    # From the first failure outwards to the end of the root, one step a line.
    chain: tuple[str, ...]
    # What else failed by itself, and is worth correcting in the same go.
    others: tuple[Finding, ...] = ()
    # What was only cancelled because of it.
    cancelled: int = 0
    # What kept the rollback from ending well; empty when it did.
    rollback: tuple[Finding, ...] = ()


def diagnose(events: Iterable[Event]) -> Diagnosis | None:
    """The first real failure with its story; None when nothing failed."""
    history = sorted(events, key=lambda event: event.time)
    turned = _rollback(history)
    forward, back = history[:turned], history[turned:]
    found = find_failures(forward) or find_failures(history)
    if not found:
        return None
    first, *others = found
    return Diagnosis(
        first=_finding(first),
        chain=tuple(_chain(first, history)),
        others=tuple(_finding(event) for event in others),
        cancelled=sum(1 for event in history if event.failed and CANCELLATION.search(event.reason)),
        rollback=tuple(_finding(event) for event in find_failures(back) if event.id != first.id),
    )


def find_failures(events: Iterable[Event]) -> list[Event]:
    """What failed by itself, in whichever nested stack, oldest first.

    What was cancelled because something else failed is noise, and so is a nested stack that only passes on the
    failure of a resource in it. A nested stack in which nothing failed is the failure itself, and the root is
    when there is nothing else at all.
    """
    failed = [event for event in events if event.failed and not CANCELLATION.search(event.reason)]
    own = [event for event in failed if not event.is_stack_itself and not event.is_nested_stack]
    nested = [event for event in failed if event.is_nested_stack]
    passed_on = {event.path[:depth] for event in [*own, *nested] for depth in range(1, len(event.path) + 1)}
    alone = [event for event in nested if (*event.path, event.logical_id) not in passed_on]
    found = [*own, *alone] or [event for event in failed if event.is_stack_itself and not event.path]
    latest: dict[tuple[str, ...], Event] = {}
    for event in sorted(found, key=lambda event: event.time):
        latest.setdefault((*event.path, event.logical_id, event.status), event)
    return list(latest.values())


def _finding(event: Event) -> Finding:
    failure = Failure(
        stack="/".join((parse_root_name(event), *event.path)),
        logical_id=event.logical_id,
        resource_type=event.resource_type,
        status=event.status,
        reason=event.reason or "no reason was given",
    )
    match = catalogue.classify(event.reason, resource_type=event.resource_type, seen=Seen.EVENT)
    return Finding(failure, event.name, match)


def _rollback(history: Sequence[Event]) -> int:
    """Where the root turned round; the length of the history when it did not."""
    for index, event in enumerate(history):
        if event.is_stack_itself and not event.path and "ROLLBACK" in event.status:
            return index
    return len(history)


def _chain(first: Event, history: Sequence[Event]) -> Iterable[str]:
    """The nested stacks that passed the failure on, then what became of the root."""
    yield f"{first.name} ({first.resource_type}): {first.status}"
    for depth in range(len(first.path), 0, -1):
        path, logical_id = first.path[: depth - 1], first.path[depth - 1]
        for event in history:
            if event.failed and event.is_nested_stack and (event.path, event.logical_id) == (path, logical_id):
                yield f"{event.name} ({event.resource_type}): {event.status}"
                break
    ends = [event for event in history if event.is_stack_itself and not event.path and event.time >= first.time]
    seen: list[str] = []
    for event in ends:
        if event.status not in seen:
            seen.append(event.status)
    if seen and not (first.is_stack_itself and not first.path):
        yield f"{parse_root_name(first)}: {', '.join(seen)}"
