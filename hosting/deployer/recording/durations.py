"""Durations of earlier runs, and the estimate of the remaining time that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from hosting.deployer.aws.statuses import is_good, is_terminal
from hosting.deployer.events import Event
from hosting.deployer.recording import runs
from hosting.deployer.recording.runs import Record

_RUNS = 30


@dataclass(frozen=True)
class History:
    """Seconds of each resource in an earlier operation: its duration, and its end after the start of the operation."""

    total: float
    # Name and action -> seconds from the start of the operation to its end.
    ends: Mapping[tuple[str, str], float] = field(default_factory=dict)
    seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)


def find_history(root: Path, role: str, verb: str, environment: str) -> History | None:
    """Return the last successful operation of this role and verb. Runs of the same environment come first."""
    newest = list(islice(runs.list_records(root), _RUNS))
    own = [record for record in newest if record.summary.get("environment") == environment]
    others = [record for record in newest if record.summary.get("environment") != environment]
    for record in [*own, *others]:
        if found := _read_history(record, role, verb):
            return found
    return None


def estimate_remaining(history: History, events: Iterable[Event], now: datetime) -> float | None:
    """Return the remaining seconds, if the operation progresses as the earlier one did.

    Returns None if no resource of the earlier operation has been seen, or if the operation takes longer than the
    earlier one.
    """
    running: dict[tuple[str, str], datetime] = {}
    ended: dict[tuple[str, str], datetime] = {}
    for event in events:
        key = (event.name, event.status.partition("_")[0].lower())
        if event.is_stack_itself:
            continue
        if is_terminal(event.status):
            ended[key] = event.time
            running.pop(key, None)
        else:
            running.setdefault(key, event.time)
    guesses = [
        history.total - history.ends[key] + _left(history.seconds.get(key, 0.0), now, begun)
        for key, begun in running.items()
        if key in history.ends
    ]
    # Between two resources no known resource is in progress. The last one that ended shows the progress.
    last = max(ended, key=lambda key: ended[key], default=None)
    if last is not None and last in history.ends:
        guesses.append(history.total - history.ends[last] - (now - ended[last]).total_seconds())
    # The longest path determines the end.
    longest = max(guesses, default=0.0)
    return longest if longest > 0 else None


def _left(seconds: float, now: datetime, begun: datetime) -> float:
    return max(0.0, seconds - (now - begun).total_seconds())


def _read_history(record: Record, role: str, verb: str) -> History | None:
    for operation in record.operations:
        if operation.get("role") != role or operation.get("verb") != verb or not operation.get("seconds"):
            continue
        if not is_good(str(operation.get("status", ""))):
            continue
        began = datetime.fromisoformat(str(operation["began"]))
        done = [one for one in operation.get("resources", ()) if one.get("ended")]
        ends = {_key(one): (datetime.fromisoformat(one["ended"]) - began).total_seconds() for one in done}
        return History(float(operation["seconds"]), ends, {_key(one): float(one["seconds"]) for one in done})
    return None


def _key(resource: Mapping[str, Any]) -> tuple[str, str]:
    return str(resource["name"]), str(resource["action"])
