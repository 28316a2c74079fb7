"""Recorder of operations while they run."""

from __future__ import annotations

import re
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
_MIGRATION = "Custom::Migration"
# lambda/migration names the log stream <prefix>/<container>/<task> in the reason of its failure.
_STREAM_OF_TASK = re.compile(r"stream \S+/(?P<task>[0-9a-f-]{32,36}) in ")
# Interval for reading a service in deployment, in seconds. ECS keeps stopped tasks for an hour; a rollback deletes
# them earlier.
_EVERY = 10.0


@dataclass
class _Entry:
    """One operation in the summary, and its resources by name and action."""

    operation: Operation
    data: dict[str, Any]
    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


class Recorder:
    """Recorder of one run. External failures are not raised: a full disk must not stop a deployment."""

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
        # A first deployment may update the root twice: without a service whose first update failed.
        self._entries: list[_Entry] = []
        self._samples: dict[str, Sample] = {}
        self._active: dict[str, tuple[Operation, datetime]] = {}
        self._sampled_at = float("-inf")
        self._observers: dict[str, ServiceObserver] = {}
        # The reason why recording has stopped. Empty while it works.
        self.trouble = ""

    @property
    def directory(self) -> Path | None:
        """The directory of the record. None before the first event."""
        return self._run.directory if self._run else None

    @property
    def services(self) -> dict[str, Any]:
        """The recorded state of each service, redacted."""
        return {name: redact_all(sample.as_data()) for name, sample in self._samples.items()}

    def note(self, operation: Operation, batch: Sequence[Event]) -> None:
        """Record the events of one poll, and read the services in deployment if their interval has passed."""
        if batch:
            self._write_safely(lambda: self._write(operation, batch))
        for event in batch:
            self._record_migration(operation, event)
        urgent = any(self._track(operation, event) for event in batch)
        if self._active and (urgent or self._clock() - self._sampled_at >= _EVERY):
            self._sample_services()

    def end(self, operation: Operation, status: str) -> None:
        """Record that an operation has ended or is not monitored any longer."""
        for name in [name for name, (other, _) in self._active.items() if other is operation]:
            del self._active[name]

        def finish() -> None:
            entry = self._entry(operation).data
            entry["status"] = status
            diagnosis = rootcause.diagnose(operation.events)
            entry["diagnosis"] = report.diagnosis_as_data(diagnosis) if diagnosis else None
            self._save()

        self._write_safely(finish)

    def close(self, result: str) -> None:
        """Record the result of the run: succeeded, failed, detached or cancelled."""
        if self._run is None:
            return
        summary = self._run.summary
        summary["result"], summary["ended"] = result, format_time(self._now())
        self._write_safely(self._save)

    def _write_safely(self, write: Callable[[], None]) -> None:
        if self.trouble:
            return
        try:
            write()
        except OSError as error:
            self.trouble = f"recording has stopped: {error}"

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
        entry = next((one for one in self._entries if one.operation is operation), None)
        if entry is None:
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
            entry = _Entry(operation, data)
            self._entries.append(entry)
            self._run.summary["operations"].append(data)
        return entry

    def _write(self, operation: Operation, batch: Sequence[Event]) -> None:
        entry = self._entry(operation)
        for event in batch:
            _record_event(entry, operation, event)
        assert self._run is not None  # noqa: S101 - created by _entry
        self._run.append(_as_line(operation, event) for event in batch)
        self._save()

    def _save(self) -> None:
        if self._run is None:
            return
        self._run.save()
        if self._samples:
            self._run.services(self.services)

    def _track(self, operation: Operation, event: Event) -> bool:
        """Update the list of services in deployment. Return whether a service must be read now."""
        if event.resource_type == _SERVICE and ":service/" in event.physical_id:
            if is_terminal(event.status):
                # Read the service once more: the final state is the most important one.
                known = self._active.get(event.name)
                if known is not None and event.failed:
                    self._sample_services()
                self._active.pop(event.name, None)
            elif not event.status.startswith("DELETE") and event.name not in self._active:
                self._active[event.name] = (operation, event.time)
                self._samples.setdefault(event.name, Sample(event.physical_id)).arn = event.physical_id
                return True
        return event.failed and bool(self._active)

    def _record_migration(self, operation: Operation, event: Event) -> None:
        """Read the task of a failed migration: the rollback of a first deployment deletes its log group."""
        found = _STREAM_OF_TASK.search(event.reason) if event.resource_type == _MIGRATION and event.failed else None
        if found is None or event.name in self._samples:
            return
        # The cluster has the name of the root stack.
        sample = self._samples[event.name] = Sample(f":service/{operation.stack.name}/{event.logical_id}")
        self._observer(operation.stack.region).sample_task(sample, found["task"])
        self._write_safely(self._save)

    def _sample_services(self) -> None:
        for name, (operation, since) in self._active.items():
            self._observer(operation.stack.region).sample(self._samples[name], since)
        # The interval begins after the answers, so that slow answers are not requested continuously.
        self._sampled_at = self._clock()
        self._write_safely(self._save)

    def _observer(self, region: str) -> ServiceObserver:
        if region not in self._observers:
            self._observers[region] = ServiceObserver(self._context.clients, region, self._now)
        return self._observers[region]


def _record_event(entry: _Entry, operation: Operation, event: Event) -> None:
    """Record the start and end of a resource."""
    if event.is_stack_itself:
        if event.stack_id == operation.stack_id:
            _record_times(entry.data, event)
        return
    # The action of this event only: the rollback of an update is a separate update.
    action = event.status.partition("_")[0].lower()
    key = (event.name, action)
    if key not in entry.resources:
        resource: dict[str, Any] = {"name": event.name, "type": event.resource_type, "action": action}
        resource |= {"status": "", "began": None, "ended": None, "seconds": None}
        entry.resources[key] = resource
        entry.data["resources"].append(resource)
    _record_times(entry.resources[key], event)


def _record_times(data: dict[str, Any], event: Event) -> None:
    data["status"] = event.status
    data["began"] = data["began"] or format_time(event.time)
    if is_terminal(event.status):
        data["ended"] = format_time(event.time)
        began = datetime.fromisoformat(data["began"])
        data["seconds"] = round(max(0.0, (event.time - began).total_seconds()), 3)
    else:
        data["ended"] = data["seconds"] = None


def _as_line(operation: Operation, event: Event) -> dict[str, Any]:
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
