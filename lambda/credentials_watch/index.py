"""After the database password was rotated: new tasks for the services that read it.

ECS puts a secret's value into a container when the task starts and never again, so after a rotation (RDS does
one every few days) the running tasks hold a password that no longer opens a connection. This runs on a schedule
and compares dates; it never reads the secret's value.
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
        # An invocation that fails is what the alarm looks at; the other services have been served already.
        raise RuntimeError(f"no new deployment for {', '.join(result.failed)}; the log has the reasons")
    return result.as_dict()
