"""The run of a migration: one ECS task with the new task definition, from its start to its exit code.

A migration may take longer than one invocation. Then the function invokes itself with the ARN of the task. Every step
can be repeated: the client token is derived from the request, so ECS starts one task for it.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from answer import Outcome
from botocore.config import Config
from botocore.exceptions import ClientError

logger = logging.getLogger()

# Time for the last call of this invocation and for the invocation of the next one.
RESERVE_SECONDS = 30.0
# Fargate may have no capacity for a moment. Each attempt has a client token of its own.
START_ATTEMPTS = 5
START_PAUSE_SECONDS = 15.0
# In a first deployment the policy of this function is seconds old (IAM User Guide, "Changes that I make are not always
# immediately visible").
_TEMPORARY = ("AccessDenied", "Capacity is unavailable")
# DescribeTasks is eventually consistent after RunTask (Amazon ECS API Reference, RunTask).
APPEARS = timedelta(minutes=2)
LONGEST_PAUSE_SECONDS = 5.0
# Shorter than the reserve, so that a dead connection raises an error with its own name.
_CONFIG = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard"})


class MigrationError(Exception):
    """The migration did not succeed. The message is the reason that CloudFormation shows."""


@dataclass(frozen=True)
class Run:
    """The properties of the resource. CloudFormation sends all of them as strings or lists of strings."""

    workload: str
    cluster: str
    definition: str
    container: str
    command: tuple[str, ...]
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    timeout: timedelta
    log_group: str
    stream_prefix: str

    @classmethod
    def parse(cls, properties: dict[str, Any]) -> "Run":
        """Return the properties of a request. Raises MigrationError if one is missing."""
        try:
            return cls(
                workload=properties["Workload"],
                cluster=properties["Cluster"],
                definition=properties["TaskDefinition"],
                container=properties["Container"],
                command=tuple(properties["Command"]),
                subnets=tuple(properties["Subnets"]),
                security_groups=tuple(properties["SecurityGroups"]),
                timeout=timedelta(seconds=int(properties["TimeoutSeconds"])),
                log_group=properties["LogGroup"],
                stream_prefix=properties["StreamPrefix"],
            )
        except KeyError as error:
            raise MigrationError(f"the property {error} is missing") from error

    @property
    def physical_id(self) -> str:
        # It never changes, so CloudFormation never deletes a run after an update.
        return f"migration:{self.workload}"

    def stream(self, task: str) -> str:
        return f"{self.stream_prefix}/{self.container}/{task.rpartition('/')[2]}"


def apply(event: dict[str, Any], seconds_left: Callable[[], float], function: str) -> Outcome | None:
    """Run the migration for Create and Update, unless the stack rolls back. Delete does nothing.

    Returns None if the migration still runs: then the next invocation responds. Raises MigrationError or ClientError.
    CloudFormation then receives FAILED, and rolls back before the service changes.
    """
    if event["RequestType"] == "Delete":
        return Outcome(event["PhysicalResourceId"], {})
    run = Run.parse(event["ResourceProperties"])
    arn = event.get("TaskArn")
    if arn is None:
        if _is_rolling_back(event["StackId"]):
            # The old version never left. A migration of its task definition has run before.
            logger.info("%s: the stack rolls back, so nothing runs", run.workload)
            return Outcome(run.physical_id, {})
        arn = _start(run, event["RequestId"])
    try:
        task = _wait(run, arn, seconds_left)
        if task is None:
            _continue(event | {"TaskArn": arn}, function)
            return None
    except Exception as error:
        # CloudFormation receives FAILED now and rolls back. A migration must not run on meanwhile.
        _stop(run, arn, str(error))
        raise
    return _judge(run, task)


def _is_rolling_back(stack_id: str) -> bool:
    cloudformation = boto3.client("cloudformation", config=_CONFIG)
    attempt = 1
    while True:
        try:
            (stack,) = cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        except ClientError as error:
            if attempt == START_ATTEMPTS or not _is_temporary(error):
                raise
            attempt += 1
            time.sleep(START_PAUSE_SECONDS)
        else:
            return "ROLLBACK" in stack["StackStatus"]


def _is_temporary(error: ClientError) -> bool:
    return any(text in str(error) for text in _TEMPORARY)


def _ecs() -> Any:
    return boto3.client("ecs", config=_CONFIG)


def _start(run: Run, request: str) -> str:
    """Start the task of a request, or find the one that an earlier invocation started. Return its ARN."""
    reason = ""
    for attempt in range(START_ATTEMPTS):
        if attempt:
            time.sleep(START_PAUSE_SECONDS)
        try:
            answer = _ecs().run_task(
                cluster=run.cluster,
                taskDefinition=run.definition,
                launchType="FARGATE",
                clientToken=f"{request}-{attempt}",
                startedBy="migration",
                propagateTags="TASK_DEFINITION",
                networkConfiguration={
                    "awsvpcConfiguration": {
                        "subnets": list(run.subnets),
                        "securityGroups": list(run.security_groups),
                        "assignPublicIp": "DISABLED",
                    }
                },
                overrides={"containerOverrides": [{"name": run.container, "command": list(run.command)}]},
            )
        except ClientError as error:
            if not _is_temporary(error):
                raise
            reason = str(error)
        else:
            if answer["tasks"]:
                arn: str = answer["tasks"][0]["taskArn"]
                logger.info("%s: task %s, log stream %s in %s", run.workload, arn, run.stream(arn), run.log_group)
                return arn
            reason = ", ".join(str(one.get("reason", "")) for one in answer["failures"])
        logger.warning("%s: ECS started no task: %s", run.workload, reason)
    raise MigrationError(f"{_described(run)} did not start: {reason or 'ECS gave no reason'}.")


def _wait(run: Run, arn: str, seconds_left: Callable[[], float]) -> dict[str, Any] | None:
    """Return the stopped task, or None if this invocation ends before. Raises MigrationError after the timeout."""
    pause = 0.5
    asked = datetime.now(UTC)
    while True:
        found = _ecs().describe_tasks(cluster=run.cluster, tasks=[arn])["tasks"]
        task: dict[str, Any] = found[0] if found else {}
        if task.get("lastStatus") == "STOPPED":
            return task
        now = datetime.now(UTC)
        if not task and now - asked > APPEARS:
            raise MigrationError(f"{_described(run)} was started, but ECS does not know the task {arn}.")
        if task and now - task["createdAt"] > run.timeout:
            seconds = int(run.timeout.total_seconds())
            raise MigrationError(f"{_described(run)} is stopped: it ran longer than {seconds} s. {_where(run, arn)}")
        if seconds_left() < RESERVE_SECONDS:
            return None
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _stop(run: Run, arn: str, reason: str) -> None:
    """Stop the task. An error is only logged: the caller reports the reason for the stop."""
    try:
        _ecs().stop_task(cluster=run.cluster, task=arn, reason=reason[:255])
    except ClientError:
        logger.exception("task %s is not stopped", arn)


def _continue(event: dict[str, Any], function: str) -> None:
    """Invoke this function again to wait for the task. Lambda ends a chain after 16 invocations, four hours."""
    boto3.client("lambda", config=_CONFIG).invoke(
        FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode()
    )
    logger.info("the next invocation waits for %s", event["TaskArn"])


def _judge(run: Run, task: dict[str, Any]) -> Outcome:
    """Return the outcome of a stopped task. Raises MigrationError unless its command ended by itself with code 0."""
    arn = task["taskArn"]
    containers: list[dict[str, Any]] = task["containers"]
    container = next((one for one in containers if one["name"] == run.container), {})
    code = container.get("exitCode")
    if code == 0 and task.get("stopCode") == "EssentialContainerExited":
        return Outcome(run.physical_id, {"ExitCode": "0", "TaskArn": arn, "LogStream": run.stream(arn)})
    reason = container.get("reason") or task.get("stoppedReason") or "ECS gave no reason"
    if code is None:
        raise MigrationError(f"{_described(run)} did not start: {reason}.")
    if task.get("stopCode") != "EssentialContainerExited":
        raise MigrationError(f"{_described(run)} was stopped: {reason}. {_where(run, arn)}")
    cause = f" ({container['reason']})" if container.get("reason") else ""
    raise MigrationError(f"{_described(run)} ended with exit code {code}{cause}. {_where(run, arn)}")


def _described(run: Run) -> str:
    return f"migration of {run.workload} `{' '.join(run.command)}`"


def _where(run: Run, arn: str) -> str:
    return f"Read its log: stream {run.stream(arn)} in {run.log_group}. The service was not changed."
