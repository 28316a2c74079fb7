"""Function that deploys services again after the rotation of a database password that they read.

ECS passes a secret's value to a container only when the task starts. RDS rotates the password every few days. After
a rotation the running tasks hold the old password and cannot open new connections. This function runs on a schedule
and compares dates. It never reads the secret's value.
"""

import logging
import os
from typing import Any

import boto3
from watch import redeploy_outdated_services

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Redeploy the outdated services and return their names. Raises RuntimeError if ECS refused a deployment."""
    secrets, ecs = boto3.client("secretsmanager"), boto3.client("ecs")
    result = redeploy_outdated_services(secrets, ecs, os.environ["CLUSTER_NAME"], os.environ["SECRET_ARN"])
    logger.info("%s", result)
    if result.failed:
        # The alarm counts failed invocations. The other services are already redeployed at this point.
        raise RuntimeError(
            f"deployment failed for {', '.join(result.failed)}: ECS refused UpdateService. "
            "Read the reasons in this function's log."
        )
    return result.as_dict()
