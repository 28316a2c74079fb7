"""Standalone task of a workload, with its network, roles, secrets and image, but another command.

The command replaces the one of the app container. Without a command a job runs its own. An entry point of the image
remains and gets the command as arguments. The bastion container runs too and ends with the task.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from hosting.deployer.aws.session import explain, is_denied
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import logs, tasks
from hosting.deployer.operate.logs import LogLine, LogSource
from hosting.deployer.operate.platform import Job, Platform, Service
from hosting.deployer.operate.tasks import Task

APP = "app"
# Allowed are letters, digits, "-", "/" and "_" (API reference, RunTask).
STARTED_BY = "deploy-py/run"
# DescribeTasks is eventually consistent after RunTask (API reference, RunTask).
_APPEARS = timedelta(minutes=2)

# Members of DescribeTaskDefinition that RegisterTaskDefinition does not accept.
_ANSWER_ONLY = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)


@dataclass
class StandaloneTask:
    """Task that was started for one command."""

    platform: Platform
    task: Task
    source: LogSource
    sleep: Callable[[float], None] = time.sleep
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def lines(self) -> Iterator[LogLine]:
        """Yield the output of the command until the task has stopped."""
        begin = self.started - timedelta(minutes=1)
        yield from logs.follow_lines(self.platform, [self.source], begin, sleep=self.sleep, until=self._has_stopped)

    def exit_code(self) -> int:
        """Return the exit code of the command. Raises DeployerError if the command did not start."""
        container = self.task.container(APP)
        if container.exit_code is not None:
            return container.exit_code
        why = container.reason or self.task.reason or "ECS gives no reason"
        raise DeployerError(f"the command did not run: {why}", where=f"task {self.task.id}")

    def stop(self) -> None:
        """Stop the task before the command ends."""
        _stop(self._ecs, self.platform.cluster, self.task.arn)

    @property
    def _ecs(self) -> Any:
        return self.platform.context.clients.ecs(self.platform.home)

    def _has_stopped(self) -> bool:
        found = tasks.describe_tasks(self._ecs, self.platform.cluster, [self.task.arn])
        if found:
            self.task = found[0]
        elif datetime.now(UTC) - self.started > _APPEARS:
            raise DeployerError("the task does not exist in ECS", where=f"task {self.task.id}")
        return self.task.status == "STOPPED"


def start_task(
    platform: Platform,
    workload: Service | Job,
    command: Sequence[str],
    *,
    image: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> StandaloneTask:
    """Start a standalone task.

    If `image` differs from the workload's image, a temporary task definition is registered for this task. An
    interruption (KeyboardInterrupt) leaves no task behind.
    """
    client = platform.context.clients.ecs(platform.home)
    launch = tasks.describe_launch(platform, workload)
    definition = tasks.read_task_definition(platform, launch.definition)
    temporary = ""
    if image is not None and image != _image(definition):
        temporary = _register(client, definition, image)
    request: dict[str, Any] = {
        "cluster": platform.cluster,
        "taskDefinition": temporary or launch.definition,
        "count": 1,
        "launchType": "FARGATE",
        "platformVersion": launch.platform_version,
        "networkConfiguration": launch.network,
        "enableExecuteCommand": launch.exec_enabled,
        "propagateTags": "TASK_DEFINITION",
        "startedBy": STARTED_BY,
        "clientToken": str(uuid.uuid4()),
    }
    if command:
        request["overrides"] = {"containerOverrides": [{"name": APP, "command": list(command)}]}
    try:
        answer = client.run_task(**request)
        if answer["failures"] or not answer["tasks"]:
            reasons = ", ".join(str(one.get("reason", "")) for one in answer["failures"])
            raise DeployerError(f"the task could not be started: {reasons or 'no reason given'}", where=workload.slug)
    except KeyboardInterrupt:
        # ECS may have started the task, and only the lost reply names it. The same token returns the same task.
        for one in client.run_task(**request)["tasks"]:
            _stop(client, platform.cluster, one["taskArn"])
        raise
    except ClientError as error:
        if not is_denied(error):
            raise
        hint = "you need ecs:RunTask on the task definition and iam:PassRole on its two roles"
        raise DeployerError(explain(error).what, where=workload.slug, hint=hint) from error
    finally:
        # A running task does not need the temporary task definition, and no other client should use it.
        if temporary:
            client.deregister_task_definition(taskDefinition=temporary)
    # The task is read from this answer: DescribeTasks might not find it yet.
    task = tasks.parse_task(answer["tasks"][0], platform.cluster)
    group, stream = logs.find_log_stream(definition, APP, task.id)
    return StandaloneTask(platform, task, LogSource(workload.slug, group, platform.home, (stream,)), sleep)


def _stop(client: Any, cluster: str, task: str) -> None:
    client.stop_task(cluster=cluster, task=task, reason="interrupted by its operator")


def _image(definition: dict[str, Any]) -> str:
    return next((one["image"] for one in definition["containerDefinitions"] if one["name"] == APP), "")


def _register(client: Any, definition: dict[str, Any], image: str) -> str:
    """Register a copy of the task definition with another image. Return its ARN.

    The copy has a family of its own: a revision of the service's family would look like a deployment.
    """
    request = {name: value for name, value in definition.items() if name not in _ANSWER_ONLY}
    request["family"] = f"{definition['family']}-run"[:255]
    request["containerDefinitions"] = [
        {**one, "image": image} if one["name"] == APP else one for one in definition["containerDefinitions"]
    ]
    arn: str = client.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"]
    return arn
