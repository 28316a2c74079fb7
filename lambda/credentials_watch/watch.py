"""Services whose tasks hold an outdated secret, and the deployment that replaces these tasks.

The check needs no state of its own: a service is outdated while its newest deployment is older than the current value
of a secret that it reads. A deployment forced here is newer, so the next run skips the service. If that deployment
fails, ECS rolls it back to the old deployment with its old date. Only the service's list of events then shows the
failed deployment.
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
# After this number of failed deployments since a change, no more are forced. One of them may be a deployment of a
# user. Without a limit, every run would replace running tasks by tasks that fail.
_ATTEMPTS = 2
# Amazon ECS Developer Guide, service event messages: "(service x) (deployment ecs-svc/1) deployment failed: ...".
_FAILED = "deployment failed:"


@dataclass
class Result:
    """Names of the services that read a changed secret, by what this run did with them, and unreadable secrets."""

    redeployed: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class ChangedSecret:
    """A secret whose label AWSCURRENT moved, from the event of Secrets Manager."""

    arn: str
    time: datetime


def redeploy_outdated_services(secrets: Any, ecs: Any, cluster: str, changed: ChangedSecret | None) -> Result:
    """Force a new deployment of each service that is older than the current value of a secret that it reads.

    With a changed secret only the services that read it are checked. A refused deployment is logged and listed in the
    result, so that the other services are still redeployed.
    """
    result = Result()
    values = _Values(secrets, changed, result)
    for service in _list_services(ecs, cluster):
        name, arns = service["serviceName"], _read_secrets(ecs, service)
        if changed is not None and changed.arn not in arns:
            continue
        newest = max(filter(None, map(values.changed_at, arns)), default=None)
        if newest is None:
            continue
        if not _is_outdated(service, newest):
            result.current.append(name)
            continue
        if _count_failures(service, newest) >= _ATTEMPTS:
            # The invocation does not fail here: ECS already reported each failed deployment with its cause.
            logger.error(
                "%s holds an old secret: its deployments since the change failed. "
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


class _Values:
    """Times at which the secrets got their current values. Each secret is read once. No value is read."""

    def __init__(self, secrets: Any, changed: ChangedSecret | None, result: Result) -> None:
        self._secrets, self._changed, self._result = secrets, changed, result
        self._known: dict[str, datetime | None] = {}

    def changed_at(self, arn: str) -> datetime | None:
        """Return the time of a secret's last change, or None for a secret without a value or an unreadable one."""
        if arn not in self._known:
            try:
                self._known[arn] = self._read(arn)
            except ClientError as error:
                logger.error("the secret %s cannot be described: %s", arn, error)
                self._result.unreadable.append(arn)
                self._known[arn] = None
        return self._known[arn]

    def _read(self, arn: str) -> datetime | None:
        # LastChangedDate also changes with a tag or a description. LastRotatedDate is absent without a rotation, and
        # the version of a rotation is older than the moment when it became the current one.
        times = [self._secrets.describe_secret(SecretId=arn).get("LastRotatedDate")]
        # Only versions with labels are listed, and a secret has at most 20 labels.
        versions = self._secrets.list_secret_version_ids(SecretId=arn)["Versions"]
        times += [one["CreatedDate"] for one in versions if "AWSCURRENT" in one.get("VersionStages", ())]
        if self._changed is not None and self._changed.arn == arn:
            # AWSCURRENT may also move back to an old version.
            times.append(self._changed.time)
        return max(filter(None, times), default=None)


def _list_services(ecs: Any, cluster: str) -> Iterator[dict[str, Any]]:
    """Yield the active services of a cluster."""
    arns = [arn for page in ecs.get_paginator("list_services").paginate(cluster=cluster) for arn in page["serviceArns"]]
    for start in range(0, len(arns), _PAGE):
        answer = ecs.describe_services(cluster=cluster, services=arns[start : start + _PAGE])
        yield from (service for service in answer["services"] if service["status"] == "ACTIVE")


def _is_outdated(service: dict[str, Any], changed: datetime) -> bool:
    """Return whether the service's newest deployment is older than the change of a secret.

    All tasks of a deployment start after its creation, so tasks of a newer deployment hold the new value. A service
    with a desired count of 0 has no tasks to replace.
    """
    newest = max((deployment["createdAt"] for deployment in service["deployments"]), default=None)
    return service["desiredCount"] > 0 and newest is not None and newest < changed


def _count_failures(service: dict[str, Any], changed: datetime) -> int:
    """Count the deployments that failed since the change.

    ECS keeps the newest 100 events. If more events follow a failure, it is not counted and one more deployment is
    forced.
    """
    return sum(_FAILED in event["message"] and event["createdAt"] >= changed for event in service.get("events", ()))


def _read_secrets(ecs: Any, service: dict[str, Any]) -> set[str]:
    """Return the ARNs of the secrets whose current values the containers of the service's task definition read.

    Secrets of another account or region are left out: they send no events here, and their dates cannot be read.
    """
    here = service["serviceArn"].split(":")[3:5]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    sources = [
        secret["valueFrom"].split(":")
        for container in definition["containerDefinitions"]
        for secret in container.get("secrets", [])
    ]
    # <ARN of 7 parts>[:<field>:<label>:<version>], or the ARN of a parameter of Systems Manager. A container that
    # names another label or a version does not follow AWSCURRENT.
    return {
        ":".join(source[:7])
        for source in sources
        if source[2:3] == ["secretsmanager"]
        and source[3:5] == here
        and "".join(source[8:9]) in ("", "AWSCURRENT")
        and "".join(source[9:10]) == ""
    }
