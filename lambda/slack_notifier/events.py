"""Turns events of SNS, EventBridge and CloudWatch Logs subscriptions into notifications."""

import base64
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import alarms
import console
from notification import Notification, code, cut, escape
from redact import Redactor

_redactor = Redactor()
# So many different lines of an error burst are shown; the link leads to the rest.
SAMPLES = 5
SAMPLE_LIMIT = 400


def _redact(text: str) -> str:
    """Redact a text whose author is not AWS. A chat has more readers than a log or a topic."""
    return _redactor(text)[0]


class LoopError(Exception):
    """A notification of this function came back; publishing it again would never end."""


class UnknownEventError(Exception):
    """An event of a kind that no trigger of this function sends."""


def notifications(event: Mapping[str, Any], *, output_topic: str, request_id: str) -> Iterator[Notification]:
    """Yield the notifications of one event."""
    if "Records" in event:
        for record in event["Records"]:
            if "Sns" not in record:
                raise UnknownEventError(f"a record of {record.get('eventSource', 'an unknown source')}")
            yield _message(record["Sns"], output_topic)
    elif "detail-type" in event:
        yield _event(event)
    elif "awslogs" in event:
        yield from _logs(event["awslogs"]["data"], request_id)
    else:
        raise UnknownEventError(f"an event with {', '.join(sorted(event)) or 'nothing in it'}")


# --- SNS


def _message(sns: Mapping[str, Any], output_topic: str) -> Notification:
    if sns["TopicArn"] == output_topic:
        raise LoopError("subscribed to the topic it publishes to; remove that subscription")
    try:
        body = json.loads(sns["Message"])
    except json.JSONDecodeError:
        return _text(sns, sns["Message"])
    if not isinstance(body, dict):  # a text that happens to be JSON: a number, say
        return _text(sns, sns["Message"])
    if body.get("source") == "custom" and "content" in body:
        raise LoopError("received a custom notification, which the chat service reads without our help")
    if "AlarmName" in body:
        return alarms.alarm(body, sns["MessageId"])
    if "detail-type" in body:
        return _event(body)
    return _text(sns, json.dumps(body, ensure_ascii=False, indent=1), as_code=True)


def _text(sns: Mapping[str, Any], text: str, *, as_code: bool = False) -> Notification:
    text, subject = _redact(text), _redact(sns.get("Subject") or "Message")
    budget = _after(text, "Budget Name:")
    region = sns["TopicArn"].split(":")[3]
    steps: tuple[str, ...]
    if budget:
        steps = (f"See what grew: {console.budgets()}", "Raise the budget only when the growth was wanted.")
    else:
        topic = sns["TopicArn"].split(":")[-1]
        steps = (f"Find its sender among the publishers of {escape(topic)}: {console.topic(region, sns['TopicArn'])}",)
    return Notification(
        id=sns["MessageId"],
        thread=f"budget/{budget}" if budget else f"message/{subject}",
        event_type="Budget" if budget else "Message",
        title=f"{':money_with_wings:' if budget else ':envelope:'} {escape(subject)}",
        text=code(cut(text, 2500)) if as_code else escape(text),
        steps=steps,
        resources=(sns["TopicArn"],),
    )


def _after(text: str, label: str) -> str:
    """The value of a line of AWS Budgets' mail."""
    for line in text.splitlines():
        if line.startswith(label):
            return line.removeprefix(label).strip()
    return ""


# --- EventBridge


def _event(event: Mapping[str, Any]) -> Notification:
    match event["detail-type"]:
        case "ECS Deployment State Change":
            return _deployment(event)
        case "ECS Task State Change":
            return _task(event)
        case "RDS DB Cluster Event" | "RDS DB Instance Event":
            return _database(event)
    return Notification(
        id=event["id"],
        thread=f"{event['source']}/{event['detail-type']}",
        event_type=event["detail-type"],
        title=f":information_source: {escape(event['detail-type'])}",
        text=code(cut(_redact(json.dumps(event.get("detail"), ensure_ascii=False, indent=1)), 2500)),
        steps=(f"Read about it in the console of its service: {console.home(event['region'])}",),
        resources=tuple(event.get("resources", ())),
    )


_DEPLOYMENTS = {
    "SERVICE_DEPLOYMENT_FAILED": (":red_circle:", "failed"),
    "SERVICE_DEPLOYMENT_COMPLETED": (":white_check_mark:", "completed"),
    "SERVICE_DEPLOYMENT_IN_PROGRESS": (":hourglass_flowing_sand:", "in progress"),
}


def _deployment(event: Mapping[str, Any]) -> Notification:
    detail, arn, region = event["detail"], event["resources"][0], event["region"]
    cluster, service = arn.split("/")[-2:]
    name = detail["eventName"]
    emoji, state = _DEPLOYMENTS.get(name, (":information_source:", name))
    page = console.service(region, cluster, service)
    steps: tuple[str, ...] = (f"Deployments of the service: {page}",)
    if name == "SERVICE_DEPLOYMENT_FAILED":
        steps = (
            f"Read why the tasks stopped: {page}",
            "The circuit breaker went back to the last good deployment; correct the image or its settings and deploy.",
        )
    return Notification(
        id=event["id"],
        thread=f"ecs/{cluster}/{service}",
        event_type=event["detail-type"],
        title=f"{emoji} Deployment of {escape(service)} {escape(state)}",
        text=escape(detail.get("reason") or "No reason given."),
        steps=steps,
        resources=(arn,),
        context=(("deployment", str(detail.get("deploymentId", ""))),),
    )


def _task(event: Mapping[str, Any]) -> Notification:
    detail, region = event["detail"], event["region"]
    cluster = detail["clusterArn"].split("/")[-1]
    group = detail.get("group", "")
    service = group.removeprefix("service:") if group.startswith("service:") else group or "a single run"
    task_id = detail["taskArn"].split("/")[-1]
    lines = [f"{escape(detail.get('stoppedReason') or 'No reason given.')} ({escape(detail.get('stopCode', '-'))})"]
    for container in detail.get("containers", ()):
        ended = f"exit code {container['exitCode']}" if "exitCode" in container else "never started"
        reason = f": {_redact(container['reason'])}" if container.get("reason") else ""
        lines.append(f"• `{escape(container['name'])}` {ended}{escape(reason)}")
    return Notification(
        id=event["id"],
        thread=f"ecs/{cluster}/{service}",
        event_type=event["detail-type"],
        title=f":octagonal_sign: A task of {escape(service)} stopped",
        text="\n".join(lines),
        steps=(
            f"Its last log lines: {console.task(region, cluster, task_id)}",
            _TASK_STEPS.get(detail.get("stopCode", ""), "The service starts another task by itself."),
        ),
        resources=(detail["taskArn"],),
    )


_TASK_STEPS = {
    "TaskFailedToStart": "Check that the image exists and that the execution role may read its secrets and image.",
    "EssentialContainerExited": "Exit code 137 is the memory limit or a failed health check; others are the program's.",
}


# By the categories that the event rule selects (Amazon RDS User Guide, event categories).
_DATABASE_STEPS = {
    "failover": "After a failover, watch the error rate of the services: they open new connections.",
    "failure": "RDS replaces a failed instance by itself; when the services stay down, read the database's error log.",
    "low storage": "See in the slow query log what sorts or joins on disk; a larger class has more local storage.",
    "maintenance": "Connections may break for a moment; a pending action has a date, which can be changed.",
    "recovery": "The services connect again by themselves; nothing to do while their error rate falls.",
}


def _database(event: Mapping[str, Any]) -> Notification:
    detail, region = event["detail"], event["region"]
    name, is_cluster = detail["SourceIdentifier"], "Cluster" in event["detail-type"]
    categories = ", ".join(detail.get("EventCategories", ())) or "event"
    return Notification(
        id=event["id"],
        thread=f"rds/{name}",
        event_type=event["detail-type"],
        title=f":floppy_disk: {escape(name)}: {escape(categories)}",
        text=escape(detail.get("Message", "")),
        steps=(
            f"Events and state of the database: {console.database(region, name, is_cluster=is_cluster)}",
            *dict.fromkeys(
                _DATABASE_STEPS[each] for each in detail.get("EventCategories", ()) if each in _DATABASE_STEPS
            ),
        ),
        resources=tuple(event.get("resources", ())),
        context=(("event", str(detail.get("EventID", ""))),),
    )


# --- CloudWatch Logs


def _logs(data: str, request_id: str) -> Iterator[Notification]:
    batch = json.loads(gzip.decompress(base64.b64decode(data)))
    events = batch["logEvents"]
    if batch["messageType"] == "CONTROL_MESSAGE" or not events:
        return
    group, stream = batch["logGroup"], batch["logStream"]
    lines = Counter(cut(_redact(event["message"].strip()), SAMPLE_LIMIT) for event in events)
    shown = [f"{count} x {line}" if count > 1 else line for line, count in lines.most_common(SAMPLES)]
    more = f"\n{len(lines) - SAMPLES} other messages are not shown." if len(lines) > SAMPLES else ""
    page = console.log_stream(console.own_region(), group, stream, events[0]["timestamp"])
    yield Notification(
        id=str(events[0].get("id") or request_id),
        thread=f"logs/{group}",
        event_type="Log errors",
        title=f":warning: {len(events)} error line{'s' if len(events) > 1 else ''} in {escape(group)}",
        text=code("\n".join(shown)) + more,
        steps=(f"Read what came before: {page}", "The same error in every task points to the last deployment."),
        resources=(f"{group}:{stream}",),
    )
