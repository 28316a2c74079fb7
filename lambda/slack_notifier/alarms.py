"""Notifications of CloudWatch alarms from SNS: alarms of one metric, of metric math, and composite alarms."""

import re
from collections.abc import Mapping
from typing import Any

import console
from incidents import QUIET, Incident
from notification import Notification, duration, escape

_COMPARISONS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": ">=",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
}
# The lines that every description of an alarm of the templates has after its first one.
_LABELS = {"Workload": "workload", "Next": "command", "Runbook": "section"}
# "Threshold Crossed: 1 out of the last 1 datapoints [12.0 (22/11/26 11:30:00)] was greater than ..."
_DATAPOINTS = re.compile(r"datapoints? \[([^\]]*)\]")


def describe(description: str | None) -> dict[str, str]:
    """Return the parts of an alarm's description: its meaning, and workload, command and section if it names them."""
    parts = {"meaning": "", "workload": "", "command": "", "section": ""}
    meaning = []
    for line in (description or "").splitlines():
        label, _, value = line.partition(": ")
        if label in _LABELS and value:
            parts[_LABELS[label]] = value
        else:
            meaning.append(line)
    parts["meaning"] = "\n".join(meaning)
    return parts


def alarm(body: Mapping[str, Any], message_id: str, incident: Incident | None, prefix: str) -> Notification:
    """Return the notification of an alarm's change of state. Without an incident its history is unknown."""
    name, state, arn = body["AlarmName"], body["NewStateValue"], body["AlarmArn"]
    parts = describe(body.get("AlarmDescription"))
    flapping = incident is not None and incident.is_flapping
    emoji, what = _state(state, incident)
    lines = [escape(parts["meaning"])] if parts["meaning"] else []
    if parts["workload"]:
        lines.append(f"*Workload* {escape(parts['workload'])}")
    lines.append(f"*Since* {_since(body, incident)}")
    trigger = body.get("Trigger") or {}
    if condition := condition_of(trigger):
        lines.append(f"*Condition* {escape(condition)}")
    lines.append(f"*Measured* {escape(_measured(body))}")
    if because := _children(body):
        lines.append(f"*Because of* {escape(because)}")
    if flapping:
        lines.append(
            f"The alarm changes its state repeatedly. The next message follows when it has been stable for "
            f"{duration(QUIET)}."
        )
    region = arn.split(":")[3]
    return Notification(
        id=message_id,
        thread=_thread(name, incident),
        event_type="CloudWatch alarm",
        title=f"{emoji} {escape(name.removeprefix(prefix))}: {escape(what)}",
        text="\n".join(lines),
        steps=_steps(state, parts, console.alarm(region, name)),
        resources=(arn,),
        context=(("from", str(body["OldStateValue"])), ("since", str(body["StateChangeTime"]))),
    )


def stable(name: str, arn: str, description: str | None, state: str, incident: Incident, prefix: str) -> Notification:
    """Return the notification of an alarm that changed its state repeatedly and is stable now."""
    parts = describe(description)
    emoji = ":white_check_mark:" if state == "OK" else ":red_circle:"
    what = "resolved, stable again" if state == "OK" else "still in ALARM, no longer flapping"
    return Notification(
        id=f"{name}/{incident.changed.isoformat()}",
        thread=_thread(name, incident),
        event_type="CloudWatch alarm",
        title=f"{emoji} {escape(name.removeprefix(prefix))}: {what}",
        text="\n".join(
            [
                *([escape(parts["meaning"])] if parts["meaning"] else []),
                f"*Since* {incident.changed:%Y-%m-%d %H:%M} UTC. "
                f"It was in ALARM {incident.alarms} times from {incident.start:%H:%M} UTC.",
            ]
        ),
        steps=_steps(state, parts, console.alarm(arn.split(":")[3], name)),
        resources=(arn,),
    )


def _thread(name: str, incident: Incident | None) -> str:
    """Return the thread of an incident. One thread for an alarm would hide a new incident below an old message."""
    return f"alarm/{name}/{incident.start:%Y-%m-%dT%H:%M:%S}" if incident else f"alarm/{name}"


def _state(state: str, incident: Incident | None) -> tuple[str, str]:
    if incident is not None and incident.is_flapping:
        return ":repeat:", f"flapping, {incident.alarms} alarms in {duration(incident.changed - incident.start)}"
    if state == "ALARM":
        again = incident is not None and incident.alarms > 1
        return ":red_circle:", f"ALARM again (number {incident.alarms})" if again and incident else "ALARM"
    if state == "OK":
        lasted = f" after {duration(incident.changed - incident.start)}" if incident else ""
        return ":white_check_mark:", f"resolved{lasted}"
    return ":grey_question:", "no data" if state == "INSUFFICIENT_DATA" else state


def _since(body: Mapping[str, Any], incident: Incident | None) -> str:
    changed = f"{body['StateChangeTime'][:16].replace('T', ' ')} UTC"
    if incident is None or incident.start == incident.changed:
        return escape(changed)
    return escape(f"{changed}, first alarm {incident.start:%Y-%m-%d %H:%M} UTC")


def _steps(state: str, parts: Mapping[str, str], link: str) -> tuple[str, ...]:
    runbook = f"Read the runbook: {escape(parts['section'])}" if parts["section"] else ""
    if state == "OK":
        return (f"No action is necessary. Open the {link}.",)
    if state == "INSUFFICIENT_DATA":
        return (f"Check whether the resource still exists. Open the {link}.",)
    first = f"Run `{escape(parts['command'])}`" if parts["command"] else ""
    return tuple(step for step in (first, runbook, f"Open the {link}.") if step)


def condition_of(trigger: Mapping[str, Any]) -> str:
    """Return the condition in one line, or "" for a composite alarm."""
    if not trigger:
        return ""
    if trigger.get("MetricName"):
        subject = f"{trigger.get('Namespace', '')} {trigger['MetricName']}"
        if dimensions := ", ".join(f"{item['name']}={item['value']}" for item in trigger.get("Dimensions") or ()):
            subject += f" ({dimensions})"
    else:
        returned = [metric for metric in trigger.get("Metrics", ()) if metric.get("ReturnData", True)]
        subject = " / ".join(
            str(metric.get("Label") or metric.get("Expression") or metric["Id"]) for metric in returned
        )
    operator = trigger.get("ComparisonOperator", "")
    threshold = trigger.get("Threshold")
    condition = f"{_COMPARISONS.get(operator, operator)} {'the expected band' if threshold is None else threshold}"
    return f"{subject} {condition}, {_how_long(trigger)}"


def _how_long(trigger: Mapping[str, Any]) -> str:
    """Return the duration, such as `2 of 3 x 60 s`. With metric math only the single metrics may have a period."""
    stats = (metric.get("MetricStat", {}) for metric in trigger.get("Metrics") or ())
    period = trigger.get("Period") or next((stat["Period"] for stat in stats if stat.get("Period")), None)
    count = trigger.get("EvaluationPeriods", 1)
    needed = trigger.get("DatapointsToAlarm") or count
    times = f"{count}" if needed == count else f"{needed} of {count}"
    return f"{times} x {period} s" if period else f"{times} periods"


def _measured(body: Mapping[str, Any]) -> str:
    """Return the measured values, or CloudWatch's reason if it contains none, such as for missing data."""
    reason = str(body["NewStateReason"])
    values = _DATAPOINTS.search(reason)
    return values.group(1) if values and "missing" not in reason else reason or "CloudWatch gave no reason."


def _children(body: Mapping[str, Any]) -> str:
    return ", ".join(child["Arn"].split(":", 6)[-1] for child in body.get("TriggeringChildren") or ())
