"""A CloudWatch alarm as SNS delivers it: with one metric, with metric math, or composed of other alarms."""

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

# The first check by namespace. The alarm's own description explains its meaning.
_FIRST_LOOKS = {
    "AWS/ApplicationELB": "Compare the target's 5xx with the service's log; a healthy target may still answer slowly.",
    "AWS/CloudFront": "See whether the origin answers at all; the sorry page shows while it does not.",
    "AWS/ECS": "See whether the service is at its maximum of tasks; raise it in params/ when the load is wanted.",
    "AWS/Firehose": "Look under the archive's error prefix; logs are kept for 24 hours while delivery fails.",
    "AWS/Lambda": "Read the function's log; an event that failed after all retries is in its failure queue.",
    "AWS/RDS": "Look at the slow query log and Performance Insights before giving it more capacity.",
    "AWS/WAFV2": "See which rule counts and for whom, before blocking.",
    "AWS/SQS": "Read the waiting event, correct the cause, then move it back to its source.",
}
_NO_DATA = "Nothing is measured: the resource may be gone, stopped, or may never have been used."


def alarm(body: Mapping[str, Any], message_id: str) -> Notification:
    """Return the notification of a CloudWatch alarm."""
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
        text="\n".join(lines) or "No reason given.",
        steps=_steps(name, state, arn, trigger),
        resources=(arn,) if arn else (),
        context=(("from", str(body.get("OldStateValue", ""))), ("since", str(body.get("StateChangeTime", "")))),
    )


def _steps(name: str, state: str, arn: str, trigger: Mapping[str, Any]) -> tuple[str, ...]:
    region = arn.split(":")[3] if arn.count(":") >= 6 else console.own_region()
    see = f"Open the {console.alarm(region, name)}."
    if state == "OK":
        return (f"Nothing to do. {see}",)
    if state == "INSUFFICIENT_DATA":
        return (see, _NO_DATA)
    looks = [_FIRST_LOOKS[space] for space in _namespaces(trigger) if space in _FIRST_LOOKS]
    return (see, *dict.fromkeys(looks))


def _namespaces(trigger: Mapping[str, Any]) -> list[str]:
    stats = [metric.get("MetricStat", {}).get("Metric", {}) for metric in trigger.get("Metrics", ())]
    return [str(metric["Namespace"]) for metric in [trigger, *stats] if metric.get("Namespace")]


def _measured(trigger: Mapping[str, Any]) -> str:
    """Return the condition as one line; empty for a composite alarm."""
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
    """Return the duration, such as `2 of 3 x 60 s`. With metric math only single metrics may have a period."""
    stats = (metric.get("MetricStat", {}) for metric in trigger.get("Metrics") or ())
    period = trigger.get("Period") or next((stat["Period"] for stat in stats if stat.get("Period")), None)
    count = trigger.get("EvaluationPeriods", 1)
    needed = trigger.get("DatapointsToAlarm") or count
    times = f"{count}" if needed == count else f"{needed} of {count}"
    return f"{times} x {period} s" if period else f"{times} periods"


def _children(body: Mapping[str, Any]) -> str:
    names = [child["Arn"].split(":", 6)[-1] for child in body.get("TriggeringChildren") or ()]
    return f"Because of {', '.join(names)}" if names else ""
