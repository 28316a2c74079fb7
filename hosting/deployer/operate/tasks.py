"""Tasks of a workload, and the selection of the task for a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate.platform import Job, Platform, Service

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

_EPOCH = datetime.fromtimestamp(0, UTC)
# Maximum number of tasks in one call of DescribeTasks.
_BATCH = 100


@dataclass(frozen=True)
class Container:
    """Container of a task."""

    name: str
    runtime_id: str
    status: str
    health: str
    # Status of the ECS Exec agent. Empty if ECS reports none.
    agent: str
    exit_code: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Task:
    """Task of a service."""

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
    # Whether it runs another command than that of its task definition.
    has_other_command: bool = False

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def is_running(self) -> bool:
        return self.status == "RUNNING" and self.desired == "RUNNING"

    def why_stopped(self) -> str:
        """Return the reason of ECS for the end of the task, and the exit code of each container."""
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
        """Return the target of a container of this task for Session Manager."""
        return f"ecs:{self.cluster}_{self.id}_{self.container(container).runtime_id}"


def describe_tasks(client: ECSClient, cluster: str, arns: Sequence[str]) -> list[Task]:
    """Return the tasks with these ARNs. ECS leaves out tasks that it has deleted."""
    found: list[Task] = []
    for start in range(0, len(arns), _BATCH):
        answer = client.describe_tasks(cluster=cluster, tasks=list(arns[start : start + _BATCH]))
        found += [parse_task(raw, cluster) for raw in answer["tasks"]]
    return found


def list_running_tasks(platform: Platform, service: Service | Job) -> list[Task]:
    """Return the running tasks of a service or a job."""
    client = platform.context.clients.ecs(platform.home)
    found = describe_tasks(client, platform.cluster, _arns(platform, service, "RUNNING"))
    return [task for task in found if task.is_running]


def select_task(platform: Platform, service: Service | Job, container: str, *, task_id: str | None = None) -> Task:
    """Return the task for a session: the requested one, or the healthiest one.

    Tasks with unknown health come after healthy ones and before unhealthy ones. Of several, the newest is selected,
    because it will run longest.
    """
    found = list_running_tasks(platform, service)
    if task_id is not None:
        matching = [task for task in found if task.id.startswith(task_id.rpartition("/")[2])]
        if len(matching) == 1:
            matching[0].container(container)
            return matching[0]
        what = (
            f'has no running task "{task_id}"'
            if not matching
            else f'has several tasks whose id begins with "{task_id}"'
        )
        known = ", ".join(task.id for task in found) or "none"
        raise DeployerError(what, where=service.slug, hint=f"running tasks: {known}")
    ready = [task for task in found if any(_is_ready(one) for one in task.containers if one.name == container)]
    if ready:
        return max(ready, key=lambda task: (_RANK.get(task.container(container).health, 0), task.started))
    name = platform.context.environment.name
    if not found:
        hint = f"find the reason: deploy.py status -e {name}, deploy.py events -e {name}"
        if isinstance(service, Job):
            hint = f"a job has tasks only while it runs; start one: deploy.py run -e {name} --service {service.slug}"
        raise DeployerError("no task is running", where=service.slug, hint=hint)
    if not any(one.name == container for task in found for one in task.containers):
        found[0].container(container)
    states = "; ".join(f"{task.id[:8]}: {_state(task, container)}" for task in found)
    hint = f"wait a minute after the start of a task, or find the reason: deploy.py exec --check -e {name}"
    raise DeployerError(f'no task is ready for a session to "{container}" ({states})', where=service.slug, hint=hint)


def select_any_task(platform: Platform, container: str) -> tuple[Service | Job, Task]:
    """Return the first workload that has a task for a session, and this task. Services precede jobs."""
    refused: list[DeployerError] = []
    for workload in platform.workloads or (platform.service(None),):
        try:
            return workload, select_task(platform, workload, container)
        except DeployerError as error:
            refused.append(error)
    raise refused[0]


def read_task_definition(platform: Platform, arn: str) -> dict[str, Any]:
    """Return a task definition as ECS describes it."""
    answer: Any = platform.context.clients.ecs(platform.home).describe_task_definition(taskDefinition=arn)
    found: dict[str, Any] = answer["taskDefinition"]
    return found


def describe_service(platform: Platform, service: Service) -> dict[str, Any]:
    """Return a service as ECS describes it. Raises DeployerError if it was deleted outside CloudFormation."""
    answer: Any = platform.context.clients.ecs(platform.home).describe_services(
        cluster=platform.cluster, services=[service.ecs_name]
    )
    live: list[dict[str, Any]] = [one for one in answer["services"] if one.get("status") != "INACTIVE"]
    if not live:
        hint = f"compare with the templates: deploy.py drift -e {platform.name}"
        raise DeployerError("the service does not exist in ECS", where=service.slug, hint=hint)
    return live[0]


@dataclass(frozen=True)
class Launch:
    """Task definition of a workload, and the settings with which its service or its schedule starts tasks."""

    definition: str
    network: dict[str, Any]
    exec_enabled: bool
    platform_version: str = "LATEST"


def describe_launch(platform: Platform, workload: Service | Job) -> Launch:
    """Return how the tasks of a service or a job start. Raises DeployerError if it was deleted."""
    if isinstance(workload, Service):
        live = describe_service(platform, workload)
        version = live.get("platformVersion") or "LATEST"
        enabled = bool(live.get("enableExecuteCommand"))
        return Launch(live["taskDefinition"], live["networkConfiguration"], enabled, version)
    ecs = describe_schedule(platform, workload)["Target"]["EcsParameters"]
    given = ecs["NetworkConfiguration"]["awsvpcConfiguration"]
    # Scheduler spells these members in another way than ECS.
    network = {"awsvpcConfiguration": {name[:1].lower() + name[1:]: value for name, value in given.items()}}
    return Launch(ecs["TaskDefinitionArn"], network, bool(ecs.get("EnableExecuteCommand")))


def describe_schedule(platform: Platform, job: Job) -> dict[str, Any]:
    """Return the schedule of a job. Raises DeployerError if it was deleted outside CloudFormation."""
    client = platform.context.clients.scheduler(platform.home)
    try:
        found: dict[str, Any] = client.get_schedule(Name=job.schedule)
    except client.exceptions.ResourceNotFoundException as error:
        hint = f"compare with the templates: deploy.py drift -e {platform.name}"
        raise DeployerError("the schedule does not exist in AWS", where=job.slug, hint=hint) from error
    return found


def list_stopped_tasks(platform: Platform, service: Service | Job) -> Iterator[Task]:
    """Yield the tasks of a service or a job that stopped within the last hour. ECS then deletes them."""
    client = platform.context.clients.ecs(platform.home)
    yield from describe_tasks(client, platform.cluster, _arns(platform, service, "STOPPED"))


_RANK = {"HEALTHY": 2, "UNKNOWN": 1, "UNHEALTHY": 0}


def _arns(platform: Platform, service: Service | Job, desired: Literal["RUNNING", "STOPPED"]) -> list[str]:
    # All pages: a service that fails to start leaves hundreds of stopped tasks within the hour.
    paginator = platform.context.clients.ecs(platform.home).get_paginator("list_tasks")
    if isinstance(service, Job):
        pages = paginator.paginate(cluster=platform.cluster, family=service.family, desiredStatus=desired)
    else:
        pages = paginator.paginate(cluster=platform.cluster, serviceName=service.ecs_name, desiredStatus=desired)
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
    """Return a task of DescribeTasks or RunTask as data."""
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
        has_other_command=any(one.get("command") for one in raw.get("overrides", {}).get("containerOverrides", ())),
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
