"""Records of runs, and their format, which other programs may read.

    runs/<id>/                  id: 20261122-213501-dev-deploy-3fa9; sorts by time
      summary.json              the operations; written at the start and after every step, so that a killed run
                                has one too
      events.ndjson             one JSON object in each line: every event of CloudFormation, in the order of its receipt
      ecs.json                  the state of services during their deployment; only if there are any

summary.json: {"schema": 1, "id", "command", "project", "environment", "region", "result", "began", "ended",
  "operations": [{"stack", "region", "role", "verb", "stack_id", "status", "began", "ended", "seconds",
    "resources": [{"name": "DatabaseStack/Cluster", "type", "action": "create" | "update" | "delete" | ...,
      "status", "began", "ended", "seconds"}],
    "diagnosis": null or {"first": {...}, "chain": [...], "others": [...], "cancelled", "rollback": [...]}}]}
  `result` is running, succeeded, failed, detached or cancelled. Times are ISO 8601 in UTC, as AWS reports them.
  `ended` and `seconds` are null for resources in progress. Nested stacks are resources too.

events.ndjson: {"schema": 1, "stack", "region", "resource", "type", "status", "reason", "physical_id", "time"}
  `resource` is the path in the tree. It is empty for the stack itself.

ecs.json: {"schema": 1, "services": {<name of the resource>: see `tasks.Sample`}}

Values that look like secrets are redacted before they are written. Directories have mode 0700.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hosting.deployer.errors import DeployerError
from hosting.model.lambda_shared.redact import redact

SCHEMA = 1
_ID = re.compile(r"\d{8}-\d{6}-[\w.-]+-[0-9a-f]{4}")


@dataclass
class RecordedRun:
    """Run that is being recorded. Each write leaves a complete file."""

    directory: Path
    summary: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, root: Path, *, command: str, project: str, environment: str, region: str, now: datetime
    ) -> RecordedRun:
        """Create the directory of a run and write its first summary."""
        identity = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{environment}-{command}-{secrets.token_hex(2)}"
        directory = root / "runs" / identity
        directory.mkdir(parents=True, mode=0o700)
        summary = {
            "schema": SCHEMA,
            "id": identity,
            "command": command,
            "project": project,
            "environment": environment,
            "region": region,
            "result": "running",
            "began": format_time(now),
            "ended": None,
            "operations": [],
        }
        run = cls(directory, summary)
        run.save()
        return run

    def save(self) -> None:
        _write(self.directory / "summary.json", self.summary)

    def append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        with _private(self.directory / "events.ndjson", os.O_APPEND) as file:
            for line in lines:
                file.write(json.dumps(redact_all(line), ensure_ascii=True) + "\n")

    def services(self, found: Mapping[str, Any]) -> None:
        _write(self.directory / "ecs.json", {"schema": SCHEMA, "services": found})


@dataclass(frozen=True)
class Record:
    """Recorded run."""

    directory: Path
    summary: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.summary["id"])

    @property
    def operations(self) -> list[Mapping[str, Any]]:
        return list(self.summary.get("operations", ()))

    @property
    def services(self) -> Mapping[str, Any]:
        try:
            found = json.loads((self.directory / "ecs.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return dict(found.get("services", {}))

    def events(self) -> Iterator[Mapping[str, Any]]:
        """Yield the recorded events. The last line of a killed run may be incomplete and is left out."""
        try:
            lines = (self.directory / "events.ndjson").read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                return  # the last line of a run that was killed while it wrote


def list_records(root: Path, environment: str | None = None) -> Iterator[Record]:
    """Yield the readable records, newest first."""
    directory = root / "runs"
    found = sorted((path for path in directory.glob("*") if _ID.fullmatch(path.name)), reverse=True)
    for path in found:
        try:
            record = read_record(path)
        except DeployerError:
            continue  # a run that has just started, or one of a later format
        if environment is None or record.summary.get("environment") == environment:
            yield record


def find_record(root: Path, name: str) -> Record:
    """Return a record by its id, a unique part of its id, or its directory."""
    if (path := Path(name)).is_dir():
        return read_record(path)
    found = [record for record in list_records(root) if name in record.id]
    exact = [record for record in found if record.id == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    what = f"{len(found)} runs match {name}" if found else f"run {name} does not exist"
    known = ", ".join(record.id for record in [*(found or list_records(root))][:5])
    raise DeployerError(what, where=str(root / "runs"), hint=f"known: {known}" if known else "no run is recorded")


def read_record(path: Path) -> Record:
    try:
        summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeployerError("is not a record of a run", where=str(path)) from error
    if not isinstance(summary, dict) or summary.get("schema") != SCHEMA or not isinstance(summary.get("id"), str):
        raise DeployerError(f"is not a record of a run in format {SCHEMA}", where=str(path))
    return Record(path, summary)


def format_time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write(path: Path, data: Any) -> None:
    temporary = path.with_suffix(".new")
    with _private(temporary, os.O_TRUNC) as file:
        json.dump(redact_all(data), file, indent=1, ensure_ascii=True)
        file.write("\n")
    temporary.replace(path)


def _private(path: Path, how: int) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "w", encoding="utf-8")


def redact_all(data: Any) -> Any:
    """Return the data with values redacted that look like secrets. Output is redacted too: build logs are public."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, Mapping):
        return {key: redact_all(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [redact_all(value) for value in data]
    return data
