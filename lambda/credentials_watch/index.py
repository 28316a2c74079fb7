"""Function that deploys services again after a secret that they read got a new value.

ECS passes a secret's value to a container only when the task starts. RDS rotates the password of the database every few
days. After a rotation the running tasks hold the old password and cannot open new connections. Secrets Manager reports
each new value by an event, which invokes this function. A schedule repeats the check for events that were lost. The
function compares dates. It never reads the secret's value.
"""

import logging
import os
from datetime import datetime
from typing import Any

import boto3
from watch import ChangedSecret, redeploy_outdated_services

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Redeploy the outdated services and return their names. Raises RuntimeError if a part of the check failed."""
    secrets, ecs = boto3.client("secretsmanager"), boto3.client("ecs")
    result = redeploy_outdated_services(secrets, ecs, os.environ["CLUSTER_NAME"], _changed_secret(event))
    logger.info("%s", result)
    if result.failed or result.unreadable:
        # The alarm counts failed invocations. The other services are already redeployed at this point.
        raise RuntimeError(
            f"deployment failed for {', '.join(result.failed) or 'no service'}, secrets that cannot be described: "
            f"{', '.join(result.unreadable) or 'none'}. Read the reasons in this function's log."
        )
    return result.as_dict()


def _changed_secret(event: dict[str, Any]) -> ChangedSecret | None:
    """Return the secret of Secrets Manager's event, or None for the schedule and for an invocation by hand."""
    if event.get("source") != "aws.secretsmanager":
        return None
    return ChangedSecret(event["resources"][0], datetime.fromisoformat(event["time"].replace("Z", "+00:00")))
