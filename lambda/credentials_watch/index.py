"""Starts new tasks of the services that read the database password, after its rotation.

ECS puts a secret's value into a container only when the task starts. After a rotation (RDS rotates every few days)
running tasks hold a password that opens no new connection. This function runs on a schedule and compares dates; it
never reads the secret's value.
"""

import logging
import os
from typing import Any

import boto3
from watch import watch

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    secrets, ecs = boto3.client("secretsmanager"), boto3.client("ecs")
    result = watch(secrets, ecs, os.environ["CLUSTER_NAME"], os.environ["SECRET_ARN"])
    logger.info("%s", result)
    if result.failed:
        # The alarm watches failed invocations. The other services have been deployed already.
        raise RuntimeError(f"no new deployment for {', '.join(result.failed)}; the log has the reasons")
    return result.as_dict()
