"""Search for the first failure in the events of an operation, and for the chain that followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hosting.deployer.errors import Failure
from hosting.deployer.events import CANCELLATION, Event, parse_root_name
from hosting.deployer.failures import catalogue
from hosting.deployer.failures.signature import Match, Seen


@dataclass(frozen=True)
class Finding:
    """Resource that failed by itself, and the known cause."""

    failure: Failure
    # The path of the resource, such as `DatabaseStack/Cluster`.
    name: str
    match: Match | None


@dataclass(frozen=True)
class Diagnosis:
    """Reason why an operation failed."""

    first: Finding
    # From the first failure to the end of the root, one step in each line.
    chain: tuple[str, ...]
    # Other resources that failed by themselves. They should be corrected together.
    others: tuple[Finding, ...] = ()
    # Number of resources that were only cancelled.
    cancelled: int = 0
    # Resources that failed in the rollback. Empty if the rollback succeeded.
    rollback: tuple[Finding, ...] = ()


def diagnose(events: Iterable[Event]) -> Diagnosis | None:
    """Return the diagnosis of an operation, or None if no resource failed."""
    history = sorted(events, key=lambda event: event.time)
    start = _find_rollback(history)
    forward, back = history[:start], history[start:]
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
    """Return the failures that have no other failure as their cause, oldest first.

    Cancelled resources are left out. So is a nested stack if a resource in it failed. A nested stack without a failed
    resource counts itself. The root counts if there is no other failure.
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


def _find_rollback(history: Sequence[Event]) -> int:
    """Return the index of the first event after the start of the root's rollback, or the length of the history.

    The cause of a rollback may have the same time as its start: events of several stacks have no other order.
    """
    for event in history:
        if event.is_stack_itself and not event.path and "ROLLBACK" in event.status:
            return sum(1 for other in history if other.time <= event.time)
    return len(history)


def _chain(first: Event, history: Sequence[Event]) -> Iterable[str]:
    """Yield the first failure, the nested stacks that failed because of it, and the statuses of the root."""
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
