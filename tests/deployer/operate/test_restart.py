"""`restart`: new tasks of a service, and refusals."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import restart
from tests.deployer.operate import parts

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CLUSTER = "atlas-lab"


def newest(deployed: parts.Deployed) -> dict[str, Any]:
    service = deployed.platform.service("orders")
    (live,) = deployed.client("ecs").describe_services(cluster=CLUSTER, services=[service.ecs_name])["services"]
    found: dict[str, Any] = next(one for one in live["deployments"] if one["status"] == "PRIMARY")
    return found


def test_a_restart_replaces_the_tasks_and_waits_for_the_new_ones(deploy_py: Run, deployed: parts.Deployed) -> None:
    before = newest(deployed)
    done = deploy_py("restart", "--service", "orders", "-e", "lab")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 new tasks run" in done.stderr
    after = newest(deployed)
    assert after["id"] != before["id"]
    assert after["taskDefinition"] == before["taskDefinition"]
    deployed.restore_tasks()


class Replies:
    """Replies of DescribeServices in their order; the last one repeats."""

    def __init__(self, *deployments: list[dict[str, Any]], desired: int = 2, healthy: int = 100) -> None:
        self._left, self._desired, self._healthy = list(deployments), desired, healthy

    def __call__(self, *_: Any) -> dict[str, Any]:
        found = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        settings = {"minimumHealthyPercent": self._healthy}
        return {"desiredCount": self._desired, "deployments": found, "deploymentConfiguration": settings}


def deployment(identifier: str, rollout: str, running: int = 0, **other: Any) -> dict[str, Any]:
    counts = {"runningCount": running, "desiredCount": 2}
    return {"id": identifier, "status": "PRIMARY", "rolloutState": rollout, **counts, **other}


OLD = deployment("old", "COMPLETED", 2)


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        (Replies([OLD], desired=0), "has no tasks to restart"),
        (Replies([deployment("other", "IN_PROGRESS")]), "a deployment is in progress"),
        (
            Replies(
                [OLD], [deployment("new", "IN_PROGRESS")], [deployment("new", "FAILED", rolloutStateReason="exit 1")]
            ),
            "the new tasks failed, and the old ones still run: exit 1",
        ),
        (Replies([OLD], [deployment("new", "IN_PROGRESS")], [OLD]), "ECS rolled it back"),
    ],
    ids=["no tasks", "busy", "failed", "rolled back"],
)
def test_a_restart_that_cannot_succeed_is_an_error(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch, replies: Replies, words: str
) -> None:
    class Ecs:
        def update_service(self, **_: Any) -> dict[str, Any]:
            return {"service": {"deployments": [deployment("new", "IN_PROGRESS")]}}

    monkeypatch.setattr(restart, "describe_service", replies)
    monkeypatch.setattr(type(deployed.platform.context.clients), "ecs", lambda *_: Ecs())
    with pytest.raises(DeployerError, match=words):
        list(restart.restart_service(deployed.platform, deployed.platform.service("orders"), sleep=lambda _: None))


def test_each_change_is_reported_once(deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ecs:
        def update_service(self, **_: Any) -> dict[str, Any]:
            return {"service": {"deployments": [deployment("new", "IN_PROGRESS")]}}

    steps = [deployment("new", "IN_PROGRESS", count) for count in (0, 0, 1, 2)]
    monkeypatch.setattr(
        restart, "describe_service", Replies([OLD], *([step] for step in steps), [deployment("new", "COMPLETED", 2)])
    )
    monkeypatch.setattr(type(deployed.platform.context.clients), "ecs", lambda *_: Ecs())
    lines = restart.restart_service(deployed.platform, deployed.platform.service("orders"), sleep=lambda _: None)
    assert list(lines) == [f"{count} of 2 new tasks run" for count in (0, 1, 2)]


def test_a_restart_of_a_single_task_does_not_promise_that_the_old_one_runs(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ecs:
        def update_service(self, **_: Any) -> dict[str, Any]:
            return {"service": {"deployments": [deployment("new", "IN_PROGRESS")]}}

    failed = deployment("new", "FAILED", rolloutStateReason="exit 1")
    monkeypatch.setattr(restart, "describe_service", Replies([OLD], [failed], desired=1, healthy=0))
    monkeypatch.setattr(type(deployed.platform.context.clients), "ecs", lambda *_: Ecs())
    lines = restart.restart_service(deployed.platform, deployed.platform.service("orders"), sleep=lambda _: None)
    assert next(lines) == "the only task stops before the new one starts: the workload is down meanwhile"
    with pytest.raises(DeployerError, match="the new tasks failed: exit 1"):
        next(lines)
