"""Incidents: the consecutive alarms of one CloudWatch alarm, read from CloudWatch's own history.

The function has no state of its own. The history shows whether a change begins an incident, continues it or ends it,
and whether the alarm flaps.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger()

# An alarm that returns within this time belongs to the same incident. A flapping alarm is stable after it.
QUIET = timedelta(minutes=30)
# From this alarm of an incident on, the alarm flaps: its changes are not reported until it is stable.
FLAPPING = 3
_TYPES = ["MetricAlarm", "CompositeAlarm"]  # Without them CloudWatch omits composite alarms.


@dataclass(frozen=True)
class Change:
    """One change of an alarm's state."""

    time: datetime
    state: str


@dataclass(frozen=True)
class Incident:
    """Consecutive alarms up to one change of state, with the number of changes to ALARM."""

    start: datetime
    changed: datetime
    alarms: int

    @property
    def is_flapping(self) -> bool:
        return self.alarms >= FLAPPING


def find_incident(changes: list[Change]) -> Incident | None:
    """Return the incident of the last change, or None if that change neither begins nor ends an alarm.

    CloudWatch reports the first evaluation of a new alarm as a change from INSUFFICIENT_DATA to OK.
    """
    definite = [change for change in changes if change.state != "INSUFFICIENT_DATA"]
    if not definite or [change.state for change in definite[-2:]] in (["OK"], ["OK", "OK"]):
        return None
    start, ended, alarms, before = definite[-1].time, None, 0, ""
    for change in definite:
        if change.state == "ALARM" and before != "ALARM":
            if ended is None or change.time - ended > QUIET:
                start, alarms = change.time, 0
            alarms += 1
        elif change.state == "OK" and before == "ALARM":
            ended = change.time
        before = change.state
    return Incident(start, definite[-1].time, alarms)


def read_changes(cloudwatch: Any, name: str) -> list[Change]:
    """Return the newest changes of an alarm's state, the oldest first."""
    answer = cloudwatch.describe_alarm_history(
        AlarmName=name, AlarmTypes=_TYPES, HistoryItemType="StateUpdate", ScanBy="TimestampDescending", MaxRecords=100
    )
    changes = [
        Change(_utc(item["Timestamp"]), json.loads(item["HistoryData"])["newState"]["stateValue"])
        for item in answer["AlarmHistoryItems"]
    ]
    return changes[::-1]


def incident_of_message(client: Callable[[str], Any], arn: str, name: str, state: str, time: str) -> Incident | None:
    """Return the incident of an alarm's message. Raises UnknownHistoryError if CloudWatch does not answer."""
    changed = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)
    try:
        changes = read_changes(client(arn.split(":")[3]), name)
    except (ClientError, BotoCoreError) as error:
        raise UnknownHistoryError(str(error)) from error
    # Periods of alarms are at least ten seconds, so a second separates this change from the next one.
    earlier = [change for change in changes if change.time <= changed + timedelta(seconds=1)]
    if earlier and earlier[-1].state == state:
        earlier.pop()  # The history already contains this change.
    return find_incident([*earlier, Change(changed, state)])


class UnknownHistoryError(Exception):
    """CloudWatch refused the history of an alarm, or did not answer."""


def stable_alarms(
    cloudwatch: Any, prefix: str, now: datetime, interval: timedelta
) -> Iterator[tuple[dict[str, Any], Incident]]:
    """Yield the alarms that flapped and became stable within the last interval, with their incidents."""
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix, AlarmTypes=_TYPES)
    for page in pages:
        for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]:
            # A change of the reason also updates this time, so that it is never earlier than the change of state.
            if _utc(alarm["StateUpdatedTimestamp"]) < now - QUIET - interval:
                continue
            changes = read_changes(cloudwatch, alarm["AlarmName"])
            incident = find_incident(changes)
            if incident and incident.is_flapping and now - QUIET - interval < incident.changed <= now - QUIET:
                yield alarm, incident


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
