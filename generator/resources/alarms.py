"""CloudWatch alarms in one form: explicit about missing data, with a notification at the start and at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troposphere import AWSHelperFn, Sub
from troposphere.cloudwatch import Alarm, MetricDimension

from generator import value_types as v

# The state of an alarm whose metric has no data (Amazon CloudWatch User Guide, "missing data").
MISSING_DATA_IS_OK = "notBreaching"
MISSING_DATA_IS_BREACHING = "breaching"


RUNBOOK = "docs/incidents.md"


def describe(description: str, command: str, section: str, workload: str = "") -> str:
    """Return the text of an alarm's description: its meaning, the workload, the next command and the runbook."""
    about = f"\nWorkload: {workload}" if workload else ""
    return f"{description}{about}\nNext: deploy.py {command} -e ${{Environment}}\nRunbook: {RUNBOOK}#{section}"


def alarm(
    title: str,
    name: str,
    topic: v.TopicArn,
    *,
    description: str,
    command: str,
    section: str,
    workload: str = "",
    namespace: str | Sub,
    metric: str,
    dimensions: Mapping[str, str | AWSHelperFn],
    statistic: str,
    threshold: float | v.MinTasks,
    comparison: str = "GreaterThanOrEqualToThreshold",
    period: int = 60,
    periods: int = 5,
    datapoints: int | None = None,
    missing: str = MISSING_DATA_IS_OK,
    prefix: str = "${Prefix}",
    **attributes: Any,
) -> Alarm:
    """Return an alarm with the name ``<prefix>-<name>``.

    ``command`` is the next command of deploy.py without ``-e``, and ``section`` the alarm's part of the runbook. Both
    become lines of the alarm's description, from which the notifier takes them. The texts may contain ``${...}`` of
    Fn::Sub. ``statistic`` is Average, Sum, Minimum, Maximum or a percentile such as ``p99``. ``period`` is in seconds.
    """
    statistics: dict[str, Any] = (
        {"ExtendedStatistic": statistic} if statistic.startswith("p") else {"Statistic": statistic}
    )
    return Alarm(
        title,
        AlarmName=Sub(f"{prefix}-{name}"),
        AlarmDescription=Sub(describe(description, command, section, workload)),
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[MetricDimension(Name=key, Value=value) for key, value in dimensions.items()],
        Period=period,
        EvaluationPeriods=periods,
        DatapointsToAlarm=datapoints or periods,
        Threshold=threshold,
        ComparisonOperator=comparison,
        TreatMissingData=missing,
        AlarmActions=[topic],
        OKActions=[topic],
        **statistics,
        **attributes,
    )
