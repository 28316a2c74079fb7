"""Which services hold an outdated password, and the remedy.

The judgement needs no memory: a service is outdated while its newest deployment is older than the rotation. The
deployment forced here is newer, so the next run finds nothing to do.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

logger = logging.getLogger()

# DescribeServices takes no more at once.
_PAGE = 10


@dataclass
class Result:
    rotated: datetime | None
    redeployed: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        rotated = self.rotated.isoformat() if self.rotated else None
        return {"rotated": rotated, "redeployed": self.redeployed, "current": self.current, "failed": self.failed}


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


def _reads(ecs: Any, service: dict[str, Any], secret_arn: str) -> bool:
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    sources = [
        secret["valueFrom"]
        for container in definition["containerDefinitions"]
        for secret in container.get("secrets", [])
    ]
    # A single field of the secret is named behind a colon: <arn>:password::
    return any(source == secret_arn or source.startswith(f"{secret_arn}:") for source in sources)
