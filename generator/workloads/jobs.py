"""Jobs: the kind of workload that runs at the times of a schedule and ends."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass

from generator.errors import ConfigError
from generator.workloads.base import Workload
from generator.workloads.checks import check_range

# EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler".
_FIELDS = (
    ("minutes", 0, 59),
    ("hours", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 1, 7),
    ("year", 1970, 2199),
)
_NAMES = {
    **{name.upper(): str(number) for number, name in enumerate(calendar.month_abbr) if name},
    **{name: str(number) for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)},
}
# No schedule of this platform is older.
_FIRST_YEAR = 2026


@dataclass(frozen=True, kw_only=True)
class Job(Workload):
    """A task that EventBridge Scheduler starts at the times of ``schedule``, such as "cron(0 18 * * ? *)".

    ``timezone`` is a name of the IANA database. Scheduler tries a start up to ``retries`` times again if ECS refuses
    it, and then sends it to a queue with an alarm. It does not repeat a task that failed. The root parameter
    ``<Name>Enabled`` switches the schedule off in an environment.
    """

    schedule: str
    timezone: str = "UTC"
    retries: int = 3

    kind = "job"

    def check(self) -> None:
        """Raise ConfigError if the job cannot run or is never started. Every field must have a value."""
        super().check()
        where = f"{self.kind} {self.name}"
        check_schedule(self.schedule, where)
        check_range(where, "retries", self.retries, 0, 185)
        if not re.fullmatch(r"[A-Za-z]+([/_+-][A-Za-z0-9]+)*", self.timezone):
            raise ConfigError(f'{where}: timezone "{self.timezone}", give a name such as Asia/Tokyo')


def check_schedule(schedule: str, where: str) -> None:
    """Raise ConfigError if a schedule is not valid or never fires."""
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", schedule):
        if int(rate[1]) < 1 or (int(rate[1]) == 1) == bool(rate[3]):
            raise ConfigError(f'{where}: schedule "{schedule}", write rate(1 hour) or rate(2 hours)')
        return
    cron = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", schedule)
    if not cron:
        raise ConfigError(f'{where}: schedule "{schedule}", give cron(0 18 * * ? *) or rate(1 hour)')
    values = [
        _numbers(text, low, high, f'{where}: schedule "{schedule}": {name} "{text}"')
        for text, (name, low, high) in zip(cron.groups(), _FIELDS, strict=True)
    ]
    if (cron[3] == "?") == (cron[5] == "?"):
        raise ConfigError(f'{where}: schedule "{schedule}": one of day of month and day of week has to be "?"')
    _, _, days, months, _, years = values
    years = years and {year for year in years if year >= _FIRST_YEAR}
    longest = {month: 31 if month in (1, 3, 5, 7, 8, 10, 12) else 30 for month in range(1, 13)}
    leap = years is None or any(calendar.isleap(year) for year in years)
    longest[2] = 29 if leap else 28
    has_date = not days or any(min(days) <= longest[month] for month in months or longest)
    if years == set() or not has_date:
        raise ConfigError(f'{where}: schedule "{schedule}" never fires: there is no such date')


def _numbers(text: str, low: int, high: int, where: str) -> set[int] | None:
    """Return the numbers of a field, or None if it is not limited to some. Raises ConfigError if it is not valid."""
    if text in ("*", "?"):
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        if low == 1 and re.fullmatch(r"L|LW|\d{1,2}W|[1-7]L|[1-7]#[1-5]|L-\d{1,2}", part):
            return None
        numbers |= set(_range(part, low, high, where))
    return numbers


def _range(part: str, low: int, high: int, where: str) -> Iterator[int]:
    named = re.sub(r"[A-Z]{3}", lambda name: _NAMES.get(name[0], name[0]), part.upper())
    match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", named)
    if not match:
        raise ConfigError(f"{where} is not valid")
    first = int(match[1]) if match[1] else low
    last = int(match[2]) if match[2] else high if match[3] or not match[1] else first
    step = int(match[3] or 1)
    if not (low <= first <= last <= high and step >= 1):
        raise ConfigError(f"{where} is not valid: give {low} to {high}")
    yield from range(first, last + 1, step)
