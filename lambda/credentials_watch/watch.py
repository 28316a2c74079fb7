"""Which services hold an outdated password, and the remedy.

The judgement needs no memory of its own: a service is outdated while its newest deployment is older than the
rotation. The deployment forced here is newer, so the next run finds nothing to do. One that fails is rolled back by
ECS to the old deployment with its old date; what is left of it then is the service's own list of events.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

logger = logging.getLogger()

# DescribeServices takes no more at once.
_PAGE = 10
# Deployments that may fail after a rotation before no more are forced. One may have been somebody else's; a loop
# would take healthy tasks away and start broken ones at every run.
_ATTEMPTS = 2
# Amazon ECS Developer Guide, service event messages: "(service x) (deployment ecs-svc/1) deployment failed: ...".
_FAILED = "deployment failed:"


@dataclass
class Result:
    rotated: datetime | None
    redeployed: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rotated": self.rotated.isoformat() if self.rotated else None}


def watch(secrets: Any, ecs: Any, cluster: str, secret_arn: str) -> Result:
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
    """Tasks of the newest deployment start after it, so one made after the rotation is enough.

    Without a wish for tasks there is nothing to replace, and a deployment would only wait to be looked at.
    """
    newest = max((deployment["createdAt"] for deployment in service["deployments"]), default=None)
    return service["desiredCount"] > 0 and newest is not None and newest < rotated


def _failures(service: dict[str, Any], rotated: datetime) -> int:
    """ECS keeps the newest hundred events; on a service so busy that they are gone, one more attempt is made."""
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
