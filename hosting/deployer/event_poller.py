"""Follows one operation of a stack through all its nested stacks, until it ends.

Only nested stacks that are being worked on are asked, a few at a time, and the pause between rounds follows
what happens: short while events come, longer while nothing does, longest when AWS asks for patience. A question
that gets no answer is asked again in the next round; the operation itself does not depend on us.
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

_AT_ONCE = 4
# How often the stack must be found at rest, without any news, before we believe that the event which says
# so will not come. Both reads are eventually consistent, and the first event takes longest.
_PATIENCE = 8
_PATIENCE_AT_FIRST = 20
# How often in a row it must be found so: it may have come to rest a moment after its events were read.
_RESTS = 2
# How many rounds in a row may get no answer at all: about ten minutes, with the SDK's own repetitions.
_WITHOUT_ANSWER = 20
# After the end, for nested stacks whose last events were not to be had.
_LAST_TRIES = 3


@dataclass
class PollDelay:
    """How long to wait before the next round."""

    jitter: Callable[[float, float], float] = random.uniform
    floor: float = 0.2
    delay: float = 0.2

    # A short operation is over before it is asked seldom; a long one is not asked more than once a second.
    _FASTEST = 0.2
    _STEADY = 1.0
    _IDLE = 5.0
    _THROTTLED = 30.0

    def after(self, *, news: bool, trouble: bool) -> float:
        self.floor = min(self.floor * 1.15, self._STEADY)
        if trouble:
            self.delay = min(max(self.delay * 2, self._STEADY), self._THROTTLED)
        elif news:
            self.delay = self.floor
        else:
            self.delay = min(max(self.delay * 1.5, self.floor), max(self._IDLE, self.floor))
        # Jitter, so that several deployers of one account do not ask in step.
        return self.delay * self.jitter(0.8, 1.2)


@dataclass
class _Nested:
    path: tuple[str, ...]
    # Whether its parent says that something is happening in it.
    active: bool = True
    # Whether its parent has said something since it was last read: the last word comes with its last events.
    unread: bool = True


class StackEventPoller:
    """The operation's events in rounds, oldest first, until it ends.

    A round may be empty: it tells the caller that time has passed, for a clock or a sign of life. Iterating can
    be broken off, by Ctrl-C say, and taken up again: nothing is lost and nothing comes twice.
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
        self._trouble: Exception | None = None
        self.ended = False

    def __iter__(self) -> Iterator[Sequence[Event]]:
        quiet = unanswered = rests = 0
        while not self.ended:
            self._round()
            if self.ended:
                break
            batch = self._take()
            unanswered = unanswered + 1 if self._trouble and not batch else 0
            if self._trouble and unanswered >= _WITHOUT_ANSWER:
                raise self._trouble
            quiet = 0 if batch or self._trouble else quiet + 1
            yield batch
            patient = quiet >= (_PATIENCE if self._began else _PATIENCE_AT_FIRST)
            rests = rests + 1 if patient and self._is_at_rest() else 0
            if rests >= _RESTS:
                self.ended = True
                return
            self._sleep(self._pace.after(news=bool(batch), trouble=self._trouble is not None))
        # The end may have come while the nested stacks were being read: their last events belong before it.
        for _ in range(_LAST_TRIES):
            self._round(everything=True)
            if not self._trouble:
                break
            self._sleep(self._pace.after(news=False, trouble=True))
        yield self._take()

    def _round(self, *, everything: bool = False) -> None:
        self._trouble = None
        self._note(self._read(self._start.stack_id))
        # A nested stack that starts in this round is read in this round, and so are those in it.
        asked: set[str] = set()
        while waiting := [
            stack_id
            for stack_id, nested in self._nested.items()
            if stack_id not in asked and (nested.active or nested.unread or everything)
        ]:
            asked.update(waiting)
            # Whatever the parent says from here on is to be followed up by another reading.
            for stack_id in waiting:
                self._nested[stack_id].unread = False
            with ThreadPoolExecutor(min(_AT_ONCE, len(waiting))) as pool:
                for stack_id, found in zip(waiting, pool.map(self._read, waiting), strict=True):
                    if found is None:
                        self._nested[stack_id].unread = True
                    self._note(found)

    def _read(self, stack_id: str) -> list[Event] | None:
        """The events of one stack that have not been seen, oldest first; None when there was no answer."""
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
                self._gone(stack_id)
                return []
            if not is_transient(error):
                raise
            self._trouble = error
            return None
        return found[::-1]

    def _fresh(self, page: Sequence[Any], path: tuple[str, ...]) -> list[Event]:
        """The new ones of a page, which is newest first: the first known or older one ends it."""
        fresh: list[Event] = []
        for item in page:
            event = events.parse_event(item, path)
            older = self._began is not None and bool(path) and event.time < self._began
            if event.id == self._start.event_id or event.id in self._seen or older:
                break
            fresh.append(event)
        return fresh

    def _note(self, found: Sequence[Event] | None) -> None:
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

    def _take(self) -> list[Event]:
        batch, self._pending = sorted(self._pending, key=lambda event: event.time), []
        return batch

    def _gone(self, stack_id: str) -> None:
        if stack_id == self._start.stack_id:
            self.ended = True
        elif stack_id in self._nested:
            self._nested[stack_id].active = False

    def _is_at_rest(self) -> bool:
        try:
            return is_terminal(events.read_status(self._client, self._start.stack_id))
        except (ClientError, BotoCoreError) as error:
            if is_transient(error):
                return False
            raise
