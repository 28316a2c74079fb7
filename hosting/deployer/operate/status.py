"""The status of an environment on one screen. All parts are read at the same time, and each may fail alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.session import explain
from hosting.deployer.context import Context, describe_stacks
from hosting.deployer.operate import activity
from hosting.deployer.operate.activity import ActivityEvent
from hosting.deployer.operate.health_checks import (
    examine,
    examine_alarms,
    examine_database,
    examine_distribution,
    examine_job,
    examine_service,
    examine_stack,
    no_services,
)
from hosting.deployer.operate.platform import Job, Platform, Service
from hosting.deployer.operate.states import WORST_FIRST, Health, Part
from hosting.model.declared_exceptions import declared_exceptions
from hosting.model.stack_order import EDGE_REGION, StackRole

SCHEMA = "hosting-platform/status/1"
_RECENT = timedelta(hours=3)
_AREAS = ("stacks", "services", "targets", "jobs", "database", "distribution", "alarms", "events")
# A part of an earlier area may be the cause of a problem of a later one. A stack that was rolled back still works.
_CAUSES = ("database", "services", "targets", "distribution", "jobs", "alarms", "stacks", "events")


@dataclass(frozen=True)
class Status:
    """Status of an environment with its recent events."""

    family: str
    time: datetime
    parts: tuple[Part, ...]
    events: tuple[ActivityEvent, ...] = ()
    # What the project declares to be other than the default, such as a workload with one task.
    exceptions: tuple[str, ...] = ()

    @property
    def health(self) -> Health:
        """The worst health of the parts. An unknown part is worse than a busy one."""
        found = {part.health for part in self.parts}
        return next((one for one in WORST_FIRST if one in found), Health.UNKNOWN)

    @property
    def problem(self) -> Part | None:
        """The part to look at first: the worst one, by the order in which parts depend on each other."""
        poor = [part for part in self.parts if part.health in (Health.BAD, Health.UNKNOWN)]
        order = {area: number for number, area in enumerate(_CAUSES)}
        return min(poor, key=lambda part: (WORST_FIRST.index(part.health), order[part.area]), default=None)

    @property
    def headline(self) -> str:
        """The most urgent problem with its next step, or that every part is good or busy."""
        part = self.problem
        if part is None:
            busy = [part for part in self.parts if part.health is Health.BUSY]
            every = len(self.parts)
            return f"{len(busy)} of {every} parts are busy" if busy else f"all {every} parts are good"
        more = sum(one.health in (Health.BAD, Health.UNKNOWN) for one in self.parts) - 1
        others = f" ({more} more)" if more else ""
        step = f" Next: {part.next}" if part.next else ""
        return f"{' '.join(filter(None, (part.area, part.name)))}: {part.text}{others}.{step}"


def collect_status(context: Context, *, recent: int = 8) -> Status:
    """Return the current status of an environment with the last `recent` events."""
    states = describe_stacks(context)
    environment = context.environment.name
    parts = [examine_stack(stack, state, environment) for stack, state in states.items()]
    now = datetime.now(UTC)
    root = next((state for stack, state in states.items() if stack.role == "root"), None)
    if root is None or not root.outputs:
        return Status(context.environment.family, now, tuple(parts))
    platform = Platform(context, root)
    parts += no_services(platform)
    # Read before the threads start, because each thread would read the same.
    services, scheduled = platform.services, platform.jobs
    for name in (*(("scheduler", "logs") if scheduled else ()), "ecs", "elbv2", "rds", "cloudfront", "cloudwatch"):
        getattr(context.clients, name)(platform.home)
    context.clients.cloudwatch(EDGE_REGION)

    def service_job(service: Service) -> Callable[[], list[Part]]:
        return lambda: examine_service(platform, service)

    def scheduled_job(job: Job) -> Callable[[], list[Part]]:
        return lambda: examine_job(platform, job)

    jobs: list[tuple[str, Callable[[], list[Part]]]] = [
        *((f"services {service.slug}", service_job(service)) for service in services),
        *((f"jobs {job.slug}", scheduled_job(job)) for job in scheduled),
        *([("database", lambda: examine_database(platform))] if platform.has_database else []),
        ("distribution", lambda: examine_distribution(platform)),
        ("alarms", lambda: examine_alarms(platform)),
    ]
    with ThreadPoolExecutor(8) as pool:
        latest = pool.submit(activity.collect_activity, platform, now - _RECENT)
        for found in pool.map(lambda job: examine(*job), jobs):
            parts += found
        try:
            events = latest.result()
        except (BotoCoreError, ClientError) as error:
            events = []
            parts.append(Part("events", "", Health.UNKNOWN, f"cannot be read: {explain(error).what}"))
        # A service job also returns the targets. The screen shows the parts by area.
        parts.sort(key=lambda part: _AREAS.index(part.area))
    exceptions = declared_exceptions(context.template(context.stack(StackRole.ROOT)))
    return Status(context.environment.family, now, tuple(parts), tuple(events[-recent:]), exceptions)


def poll_status(
    context: Context, interval: float, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Status | str]:
    """Yield the status after each interval in seconds, or a text if it cannot be read.

    A short network failure does not end the iteration.
    """
    while True:
        sleep(interval)
        try:
            yield collect_status(context)
        except (BotoCoreError, ClientError) as error:
            yield f"the status cannot be read: {explain(error).what}"


def as_document(status: Status) -> dict[str, Any]:
    """Return the status in the JSON format of `deploy.py status`."""
    return {
        "schema": SCHEMA,
        "environment": status.family,
        "time": status.time.isoformat(timespec="seconds"),
        "health": str(status.health),
        "headline": status.headline,
        "parts": [
            {
                "area": part.area,
                "name": part.name,
                "health": str(part.health),
                "text": part.text,
                **({"data": dict(part.data)} if part.data else {}),
                **({"next": part.next} if part.next else {}),
            }
            for part in status.parts
        ],
        "declaredExceptions": list(status.exceptions),
        "events": [activity.as_document(one) for one in status.events],
    }
