"""How often RDS changes the master password that it manages.

RDS makes the secret with the database and rotates it every seven days. CloudFormation has no property for the
schedule of such a secret, so it is set here, once, after the database is there. Each rotation restarts the services
that read the password, and a month keeps that rare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SCHEDULE = "rate(30 days)"


def set_rotation_schedule(client: SecretsManagerClient, secret_arn: str) -> bool:
    """Set the schedule where it is another one; whether it had to be. Never rotates by itself: RDS has just made
    the password, and the services have just read it."""
    rules = client.describe_secret(SecretId=secret_arn).get("RotationRules", {})
    if rules.get("ScheduleExpression") == SCHEDULE:
        return False
    client.rotate_secret(SecretId=secret_arn, RotationRules={"ScheduleExpression": SCHEDULE}, RotateImmediately=False)
    return True
