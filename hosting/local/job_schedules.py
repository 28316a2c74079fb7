"""The schedules of jobs on this machine: which jobs are due."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hosting.model.schedule_times import find_next_time

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True)
class JobSchedule:
    """The schedule of a job: an expression of EventBridge Scheduler, and the name of its time zone."""

    expression: str
    timezone: str

    def find_next(self, after: datetime) -> datetime | None:
        """Return the next time. A rate counts from ``after``. None if there is none, or for the days L, W and #."""
        rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", self.expression)
        if rate:
            return after + int(rate[1]) * _UNITS[rate[2]]
        return find_next_time(self.expression, self.timezone, after)


@dataclass
class JobSchedules:
    """The next start of each job."""

    schedules: Mapping[str, JobSchedule]
    now: datetime
    _next: dict[str, datetime | None] = field(init=False)

    def __post_init__(self) -> None:
        self._next = {name: schedule.find_next(self.now) for name, schedule in self.schedules.items()}

    @property
    def next_times(self) -> dict[str, datetime | None]:
        """Return the next start of each job; None if it is not computed."""
        return dict(self._next)

    def take_due(self, now: datetime) -> Iterator[str]:
        """Yield the jobs whose time has come, each once. A time that passed while this machine slept counts once."""
        for name, moment in self._next.items():
            if moment is not None and moment <= now:
                self._next[name] = self.schedules[name].find_next(now)
                yield name
