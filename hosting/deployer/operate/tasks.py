"""Tasks of a service, and which of them a session should go to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate.platform import Platform, Service

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

_EPOCH = datetime.fromtimestamp(0, UTC)
# What ECS takes in one call of DescribeTasks.
_BATCH = 100


@dataclass(frozen=True)
class Container:
    name: str
    runtime_id: str
    status: str
    health: str
    # State of the agent that sessions go through; empty where ECS says nothing of one.
    agent: str
    exit_code: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Task:
    arn: str
    cluster: str
    definition: str
    status: str
    desired: str
    started: datetime
    exec_enabled: bool
    containers: tuple[Container, ...]
    reason: str = ""
    stop_code: str = ""
    stopped: datetime = _EPOCH
    platform_version: str = ""

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def is_running(self) -> bool:
        return self.status == "RUNNING" and self.desired == "RUNNING"

    def why_stopped(self) -> str:
        """What ECS says of its end, and how each container that began ended."""
        ended = [
            f"{one.name} exited with {one.exit_code}" + (f" ({one.reason})" if one.reason else "")
            for one in self.containers
            if one.exit_code is not None
        ]
        return "; ".join([self.reason or "ECS gives no reason", *ended])

    def container(self, name: str) -> Container:
        for container in self.containers:
            if container.name == name:
                return container
        known = ", ".join(container.name for container in self.containers)
        raise DeployerError(f'has no container "{name}"', where=f"task {self.id}", hint=f"known: {known}")

    def target(self, container: str) -> str:
        """How Session Manager calls a container of this task."""
        return f"ecs:{self.cluster}_{self.id}_{self.container(container).runtime_id}"


def describe_tasks(client: ECSClient, cluster: str, arns: Sequence[str]) -> list[Task]:
    found: list[Task] = []
    for start in range(0, len(arns), _BATCH):
        answer = client.describe_tasks(cluster=cluster, tasks=list(arns[start : start + _BATCH]))
        found += [parse_task(raw, cluster) for raw in answer["tasks"]]
    return found


def list_running_tasks(platform: Platform, service: Service) -> list[Task]:
    """The service's tasks that run, the ones to prefer first."""
    client = platform.context.clients.ecs(platform.home)
    found = describe_tasks(client, platform.cluster, _arns(platform, service, "RUNNING"))
    return [task for task in found if task.is_running]


def select_task(platform: Platform, service: Service, container: str, *, task_id: str | None = None) -> Task:
    """The task for a session to a container: the one asked for, or the most promising one.

    Healthy before unknown before unhealthy, and the newest among those, which will live longest.
    """
    found = list_running_tasks(platform, service)
    if task_id is not None:
        matching = [task for task in found if task.id.startswith(task_id.rpartition("/")[2])]
        if len(matching) == 1:
            matching[0].container(container)
            return matching[0]
        what = f'has no running task "{task_id}"' if not matching else f'has several tasks that begin with "{task_id}"'
        known = ", ".join(task.id for task in found) or "none"
        raise DeployerError(what, where=service.slug, hint=f"running tasks: {known}")
    ready = [task for task in found if any(_is_ready(one) for one in task.containers if one.name == container)]
    if ready:
        return max(ready, key=lambda task: (_RANK.get(task.container(container).health, 0), task.started))
    name = platform.context.environment.name
    if not found:
        hint = f"see why: deploy.py status -e {name}, deploy.py events -e {name}"
        raise DeployerError("no task is running", where=service.slug, hint=hint)
    if not any(one.name == container for task in found for one in task.containers):
        found[0].container(container)
    states = "; ".join(f"{task.id[:8]}: {_state(task, container)}" for task in found)
    hint = f"a task that has just started may need a minute; otherwise: deploy.py exec --check -e {name}"
    raise DeployerError(f'no task is ready for a session to "{container}" ({states})', where=service.slug, hint=hint)


def read_task_definition(platform: Platform, arn: str) -> dict[str, Any]:
    """A task definition, as ECS runs it."""
    answer: Any = platform.context.clients.ecs(platform.home).describe_task_definition(taskDefinition=arn)
    found: dict[str, Any] = answer["taskDefinition"]
    return found


def describe_service(platform: Platform, service: Service) -> dict[str, Any]:
    """A service, as ECS runs it; an error when somebody has deleted it behind the stack's back."""
    answer: Any = platform.context.clients.ecs(platform.home).describe_services(
        cluster=platform.cluster, services=[service.ecs_name]
    )
    live: list[dict[str, Any]] = [one for one in answer["services"] if one.get("status") != "INACTIVE"]
    if not live:
        hint = f"compare with the templates: deploy.py drift -e {platform.name}"
        raise DeployerError("ECS does not know this service any more", where=service.slug, hint=hint)
    return live[0]


def list_stopped_tasks(platform: Platform, service: Service) -> Iterator[Task]:
    """Tasks of the service that ended lately: ECS forgets them after an hour."""
    client = platform.context.clients.ecs(platform.home)
    yield from describe_tasks(client, platform.cluster, _arns(platform, service, "STOPPED"))


_RANK = {"HEALTHY": 2, "UNKNOWN": 1, "UNHEALTHY": 0}


def _arns(platform: Platform, service: Service, desired: Literal["RUNNING", "STOPPED"]) -> list[str]:
    # Page after page: a service that starts in vain leaves hundreds of stopped tasks within the hour.
    pages = (
        platform.context.clients.ecs(platform.home)
        .get_paginator("list_tasks")
        .paginate(cluster=platform.cluster, serviceName=service.ecs_name, desiredStatus=desired)
    )
    return [arn for page in pages for arn in page["taskArns"]]


def _is_ready(container: Container) -> bool:
    return container.status == "RUNNING" and bool(container.runtime_id) and container.agent in {"RUNNING", ""}


def _state(task: Task, name: str) -> str:
    for container in task.containers:
        if container.name == name:
            agent = f", agent {container.agent}" if container.agent else ""
            return f"{container.status}{agent}"
    return f'no container "{name}"'


def parse_task(raw: Any, cluster: str) -> Task:
    """A task as ECS describes it."""
    return Task(
        arn=raw["taskArn"],
        cluster=cluster,
        definition=raw["taskDefinitionArn"],
        status=raw.get("lastStatus", ""),
        desired=raw.get("desiredStatus", ""),
        started=raw.get("startedAt") or _EPOCH,
        exec_enabled=bool(raw.get("enableExecuteCommand", False)),
        containers=tuple(_container(one) for one in raw.get("containers", ())),
        reason=raw.get("stoppedReason", ""),
        stop_code=raw.get("stopCode", ""),
        stopped=raw.get("stoppedAt") or raw.get("stoppingAt") or _EPOCH,
        platform_version=raw.get("platformVersion", ""),
    )


def _container(raw: Any) -> Container:
    agents = {agent.get("name"): agent.get("lastStatus", "") for agent in raw.get("managedAgents", ())}
    return Container(
        name=raw["name"],
        runtime_id=raw.get("runtimeId", ""),
        status=raw.get("lastStatus", ""),
        health=raw.get("healthStatus", "UNKNOWN"),
        agent=agents.get("ExecuteCommandAgent", ""),
        exit_code=raw.get("exitCode"),
        reason=raw.get("reason", ""),
    )
