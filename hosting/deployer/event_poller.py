"""Polls the events of one operation of a stack and all its nested stacks, until the operation ends.

Only nested stacks in progress are read, a few at a time. The delay between polls is short while events arrive, longer
while nothing happens, and longest while AWS throttles. A failed read is repeated in the next poll: the operation itself
does not depend on the deployer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer import events
from hosting.deployer.aws.retryable import is_transient
from hosting.deployer.aws.stacks import is_missing, is_terminal
from hosting.deployer.events import Cursor, Event, Reader

Sleep = Callable[[float], None]

_PARALLEL = 4
# So many polls without events come before the status of the stack is read. Both reads are eventually consistent: the
# event with the final status may never arrive. The first event takes longest.
_QUIET_POLLS = 8
_QUIET_POLLS_AT_FIRST = 20
# So many reads in a row must return a terminal status: the operation may have ended just after its events were read.
_TERMINAL_READS = 2
# So many polls in a row may fail: about ten minutes, including the retries of the SDK.
_MAX_FAILED_POLLS = 20
# Further polls after the end, for nested stacks whose last events could not be read.
_LAST_TRIES = 3


@dataclass
class PollDelay:
    """Delay before the next poll, in seconds."""

    jitter: Callable[[float, float], float] = random.uniform
    floor: float = 0.2
    delay: float = 0.2

    # A short operation is polled often. A long one is polled at most once a second.
    _FASTEST = 0.2
    _STEADY = 1.0
    _IDLE = 5.0
    _THROTTLED = 30.0

    def after(self, *, news: bool, error: bool) -> float:
        """Return the delay after a poll with events (`news`), with a failed read (`error`), or with neither."""
        self.floor = min(self.floor * 1.15, self._STEADY)
        if error:
            self.delay = min(max(self.delay * 2, self._STEADY), self._THROTTLED)
        elif news:
            self.delay = self.floor
        else:
            self.delay = min(max(self.delay * 1.5, self.floor), max(self._IDLE, self.floor))
        # Jitter prevents that several deployers of one account poll at the same moments.
        return self.delay * self.jitter(0.8, 1.2)


@dataclass
class _Nested:
    path: tuple[str, ...]
    # Whether the events of the parent show that the nested stack is in progress.
    active: bool = True
    # Whether the parent had an event for it since it was last read. The last event of the parent comes with its
    # last events.
    unread: bool = True


class StackEventPoller:
    """The events of an operation in polls, oldest first, until the operation ends.

    A poll may be empty: it shows the caller that time has passed. The iteration can be interrupted, for example by
    Ctrl-C, and continued: no event is lost or repeated.
    """

    def __init__(self, client: Reader, start: Cursor, *, sleep: Sleep, pace: PollDelay | None = None) -> None:
        self._client = client
        self._start = start
        self._sleep = sleep
        self._pace = pace or PollDelay()
        self._seen: set[str] = set()
        self._nested: dict[str, _Nested] = {}
        self._began: datetime | None = None
        self._pending: list[Event] = []
        self._error: Exception | None = None
        self.ended = False

    def __iter__(self) -> Iterator[Sequence[Event]]:
        quiet = failed_polls = terminal_reads = 0
        while not self.ended:
            self._poll()
            if self.ended:
                break
            batch = self._drain()
            failed_polls = failed_polls + 1 if self._error and not batch else 0
            if self._error and failed_polls >= _MAX_FAILED_POLLS:
                raise self._error
            quiet = 0 if batch or self._error else quiet + 1
            yield batch
            is_quiet = quiet >= (_QUIET_POLLS if self._began else _QUIET_POLLS_AT_FIRST)
            terminal_reads = terminal_reads + 1 if is_quiet and self._is_terminal() else 0
            if terminal_reads >= _TERMINAL_READS:
                self.ended = True
                return
            self._sleep(self._pace.after(news=bool(batch), error=self._error is not None))
        # The operation may have ended while the nested stacks were read. Their last events belong before the
        # end.
        for _ in range(_LAST_TRIES):
            self._poll(everything=True)
            if not self._error:
                break
            self._sleep(self._pace.after(news=False, error=True))
        yield self._drain()

    def _poll(self, *, everything: bool = False) -> None:
        self._error = None
        self._record(self._read(self._start.stack_id))
        # A nested stack that starts in this poll is read in this poll, and so are the stacks nested in it.
        asked: set[str] = set()
        while waiting := [
            stack_id
            for stack_id, nested in self._nested.items()
            if stack_id not in asked and (nested.active or nested.unread or everything)
        ]:
            asked.update(waiting)
            # A later event of the parent leads to another read of the nested stack.
            for stack_id in waiting:
                self._nested[stack_id].unread = False
            with ThreadPoolExecutor(min(_PARALLEL, len(waiting))) as pool:
                for stack_id, found in zip(waiting, pool.map(self._read, waiting), strict=True):
                    if found is None:
                        self._nested[stack_id].unread = True
                    self._record(found)

    def _read(self, stack_id: str) -> list[Event] | None:
        """Return the new events of one stack, oldest first. None if the read failed and may be retried."""
        path = self._nested[stack_id].path if stack_id in self._nested else ()
        found: list[Event] = []
        try:
            for page in events.read_pages(self._client, stack_id):
                fresh = self._fresh(page, path)
                found += fresh
                if len(fresh) < len(page):
                    break
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and is_missing(error):
                self._record_deletion(stack_id)
                return []
            if not is_transient(error):
                raise
            self._error = error
            return None
        return found[::-1]

    def _fresh(self, page: Sequence[Any], path: tuple[str, ...]) -> list[Event]:
        """Return the new events of a page, newest first. The first known or older event ends the search."""
        fresh: list[Event] = []
        for item in page:
            event = events.parse_event(item, path)
            older = self._began is not None and bool(path) and event.time < self._began
            if event.id == self._start.event_id or event.id in self._seen or older:
                break
            fresh.append(event)
        return fresh

    def _record(self, found: Sequence[Event] | None) -> None:
        for event in found or ():
            self._seen.add(event.id)
            self._pending.append(event)
            if event.stack_id == self._start.stack_id:
                self._began = event.time if self._began is None else min(self._began, event.time)
                if event.is_stack_itself:
                    self.ended = is_terminal(event.status)
            if event.is_nested_stack and (nested_id := event.nested_id):
                known = self._nested.setdefault(nested_id, _Nested((*event.path, event.logical_id)))
                known.active = not is_terminal(event.status)
                known.unread = True

    def _drain(self) -> list[Event]:
        batch, self._pending = sorted(self._pending, key=lambda event: event.time), []
        return batch

    def _record_deletion(self, stack_id: str) -> None:
        if stack_id == self._start.stack_id:
            self.ended = True
        elif stack_id in self._nested:
            self._nested[stack_id].active = False

    def _is_terminal(self) -> bool:
        try:
            return is_terminal(events.read_status(self._client, self._start.stack_id))
        except (ClientError, BotoCoreError) as error:
            if is_transient(error):
                return False
            raise
