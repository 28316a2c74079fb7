"""Rotation of secrets by functions, and the RDS Data API with the schemas and users of a cluster.

MiniStack rotates a secret without calling its function, and executes SQL only with Docker. No database runs in a
rehearsal: schemas, users and their privileges are kept here, and a statement that creates none of them is refused.
"""

# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from ministack import app
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region, request_scope
from ministack.services import lambda_svc, rds, secretsmanager
from ministack.services.cloudformation import stacks

from hosting.rehearsal.ministack_patch.api import Proceed, RefusedError, Reply, error_reply, operation
from hosting.rehearsal.ministack_patch.patching import set_attribute
from hosting.rehearsal.ministack_patch.registry import Properties, Provisioned, register

ROTATION_SCHEDULE = "AWS::SecretsManager::RotationSchedule"
CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

_handle_rds_data_request = app._handle_rds_data_request


@dataclass
class Databases:
    """The schemas of a cluster, and its users with hash, TLS and the patterns of schemas that each may use."""

    schemas: set[str] = field(default_factory=set)
    users: dict[str, tuple[str, str]] = field(default_factory=dict)
    grants: dict[str, set[str]] = field(default_factory=dict)


_databases = AccountRegionScopedDict()


def install() -> None:
    """Register the type of rotations and the Data API."""
    set_attribute(app, "_handle_rds_data_request", handle_data_api)
    # A function calls the emulator, whose event loop must not wait for the function.
    waits = stacks._runs_on_worker_thread
    set_attribute(stacks, "_runs_on_worker_thread", lambda kind: kind == ROTATION_SCHEDULE or waits(kind))
    register(
        ROTATION_SCHEDULE,
        create=create_schedule,
        update=update_schedule,
        delete=delete_schedule,
        replaces=("SecretId",),
    )


# --- Rotation -------------------------------------------------------------------------------------------------


def create_schedule(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Set up a rotation: rotate at once, or test the current value with the function (RotateSecret)."""
    secret = find_secret(properties["SecretId"])
    secret["RotationLambdaARN"] = properties["RotationLambdaARN"]
    secret["RotationRules"] = properties.get("RotationRules") or {}
    if str(properties.get("RotateImmediatelyOnUpdate", "true")).lower() == "true":
        rotate(secret, str(uuid.uuid4()))
    else:
        test_current(secret)
    secret["RotationEnabled"] = True
    return secret["ARN"], {}


def update_schedule(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    return create_schedule(logical_id, new, stack_name)


def delete_schedule(physical_id: str, properties: Properties) -> None:
    _, secret = secretsmanager._resolve(physical_id)
    if secret:
        secret["RotationEnabled"] = False


def find_secret(arn: str) -> dict[str, Any]:
    _, secret = secretsmanager._resolve(arn)
    if not secret:
        raise ValueError("Secrets Manager can't find the specified secret.")
    found: dict[str, Any] = secret
    return found


def test_current(secret: dict[str, Any]) -> None:
    """Call the step testSecret with a version that is removed again (Secrets Manager API Reference, RotateSecret)."""
    token = str(uuid.uuid4())
    _, current = secretsmanager._find_stage_version(secret, CURRENT)
    secret["Versions"][token] = {**current, "Stages": [PENDING]}
    try:
        call_function(secret, token, "testSecret")
    finally:
        del secret["Versions"][token]


def rotate(secret: dict[str, Any], token: str) -> None:
    """Call the four steps of a rotation. Raises ValueError if the function fails in one of them."""
    for step in STEPS:
        call_function(secret, token, step)
    version = secret["Versions"][token]
    version["Stages"] = [label for label in version["Stages"] if label != PENDING]
    secret["LastRotatedDate"] = time.time()


def call_function(secret: dict[str, Any], token: str, step: str) -> None:
    """Invoke the function of a rotation. Raises ValueError if Secrets Manager may not, or if it fails."""
    function = secret["RotationLambdaARN"]
    record, config, name = lambda_svc._get_func_record_for_ref(function)
    if record is None or not is_permitted(record, secret["ARN"]):
        raise ValueError(
            f"Secrets Manager cannot invoke the specified Lambda function {name}. Ensure that the function policy "
            "grants access to the principal secretsmanager.amazonaws.com."
        )
    event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": token, "RotationToken": str(uuid.uuid4())}
    result = lambda_svc._execute_function_with_config_scope(
        lambda_svc._execution_record_for_config(record, config), event
    )
    if result.get("error"):
        raise ValueError(f"A previous rotation isn't complete. The step {step} of {name} failed: {result.get('body')}")


def is_permitted(function: dict[str, Any], secret: str) -> bool:
    """Return whether the policy of a function admits Secrets Manager for a secret."""
    for statement in (function.get("policy") or {}).get("Statement", []):
        source = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", secret)
        if "secretsmanager.amazonaws.com" in str(statement.get("Principal")) and source == secret:
            return True
    return False


async def start_rotation(secret: dict[str, Any], token: str) -> dict[str, Any]:
    """Start the rotation of a secret with its function. The reply does not wait: errors are in the function's log."""
    scope = (get_account_id(), get_region())

    def run() -> None:
        with request_scope(*scope):
            rotate(secret, token)

    threading.Thread(target=run, daemon=True, name="rotation").start()
    await asyncio.sleep(0)
    return {"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token}


# --- Data API -------------------------------------------------------------------------------------------------


async def handle_data_api(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
) -> Reply | None:
    """Answer ExecuteStatement of the Data API. MiniStack asks for every request, and gets None for the others."""
    if path != "/Execute" or method != "POST":
        other: Reply | None = await _handle_rds_data_request(method, path, headers, body, query_params, request_id)
        return other
    try:
        answer = execute_statement(json.loads(body))
    except RefusedError as refusal:
        return error_reply(refusal)
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def execute_statement(parameters: dict[str, Any]) -> dict[str, Any]:
    """Execute a statement of the master user, or refuse the request as the Data API does."""
    arn = parameters.get("resourceArn", "")
    cluster = rds._clusters.get(arn.rpartition(":")[2])
    if cluster is None:
        raise RefusedError("DatabaseNotFoundException", f"{arn} is not found", 404)
    if not cluster.get("HttpEndpointEnabled"):
        raise RefusedError("HttpEndpointNotEnabledException", f"HttpEndpoint is not enabled for resource {arn}")
    _, secret = secretsmanager._resolve(parameters.get("secretArn", ""))
    version = secretsmanager._find_stage_version(secret, CURRENT)[1] if secret else None
    login = json.loads(version["SecretString"]) if version else {}
    if login.get("username") != cluster.get("MasterUsername"):
        raise RefusedError("BadRequestException", "Access denied for user", 400)
    given = {one["name"]: next(iter(one["value"].values())) for one in parameters.get("parameters") or []}
    databases = _databases.setdefault(arn, Databases())
    rows = execute(databases, parameters.get("sql", ""), given)
    records = [[{"stringValue": value} for value in row] for row in rows]
    return {"numberOfRecordsUpdated": 0, "generatedFields": [], "records": records}


NAME, ACCOUNT = r"`([^`]+)`", r"'([^']+)'@'%'"
IDENTIFIED = r"IDENTIFIED WITH mysql_native_password AS '(\*[0-9A-F]{40})'( REQUIRE SSL)?"


def execute(databases: Databases, sql: str, given: dict[str, str]) -> list[list[str]]:
    """Execute one of the statements that create schemas and users. Raises RefusedError for any other."""
    if found := re.fullmatch(rf"CREATE DATABASE IF NOT EXISTS {NAME}( CHARACTER SET utf8mb4)?", sql):
        databases.schemas.add(found[1])
    elif found := re.fullmatch(rf"CREATE USER IF NOT EXISTS {ACCOUNT} {IDENTIFIED}", sql):
        databases.users.setdefault(found[1], (found[2], "ANY" if found[3] else ""))
    elif found := re.fullmatch(rf"ALTER USER {ACCOUNT} {IDENTIFIED}", sql):
        require_user(databases, found[1])
        databases.users[found[1]] = (found[2], "ANY" if found[3] else "")
    elif found := re.fullmatch(rf"GRANT ALL PRIVILEGES ON {NAME}\.\* TO {ACCOUNT}", sql):
        require_user(databases, found[2])
        databases.grants.setdefault(found[2], set()).add(found[1])
    elif "FROM mysql.user WHERE User = :user AND Host = '%'" in sql:
        return [list(databases.users[given["user"]])] if given["user"] in databases.users else []
    else:
        raise RefusedError("BadRequestException", f"Database error code: 1064. The emulator executes no {sql[:40]!r}")
    return []


def require_user(databases: Databases, name: str) -> None:
    if name not in databases.users:
        raise RefusedError("BadRequestException", f"Database error code: 1396. No user '{name}'@'%'")


@operation("Rehearsal.DatabaseUsers")
def list_users(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Return the schemas and users of a cluster."""
    found = _databases.get(parameters["Cluster"], Databases())
    users = {name: {"Hash": hash, "Ssl": ssl} for name, (hash, ssl) in found.users.items()}
    grants = {name: sorted(patterns) for name, patterns in found.grants.items()}
    return {"Schemas": sorted(found.schemas), "Users": users, "Grants": grants}
