"""Finds services whose tasks hold an outdated password, and deploys them again.

No state is stored: a service is outdated while its newest deployment is older than the rotation. The deployment that
this function forces is newer, so the next run does nothing. ECS rolls a failed deployment back to the old one with its
old date; only the service's list of events then shows the failure.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

logger = logging.getLogger()

# The maximum of DescribeServices.
_PAGE = 10
# Failed deployments after a rotation until no more are forced. One may be an operator's. A loop would replace healthy
# tasks by failing ones at every run.
_ATTEMPTS = 2
# Amazon ECS Developer Guide, service event messages: "(service x) (deployment ecs-svc/1) deployment failed: ...".
_FAILED = "deployment failed:"


@dataclass
class Result:
    """The services by what was done."""

    rotated: datetime | None
    redeployed: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rotated": self.rotated.isoformat() if self.rotated else None}


def watch(secrets: Any, ecs: Any, cluster: str, secret_arn: str) -> Result:
    """Deploy every outdated service again, and return the services by what was done."""
    # Not LastChangedDate: a new tag or description changes that too. Absent until the first rotation.
    result = Result(secrets.describe_secret(SecretId=secret_arn).get("LastRotatedDate"))
    if result.rotated is None:
        return result
    for service in _services(ecs, cluster):
        name = service["serviceName"]
        if not _reads(ecs, service, secret_arn):
            continue
        if not _outdated(service, result.rotated):
            result.current.append(name)
            continue
        if _failures(service, result.rotated) >= _ATTEMPTS:
            # Not an error of this function: each failed deployment is reported by ECS, and its cause is elsewhere.
            logger.error("%s: its deployments since the rotation failed; its tasks hold the old password", name)
            result.given_up.append(name)
            continue
        try:
            ecs.update_service(cluster=cluster, service=name, forceNewDeployment=True)
        except ClientError as error:
            logger.error("%s: %s", name, error)
            result.failed.append(name)
        else:
            result.redeployed.append(name)
    return result


def _services(ecs: Any, cluster: str) -> Iterator[dict[str, Any]]:
    arns = [arn for page in ecs.get_paginator("list_services").paginate(cluster=cluster) for arn in page["serviceArns"]]
    for start in range(0, len(arns), _PAGE):
        answer = ecs.describe_services(cluster=cluster, services=arns[start : start + _PAGE])
        yield from (service for service in answer["services"] if service["status"] == "ACTIVE")


def _outdated(service: dict[str, Any], rotated: datetime) -> bool:
    """Return whether no deployment since the rotation exists. Tasks of a later deployment have the new password.

    A service with desired count 0 has no tasks to replace.
    """
    newest = max((deployment["createdAt"] for deployment in service["deployments"]), default=None)
    return service["desiredCount"] > 0 and newest is not None and newest < rotated


def _failures(service: dict[str, Any], rotated: datetime) -> int:
    """Return the number of failed deployments since the rotation. ECS keeps the newest hundred events of a service."""
    return sum(_FAILED in event["message"] and event["createdAt"] >= rotated for event in service.get("events", ()))


def _reads(ecs: Any, service: dict[str, Any], secret_arn: str) -> bool:
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    sources = [
        secret["valueFrom"]
        for container in definition["containerDefinitions"]
        for secret in container.get("secrets", [])
    ]
    # A single field of the secret is named behind a colon: <arn>:password::
    return any(source == secret_arn or source.startswith(f"{secret_arn}:") for source in sources)
