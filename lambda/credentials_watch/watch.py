"""Services whose tasks hold an outdated password, and the deployment that replaces these tasks.

The check needs no state of its own: a service is outdated while its newest deployment is older than the rotation. A
deployment forced here is newer, so the next run skips the service. If that deployment fails, ECS rolls it back to the
old deployment with its old date. Only the service's list of events then shows the failed deployment.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

logger = logging.getLogger()

# Amazon ECS API Reference, DescribeServices: at most 10 services in one call.
_PAGE = 10
# After this number of failed deployments since a rotation, no more are forced. One of them may be a deployment of a
# user. Without a limit, every run would replace running tasks by tasks that fail.
_ATTEMPTS = 2
# Amazon ECS Developer Guide, service event messages: "(service x) (deployment ecs-svc/1) deployment failed: ...".
_FAILED = "deployment failed:"


@dataclass
class Result:
    """Names of the services that read the secret, by what this run did with them."""

    rotated: datetime | None
    redeployed: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self) | {"rotated": self.rotated.isoformat() if self.rotated else None}


def redeploy_outdated_services(secrets: Any, ecs: Any, cluster: str, secret_arn: str) -> Result:
    """Force a new deployment of each service that reads the secret and is older than its rotation.

    A refused deployment is logged and listed in the result, so that the other services are still redeployed.
    """
    # LastChangedDate also changes with a tag or a description. LastRotatedDate is absent until the first rotation.
    result = Result(secrets.describe_secret(SecretId=secret_arn).get("LastRotatedDate"))
    if result.rotated is None:
        return result
    for service in _list_services(ecs, cluster):
        name = service["serviceName"]
        if not _reads_secret(ecs, service, secret_arn):
            continue
        if not _is_outdated(service, result.rotated):
            result.current.append(name)
            continue
        if _count_failures(service, result.rotated) >= _ATTEMPTS:
            # The invocation does not fail here: ECS already reported each failed deployment with its cause.
            logger.error(
                "%s holds the old password: its deployments since the rotation failed. "
                "Correct the cause in the service's events, then deploy the service.",
                name,
            )
            result.given_up.append(name)
            continue
        try:
            ecs.update_service(cluster=cluster, service=name, forceNewDeployment=True)
        except ClientError as error:
            logger.error("%s is not redeployed: %s", name, error)
            result.failed.append(name)
        else:
            result.redeployed.append(name)
    return result


def _list_services(ecs: Any, cluster: str) -> Iterator[dict[str, Any]]:
    """Yield the active services of a cluster."""
    arns = [arn for page in ecs.get_paginator("list_services").paginate(cluster=cluster) for arn in page["serviceArns"]]
    for start in range(0, len(arns), _PAGE):
        answer = ecs.describe_services(cluster=cluster, services=arns[start : start + _PAGE])
        yield from (service for service in answer["services"] if service["status"] == "ACTIVE")


def _is_outdated(service: dict[str, Any], rotated: datetime) -> bool:
    """Return whether the service's newest deployment is older than the rotation.

    All tasks of a deployment start after its creation, so tasks of a newer deployment hold the new password. A
    service with a desired count of 0 has no tasks to replace.
    """
    newest = max((deployment["createdAt"] for deployment in service["deployments"]), default=None)
    return service["desiredCount"] > 0 and newest is not None and newest < rotated


def _count_failures(service: dict[str, Any], rotated: datetime) -> int:
    """Count the deployments that failed since the rotation.

    ECS keeps the newest 100 events. If more events follow a failure, it is not counted and one more deployment is
    forced.
    """
    return sum(_FAILED in event["message"] and event["createdAt"] >= rotated for event in service.get("events", ()))


def _reads_secret(ecs: Any, service: dict[str, Any], secret_arn: str) -> bool:
    """Return whether a container of the service's task definition reads the secret."""
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    sources = [
        secret["valueFrom"]
        for container in definition["containerDefinitions"]
        for secret in container.get("secrets", [])
    ]
    # A colon and the name of a field follow the ARN if a container reads one field: <arn>:password::
    return any(source == secret_arn or source.startswith(f"{secret_arn}:") for source in sources)
