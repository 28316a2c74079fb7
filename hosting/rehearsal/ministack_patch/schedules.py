"""EventBridge Scheduler: schedules are validated, keep their time zone, and run ECS tasks with their role.

`Rehearsal.Schedules` runs all occurrences of an interval at once, so that no test waits for a minute. The emulator also
runs what is due on its own clock.
"""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import itertools
import json
import re
import uuid
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ecs, eventbridge, iam, scheduler, sqs

from hosting.rehearsal.ministack_patch import shapes
from hosting.rehearsal.ministack_patch.api import Proceed, operation
from hosting.rehearsal.ministack_patch.patching import set_attribute
from hosting.rehearsal.ministack_patch.policies import listed
from hosting.rehearsal.ministack_patch.registry import (
    Properties,
    Provisioned,
    checked,
    error_text,
    physical_name,
    register,
)

Schedule = dict[str, Any]

# Scheduler starts tasks in this name, cut to the length that was seen (36 characters).
STARTED_BY = "chronos-schedule/{name}"
UNITS = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86400, "days": 86400}

_create_schedule = scheduler._create_schedule
_update_schedule = scheduler._update_schedule
_clock = [datetime.now(UTC)]


class DeliveryError(Exception):
    """Scheduler could not invoke the target: the code and the text of the dead-letter event."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def install() -> None:
    """Register the type, validate requests, and replace the sweep over due schedules."""
    register("AWS::Scheduler::Schedule", create=create, update=update, delete=delete, replaces=("Name",))
    set_attribute(scheduler, "_create_schedule", create_checked)
    set_attribute(scheduler, "_update_schedule", update_checked)
    set_attribute(scheduler, "_tick_schedules", run_due)


# --- The resource type and the API --------------------------------------------------------------------------


def create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    request = shapes.request("scheduler", "CreateSchedule", properties)
    name = request.pop("Name", None) or physical_name(stack_name, logical_id, 64)
    arn = checked(scheduler._create_schedule(name, request), "CreateSchedule")["ScheduleArn"]
    return name, {"Arn": arn}


def update(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    request = shapes.request("scheduler", "UpdateSchedule", new)
    request.pop("Name", None)
    arn = checked(scheduler._update_schedule(physical_id, request), "UpdateSchedule")["ScheduleArn"]
    return physical_id, {"Arn": arn}


def delete(physical_id: str, properties: Properties) -> None:
    scheduler._delete_schedule(physical_id, {"groupName": properties.get("GroupName", "default")})


def create_checked(name: str, body: Schedule) -> Any:
    text = refusal(body)
    return scheduler._error(400, "ValidationException", text) if text else _create_schedule(name, body)


def update_checked(name: str, body: Schedule) -> Any:
    text = refusal(body)
    return scheduler._error(400, "ValidationException", text) if text else _update_schedule(name, body)


def refusal(body: Schedule) -> str:
    """Return why Scheduler refuses a schedule, or an empty string. It does not look at the target itself."""
    target, expression = body.get("Target") or {}, str(body.get("ScheduleExpression", ""))
    if zone_of(body) is None:
        return f"Invalid ScheduleExpressionTimezone {body.get('ScheduleExpressionTimezone')}."
    if not is_valid(expression):
        return f"Invalid Schedule Expression {expression}."
    if not trusts_scheduler(str(target.get("RoleArn", "")), body.get("GroupName") or "default"):
        return "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
    if is_cluster(target) and not (target.get("EcsParameters") or {}).get("TaskDefinitionArn"):
        return f"Parameter EcsParameters must be specified for target: {target['Arn']}."
    return ""


def is_cluster(target: dict[str, Any]) -> bool:
    return ":ecs:" in str(target.get("Arn")) and ":cluster/" in str(target.get("Arn"))


def zone_of(schedule: Schedule) -> zoneinfo.ZoneInfo | None:
    try:
        return zoneinfo.ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None


def is_valid(expression: str) -> bool:
    """Return whether Scheduler accepts a rate, a cron or a time."""
    if rate := re.fullmatch(r"rate\((\d+) (\w+)\)", expression):
        return int(rate[1]) > 0 and rate[2] in UNITS
    if at := re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", expression):
        try:
            datetime.fromisoformat(at[1])
        except ValueError:
            return False
        return True
    try:
        fields = eventbridge._parse_cron_fields(expression)
    except ValueError:
        return False
    # Exactly one of day of month and day of week is "?".
    return fields is not None and "?" in fields[6:8]


def trusts_scheduler(role: str, group: str) -> bool:
    """Return whether a role exists and allows Scheduler to assume it for schedules of a group."""
    found = iam._roles.get(role.rpartition("/")[2])
    if found is None or found["Arn"] != role:
        return False
    # Scheduler names the group of the schedule as the source (User Guide, Cross-service confused deputy prevention).
    keys = {"aws:SourceAccount": get_account_id(), "aws:SourceArn": scheduler._group_arn(group)}
    caller = context(role, "sts:AssumeRole", role, keys)
    document = found["AssumeRolePolicyDocument"]
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement") or []
    return any(
        statement["Effect"] == "Allow"
        and "sts:AssumeRole" in listed(statement["Action"])
        and iam_evaluator._service_principal_matches(statement["Principal"], "scheduler.amazonaws.com")
        and iam_evaluator._conditions_met(statement.get("Condition") or {}, caller)
        for statement in listed(statements)
    )


# --- Time ---------------------------------------------------------------------------------------------------


def occurrences(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the times of an enabled schedule that are later than `after` and not later than `until`."""
    start, end = (scheduler._to_epoch(schedule.get(name)) for name in ("StartDate", "EndDate"))
    moment = next_occurrence(schedule, after)
    while schedule["State"] == "ENABLED" and moment is not None and moment <= until:
        if (start is None or moment.timestamp() >= start) and (end is None or moment.timestamp() <= end):
            yield moment
        moment = next_occurrence(schedule, moment)


def next_occurrence(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first time of a schedule after a moment, in UTC, or None if there is none."""
    expression, zone = schedule["ScheduleExpression"], zone_of(schedule)
    if at := re.fullmatch(r"at\((.+)\)", expression):
        moment = datetime.fromisoformat(at[1]).replace(tzinfo=zone).astimezone(UTC)
        return moment if moment > after else None
    if rate := re.fullmatch(r"rate\((\d+) (\w+)\)", expression):
        interval = timedelta(seconds=int(rate[1]) * UNITS[rate[2]])
        created = datetime.fromtimestamp(schedule["CreationDate"], UTC)
        return created + interval * max(1, (after - created) // interval + 1)
    found = eventbridge._cron_next_fire(eventbridge._parse_cron_fields(expression), after.astimezone(zone))
    return found.astimezone(UTC) if found else None


def run_due() -> None:
    """Run what became due since the last sweep, for all accounts."""
    after, until = _clock[0], datetime.now(UTC)
    _clock[0] = until
    for account, region, key in list(scheduler._schedules._data):
        with request_scope(account, region):
            if schedule := scheduler._schedules.get(key):
                for moment in occurrences(schedule, after, until):
                    run(schedule, moment)


@operation("Rehearsal.Schedules")
def run_schedules(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Run the occurrences of an interval, in the order of their times. Return name, time, tasks and error of each.

    With `Each` only so many occurrences of each schedule run.
    """
    after, until = (datetime.fromisoformat(parameters[name]) for name in ("After", "Until"))
    limit = int(parameters["Each"]) if "Each" in parameters else None
    due = [
        (moment, schedule)
        for schedule in list(scheduler._schedules.values())
        for moment in itertools.islice(occurrences(schedule, after, until), limit)
    ]
    return {"Runs": [run(schedule, moment) for moment, schedule in sorted(due, key=lambda one: one[0])]}


# --- Invocation ---------------------------------------------------------------------------------------------


def run(schedule: Schedule, moment: datetime) -> dict[str, Any]:
    """Invoke the target of a schedule. A failure is sent to its dead-letter queue."""
    done: dict[str, Any] = {"Name": schedule["Name"], "At": moment.isoformat(), "Tasks": []}
    try:
        done["Tasks"] = invoke(schedule, moment)
    except DeliveryError as error:
        done["Error"] = f"{error.code}: {error}"
        send_dead_letter(schedule, moment, error)
    if schedule.get("ActionAfterCompletion") == "DELETE" and schedule["ScheduleExpression"].startswith("at("):
        scheduler._delete_schedule(schedule["Name"], {"groupName": schedule["GroupName"]})
    return done


def invoke(schedule: Schedule, moment: datetime) -> list[str]:
    """Invoke a target with the role of the schedule, and return the ARNs of the started tasks."""
    target = schedule["Target"]
    if not is_cluster(target):
        event = {
            "EventId": str(uuid.uuid4()),
            "Source": "aws.scheduler",
            "DetailType": "Scheduled Event",
            "Detail": "{}",
            "Time": moment.timestamp(),
            "Resources": [schedule["Arn"]],
            "Account": get_account_id(),
            "Region": get_region(),
        }
        eventbridge._invoke_target(target, event, schedule)
        return []
    request = task_request(schedule)
    require_permissions(target["RoleArn"], request)
    reply = ecs._run_task(request)
    body = reply[2].decode() if isinstance(reply[2], bytes) else str(reply[2])
    if reply[0] >= 400:
        raise DeliveryError(json.loads(body).get("__type", "").rpartition("#")[2], error_text(body))
    return [task["taskArn"] for task in json.loads(body)["tasks"]]


def task_request(schedule: Schedule) -> dict[str, Any]:
    """Return the request of RunTask that Scheduler makes for a target with EcsParameters."""
    target = schedule["Target"]
    parameters = dict(target["EcsParameters"])
    definition, count = parameters.pop("TaskDefinitionArn"), parameters.pop("TaskCount", 1)
    request: dict[str, Any] = shapes.request("ecs", "RunTask", parameters)
    if target.get("Input"):
        try:
            request["overrides"] = shapes.request("ecs", "RunTask", {"overrides": json.loads(target["Input"])})[
                "overrides"
            ]
        except ValueError as error:
            raise DeliveryError("InvalidParameterException", "Invalid overrides in the input of the target.") from error
    return request | {
        "cluster": target["Arn"],
        "taskDefinition": definition,
        "count": int(count),
        "startedBy": STARTED_BY.format(name=schedule["Name"])[:36],
    }


def require_permissions(role: str, request: dict[str, Any]) -> None:
    """Raise DeliveryError if the role may not run the task, or may not pass the roles of its definition."""
    definition = ecs._task_defs.get(ecs._resolve_td_key(request["taskDefinition"]))
    if definition is None:
        return  # RunTask answers
    wanted = [("ecs:RunTask", definition["taskDefinitionArn"], {"ecs:cluster": request["cluster"]})]
    passed = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
    wanted += [
        ("iam:PassRole", definition[name], passed) for name in ("taskRoleArn", "executionRoleArn") if definition[name]
    ]
    if request.get("tags"):
        tasks = f"{request['cluster'].replace(':cluster/', ':task/')}/*"
        wanted.append(("ecs:TagResource", tasks, {"ecs:createaction": "RunTask"}))
    for action, resource, keys in wanted:
        if not is_allowed(role, action, resource, keys):
            raise DeliveryError(
                "AccessDeniedException",
                f"{role} is not authorized to perform: {action} on resource: {resource} because no identity-based "
                f"policy allows the {action} action",
            )


def is_allowed(role: str, action: str, resource: str, keys: dict[str, str]) -> bool:
    policies = iam_evaluator._gather_role_policies(role.rpartition("/")[2], get_account_id())
    return bool(iam_evaluator.evaluate(context(role, action, resource, keys), policies).decision == "Allow")


def context(role: str, action: str, resource: str, keys: dict[str, str]) -> Any:
    """Return the request of a role as the IAM evaluation of MiniStack needs it."""
    return iam_evaluator.EvalContext(
        principal_arn=role,
        principal_type="AssumedRole",
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context={name.lower(): value for name, value in keys.items()},
    )


def send_dead_letter(schedule: Schedule, moment: datetime, error: DeliveryError) -> None:
    """Send the failed invocation to the schedule's queue, if the role may (EventBridge Scheduler User Guide, DLQ)."""
    target = schedule["Target"]
    arn = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    queue = sqs._queue_by_arn(arn)
    if queue is None or not is_allowed(target["RoleArn"], "sqs:SendMessage", arn, {}):
        return
    described = {
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error),
        "EXECUTION_ID": str(uuid.uuid4()),
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": str((target.get("RetryPolicy") or {}).get("MaximumRetryAttempts", 185)),
        "SCHEDULED_TIME": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "SCHEDULE_ARN": schedule["Arn"],
        "TARGET_ARN": target["Arn"],
    }
    message = {
        "QueueUrl": queue["url"],
        "MessageBody": target.get("Input") or "{}",
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in described.items()},
    }
    sqs._act_send_message(message, queue["url"])
