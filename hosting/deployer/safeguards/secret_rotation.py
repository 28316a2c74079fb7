"""Rotation schedule of the master password that RDS manages.

RDS creates the secret with the database and rotates it every seven days. CloudFormation has no property for the
schedule of such a secret, so the deployer sets it after the database is created. Each rotation restarts the services
that read the password, so it is monthly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SCHEDULE = "rate(30 days)"


def set_rotation_schedule(client: SecretsManagerClient, secret_arn: str) -> bool:
    """Set the schedule of a secret if it differs. Return whether it was changed.

    Never rotates immediately: RDS has just created the password, and the services have just read it.
    """
    rules = client.describe_secret(SecretId=secret_arn).get("RotationRules", {})
    if rules.get("ScheduleExpression") == SCHEDULE:
        return False
    client.rotate_secret(SecretId=secret_arn, RotationRules={"ScheduleExpression": SCHEDULE}, RotateImmediately=False)
    return True
