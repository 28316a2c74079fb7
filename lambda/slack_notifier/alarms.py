"""Notifications of CloudWatch alarms from SNS: alarms of one metric, of metric math, and composite alarms."""

from collections.abc import Mapping
from typing import Any

import console
from notification import Notification, escape

_STATES = {
    "ALARM": (":red_circle:", "ALARM"),
    "OK": (":white_check_mark:", "OK again"),
    "INSUFFICIENT_DATA": (":grey_question:", "no data"),
}

_COMPARISONS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": ">=",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
}

# The first check, by the metric's namespace. The alarm's own description contains its meaning.
_FIRST_CHECKS = {
    "AWS/ApplicationELB": "Compare the target's 5xx with the service's log. A healthy target may still respond slowly.",
    "AWS/CloudFront": "Check whether the tasks respond. CloudFront counts their own 5xx too.",
    "AWS/ECS": "Check whether the service runs its maximum of tasks. If the load is expected, raise it in params/.",
    "AWS/Firehose": "Read the archive's error prefix. Firehose keeps logs for 24 hours while delivery fails.",
    "AWS/Lambda": "Read the function's log. After the last retry, a failed event is in the failure queue.",
    "AWS/RDS": "Read the slow query log and Performance Insights before you add capacity.",
    "AWS/WAFV2": "Check which rule matches, and which clients it matches, before you block requests.",
    "AWS/SQS": "Read the message in the queue, correct the cause, then move the message back to its source.",
}
_NO_DATA = "The metric has no data: the resource may be deleted, stopped or not used yet."


def alarm(body: Mapping[str, Any], message_id: str) -> Notification:
    """Return the notification of an alarm's change of state."""
    name, state, arn = body["AlarmName"], body["NewStateValue"], body.get("AlarmArn", "")
    emoji, word = _STATES.get(state, (":information_source:", state))
    trigger = body.get("Trigger") or {}
    lines = [escape(body["AlarmDescription"])] if body.get("AlarmDescription") else []
    lines += [escape(line) for line in (_measured(trigger), _children(body), body.get("NewStateReason", "")) if line]
    return Notification(
        id=message_id,
        thread=f"alarm/{name}",
        event_type="CloudWatch alarm",
        title=f"{emoji} {escape(name)}: {escape(word)}",
        text="\n".join(lines) or "CloudWatch gave no reason.",
        steps=_steps(name, state, arn, trigger),
        resources=(arn,) if arn else (),
        context=(("from", str(body.get("OldStateValue", ""))), ("since", str(body.get("StateChangeTime", "")))),
    )


def _steps(name: str, state: str, arn: str, trigger: Mapping[str, Any]) -> tuple[str, ...]:
    region = arn.split(":")[3] if arn.count(":") >= 6 else console.own_region()
    open_alarm = f"Open the {console.alarm(region, name)}."
    if state == "OK":
        return (f"No action is necessary. {open_alarm}",)
    if state == "INSUFFICIENT_DATA":
        return (open_alarm, _NO_DATA)
    checks = [_FIRST_CHECKS[space] for space in _namespaces(trigger) if space in _FIRST_CHECKS]
    return (open_alarm, *dict.fromkeys(checks))


def _namespaces(trigger: Mapping[str, Any]) -> list[str]:
    stats = [metric.get("MetricStat", {}).get("Metric", {}) for metric in trigger.get("Metrics", ())]
    return [str(metric["Namespace"]) for metric in [trigger, *stats] if metric.get("Namespace")]


def _measured(trigger: Mapping[str, Any]) -> str:
    """Return the condition in one line, or "" for a composite alarm."""
    if not trigger:
        return ""
    if trigger.get("MetricName"):
        subject = f"{trigger['Namespace']} {trigger['MetricName']}"
        if dimensions := ", ".join(f"{item['name']}={item['value']}" for item in trigger.get("Dimensions") or ()):
            subject += f" ({dimensions})"
    else:
        returned = [metric for metric in trigger.get("Metrics", ()) if metric.get("ReturnData", True)]
        subject = " / ".join(
            str(metric.get("Label") or metric.get("Expression") or metric["Id"]) for metric in returned
        )
    operator = trigger.get("ComparisonOperator", "")
    condition = f"{_COMPARISONS.get(operator, operator)} {trigger.get('Threshold', 'the expected band')}"
    return f"{subject} {condition}, {_how_long(trigger)}"


def _how_long(trigger: Mapping[str, Any]) -> str:
    """Return the duration, such as `2 of 3 x 60 s`. With metric math only the single metrics may have a period."""
    stats = (metric.get("MetricStat", {}) for metric in trigger.get("Metrics") or ())
    period = trigger.get("Period") or next((stat["Period"] for stat in stats if stat.get("Period")), None)
    count = trigger.get("EvaluationPeriods", 1)
    needed = trigger.get("DatapointsToAlarm") or count
    times = f"{count}" if needed == count else f"{needed} of {count}"
    return f"{times} x {period} s" if period else f"{times} periods"


def _children(body: Mapping[str, Any]) -> str:
    names = [child["Arn"].split(":", 6)[-1] for child in body.get("TriggeringChildren") or ()]
    return f"Because of {', '.join(names)}" if names else ""
