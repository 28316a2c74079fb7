"""Rotation of the secret of a schema with two users in turn, so that no new connection is refused.

A rotation gives the user that the secret does not name a new password, and then makes the secret name this user. The
user of before keeps its password until the next rotation: tasks with the old value can connect until they are replaced.
Secrets Manager calls the four steps one after the other and repeats a failed one (AWS Secrets Manager User Guide,
"Rotation by Lambda function"), so every step can be repeated.
"""

import json
import logging
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from secrets import choice
from string import ascii_letters, digits
from typing import Any

import boto3
from users import CONFIG, Database, Login, ensure_user, is_ready, users_of

logger = logging.getLogger()

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
# Tasks that hold the value of before the last rotation are replaced within this time. They use the user whose password
# the next rotation changes.
SHORTEST_INTERVAL = timedelta(hours=1)
RETRY_SECONDS = 60.0
PASSWORD_LENGTH = 40


class RotationError(Exception):
    """A step of a rotation cannot be done."""


def run_step(event: Mapping[str, Any]) -> None:
    """Do one step of a rotation. Raises RotationError, UserError or ClientError."""
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    steps = {
        "createSecret": create_secret,
        "setSecret": set_secret,
        "testSecret": test_secret,
        "finishSecret": finish_secret,
    }
    if step not in steps:
        raise RotationError(f"unknown step {step}")
    steps[step](boto3.client("secretsmanager", config=CONFIG), secret, token)
    logger.info("%s of version %s is done", step, token)


def create_secret(secrets: Any, secret: str, token: str) -> None:
    """Store a new password for the user that the secret does not name, under the label AWSPENDING."""
    if _read(secrets, secret, token) is not None:
        return
    described = secrets.describe_secret(SecretId=secret)
    _refuse_early_rotation(described)
    current = _current(secrets, secret)
    pending = {"username": _other(described, current), "password": _password()}
    secrets.put_secret_value(
        SecretId=secret, ClientRequestToken=token, SecretString=json.dumps(pending), VersionStages=[PENDING]
    )


def set_secret(secrets: Any, secret: str, token: str) -> None:
    """Give the user of the new version its password in the database."""
    described = secrets.describe_secret(SecretId=secret)
    pending = _pending(secrets, secret, token)
    if pending.username == _current(secrets, secret).username:
        if token in _versions(described, CURRENT):
            return  # repeated after the last step
        raise RotationError("the new version names the current user, whose password must not change")
    ensure_user(_database(), _schema(described), pending)


def test_secret(secrets: Any, secret: str, token: str) -> None:
    """Check in the database that the user of the new version has its password and needs TLS.

    Without a new version the current one is checked: Secrets Manager calls this step when a rotation is set up.
    """
    login = _read(secrets, secret, token) or _current(secrets, secret)
    if not is_ready(_database(), login):
        raise RotationError(f"the database has another password for {login.username}")


def finish_secret(secrets: Any, secret: str, token: str) -> None:
    """Move the label AWSCURRENT to the new version. From now on tasks start with it."""
    (before,) = _versions(secrets.describe_secret(SecretId=secret), CURRENT) or ("",)
    if before == token:
        return
    secrets.update_secret_version_stage(
        SecretId=secret, VersionStage=CURRENT, MoveToVersionId=token, RemoveFromVersionId=before
    )


def _read(secrets: Any, secret: str, token: str) -> Login | None:
    """Return a version of the secret, or None if it has no value."""
    try:
        found = secrets.get_secret_value(SecretId=secret, VersionId=token)
    except secrets.exceptions.ResourceNotFoundException:
        return None
    return Login.parse(found["SecretString"])


def _pending(secrets: Any, secret: str, token: str) -> Login:
    found = _read(secrets, secret, token)
    if found is None:
        raise RotationError(f"version {token} has no value: the step createSecret has not been done")
    return found


def _current(secrets: Any, secret: str) -> Login:
    return Login.parse(secrets.get_secret_value(SecretId=secret, VersionStage=CURRENT)["SecretString"])


def _versions(described: Mapping[str, Any], label: str) -> tuple[str, ...]:
    return tuple(id for id, labels in described["VersionIdsToStages"].items() if label in labels)


def _refuse_early_rotation(described: Mapping[str, Any]) -> None:
    last = described.get("LastRotatedDate")
    if last is not None and datetime.now(UTC) - last < SHORTEST_INTERVAL:
        raise RotationError(
            f"the last rotation was at {last:%H:%M}: tasks may still use the user whose password would change. Rotate "
            f"again {SHORTEST_INTERVAL.seconds // 3600} hour after it"
        )


def _schema(described: Mapping[str, Any]) -> str:
    """Return the schema of the secret, from its tag."""
    for tag in described.get("Tags", []):
        if tag["Key"] == "Schema":
            return str(tag["Value"])
    raise RotationError("the secret has no tag Schema")


def _other(described: Mapping[str, Any], current: Login) -> str:
    """Return the user of the schema that is not the current one."""
    first, second = users_of(_schema(described))
    return second if current.username == first else first


def _password() -> str:
    """Return a password of letters and digits, which no shell and no URL has to quote."""
    return "".join(choice(ascii_letters + digits) for _ in range(PASSWORD_LENGTH))


def _database() -> Database:
    deadline = time.monotonic() + RETRY_SECONDS

    def seconds_left() -> float:
        return deadline - time.monotonic()

    return Database(os.environ["CLUSTER"], os.environ["MASTER_SECRET_ARN"], seconds_left)
