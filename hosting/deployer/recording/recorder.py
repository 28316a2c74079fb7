"""Records operations while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hosting.deployer.aws.statuses import is_terminal
from hosting.deployer.context import Context
from hosting.deployer.events import Event
from hosting.deployer.failures import report, rootcause
from hosting.deployer.operations import Operation
from hosting.deployer.recording.runs import RecordedRun, format_time, redact_all
from hosting.deployer.recording.tasks import Sample, ServiceObserver

_SERVICE = "AWS::ECS::Service"
# How often a service that is being deployed is looked at. ECS keeps stopped tasks for an hour, a rollback less.
_EVERY = 10.0


@dataclass
class _Entry:
    """One operation in the summary, and its resources by name and action."""

    data: dict[str, Any]
    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


class Recorder:
    """One run. Nothing here raises for reasons outside this program: a full disk must not stop a deployment."""

    def __init__(
        self,
        context: Context,
        root: Path,
        command: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._context = context
        self._root = root
        self._command = command
        self._clock = clock
        self._now = now
        self._run: RecordedRun | None = None
        self._entries: dict[str, _Entry] = {}
        self._samples: dict[str, Sample] = {}
        self._active: dict[str, tuple[Operation, datetime]] = {}
        self._looked = float("-inf")
        self._observers: dict[str, ServiceObserver] = {}
        # Why nothing more is written, when it is so.
        self.trouble = ""

    @property
    def directory(self) -> Path | None:
        """Where it is written; nothing is until the first event."""
        return self._run.directory if self._run else None

    @property
    def services(self) -> dict[str, Any]:
        """What ECS said, by service, as it may be shown and written."""
        return {name: redact_all(sample.as_data()) for name, sample in self._samples.items()}

    def note(self, operation: Operation, batch: Sequence[Event]) -> None:
        """Write down a round of an operation, and look at the services in it when it is time to."""
        if batch:
            self._guarded(lambda: self._write(operation, batch))
        urgent = any(self._track(operation, event) for event in batch)
        if self._active and (urgent or self._clock() - self._looked >= _EVERY):
            self._look()

    def end(self, operation: Operation, status: str) -> None:
        """The operation has ended, or is not followed any more."""
        for name in [name for name, (other, _) in self._active.items() if other is operation]:
            del self._active[name]

        def finish() -> None:
            entry = self._entry(operation).data
            entry["status"] = status
            diagnosis = rootcause.diagnose(operation.events)
            entry["diagnosis"] = report.diagnosis_as_data(diagnosis) if diagnosis else None
            self._save()

        self._guarded(finish)

    def close(self, result: str) -> None:
        """The run is over: succeeded, failed, detached or cancelled."""
        if self._run is None:
            return
        summary = self._run.summary
        summary["result"], summary["ended"] = result, format_time(self._now())
        self._guarded(self._save)

    def _guarded(self, write: Callable[[], None]) -> None:
        if self.trouble:
            return
        try:
            write()
        except OSError as error:
            self.trouble = f"nothing more is recorded: {error}"

    def _entry(self, operation: Operation) -> _Entry:
        if self._run is None:
            environment = self._context.environment
            self._run = RecordedRun.begin(
                self._root,
                command=self._command,
                project=environment.project,
                environment=environment.name,
                region=self._context.home,
                now=self._now(),
            )
        key = f"{operation.stack_id} {operation.verb}"
        if key not in self._entries:
            data: dict[str, Any] = {
                "stack": operation.stack.name,
                "region": operation.stack.region,
                "role": str(operation.stack.role),
                "verb": operation.verb,
                "stack_id": operation.stack_id,
                "status": "",
                "began": None,
                "ended": None,
                "seconds": None,
                "resources": [],
                "diagnosis": None,
            }
            self._entries[key] = _Entry(data)
            self._run.summary["operations"].append(data)
        return self._entries[key]

    def _write(self, operation: Operation, batch: Sequence[Event]) -> None:
        entry = self._entry(operation)
        for event in batch:
            _count(entry, operation, event)
        assert self._run is not None  # noqa: S101 - made by _entry
        self._run.append(_line(operation, event) for event in batch)
        self._save()

    def _save(self) -> None:
        if self._run is None:
            return
        self._run.save()
        if self._samples:
            self._run.services(self.services)

    def _track(self, operation: Operation, event: Event) -> bool:
        """Keep the list of services being deployed; whether one has to be looked at before it is too late."""
        if event.resource_type == _SERVICE and ":service/" in event.physical_id:
            if is_terminal(event.status):
                # Once more: what it says at its end is what counts.
                known = self._active.get(event.name)
                if known is not None and event.failed:
                    self._look()
                self._active.pop(event.name, None)
            elif not event.status.startswith("DELETE") and event.name not in self._active:
                self._active[event.name] = (operation, event.time)
                self._samples.setdefault(event.name, Sample(event.physical_id)).arn = event.physical_id
                return True
        return event.failed and bool(self._active)

    def _look(self) -> None:
        for name, (operation, since) in self._active.items():
            self._observer(operation.stack.region).look(self._samples[name], since)
        # Counted from when the answers are there: slow answers must not be asked for all the time.
        self._looked = self._clock()
        self._guarded(self._save)

    def _observer(self, region: str) -> ServiceObserver:
        if region not in self._observers:
            self._observers[region] = ServiceObserver(self._context.clients, region, self._now)
        return self._observers[region]


def _count(entry: _Entry, operation: Operation, event: Event) -> None:
    """Keep when each resource began and ended."""
    if event.is_stack_itself:
        if event.stack_id == operation.stack_id:
            _spend(entry.data, event)
        return
    # Strictly what happens to it: a rollback of an update is an update of its own.
    action = event.status.partition("_")[0].lower()
    key = (event.name, action)
    if key not in entry.resources:
        resource: dict[str, Any] = {"name": event.name, "type": event.resource_type, "action": action}
        resource |= {"status": "", "began": None, "ended": None, "seconds": None}
        entry.resources[key] = resource
        entry.data["resources"].append(resource)
    _spend(entry.resources[key], event)


def _spend(data: dict[str, Any], event: Event) -> None:
    data["status"] = event.status
    data["began"] = data["began"] or format_time(event.time)
    if is_terminal(event.status):
        data["ended"] = format_time(event.time)
        began = datetime.fromisoformat(data["began"])
        data["seconds"] = round(max(0.0, (event.time - began).total_seconds()), 3)
    else:
        data["ended"] = data["seconds"] = None


def _line(operation: Operation, event: Event) -> dict[str, Any]:
    return {
        "schema": 1,
        "stack": operation.stack.name,
        "region": operation.stack.region,
        "resource": "" if event.is_stack_itself and not event.path else event.name,
        "type": event.resource_type,
        "status": event.status,
        "reason": event.reason,
        "physical_id": event.physical_id,
        "time": format_time(event.time),
    }
