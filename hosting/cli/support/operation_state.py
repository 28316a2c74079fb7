"""What is known of a running operation: every resource by its place in the tree, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hosting.deployer.aws.statuses import is_terminal

if TYPE_CHECKING:
    from hosting.deployer.events import Event


def format_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


@dataclass
class OperationState:
    """The state of an operation's resources. `clock` is when watching began, in seconds of any clock."""

    title: str
    clock: float
    latest: dict[str, Event] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    # Seconds to the end and when that was said; empty when nothing is known from earlier runs.
    estimate: float | None = None
    estimated: float = 0.0

    def update(self, batch: Sequence[Event], now: float) -> None:
        # Events tell their own time, so that somebody who attaches late sees the true running times. How that
        # clock stands to ours is told by the newest of the round, which has only just been written.
        newest = max((event.time for event in batch), default=None)
        for event in batch:
            assert newest is not None  # noqa: S101 - there is a batch
            if event.is_stack_itself and event.path:
                continue  # its parent says the same, and says it last
            at = now - (newest - event.time).total_seconds()
            known = self.latest.get(event.name)
            if known is None or is_terminal(known.status):
                self.since[event.name] = at
            if is_terminal(event.status):
                self.took[event.name] = max(0.0, at - self.since[event.name])
            self.latest[event.name] = event

    def expect(self, seconds: float | None, now: float) -> None:
        self.estimate, self.estimated = seconds, now

    def left(self, now: float) -> float | None:
        """Seconds to the end; None when unknown, or when it takes longer than it ever did."""
        if self.estimate is None:
            return None
        left = self.estimate - (now - self.estimated)
        return left if left > 0 else None

    def elapsed(self, now: float) -> float:
        return now - min([self.clock, *self.since.values()])

    def running(self) -> list[str]:
        """Resources in progress; nested stacks only while nothing in them is."""
        busy = {name: event for name, event in self.latest.items() if not is_terminal(event.status)}
        names = [name for name, event in busy.items() if event.path or not event.is_stack_itself]
        return [name for name in names if not any(other.startswith(f"{name}/") for other in names)]

    def done(self) -> int:
        return sum(1 for event in self.latest.values() if is_terminal(event.status) and not event.is_stack_itself)

    def failed(self) -> list[Event]:
        return [event for event in self.latest.values() if event.failed]

    def tree(self) -> Iterator[tuple[int, str]]:
        """Depth and name of what is worth a line, as a tree: nested stacks in the order in which they began, and
        under those that are at work what is at work in them."""
        yield from self._below("")

    def inside(self, name: str) -> int:
        """How many resources in a nested stack are done."""
        return sum(
            1 for other, event in self.latest.items() if other.startswith(f"{name}/") and is_terminal(event.status)
        )

    def _below(self, parent: str) -> Iterator[tuple[int, str]]:
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
                yield from self._below(name)
