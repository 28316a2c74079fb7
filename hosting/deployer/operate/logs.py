"""Lines of several log groups as one stream in order, from a start time and as they arrive.

The log groups are found by their logical ids in the stacks.
"""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from hosting.deployer.aws import stacks
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import tasks
from hosting.deployer.operate.platform import Job, Platform, Service
from hosting.deployer.operate.tasks import Task
from hosting.model.errors import InputError, Problem
from hosting.model.stack_order import StackRole

_LOG_GROUP = "AWS::Logs::LogGroup"
_POLL_SECONDS = 2.0
# CloudWatch Logs returns lines some seconds late and out of order. Each poll reads this period again.
_LATE = timedelta(seconds=30)
# If no line arrives for long, a poll does not read everything again.
_HORIZON = timedelta(minutes=5)
# So many polls without new lines after the end of a task mean that its last line has arrived.
_QUIET = 2
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class LogSource:
    """Log group, or some of its streams."""

    label: str
    group: str
    region: str
    streams: tuple[str, ...] = ()
    # Alternatively all streams with this prefix.
    prefix: str = ""


@dataclass(frozen=True)
class LogLine:
    """One line of a log."""

    time: datetime
    label: str
    stream: str
    text: str
    id: str = ""


def find_log_sources(platform: Platform, kind: str, *, service: str | None = None, name: str = "") -> list[LogSource]:
    """Return the log groups of a kind: app, bastion, db, waf, exec, lambda."""
    match kind:
        case "app":
            return [source for one in _select_workloads(platform, service) for source in _find_app_logs(platform, one)]
        case "bastion":
            # All bastions write to one group. The stream names begin with the service.
            groups = _find_log_groups(platform, platform.nested.get("ApplicationStack", ""))
            return [
                LogSource(one.slug, groups["BastionLogGroup"], platform.home, prefix=f"{one.slug}/")
                for one in _select_workloads(platform, service)
                if "BastionLogGroup" in groups
            ]
        case "db":
            platform.require_database()
            groups = _find_log_groups(platform, platform.nested.get("DatabaseStack", ""))
            return [LogSource(group.rpartition("/")[2], group, platform.home) for group in groups.values()]
        case "exec":
            groups = _find_log_groups(platform, platform.nested.get("ApplicationStack", ""))
            return [LogSource("exec", groups["ExecLogGroup"], platform.home)] if "ExecLogGroup" in groups else []
        case "waf":
            edge = platform.context.stack(StackRole.EDGE)
            groups = _find_log_groups(platform, edge.name, edge.region)
            return [LogSource("waf", group, edge.region) for found, group in groups.items() if found.startswith("Waf")]
        case "lambda":
            return _function(platform, name)
        case _:
            raise DeployerError(f'log kind "{kind}" does not exist')


def _find_app_logs(platform: Platform, workload: Service | Job) -> list[LogSource]:
    groups = _find_log_groups(platform, workload.stack)
    return [LogSource(workload.slug, group, platform.home) for name, group in groups.items() if name == "AppLogGroup"]


def _select_workloads(platform: Platform, wanted: str | None) -> Sequence[Service | Job]:
    return [platform.workload(wanted)] if wanted else platform.workloads


def find_last_stopped_task(platform: Platform, service: Service | Job, container: str) -> tuple[Task, LogSource]:
    """Return the task of a service or a job that stopped last, and its log stream."""
    ended = list(tasks.list_stopped_tasks(platform, service))
    if not ended:
        hint = "ECS deletes stopped tasks after an hour; without --previous their lines are still shown"
        raise DeployerError("no task has stopped within the last hour", where=service.slug, hint=hint)
    last = max(ended, key=lambda task: task.stopped)
    group, stream = find_log_stream(tasks.read_task_definition(platform, last.definition), container, last.id)
    return last, LogSource(service.slug, group, platform.home, (stream,))


def find_last_time(platform: Platform, workload: Service | Job) -> datetime | None:
    """Return the time of the last line that the app of a workload wrote, or None if there is no line."""
    client = platform.context.clients.logs(platform.home)
    times = []
    for source in _find_app_logs(platform, workload):
        answer = client.describe_log_streams(
            logGroupName=source.group, orderBy="LastEventTime", descending=True, limit=1
        )
        times += [one["lastEventTimestamp"] for one in answer["logStreams"] if "lastEventTimestamp" in one]
    return datetime.fromtimestamp(max(times) / 1000, UTC) if times else None


def find_log_stream(definition: dict[str, object], container: str, task_id: str) -> tuple[str, str]:
    """Return log group and stream of a task's container (Amazon ECS Developer Guide, "Send logs to CloudWatch")."""
    containers = definition.get("containerDefinitions")
    for one in containers if isinstance(containers, list) else ():
        if one.get("name") == container:
            options = one.get("logConfiguration", {}).get("options", {})
            return options.get("awslogs-group", ""), f"{options.get('awslogs-stream-prefix', '')}/{container}/{task_id}"
    raise DeployerError(f'has no container "{container}"', where=str(definition.get("taskDefinitionArn", "")))


def parse_since(text: str, now: datetime) -> datetime:
    """Return the time of "10m", "2h", "3d", or an ISO date or time. The default time zone is UTC."""
    try:
        if match := re.fullmatch(r"(\d+)\s*([smhdw])", text.strip()):
            return now - timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InputError(
            [Problem("--since", f'invalid time "{text}"', "write 10m, 2h, 3d or 2026-11-22T09:30")]
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found > now:
        raise InputError([Problem("--since", f'"{text}" is in the future', "times without a time zone are UTC")])
    return found


def create_filter_pattern(text: str | None) -> str:
    """Return a filter pattern that matches exactly this text."""
    if not text:
        return ""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def read_lines(
    platform: Platform, chosen: Sequence[LogSource], begin: datetime, *, grep: str | None = None
) -> Iterator[LogLine]:
    """Yield every line since a time, in order over all sources."""
    # CloudWatch Logs returns lines in order, so the lines can be merged without keeping them.
    found = [_page_through(platform, source, begin, create_filter_pattern(grep)) for source in chosen]
    yield from heapq.merge(*found, key=lambda line: line.time)


def follow_lines(
    platform: Platform,
    chosen: Sequence[LogSource],
    begin: datetime,
    *,
    grep: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
    until: Callable[[], bool] = lambda: False,
) -> Iterator[LogLine]:
    """Yield the lines since a time and new ones, until `until` returns true and no more lines arrive."""
    seen: dict[str, datetime] = {}
    ended = False
    quiet = 0
    while True:
        newest = max(begin, datetime.now(UTC) - _HORIZON)
        quiet += 1
        for line in read_lines(platform, chosen, begin, grep=grep):
            key = line.id or f"{line.stream}{line.time}{line.text}"
            newest = max(newest, line.time)
            if key not in seen:
                seen[key] = line.time
                quiet = 0
                yield line
        if ended and quiet >= _QUIET:
            return
        if not ended and until():
            # The last lines arrive some seconds late.
            ended, quiet = True, 0
        sleep(_POLL_SECONDS)
        begin = max(begin, newest - _LATE)
        seen = {key: when for key, when in seen.items() if when >= begin}


def _page_through(platform: Platform, source: LogSource, begin: datetime, wanted: str) -> Iterable[LogLine]:
    client = platform.context.clients.logs(source.region)
    request: dict[str, object] = {"logGroupName": source.group, "startTime": int(begin.timestamp() * 1000)}
    if source.streams:
        request["logStreamNames"] = list(source.streams)
    elif source.prefix:
        request["logStreamNamePrefix"] = source.prefix
    if wanted:
        request["filterPattern"] = wanted
    try:
        for page in client.get_paginator("filter_log_events").paginate(**request):  # type: ignore[arg-type]
            for event in page["events"]:
                yield LogLine(
                    datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
                    source.label,
                    event.get("logStreamName", ""),
                    event["message"].rstrip("\n"),
                    event.get("eventId", ""),
                )
    except ClientError as error:
        # A stream is created with its first line. Before that there is nothing to show.
        if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            raise


def _find_log_groups(platform: Platform, stack: str, region: str | None = None) -> dict[str, str]:
    """Return the log groups of a stack by logical id."""
    if not stack:
        return {}
    client = platform.context.clients.cloudformation(region or platform.home)
    return {
        item.logical_id: item.physical_id for item in stacks.list_resources(client, stack) if item.type == _LOG_GROUP
    }


def _function(platform: Platform, name: str) -> list[LogSource]:
    prefix = f"/aws/lambda/{platform.family}-"
    known = {
        group.removeprefix(prefix): group
        for stack in platform.nested.values()
        for group in _find_log_groups(platform, stack).values()
        if group.startswith(prefix)
    }
    wanted = name.replace("_", "-").lower()
    if wanted not in known:
        raise DeployerError(f'function "{name}" does not exist', hint=f"known functions: {', '.join(sorted(known))}")
    return [LogSource(wanted, known[wanted], platform.home)]
