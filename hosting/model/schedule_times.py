"""Times of a schedule of EventBridge Scheduler (User Guide, "Schedule types in EventBridge Scheduler")."""

from __future__ import annotations

import calendar
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
# Sunday is 1.
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
# A 29 February is at most eight years away.
_HORIZON_DAYS = 8 * 366 + 1


def find_next_time(expression: str, timezone: str, after: datetime) -> datetime | None:
    """Return the next time of a cron expression in UTC.

    None if it has no further time, and for the rest: a rate counts from a moment that Scheduler does not show, and of
    the days L, W and # are not computed.
    """
    fields = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", expression)
    if fields is None or re.search(r"[LW#]", re.sub(r"[A-Z]{3}", "", f"{fields[3]} {fields[5]}")):
        return None
    zone = ZoneInfo(timezone)
    start = after.astimezone(zone)
    minutes, hours = _numbers(fields[1], 0, 59), _numbers(fields[2], 0, 23)
    for number in range(_HORIZON_DAYS):
        day = start.date() + timedelta(days=number)
        if not _is_day(day, *fields.groups()[2:]):
            continue
        for hour, minute in itertools.product(hours, minutes):
            time = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
            if time > after:
                return time
    return None


def _is_day(day: date, days: str, months: str, weekdays: str, years: str) -> bool:
    return (
        day.year in _numbers(years, 1970, 2199)
        and day.month in _numbers(months, 1, 12, _MONTHS)
        and day.day in _numbers(days, 1, 31)
        and day.isoweekday() % 7 + 1 in _numbers(weekdays, 1, 7, _DAYS)
    )


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> list[int]:
    return sorted(set(_parts(field, low, high, names or {})))


def _parts(field: str, low: int, high: int, names: dict[str, int]) -> Iterator[int]:
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin = low if first in ("*", "?") else names.get(first) or int(first)
        end = (names.get(last) or int(last)) if last else high if first in ("*", "?") or step else begin
        yield from range(begin, end + 1, int(step or 1))
