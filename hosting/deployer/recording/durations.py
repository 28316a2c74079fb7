"""How long things took in earlier runs, and what that says about the one that is running."""

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
    """Seconds that each resource took when the same was last done to it, and when it was done, from the start."""

    total: float
    # Name and action -> seconds from the start of the operation to its end.
    ends: Mapping[tuple[str, str], float] = field(default_factory=dict)
    seconds: Mapping[tuple[str, str], float] = field(default_factory=dict)


def find_history(root: Path, role: str, verb: str, environment: str) -> History | None:
    """The last successful operation of this kind, of the same environment before another's."""
    newest = list(islice(runs.list_records(root), _RUNS))
    own = [record for record in newest if record.summary.get("environment") == environment]
    others = [record for record in newest if record.summary.get("environment") != environment]
    for record in [*own, *others]:
        if found := _read_history(record, role, verb):
            return found
    return None


def estimate_remaining(history: History, events: Iterable[Event], now: datetime) -> float | None:
    """Seconds until the end, as it went last time: what is finished now tells how far along we are.

    None when nothing in common has been seen, or when it takes longer than then.
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
    # Between two resources nothing runs that is known; the one that ended last says where we are.
    last = max(ended, key=lambda key: ended[key], default=None)
    if last is not None and last in history.ends:
        guesses.append(history.total - history.ends[last] - (now - ended[last]).total_seconds())
    # The path that takes longest decides when it is over.
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
