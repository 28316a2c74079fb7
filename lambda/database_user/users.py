"""Schemas and users in Aurora MySQL, through the RDS Data API: the master user executes one statement in each call.

DDL commits implicitly, and a reply can be lost after the statement was executed. So every statement can be repeated.
A password never leaves this function: a statement contains its hash, because the audit log of the database may record
statements.
"""

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from answer import Outcome
from botocore.config import Config
from botocore.exceptions import ClientError

logger = logging.getLogger()

SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,29}")
# A paused cluster resumes within half a minute. A policy that is seconds old may not be visible yet (RDS Data API
# Reference, ExecuteStatement, errors; IAM User Guide, "Changes that I make are not always immediately visible").
TEMPORARY = frozenset(
    {
        "AccessDeniedException",
        "DatabaseNotFoundException",
        "DatabaseResumingException",
        "DatabaseUnavailableException",
        "HttpEndpointNotEnabledException",
        "InternalServerErrorException",
        "ServiceUnavailableError",
        "StatementTimeoutException",
        "ThrottlingException",
    }
)
PAUSE_SECONDS = 3.0
# A statement may take 45 seconds.
CONFIG = Config(connect_timeout=5, read_timeout=55, retries={"mode": "standard"})


class UserError(Exception):
    """The user cannot be created or changed. The message is the reason that CloudFormation shows."""


@dataclass(frozen=True)
class Login:
    """The content of a secret: a user and its password."""

    username: str
    password: str

    @classmethod
    def parse(cls, text: str) -> "Login":
        """Return the login in the text of a secret. Raises UserError without repeating the text."""
        try:
            found = json.loads(text)
            return cls(found["username"], found["password"])
        except (KeyError, TypeError, ValueError):
            raise UserError('the secret is not a JSON object with "username" and "password"') from None

    @property
    def hash(self) -> str:
        """Return the hash that MySQL stores for the plugin mysql_native_password: SHA-1 of SHA-1."""
        # The database chooses the algorithm. The password is random, so that its hash reveals nothing.
        inner = hashlib.sha1(self.password.encode(), usedforsecurity=False).digest()
        return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


@dataclass(frozen=True)
class Database:
    """A cluster, and the secret of its master user. ``seconds_left`` limits how long errors are retried."""

    cluster: str
    master_secret: str
    seconds_left: Callable[[], float]

    def execute(self, statement: str, **parameters: str) -> list[list[Any]]:
        """Execute a statement as the master user, and return its rows. Temporary errors are retried.

        A statement that is not DDL may have parameters, such as ``:user``.
        """
        given = [{"name": name, "value": {"stringValue": value}} for name, value in parameters.items()]
        client = boto3.client("rds-data", config=CONFIG)
        while True:
            try:
                answer = client.execute_statement(
                    resourceArn=self.cluster,
                    secretArn=self.master_secret,
                    sql=statement,
                    parameters=given,
                    # DDL is not undone if the call ends before it.
                    continueAfterTimeout=True,
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in TEMPORARY or self.seconds_left() < 2 * PAUSE_SECONDS:
                    raise
                logger.info("%s: the statement is sent again", error.response["Error"]["Code"])
                time.sleep(PAUSE_SECONDS)
            else:
                return [[next(iter(field.values())) for field in row] for row in answer.get("records", [])]


def users_of(schema: str) -> tuple[str, str]:
    """Return the two users of a schema. A rotation changes the password of the one that the secret does not name.

    Raises UserError for a name that cannot be part of a statement.
    """
    if not SCHEMA.fullmatch(schema):
        raise UserError(
            f'"{schema}" is no name of a schema: small letters, digits and underscores, up to 30 characters'
        )
    return f"{schema}_a", f"{schema}_b"


def ensure_schema(database: Database, schema: str) -> None:
    """Create the schema unless it exists. Its data is never changed or deleted here."""
    users_of(schema)
    database.execute(f"CREATE DATABASE IF NOT EXISTS `{schema}` CHARACTER SET utf8mb4")


def ensure_user(database: Database, schema: str, login: Login) -> None:
    """Create the user of a login, or give it the password, with all privileges in its schema and none elsewhere."""
    if login.username not in users_of(schema):
        raise UserError(f"{login.username} is no user of the schema {schema}")
    account = f"'{login.username}'@'%'"
    identified = f"IDENTIFIED WITH mysql_native_password AS '{login.hash}' REQUIRE SSL"
    database.execute(f"CREATE USER IF NOT EXISTS {account} {identified}")
    database.execute(f"ALTER USER {account} {identified}")
    # In GRANT an underscore matches any character, so that the user would reach schemas with similar names.
    pattern = schema.replace("_", r"\_")
    database.execute(f"GRANT ALL PRIVILEGES ON `{pattern}`.* TO {account}")


def is_ready(database: Database, login: Login) -> bool:
    """Return whether the user of a login has its password and needs TLS."""
    # The Data API does not return every type of MySQL, such as ENUM, the type of ssl_type.
    columns = "CAST(authentication_string AS CHAR), CAST(ssl_type AS CHAR)"
    rows = database.execute(
        f"SELECT {columns} FROM mysql.user WHERE User = :user AND Host = '%'",  # noqa: S608 -- constants
        user=login.username,
    )
    return rows == [[login.hash, "ANY"]]


def apply(event: Mapping[str, Any], seconds_left: Callable[[], float]) -> Outcome:
    """Create the schema and the current user of its secret. Delete keeps both: the schema has the data of the app.

    Raises UserError or ClientError.
    """
    if event["RequestType"] == "Delete":
        return Outcome(event["PhysicalResourceId"], {})
    given = event["ResourceProperties"]
    schema = given["Schema"]
    database = Database(given["Cluster"], given["MasterSecret"], seconds_left)
    secrets = boto3.client("secretsmanager", config=CONFIG)
    # The user that the secret names now. After a restore the database may have another password for it.
    current = Login.parse(secrets.get_secret_value(SecretId=given["Secret"])["SecretString"])
    ensure_schema(database, schema)
    ensure_user(database, schema, current)
    return Outcome(f"database-user:{schema}", {})
