"""Durations of creating a resource: measured here, otherwise typical with a source, otherwise assumed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("durations.json")
ASSUMED = "assumed"


@dataclass(frozen=True)
class Duration:
    seconds: float
    source: str


@dataclass(frozen=True)
class Durations:
    """``measured`` is by stack of the chain and name, "DatabaseStack/Cluster"; ``by_type`` is the median of those."""

    typical: Mapping[str, Duration]
    assumed: Duration
    measured: Mapping[tuple[str, str], float] = field(default_factory=dict)
    by_type: Mapping[str, float] = field(default_factory=dict)
    run: str = ""

    def for_resource(self, top: str, name: str, kind: str) -> Duration:
        if (top, name) in self.measured:
            return Duration(self.measured[top, name], f"measured in {self.run}")
        if kind in self.by_type:
            return Duration(self.by_type[kind], f"measured in {self.run}, others of its type")
        return self.typical.get(kind, self.assumed)


@cache
def load_typical_durations() -> Durations:
    """Return the bundled durations."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    rows = {kind: Duration(row["seconds"], row["source"]) for kind, row in table["types"].items()}
    return Durations(rows, Duration(table["assumed"], ASSUMED))


def load_measured_durations(root: Path, environment: str) -> Durations:
    """Return typical durations, replaced by those of the last recorded first deployment.

    A deployment of the same environment is preferred. Records of rehearsals are ignored: an emulator takes no time.
    """
    base = load_typical_durations()
    found = list(_creations(root))
    own = [one for one in found if one[1] == environment] or found
    if not own:
        return base
    name, _, resources = own[0]
    kinds: dict[str, list[float]] = {}
    for kind, seconds in resources.values():
        kinds.setdefault(kind, []).append(seconds)
    kinds.pop("AWS::CloudFormation::Stack", None)
    return Durations(
        base.typical,
        base.assumed,
        {key: seconds for key, (_, seconds) in resources.items()},
        {kind: statistics.median(seconds) for kind, seconds in kinds.items()},
        name,
    )


_Resources = dict[tuple[str, str], tuple[str, float]]


def _creations(root: Path) -> Iterator[tuple[str, str, _Resources]]:
    """Yield run, environment and resources of every recorded deployment that created a database, newest first."""
    for file in sorted((root / "runs").glob("*/summary.json"), reverse=True):
        try:
            summary = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # a run that is being written
        if not isinstance(summary, dict) or summary.get("command") == "rehearse":
            continue
        resources: _Resources = {
            (str(operation.get("role")), str(one["name"])): (str(one["type"]), float(one["seconds"]))
            for operation in summary.get("operations", ())
            for one in operation.get("resources", ())
            if one.get("action") == "create" and one.get("seconds") is not None
        }
        if any(kind == "AWS::RDS::DBCluster" for kind, _ in resources.values()):
            yield str(summary.get("id")), str(summary.get("environment")), resources
