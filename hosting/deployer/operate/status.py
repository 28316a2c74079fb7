"""The status of an environment on one screen. All parts are read at the same time, and each may fail alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws import stacks
from hosting.deployer.aws.session import explain
from hosting.deployer.context import Context, describe_stacks
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import activity
from hosting.deployer.operate.activity import ActivityEvent
from hosting.deployer.operate.platform import Platform, Service
from hosting.model.stack_order import EDGE_REGION

SCHEMA = "hosting-platform/status/1"
_RECENT = timedelta(hours=3)
_AREAS = ("stacks", "services", "targets", "database", "distribution", "alarms")


class Health(StrEnum):
    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Part:
    """One line of the status. `data` has the values for programs."""

    area: str
    name: str
    health: Health
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """Status of an environment with its recent events."""

    family: str
    time: datetime
    parts: tuple[Part, ...]
    events: tuple[ActivityEvent, ...] = ()

    @property
    def health(self) -> Health:
        """The worst known health of the parts."""
        found = {part.health for part in self.parts}
        return next((one for one in (Health.BAD, Health.BUSY, Health.GOOD) if one in found), Health.UNKNOWN)


def collect_status(context: Context, *, recent: int = 8) -> Status:
    """Return the current status of an environment with the last `recent` events."""
    states = describe_stacks(context)
    parts = [_stack(stack, state) for stack, state in states.items()]
    now = datetime.now(UTC)
    root = next((state for stack, state in states.items() if stack.role == "root"), None)
    if root is None or not root.outputs:
        return Status(context.environment.family, now, tuple(parts))
    platform = Platform(context, root)
    # Read before the threads start, because each thread would read the same.
    services, _ = platform.services, platform.nested
    for name in ("ecs", "elbv2", "rds", "cloudfront", "cloudwatch"):
        getattr(context.clients, name)(platform.home)
    context.clients.cloudwatch(EDGE_REGION)

    def service_job(service: Service) -> Callable[[], list[Part]]:
        return lambda: _service(platform, service)

    jobs: list[tuple[str, Callable[[], list[Part]]]] = [
        *(("services", service_job(service)) for service in services),
        ("database", lambda: _database(platform)),
        ("distribution", lambda: _distribution(platform)),
        ("alarms", lambda: _alarms(platform)),
    ]
    with ThreadPoolExecutor(8) as pool:
        latest = pool.submit(activity.collect_activity, platform, now - _RECENT)
        for found in pool.map(lambda job: _run_job(*job), jobs):
            parts += found
        # A service job also returns the targets. The screen shows the parts by area.
        parts.sort(key=lambda part: _AREAS.index(part.area))
        events = latest.result()
    return Status(context.environment.family, now, tuple(parts), tuple(events[-recent:]))


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
        "parts": [
            {
                "area": part.area,
                "name": part.name,
                "health": str(part.health),
                "text": part.text,
                **({"data": dict(part.data)} if part.data else {}),
            }
            for part in status.parts
        ],
        "events": [activity.as_document(one) for one in status.events],
    }


def _run_job(area: str, job: Callable[[], list[Part]]) -> list[Part]:
    try:
        return job()
    except (ClientError, BotoCoreError) as error:
        return [Part(area, "", Health.UNKNOWN, explain(error).what)]
    except DeployerError as error:
        return [Part(area, "", Health.UNKNOWN, str(error).splitlines()[0])]


def _stack(stack: Any, state: stacks.StackState | None) -> Part:
    if state is None:
        return Part("stacks", stack.label, Health.UNKNOWN, "not deployed")
    if not stacks.is_terminal(state.status):
        health = Health.BUSY
    else:
        good = stacks.is_good(state.status) or state.status == "UPDATE_ROLLBACK_COMPLETE"
        health = Health.GOOD if good else Health.BAD
    reason = f": {state.reason}" if state.reason and health is Health.BAD else ""
    return Part("stacks", stack.label, health, f"{state.status}{reason}", {"status": state.status})


def _service(platform: Platform, service: Service) -> list[Part]:
    clients, home = platform.context.clients, platform.home
    answer: Any = clients.ecs(home).describe_services(cluster=platform.cluster, services=[service.ecs_name])
    if not answer["services"]:
        return [Part("services", service.slug, Health.BAD, "the service does not exist in ECS")]
    live = answer["services"][0]
    primary: dict[str, Any] = next((one for one in live["deployments"] if one["status"] == "PRIMARY"), {})
    rollout = primary.get("rolloutState", "")
    short = live["runningCount"] < live["desiredCount"]
    definition = live["taskDefinition"].rpartition("/")[2]
    text = f"{live['runningCount']} of {live['desiredCount']} tasks run, deployment {rollout.lower() or 'unknown'}"
    if rollout == "FAILED":
        text += f" ({primary.get('rolloutStateReason', '')})"
    health = Health.GOOD
    if not live["desiredCount"]:
        # No deployment sets a desired count of 0. It was set manually, and viewers get the error page.
        text += ", the desired count is 0"
        health = Health.BAD
    elif rollout == "FAILED" or (short and rollout != "IN_PROGRESS"):
        health = Health.BAD
    elif rollout == "IN_PROGRESS" or live["pendingCount"]:
        health = Health.BUSY
    data = {
        "desired": live["desiredCount"],
        "running": live["runningCount"],
        "pending": live["pendingCount"],
        "deployment": rollout,
        "taskDefinition": definition,
    }
    parts = [Part("services", service.slug, health, f"{text}, {definition.rpartition('-')[2]}", data)]
    groups = [balancer["targetGroupArn"] for balancer in live["loadBalancers"]]
    return parts + [_targets(platform, service, group, live["desiredCount"]) for group in groups]


def _targets(platform: Platform, service: Service, arn: str, desired: int) -> Part:
    answer: Any = platform.context.clients.elbv2(platform.home).describe_target_health(TargetGroupArn=arn)
    states: dict[str, int] = {}
    reasons = set()
    for one in answer["TargetHealthDescriptions"]:
        state = one["TargetHealth"]["State"]
        states[state] = states.get(state, 0) + 1
        if state not in {"healthy", "draining", "initial"} and one["TargetHealth"].get("Description"):
            reasons.add(one["TargetHealth"]["Description"])
    healthy = states.get("healthy", 0)
    text = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none registered"
    if reasons:
        text += f" ({'; '.join(sorted(reasons))})"
    if states.get("unhealthy") or (healthy == 0 and desired):
        health = Health.BUSY if states.get("initial") and not states.get("unhealthy") else Health.BAD
    else:
        health = Health.GOOD if healthy >= desired else Health.BUSY
    return Part("targets", service.slug, health, text, {"states": states})


def _database(platform: Platform) -> list[Part]:
    clients, home = platform.context.clients, platform.home
    nested = stacks.describe_stack(clients.cloudformation(home), platform.nested.get("DatabaseStack", ""))
    identifier = nested.outputs.get("DbClusterId", "") if nested is not None else ""
    if not identifier:
        # Without an identifier RDS would return every cluster of the account.
        return [Part("database", "", Health.UNKNOWN, "not deployed")]
    answer: Any = clients.rds(home).describe_db_clusters(DBClusterIdentifier=identifier)
    cluster = answer["DBClusters"][0]
    writer = next(
        (one["DBInstanceIdentifier"] for one in cluster["DBClusterMembers"] if one["IsClusterWriter"]), "none"
    )
    readers = sum(1 for one in cluster["DBClusterMembers"] if not one["IsClusterWriter"])
    text = f"{cluster['Status']}, Aurora MySQL {cluster['EngineVersion']}, writer {writer}, {readers} readers"
    capacity = cluster.get("ServerlessV2ScalingConfiguration") or {}
    if capacity:
        text += f", {capacity['MinCapacity']:g} to {capacity['MaxCapacity']:g} ACU"
    health = {"available": Health.GOOD, "failed": Health.BAD}.get(cluster["Status"], Health.BUSY)
    data = {"status": cluster["Status"], "version": cluster["EngineVersion"], "readers": readers}
    return [Part("database", identifier, health, text, data)]


def _distribution(platform: Platform) -> list[Part]:
    identifier = platform.output("DistributionId")
    answer: Any = platform.context.clients.cloudfront(platform.home).get_distribution(Id=identifier)
    found = answer["Distribution"]
    enabled = found["DistributionConfig"]["Enabled"]
    health = Health.GOOD if enabled and found["Status"] == "Deployed" else Health.BUSY if enabled else Health.BAD
    invalidating = found.get("InProgressInvalidationBatches", 0)
    text = f"{found['Status'].lower()}{'' if enabled else ', disabled'}, {platform.output('SiteUrl')}"
    if invalidating:
        text += f", {invalidating} invalidations running"
    return [Part("distribution", identifier, health, text, {"status": found["Status"], "enabled": enabled})]


def _alarms(platform: Platform) -> list[Part]:
    parts: list[Part] = []
    quiet = silent = 0
    for region in dict.fromkeys((platform.home, EDGE_REGION)):
        client = platform.context.clients.cloudwatch(region)
        # Without AlarmTypes, AWS leaves out composite alarms.
        pages = client.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"{platform.family}-", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        for page in pages:
            for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]:
                state = alarm.get("StateValue", "")
                if state == "ALARM":
                    name = alarm["AlarmName"].removeprefix(f"{platform.family}-")
                    what = alarm.get("AlarmDescription") or alarm.get("StateReason", "")
                    parts.append(Part("alarms", name, Health.BAD, what, {"state": state, "region": region}))
                elif state == "INSUFFICIENT_DATA":
                    silent += 1
                else:
                    quiet += 1
    text = f"{quiet} in state OK" + (f", {silent} without data yet" if silent else "")
    parts.append(Part("alarms", "the others" if parts else "all", Health.GOOD, text, {"ok": quiet, "silent": silent}))
    return parts
