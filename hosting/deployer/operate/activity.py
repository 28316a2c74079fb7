"""Recent events of an environment from CloudFormation, ECS, RDS and CloudWatch, in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws import stacks
from hosting.deployer.aws.session import explain
from hosting.deployer.operate.platform import Job, Platform, Service
from hosting.model.stack_order import EDGE_REGION

# Days for which RDS keeps events.
_RDS_DAYS = 14
# Amazon SQS API Reference, ReceiveMessage: at most 10 messages in one answer.
_MESSAGES = 10


@dataclass(frozen=True)
class ActivityEvent:
    """One event of an environment."""

    time: datetime
    source: str
    subject: str
    text: str
    is_bad: bool = False


def as_document(one: ActivityEvent) -> dict[str, Any]:
    """Return an event in the JSON format of `deploy.py events`."""
    return {
        "time": one.time.isoformat(timespec="seconds"),
        "source": one.source,
        "subject": one.subject,
        "text": one.text,
        "bad": one.is_bad,
    }


def collect_activity(platform: Platform, since: datetime) -> list[ActivityEvent]:
    """Return the events since a time, oldest first. A source that cannot be read becomes an event itself."""
    services, nested = platform.services, dict(platform.nested)
    scheduled = [job for job in platform.jobs if job.queue]
    clients = platform.context.clients
    for name in (*(("sqs",) if scheduled else ()), "cloudformation", "ecs", "rds", "cloudwatch"):
        getattr(clients, name)(platform.home)
    clients.cloudwatch(EDGE_REGION)
    clients.cloudformation(EDGE_REGION)

    def stack_job(name: str, region: str, label: str) -> Callable[[], Iterator[ActivityEvent]]:
        return lambda: _read_stack_events(platform, name, region, label, since)

    def service_job(service: Service) -> Callable[[], Iterator[ActivityEvent]]:
        return lambda: _read_service_events(platform, service, since)

    def refused_job(job: Job) -> Callable[[], Iterator[ActivityEvent]]:
        return lambda: _read_refused_starts(platform, job, since)

    def alarm_job(region: str) -> Callable[[], Iterator[ActivityEvent]]:
        return lambda: _read_alarm_history(platform, region, since)

    jobs = [
        *(stack_job(one.name, one.region, one.name) for one in platform.context.chain if one.role != "bootstrap"),
        *(stack_job(stack, platform.home, logical_id) for logical_id, stack in nested.items()),
        *(service_job(service) for service in services),
        *(refused_job(job) for job in scheduled),
        *([lambda: _read_database_events(platform, since)] if platform.has_database else []),
        *(alarm_job(region) for region in dict.fromkeys((platform.home, EDGE_REGION))),
    ]

    def run(job: Callable[[], Iterator[ActivityEvent]]) -> list[ActivityEvent]:
        try:
            return list(job())
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and stacks.is_missing(error):
                return []
            return [ActivityEvent(datetime.now(UTC), "deploy.py", "", explain(error).what)]

    with ThreadPoolExecutor(8) as pool:
        found = [one for batch in pool.map(run, jobs) for one in batch]
    return sorted(found, key=lambda one: one.time)


def _read_stack_events(
    platform: Platform, name: str, region: str, label: str, since: datetime
) -> Iterator[ActivityEvent]:
    client = platform.context.clients.cloudformation(region)
    for page in client.get_paginator("describe_stack_events").paginate(StackName=name):
        for event in page["StackEvents"]:
            if event["Timestamp"] < since:
                return
            status = event.get("ResourceStatus", "")
            # A later event reports the result of an operation in progress.
            if status.endswith("_IN_PROGRESS") and "ROLLBACK" not in status:
                continue
            bad = status.endswith("_FAILED") or "ROLLBACK" in status
            reason = event.get("ResourceStatusReason", "")
            text = f"{status}: {reason}" if bad and reason else status
            yield ActivityEvent(event["Timestamp"], "stack", f"{label}/{event.get('LogicalResourceId', '')}", text, bad)


def _read_service_events(platform: Platform, service: Service, since: datetime) -> Iterator[ActivityEvent]:
    answer: Any = platform.context.clients.ecs(platform.home).describe_services(
        cluster=platform.cluster, services=[service.ecs_name]
    )
    for live in answer["services"]:
        for event in live.get("events", ()):
            if event["createdAt"] >= since:
                text = event["message"].replace(f"(service {service.ecs_name})", "").strip()
                bad = any(word in text for word in ("unable", "failed", "unhealthy", "error"))
                yield ActivityEvent(event["createdAt"], "service", service.slug, text, bad)


def _read_refused_starts(platform: Platform, job: Job, since: datetime) -> Iterator[ActivityEvent]:
    """Yield the starts of a job that ECS refused, from the queue of its schedule. The messages stay in the queue."""
    answer: Any = platform.context.clients.sqs(platform.home).receive_message(
        QueueUrl=job.queue, MaxNumberOfMessages=_MESSAGES, VisibilityTimeout=0, MessageAttributeNames=["All"]
    )
    for message in answer.get("Messages", ()):
        values = {name: one.get("StringValue", "") for name, one in message.get("MessageAttributes", {}).items()}
        planned = values.get("SCHEDULED_TIME", "")
        time = datetime.fromisoformat(planned.replace("Z", "+00:00")) if planned else datetime.now(UTC)
        if time >= since:
            reason = f"{values.get('ERROR_CODE', 'no code')}: {values.get('ERROR_MESSAGE', 'no reason is given')}"
            yield ActivityEvent(time, "job", job.slug, f"ECS refused the start: {reason}", is_bad=True)


def _read_database_events(platform: Platform, since: datetime) -> Iterator[ActivityEvent]:
    earliest = datetime.now(UTC).timestamp() - _RDS_DAYS * 86400 + 60
    begin = datetime.fromtimestamp(max(since.timestamp(), earliest), UTC)
    client = platform.context.clients.rds(platform.home)
    for page in client.get_paginator("describe_events").paginate(StartTime=begin, EndTime=datetime.now(UTC)):
        for event in page["Events"]:
            # RDS returns the events of the whole account. Names of this environment are its own name or
            # begin with it.
            name = event.get("SourceIdentifier", "")
            if name == platform.family or name.startswith(f"{platform.family}-"):
                bad = "failure" in event.get("EventCategories", ()) or "failover" in event.get("EventCategories", ())
                yield ActivityEvent(event["Date"], "database", event["SourceIdentifier"], event["Message"], bad)


def _read_alarm_history(platform: Platform, region: str, since: datetime) -> Iterator[ActivityEvent]:
    client = platform.context.clients.cloudwatch(region)
    pages = client.get_paginator("describe_alarm_history").paginate(
        HistoryItemType="StateUpdate", StartDate=since, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    for page in pages:
        for item in page["AlarmHistoryItems"]:
            name = item.get("AlarmName", "")
            if name.startswith(f"{platform.family}-"):
                text = item.get("HistorySummary", "")
                bad = text.endswith("to ALARM")
                yield ActivityEvent(item["Timestamp"], "alarm", name.removeprefix(f"{platform.family}-"), text, bad)
