"""Events of the function as notifications: from SNS, EventBridge or a CloudWatch Logs subscription."""

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
# A notification shows this number of different error lines. Its link leads to the other ones.
SAMPLES = 5
SAMPLE_LIMIT = 400


def _redact(text: str) -> str:
    """Redact a text whose author is not AWS. More people read the chat than a log or a topic."""
    return _redactor(text)[0]


class LoopError(Exception):
    """The function received a notification that it published. Publishing it again would never end."""


class UnknownEventError(Exception):
    """The event is of none of the types that the templates send to this function."""


def notifications(event: Mapping[str, Any], *, output_topic: str, request_id: str) -> Iterator[Notification]:
    """Yield the notifications of an event. Raises LoopError or UnknownEventError."""
    if "Records" in event:
        for record in event["Records"]:
            if "Sns" not in record:
                raise UnknownEventError(
                    f"record has an unknown source: {record.get('eventSource', 'none')}. Remove its event mapping."
                )
            yield _message(record["Sns"], output_topic)
    elif "detail-type" in event:
        yield _event(event)
    elif "awslogs" in event:
        yield from _logs(event["awslogs"]["data"], request_id)
    else:
        raise UnknownEventError(
            f"event has an unknown type: its fields are {', '.join(sorted(event)) or 'none'}. Remove its sender."
        )


# --- SNS


def _message(sns: Mapping[str, Any], output_topic: str) -> Notification:
    if sns["TopicArn"] == output_topic:
        raise LoopError("function is subscribed to the topic that it publishes to. Remove this subscription.")
    try:
        body = json.loads(sns["Message"])
    except json.JSONDecodeError:
        return _text(sns, sns["Message"])
    if not isinstance(body, dict):  # a text that is also valid JSON, such as a number
        return _text(sns, sns["Message"])
    if body.get("source") == "custom" and "content" in body:
        raise LoopError(
            "message is a custom notification already: the chat service reads it without this function. "
            "Publish it to the chat's topic."
        )
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
        steps = (
            f"Find the service whose cost grew: {console.budgets()}",
            "If the growth is expected, raise the budget.",
        )
    else:
        topic = sns["TopicArn"].split(":")[-1]
        steps = (f"Find the sender among the publishers of {escape(topic)}: {console.topic(region, sns['TopicArn'])}",)
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
    """Return the value after a label in an e-mail of AWS Budgets, or "" without such a line."""
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
        steps=(f"Read the details in the service's console: {console.home(event['region'])}",),
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
    steps: tuple[str, ...] = (f"Open the service's deployments: {page}",)
    if name == "SERVICE_DEPLOYMENT_FAILED":
        steps = (
            f"Read why the tasks stopped: {page}",
            "The circuit breaker rolled back to the last good deployment. Correct the image or settings, then deploy.",
        )
    return Notification(
        id=event["id"],
        thread=f"ecs/{cluster}/{service}",
        event_type=event["detail-type"],
        title=f"{emoji} Deployment of {escape(service)} {escape(state)}",
        text=escape(detail.get("reason") or "ECS gave no reason."),
        steps=steps,
        resources=(arn,),
        context=(("deployment", str(detail.get("deploymentId", ""))),),
    )


def _task(event: Mapping[str, Any]) -> Notification:
    detail, region = event["detail"], event["region"]
    cluster = detail["clusterArn"].split("/")[-1]
    group = detail.get("group", "")
    service = group.removeprefix("service:") if group.startswith("service:") else group or "a standalone task"
    task_id = detail["taskArn"].split("/")[-1]
    lines = [f"{escape(detail.get('stoppedReason') or 'ECS gave no reason.')} ({escape(detail.get('stopCode', '-'))})"]
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
            f"Read its last log lines: {console.task(region, cluster, task_id)}",
            _TASK_STEPS.get(detail.get("stopCode", ""), "The service starts a new task automatically."),
        ),
        resources=(detail["taskArn"],),
    )


_TASK_STEPS = {
    "TaskFailedToStart": "Check that the image exists, and that the execution role may read the image and the secrets.",
    "EssentialContainerExited": "Exit code 137: memory limit or failed health check. Other codes are the program's.",
}


# By the categories that the EventBridge rule sends (Amazon RDS User Guide, event categories).
_DATABASE_STEPS = {
    "failover": "Watch the error rate of the services: after a failover they open new connections.",
    "failure": "RDS replaces a failed instance automatically. If the services stay down, read the error log.",
    "low storage": "Find queries that sort or join on disk in the slow query log. Larger classes have more storage.",
    "maintenance": "Connections may close for a moment. A pending maintenance action has a date, which you can change.",
    "recovery": "The services connect again automatically. No action is necessary while their error rate falls.",
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
            f"Read the database's events and status: {console.database(region, name, is_cluster=is_cluster)}",
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
        steps=(f"Read the lines before: {page}", "If every task logs this error, check the last deployment."),
        resources=(f"{group}:{stream}",),
    )
