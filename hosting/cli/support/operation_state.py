"""The state of a running stack operation: its resources as a tree, their durations, and the remaining time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hosting.deployer.aws.statuses import is_terminal

if TYPE_CHECKING:
    from hosting.deployer.events import Event


def format_duration(seconds: float) -> str:
    """Return a duration such as 3s, 1m02s or 1h02m."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


@dataclass
class OperationState:
    """The resources of an operation. `clock` is the time at which monitoring began, in seconds of any clock."""

    title: str
    clock: float
    latest: dict[str, Event] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    # Remaining seconds and the time of that estimate. None if no earlier run is recorded.
    estimate: float | None = None
    estimated: float = 0.0

    def snapshot(self) -> OperationState:
        """Return a copy for rendering: the refresh thread renders while the polling thread records."""
        # Each copy of a dict is one step of the interpreter. `record` writes `latest` last, so it is copied first.
        latest = dict(self.latest)
        return replace(self, latest=latest, since=dict(self.since), took=dict(self.took))

    def record(self, batch: Sequence[Event], now: float) -> None:
        """Record the events of one poll, which happened at `now` on the local clock."""
        # Durations come from the time stamps of the events, so that they are correct for a user who attaches late.
        # CloudFormation has just written the newest event, so its time stamp equals `now` on the local clock.
        newest = max((event.time for event in batch), default=None)
        for event in batch:
            assert newest is not None  # noqa: S101 - there is a batch
            if event.is_stack_itself and event.path:
                continue  # the event of the parent stack has the same content and comes last
            at = now - (newest - event.time).total_seconds()
            known = self.latest.get(event.name)
            if known is None or is_terminal(known.status):
                self.since[event.name] = at
            if is_terminal(event.status):
                self.took[event.name] = max(0.0, at - self.since[event.name])
            self.latest[event.name] = event

    def set_estimate(self, seconds: float | None, now: float) -> None:
        self.estimate, self.estimated = seconds, now

    def seconds_left(self, now: float) -> float | None:
        """Return the remaining seconds. None if unknown, or if the estimate has passed."""
        if self.estimate is None:
            return None
        left = self.estimate - (now - self.estimated)
        return left if left > 0 else None

    def seconds_elapsed(self, now: float) -> float:
        return now - min([self.clock, *self.since.values()])

    def list_running(self) -> list[str]:
        """Return the resources in progress. A nested stack is included only if no resource in it is in progress."""
        busy = {name: event for name, event in self.latest.items() if not is_terminal(event.status)}
        names = [name for name, event in busy.items() if event.path or not event.is_stack_itself]
        return [name for name in names if not any(other.startswith(f"{name}/") for other in names)]

    def count_finished(self) -> int:
        return sum(1 for event in self.latest.values() if is_terminal(event.status) and not event.is_stack_itself)

    def list_failed(self) -> list[Event]:
        return [event for event in self.latest.values() if event.failed]

    def walk_tree(self) -> Iterator[tuple[int, str]]:
        """Yield depth and name of each line of the tree.

        Nested stacks have the order in which they began. Resources in progress follow their nested stack.
        """
        yield from self._walk_below("")

    def count_finished_in(self, name: str) -> int:
        """Return the number of finished resources in a nested stack."""
        return sum(
            1 for other, event in self.latest.items() if other.startswith(f"{name}/") and is_terminal(event.status)
        )

    def _walk_below(self, parent: str) -> Iterator[tuple[int, str]]:
        prefix = f"{parent}/" if parent else ""
        depth = prefix.count("/")
        for name in list(self.latest):
            if not name.startswith(prefix) or "/" in name[len(prefix) :] or name == parent:
                continue
            event = self.latest[name]
            if event.is_stack_itself and not event.path:
                continue
            nested = any(other.startswith(f"{name}/") for other in self.latest)
            if is_terminal(event.status) and not event.failed and not (nested and not parent):
                continue
            yield depth, name
            if nested and (not is_terminal(event.status) or event.failed):
                yield from self._walk_below(name)
