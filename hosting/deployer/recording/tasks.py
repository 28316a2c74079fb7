"""State of ECS services during their deployment, which ECS keeps only for a short time.

Stopped tasks disappear within an hour. A rollback deletes the service, its target group and perhaps its log group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.session import Clients
from hosting.deployer.recording.runs import format_time

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

_TASKS = 10
_EVENTS = 15
_LINES = 20


@dataclass
class Sample:
    """Observed state of one service, as it will be written: newest last, without duplicates.

    {"service", "cluster", "seen", "deployments": [{"id", "status", "rollout", "reason", "desired", "running",
    "failed"}], "events": [{"time", "message"}], "tasks": [{"id", "definition", "code", "reason", "started",
    "stopped", "containers": [{"name", "exit", "reason", "log_group", "lines": [...]}]}],
    "targets": [{"target", "port", "state", "reason", "description"}], "trouble": [...]}

    `targets` are the last unhealthy targets: after the end of a deployment there may be none.
    """

    arn: str
    seen: str = ""
    deployments: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    targets: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    @property
    def cluster(self) -> str:
        return self.arn.partition(":service/")[2].partition("/")[0]

    @property
    def service(self) -> str:
        return self.arn.rpartition("/")[2]

    def as_data(self) -> dict[str, Any]:
        """Return the sample in the format of ecs.json, limited to the newest events and tasks."""
        return {
            "service": self.service,
            "cluster": self.cluster,
            "seen": self.seen,
            "deployments": self.deployments,
            "events": sorted(self.events.values(), key=lambda event: str(event["time"]))[-_EVENTS:],
            "tasks": sorted(self.tasks.values(), key=lambda task: str(task["stopped"]))[-_TASKS:],
            "targets": self.targets,
            "trouble": self.trouble,
        }


class ServiceObserver:
    """Observer of services. A denied call is recorded once, and the others continue."""

    def __init__(self, clients: Clients, region: str, now: Callable[[], datetime]) -> None:
        self._clients = clients
        self._region = region
        self._now = now
        self._definitions: dict[str, Mapping[str, tuple[str, str]]] = {}

    def sample(self, sample: Sample, since: datetime | None = None) -> None:
        """Add the current state to the sample. Events and tasks from before `since` belong to another operation."""
        sample.seen = format_time(self._now())
        service = self._try(sample, "DescribeServices", lambda: self._service(sample))
        if service:
            sample.deployments = [_deployment(one) for one in service.get("deployments", ())]
            for event in service.get("events", ())[:_EVENTS]:
                if since is None or event["createdAt"] >= since:
                    sample.events[event["id"]] = {"time": format_time(event["createdAt"]), "message": event["message"]}
            for balancer in service.get("loadBalancers", ()):
                if arn := balancer.get("targetGroupArn"):
                    found = self._try(sample, "DescribeTargetHealth", partial(self._unhealthy, arn))
                    sample.targets = found or sample.targets
        self._try(sample, "DescribeTasks", lambda: self._stopped(sample, since))

    def sample_task(self, sample: Sample, task_id: str) -> None:
        """Add one stopped task to the sample, with the last lines of its log."""
        sample.seen = format_time(self._now())

        def read() -> None:
            for task in self._ecs.describe_tasks(cluster=sample.cluster, tasks=[task_id])["tasks"]:
                sample.tasks[task_id] = self._task(sample, task)

        self._try(sample, "DescribeTasks", read)

    def _try(self, sample: Sample, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else str(error)
            if (note := f"{what}: {code}") not in sample.trouble:
                sample.trouble.append(note)
            return None

    @property
    def _ecs(self) -> ECSClient:
        return self._clients.ecs(self._region)

    def _service(self, sample: Sample) -> Any:
        found = self._ecs.describe_services(cluster=sample.cluster, services=[sample.service])["services"]
        return found[0] if found else None

    def _stopped(self, sample: Sample, since: datetime | None) -> None:
        arns = self._ecs.list_tasks(cluster=sample.cluster, serviceName=sample.service, desiredStatus="STOPPED")
        new = [arn for arn in arns["taskArns"] if arn.rpartition("/")[2] not in sample.tasks][:_TASKS]
        if not new:
            return
        for task in self._ecs.describe_tasks(cluster=sample.cluster, tasks=new)["tasks"]:
            if task.get("lastStatus") != "STOPPED":
                continue  # the task is still stopping, and its exit codes are not known yet
            if since is not None and (stopped := task.get("stoppedAt")) and stopped < since:
                continue
            sample.tasks[task["taskArn"].rpartition("/")[2]] = self._task(sample, task)

    def _task(self, sample: Sample, task: Any) -> dict[str, Any]:
        identity = task["taskArn"].rpartition("/")[2]
        definition = task.get("taskDefinitionArn", "")
        logs = self._try(sample, "DescribeTaskDefinition", lambda: self._logs(definition)) or {}

        def container_data(one: Any) -> dict[str, Any]:
            """Return the result of one container with its last log lines."""
            group, prefix = logs.get(one["name"], ("", ""))
            lines = self._lines(sample, group, f"{prefix}/{one['name']}/{identity}") if group else []
            return {
                "name": one["name"],
                "exit": one.get("exitCode"),
                "reason": one.get("reason", ""),
                "log_group": group,
                "lines": lines,
            }

        return {
            "id": identity,
            "definition": definition.rpartition("/")[2],
            "code": task.get("stopCode", ""),
            "reason": task.get("stoppedReason", ""),
            "started": format_time(task["startedAt"]) if task.get("startedAt") else None,
            "stopped": format_time(task["stoppedAt"]) if task.get("stoppedAt") else None,
            "containers": [container_data(one) for one in task.get("containers", ())],
        }

    def _logs(self, definition: str) -> Mapping[str, tuple[str, str]]:
        """Return log group and stream prefix of each container. Other parts of the task definition are not read."""
        if definition not in self._definitions:
            found = self._ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
            self._definitions[definition] = {
                one["name"]: (options["awslogs-group"], options.get("awslogs-stream-prefix", ""))
                for one in found.get("containerDefinitions", ())
                if "awslogs-group" in (options := one.get("logConfiguration", {}).get("options", {}))
            }
        return self._definitions[definition]

    def _lines(self, sample: Sample, group: str, stream: str) -> list[str]:
        logs = self._clients.logs(self._region)
        try:
            found = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=_LINES, startFromHead=False)
        except ClientError as error:
            # A container that never started has no log stream.
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                self._try(sample, "GetLogEvents", partial(_raise, error))
            return []
        except BotoCoreError as error:
            self._try(sample, "GetLogEvents", partial(_raise, error))
            return []
        return [event["message"].rstrip() for event in found["events"]]

    def _unhealthy(self, target_group: str) -> list[dict[str, Any]]:
        answer = self._clients.elbv2(self._region).describe_target_health(TargetGroupArn=target_group)
        return [
            {
                "target": one["Target"]["Id"],
                "port": one["Target"].get("Port"),
                "state": health.get("State", ""),
                "reason": health.get("Reason", ""),
                "description": health.get("Description", ""),
            }
            for one in answer["TargetHealthDescriptions"]
            if (health := one.get("TargetHealth", {})).get("State") not in {"healthy", "draining"}
        ]


def _raise(error: Exception) -> None:
    raise error


def _deployment(raw: Any) -> dict[str, Any]:
    return {
        "id": raw.get("id", ""),
        "status": raw.get("status", ""),
        "rollout": raw.get("rolloutState", ""),
        "reason": raw.get("rolloutStateReason", ""),
        "desired": raw.get("desiredCount", 0),
        "running": raw.get("runningCount", 0),
        "failed": raw.get("failedTasks", 0),
    }
