"""Restart of a service: new tasks with the same task definition, and the wait for the end of their deployment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate.platform import Platform, Service
from hosting.deployer.operate.tasks import describe_service

# Seconds between two answers of ECS.
_INTERVAL = 5.0


def restart_service(
    platform: Platform, service: Service, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Replace all tasks of a service, and yield a line for each change until the new tasks run.

    Raises DeployerError if there is nothing to replace, if a deployment is in progress, or if the new tasks fail. ECS
    keeps the old tasks until the new ones are healthy, except for a workload with one task.
    """
    live = describe_service(platform, service)
    if not live["desiredCount"]:
        raise DeployerError(
            "has no tasks to restart: its desired count is 0",
            where=service.slug,
            hint="docs/incidents.md#scale-a-service",
        )
    if any(one.get("rolloutState") == "IN_PROGRESS" for one in live["deployments"]):
        raise DeployerError(
            "a deployment is in progress, which replaces the tasks already",
            where=service.slug,
            hint=f"follow it: deploy.py status --watch -e {platform.name}",
        )
    # A workload with one task has no second one for the time of the deployment.
    is_single = live.get("deploymentConfiguration", {}).get("minimumHealthyPercent") == 0
    if is_single:
        yield "the only task stops before the new one starts: the workload is down meanwhile"
    client: Any = platform.context.clients.ecs(platform.home)
    answer = client.update_service(cluster=platform.cluster, service=service.ecs_name, forceNewDeployment=True)
    identifier = _find_primary(answer["service"])["id"]
    last = ""
    while True:
        live = describe_service(platform, service)
        deployment = next((one for one in live["deployments"] if one["id"] == identifier), None)
        if deployment is None or deployment.get("rolloutState") == "FAILED":
            reason = (deployment or {}).get("rolloutStateReason") or "ECS rolled it back"
            raise DeployerError(
                f"the new tasks failed{'' if is_single else ', and the old ones still run'}: {reason}",
                where=service.slug,
                hint=f"read their last lines: deploy.py logs --service {service.slug} --previous -e {platform.name}",
            )
        line = f"{deployment['runningCount']} of {deployment['desiredCount']} new tasks run"
        if line != last:
            yield line
            last = line
        if deployment.get("rolloutState") == "COMPLETED":
            return
        sleep(_INTERVAL)


def _find_primary(service: Any) -> Any:
    return next(one for one in service["deployments"] if one["status"] == "PRIMARY")
