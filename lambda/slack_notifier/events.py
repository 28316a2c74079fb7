"""Events of the function as notifications: from SNS, EventBridge or a CloudWatch Logs subscription."""

import base64
import gzip
import json
import logging
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import alarms
import console
import incidents
import services
from notification import Notification, code, cut, escape, redact_text, runbook
from settings import Settings

logger = logging.getLogger()

# A notification shows this number of different error lines. Its link leads to the other ones.
SAMPLES = 5
SAMPLE_LIMIT = 400
# Time between two runs of the rule that asks for alarms that became stable.
STABLE_INTERVAL = timedelta(minutes=15)
# Alarms on CloudFront and WAF are in this region.
_EDGE_REGION = "us-east-1"
# What an event with a missing or unexpected field raises.
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, OSError, EOFError, zlib.error)


class LoopError(Exception):
    """The function received a notification that it published. Publishing it again would never end."""


class UnknownEventError(Exception):
    """The event is of none of the types that the templates send to this function."""


def notifications(event: Mapping[str, Any], settings: Settings) -> Iterator[Notification]:
    """Yield the notifications of an event. Raises LoopError or UnknownEventError."""
    if "Records" in event:
        for record in event["Records"]:
            if "Sns" not in record:
                raise UnknownEventError(
                    f"record has an unknown source: {record.get('eventSource', 'none')}. Remove its event mapping."
                )
            yield from _readable(_message, record["Sns"], settings)
    elif "detail-type" in event:
        yield from _readable(_event, event, settings)
    elif "awslogs" in event:
        yield from _readable(_logs, event["awslogs"], settings)
    else:
        raise UnknownEventError(
            f"event has an unknown type: its fields are {', '.join(sorted(event)) or 'none'}. Remove its sender."
        )


Reader = Callable[[Mapping[str, Any], Settings], Iterator[Notification]]


def _readable(read: Reader, event: Mapping[str, Any], settings: Settings) -> list[Notification]:
    """Return the notifications of an event, or a generic one if a field is missing or has an unexpected type."""
    try:
        return list(read(event, settings))
    except _UNREADABLE:
        logger.exception("the event has an unexpected form, so the notification is a generic one")
        return [_generic(event, settings)]


def _generic(event: Mapping[str, Any], settings: Settings) -> Notification:
    """Return a notification that shows an event as it is."""
    message = event.get("Message")
    content = message if isinstance(message, str) else json.dumps(event, ensure_ascii=False, indent=1, default=str)
    kind = str(event.get("detail-type") or event.get("Subject") or "Message")
    return Notification(
        id=str(event.get("id") or event.get("MessageId") or settings.request_id),
        thread=f"message/{kind}",
        event_type=kind,
        title=f":information_source: {escape(redact_text(kind))}: this event has an unknown form",
        text=code(cut(redact_text(content), 2500)),
        steps=(
            settings.command("status"),
            runbook("notices"),
            f"Read the details in the console: {console.home(console.own_region())}",
        ),
    )


# --- SNS


def _message(sns: Mapping[str, Any], settings: Settings) -> Iterator[Notification]:
    if sns["TopicArn"] == settings.output_topic:
        raise LoopError("function is subscribed to the topic that it publishes to. Remove this subscription.")
    try:
        body = json.loads(sns["Message"])
    except json.JSONDecodeError:
        body = None
    if not isinstance(body, dict):  # a text, which may also be valid JSON, such as a number
        yield _text(sns, sns["Message"], settings)
        return
    if body.get("source") == "custom" and "content" in body:
        raise LoopError(
            "message is a custom notification already: the chat service reads it without this function. "
            "Publish it to the chat's topic."
        )
    if "AlarmName" in body:
        yield from _alarm(body, sns["MessageId"], settings)
    elif "detail-type" in body:
        yield from _event(body, settings)
    else:
        yield _text(sns, json.dumps(body, ensure_ascii=False, indent=1), settings, as_code=True)


def _alarm(body: Mapping[str, Any], message_id: str, settings: Settings) -> Iterator[Notification]:
    """Yield the notification of an alarm, or none while the alarm flaps and for the first OK of a new alarm."""
    state = body["NewStateValue"]
    incident = None
    if state in ("ALARM", "OK"):
        try:
            incident = incidents.incident_of_message(
                settings.cloudwatch, body["AlarmArn"], body["AlarmName"], state, body["StateChangeTime"]
            )
        except incidents.UnknownHistoryError as error:
            # An alarm is never lost because of its history.
            logger.warning("the history of %s cannot be read: %s", body["AlarmName"], error)
        else:
            if incident is None:
                return
            begins_to_flap = state == "ALARM" and incident.alarms == incidents.FLAPPING
            if incident.is_flapping and not begins_to_flap:
                return
    yield alarms.alarm(body, message_id, incident, f"{settings.prefix}-")


def _stable(event: Mapping[str, Any], settings: Settings) -> Iterator[Notification]:
    """Yield the notifications of alarms that flapped and are stable now."""
    now = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    for region in dict.fromkeys((event["region"], _EDGE_REGION)):
        found = incidents.stable_alarms(settings.cloudwatch(region), f"{settings.prefix}-", now, STABLE_INTERVAL)
        for alarm, incident in found:
            yield alarms.stable(
                alarm["AlarmName"],
                alarm["AlarmArn"],
                alarm.get("AlarmDescription"),
                alarm["StateValue"],
                incident,
                f"{settings.prefix}-",
            )


def _text(sns: Mapping[str, Any], text: str, settings: Settings, *, as_code: bool = False) -> Notification:
    text, subject = redact_text(text), redact_text(sns.get("Subject") or "Message")
    budget = _after(text, "Budget Name:")
    region = sns["TopicArn"].split(":")[3]
    steps: tuple[str, ...]
    if budget:
        steps = (
            settings.command("cost"),
            runbook("budget"),
            f"Find the service whose cost grew: {console.budgets()}",
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


def _event(event: Mapping[str, Any], settings: Settings) -> Iterator[Notification]:
    match event["detail-type"]:
        case "Scheduled Event":
            yield from _stable(event, settings)
        case "ECS Deployment State Change":
            yield services.deployment(event, settings)
        case "ECS Task State Change":
            yield from services.task(event, settings)
        case "RDS DB Cluster Event" | "RDS DB Instance Event":
            yield services.database(event, settings)
        case "CloudFormation Stack Status Change":
            yield services.stack(event, settings)
        case (
            "ACM Certificate Approaching Expiration"
            | "ACM Certificate Expired"
            | "ACM Certificate Renewal Action Required"
        ):
            yield services.certificate(event, settings)
        case "AWS Health Event":
            yield services.health(event, settings)
        case _:
            yield services.other(event)


# --- CloudWatch Logs


def _logs(subscription: Mapping[str, Any], settings: Settings) -> Iterator[Notification]:
    """Yield the notification of lines of the only subscribed log: the one of Firehose's failed deliveries."""
    batch = json.loads(gzip.decompress(base64.b64decode(subscription["data"])))
    events = batch["logEvents"]
    if batch["messageType"] == "CONTROL_MESSAGE" or not events:
        return
    group, stream = batch["logGroup"], batch["logStream"]
    lines = Counter(cut(redact_text(_delivery_error(event["message"].strip())), SAMPLE_LIMIT) for event in events)
    shown = [f"{count} x {line}" if count > 1 else line for line, count in lines.most_common(SAMPLES)]
    more = f"\n{len(lines) - SAMPLES} other messages are not shown." if len(lines) > SAMPLES else ""
    page = console.log_stream(console.own_region(), group, stream, events[0]["timestamp"])
    yield Notification(
        id=str(events[0].get("id") or settings.request_id),
        thread=f"logs/{group}",
        event_type="Log delivery errors",
        title=f":warning: Firehose could not deliver logs to the archive: {len(events)} "
        f"error{'s' if len(events) > 1 else ''}",
        text=code("\n".join(shown)) + more,
        steps=(settings.command("status"), runbook("archive-delay"), f"Read the errors: {page}"),
        resources=(f"{group}:{stream}",),
    )


def _delivery_error(line: str) -> str:
    """Return code and text of an error that Firehose logged, or the line if it has another form."""
    try:
        logged = json.loads(line)
        return f"{logged['errorCode']}: {logged['errorMessage']}"
    except (json.JSONDecodeError, LookupError, TypeError):
        return line
