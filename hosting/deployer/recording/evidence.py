"""Evidence in the recorded tasks of a service for the cause of its failure. Reads only recorded data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hosting.deployer.failures import catalogue
from hosting.deployer.failures.signature import Match, Seen

_LINES = 8
# These texts report only a consequence, such as the end of a task after a failed health check.
_CONSEQUENCES = (
    "container-exited",
    "load-balancer-health",
    "container-health",
    "task-start-failed",
    "service-not-stable",
)


@dataclass(frozen=True)
class Evidence:
    """Likeliest cause of the failure of one service, and the lines that show it."""

    name: str
    match: Match | None
    lines: tuple[str, ...]


def collect_evidence(services: Mapping[str, Any]) -> list[Evidence]:
    """Return the evidence of each service that has any."""
    found = (explain_service(name, sample) for name, sample in services.items())
    return [one for one in found if one.lines]


def explain_service(name: str, sample: Mapping[str, Any]) -> Evidence:
    """Return the likeliest cause and the evidence of one recorded service."""
    texts = [text for task in sample.get("tasks", ()) for text in _texts(task)]
    texts += [str(event["message"]) for event in sample.get("events", ())]
    texts += [f"{one['reason']} {one['description']}" for one in sample.get("targets", ())]
    found = [match for text in texts if (match := catalogue.classify(text, seen=Seen.TASK))]
    # The most frequent match wins. A reason wins over its consequence.
    ranked = sorted(
        Counter(match.name for match in found).items(), key=lambda item: (item[0] in _CONSEQUENCES, -item[1])
    )
    best = next((match for match in found if ranked and match.name == ranked[0][0]), None)
    return Evidence(name, best, tuple(_lines(sample)))


def _texts(task: Mapping[str, Any]) -> Iterator[str]:
    yield str(task.get("reason", ""))
    for container in task.get("containers", ()):
        yield str(container.get("reason", ""))
        yield from map(str, container.get("lines", ()))


def _lines(sample: Mapping[str, Any]) -> Iterator[str]:
    tasks = list(sample.get("tasks", ()))
    if tasks:
        # The last task represents all: a service repeats the same failure.
        last = tasks[-1]
        yield f"{len(tasks)} stopped {'task' if len(tasks) == 1 else 'tasks'}, the last: {last['id']}"
        yield f"  {last['code']}: {last['reason']}" if last.get("code") else f"  {last['reason']}"
        for container in last["containers"]:
            yield from _container(container)
    for one in sample.get("targets", ()):
        details = " ".join(filter(None, (one["reason"], one["description"])))
        yield f"target {one['target']}:{one['port']} is {one['state']}: {details}".rstrip(": ")
    if not tasks:
        yield from (str(event["message"]) for event in list(sample.get("events", ()))[-3:])


def _container(container: Mapping[str, Any]) -> Iterator[str]:
    if container["exit"] is None and not container["reason"] and not container["lines"]:
        return
    code = "did not run" if container["exit"] is None else f"exit code {container['exit']}"
    yield f"  {container['name']}: {code}" + (f", {container['reason']}" if container["reason"] else "")
    if container["lines"]:
        yield f"    last lines of {container['log_group']}:"
        yield from (f"    | {line}" for line in container["lines"][-_LINES:])
