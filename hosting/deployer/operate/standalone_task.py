"""One task beside a service's own: its network, roles, secrets and image, another command.

The command replaces that of the app container; an entry point of the image stays and gets it as arguments. The
bastion starts along with it, as in every task, and ends with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from hosting.deployer.aws.session import explain, is_denied
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import logs, tasks
from hosting.deployer.operate.logs import LogLine, LogSource
from hosting.deployer.operate.platform import Platform, Service
from hosting.deployer.operate.tasks import Task

APP = "app"
# Letters, digits, "-", "/" and "_" (API reference, RunTask).
STARTED_BY = "deploy-py/run"
# ECS may need a moment until it shows a task that it has started (API reference, RunTask).
_APPEARS = timedelta(minutes=2)

# What DescribeTaskDefinition answers and RegisterTaskDefinition does not take.
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
    """A task that was started for one command."""

    platform: Platform
    task: Task
    source: LogSource
    sleep: Callable[[float], None] = time.sleep
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def lines(self) -> Iterator[LogLine]:
        """What the command says, until the task has stopped."""
        begin = self.started - timedelta(minutes=1)
        yield from logs.follow_lines(self.platform, [self.source], begin, sleep=self.sleep, until=self._has_stopped)

    def exit_code(self) -> int:
        """How the command ended; an error when it never began."""
        container = self.task.container(APP)
        if container.exit_code is not None:
            return container.exit_code
        why = container.reason or self.task.reason or "ECS gives no reason"
        raise DeployerError(f"the command did not run: {why}", where=f"task {self.task.id}")

    def stop(self) -> None:
        """Stop the task before it has ended by itself."""
        self._ecs.stop_task(cluster=self.platform.cluster, task=self.task.arn, reason="interrupted by its operator")

    @property
    def _ecs(self) -> Any:
        return self.platform.context.clients.ecs(self.platform.home)

    def _has_stopped(self) -> bool:
        found = tasks.describe_tasks(self._ecs, self.platform.cluster, [self.task.arn])
        if found:
            self.task = found[0]
        elif datetime.now(UTC) - self.started > _APPEARS:
            raise DeployerError("ECS has forgotten it", where=f"task {self.task.id}")
        return self.task.status == "STOPPED"


def start_task(
    platform: Platform,
    service: Service,
    command: Sequence[str],
    *,
    image: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> StandaloneTask:
    """Start the task. With an `image` other than the service's, a task definition is registered for this run."""
    client = platform.context.clients.ecs(platform.home)
    live = tasks.describe_service(platform, service)
    definition = tasks.read_task_definition(platform, live["taskDefinition"])
    temporary = ""
    if image is not None and image != _image(definition):
        temporary = _register(client, definition, image)
    request: dict[str, Any] = {
        "cluster": platform.cluster,
        "taskDefinition": temporary or live["taskDefinition"],
        "count": 1,
        "launchType": "FARGATE",
        "platformVersion": live.get("platformVersion") or "LATEST",
        "networkConfiguration": live["networkConfiguration"],
        "enableExecuteCommand": bool(live.get("enableExecuteCommand")),
        "propagateTags": "TASK_DEFINITION",
        "startedBy": STARTED_BY,
        "overrides": {"containerOverrides": [{"name": APP, "command": list(command)}]},
    }
    try:
        answer = client.run_task(**request)
        if answer["failures"] or not answer["tasks"]:
            reasons = ", ".join(str(one.get("reason", "")) for one in answer["failures"])
            raise DeployerError(f"ECS could not start a task: {reasons or 'no reason given'}", where=service.slug)
    except ClientError as error:
        if not is_denied(error):
            raise
        hint = "you need ecs:RunTask on the task definition and iam:PassRole on its two roles"
        raise DeployerError(explain(error).what, where=service.slug, hint=hint) from error
    finally:
        # A task that runs does not need it any more, and nobody else should find it.
        if temporary:
            client.deregister_task_definition(taskDefinition=temporary)
    # From this answer: to describe it right now might find nothing yet.
    task = tasks.parse_task(answer["tasks"][0], platform.cluster)
    group, stream = logs.find_log_stream(definition, APP, task.id)
    return StandaloneTask(platform, task, LogSource(service.slug, group, platform.home, (stream,)), sleep)


def _image(definition: dict[str, Any]) -> str:
    return next((one["image"] for one in definition["containerDefinitions"] if one["name"] == APP), "")


def _register(client: Any, definition: dict[str, Any], image: str) -> str:
    """A copy under a family of its own: a revision of the service's family would look like a deployment."""
    request = {name: value for name, value in definition.items() if name not in _ANSWER_ONLY}
    request["family"] = f"{definition['family']}-run"[:255]
    request["containerDefinitions"] = [
        {**one, "image": image} if one["name"] == APP else one for one in definition["containerDefinitions"]
    ]
    arn: str = client.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"]
    return arn
