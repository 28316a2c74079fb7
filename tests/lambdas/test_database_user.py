"""Schemas and users of the function database_user in a real MariaDB, and a rotation that refuses no connection.

The fakes keep secrets as Secrets Manager does, and execute the statements of the Data API on the server.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hosting.local.database import DatabaseServer, Login
from tests.support.programs import need
from tests.support.project import REPOSITORY

pytestmark = pytest.mark.slow(reason="starts a database server")

SECRET, FIRST = "arn:aws:secretsmanager:x:1:secret:shop", "first-version"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
PROPERTIES = {"Schema": "my_shop", "Cluster": "arn:cluster", "MasterSecret": "arn:master", "Secret": SECRET}


class KilledError(BaseException):
    """The function is killed, which no handler catches."""


class Secrets:
    """Versions of one secret with their labels."""

    class exceptions:  # noqa: N801 -- as in botocore
        class ResourceNotFoundException(Exception):  # noqa: N818 -- as in botocore
            pass

    def __init__(self) -> None:
        self.values = {FIRST: json.dumps({"username": "my_shop_a", "password": "initial"})}
        self.labels = {FIRST: {"AWSCURRENT"}}
        self.rotated: Any = None

    def describe_secret(self, SecretId: str) -> dict[str, Any]:  # noqa: N803
        described: dict[str, Any] = {
            "VersionIdsToStages": {name: sorted(labels) for name, labels in self.labels.items() if labels},
            "Tags": [{"Key": "Schema", "Value": "my_shop"}],
        }
        return described | ({"LastRotatedDate": self.rotated} if self.rotated else {})

    def get_secret_value(
        self,
        SecretId: str,  # noqa: N803
        VersionId: str = "",  # noqa: N803
        VersionStage: str = "AWSCURRENT",  # noqa: N803
    ) -> dict[str, Any]:
        found = VersionId or next(name for name, labels in self.labels.items() if VersionStage in labels)
        if found not in self.values:
            raise self.exceptions.ResourceNotFoundException
        return {"SecretString": self.values[found]}

    def put_secret_value(
        self,
        SecretId: str,  # noqa: N803
        ClientRequestToken: str,  # noqa: N803
        SecretString: str,  # noqa: N803
        VersionStages: list[str],  # noqa: N803
    ) -> None:
        self.values.setdefault(ClientRequestToken, SecretString)
        self.labels[ClientRequestToken] = set(VersionStages)

    def update_secret_version_stage(
        self,
        SecretId: str,  # noqa: N803
        VersionStage: str,  # noqa: N803
        MoveToVersionId: str,  # noqa: N803
        RemoveFromVersionId: str,  # noqa: N803
    ) -> None:
        self.labels[RemoveFromVersionId] = {"AWSPREVIOUS"}
        self.labels[MoveToVersionId].add(VersionStage)


class World:
    """The function with its secret and its database. ``kill`` is asked before and after each call."""

    def __init__(self, server: DatabaseServer, users: ModuleType, rotation: ModuleType) -> None:
        self.server, self.users, self.rotation = server, users, rotation
        self.secrets = Secrets()
        self.statements: list[str] = []
        self.calls = 0
        self.kill: Callable[[int, str], bool] = lambda _number, _when: False
        for name in ("my_shop_a", "my_shop_b"):
            self.sql(f"DROP USER IF EXISTS '{name}'@'%'")

    def client(self, service: str, **_: Any) -> Any:
        if service == "rds-data":
            return SimpleNamespace(execute_statement=self._counted(self._execute))
        names = ("describe_secret", "get_secret_value", "put_secret_value", "update_secret_version_stage")
        wrapped = {name: self._counted(getattr(self.secrets, name)) for name in names}
        return SimpleNamespace(**wrapped, exceptions=self.secrets.exceptions)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(**given: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            if self.kill(number, "before"):
                raise KilledError
            try:
                return call(**given)
            finally:
                if self.kill(number, "after"):
                    raise KilledError

        return run

    def _execute(self, sql: str, parameters: list[Any], **_: Any) -> dict[str, Any]:
        self.statements.append(sql)
        for one in parameters:
            sql = sql.replace(f":{one['name']}", f"'{one['value']['stringValue']}'")
        rows = [line.split("\t") for line in self.sql(sql).splitlines()]
        return {"records": [[{"stringValue": value} for value in row] for row in rows]}

    def sql(self, statement: str) -> str:
        """Execute a statement as the administrator of the server."""
        assert self.server._socket is not None
        command = ["mariadb", "--no-defaults", f"--socket={self.server._socket.name}/s", "-NBe", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClientError({"Error": {"Code": "BadRequestException", "Message": done.stderr}}, "ExecuteStatement")
        return done.stdout

    def connects(self, value: str, statement: str = "SELECT 1", *options: str) -> bool:
        """Return whether an app with a value of the secret can connect and execute a statement."""
        login = json.loads(value)
        host, port = self.server.address
        command = ["mariadb", "--no-defaults", f"--host={host}", f"--port={port}", f"--user={login['username']}"]
        command += [f"--password={login['password']}", *(options or ("--ssl", "--ssl-verify-server-cert=0"))]
        return subprocess.run([*command, "-e", statement], capture_output=True, check=False).returncode == 0

    @property
    def current(self) -> str:
        return str(self.secrets.get_secret_value(SECRET)["SecretString"])

    def create(self, kind: str = "Create") -> Any:
        event = {"RequestType": kind, "ResourceProperties": PROPERTIES, "PhysicalResourceId": "database-user:my_shop"}
        return self.users.apply(event, lambda: 10.0)

    def rotate(self, token: str) -> None:
        """Rotate as Secrets Manager does: a step that was killed is repeated."""
        for step in STEPS:
            event = {"SecretId": SECRET, "ClientRequestToken": token, "Step": step}
            try:
                self.rotation.run_step(event)
            except KilledError:
                self.rotation.run_step(event)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    need("mariadbd", "mariadb-install-db", "mariadb")
    with DatabaseServer(tmp_path_factory.mktemp("server"), Login("app", "platform", "master")) as running:
        yield running


@pytest.fixture
def world(server: DatabaseServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for folder in ("hosting/model/lambda_shared", "lambda/database_user"):
        monkeypatch.syspath_prepend(str(REPOSITORY / folder))
    monkeypatch.setenv("CLUSTER", "arn:cluster")
    monkeypatch.setenv("MASTER_SECRET_ARN", "arn:master")
    names = ("answer", "users", "rotation")
    before = {name: sys.modules.pop(name, None) for name in names}
    users, rotation = importlib.import_module("users"), importlib.import_module("rotation")
    made = World(server, users, rotation)
    monkeypatch.setattr("boto3.client", made.client)
    yield made
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update({name: module for name, module in before.items() if module is not None})


def test_a_user_reaches_its_schema_with_tls_and_nothing_else(world: World) -> None:
    assert world.create().physical_id == "database-user:my_shop"
    world.sql("CREATE DATABASE IF NOT EXISTS myXshop; CREATE DATABASE IF NOT EXISTS other")
    assert world.connects(world.current, "CREATE TABLE IF NOT EXISTS my_shop.t (id INT); DROP TABLE my_shop.t")
    assert not world.connects(world.current, "SELECT 1", "--skip-ssl")
    # An underscore in GRANT would match any character.
    assert not world.connects(world.current, "CREATE TABLE myXshop.t (id INT)")
    assert not world.connects(world.current, "CREATE TABLE other.t (id INT)")
    assert not world.connects(world.current, "SELECT User FROM mysql.user")


def test_no_statement_contains_a_password(world: World) -> None:
    world.create()
    world.rotate("second")
    passwords = [json.loads(value)["password"] for value in world.secrets.values.values()]
    assert not [text for text in world.statements for password in passwords if password in text]


def test_creation_can_be_repeated_and_restores_the_password_of_the_secret(world: World) -> None:
    world.create()
    world.sql("ALTER USER 'my_shop_a'@'%' IDENTIFIED BY 'of a restored snapshot'")
    assert not world.connects(world.current)
    world.create("Update")
    assert world.connects(world.current)


def test_deletion_keeps_the_data(world: World) -> None:
    world.create()
    world.sql("CREATE TABLE IF NOT EXISTS my_shop.kept (id INT)")
    world.create("Delete")
    assert world.connects(world.current, "SELECT * FROM my_shop.kept")


@pytest.mark.parametrize("name", ["shop`; DROP DATABASE app; --", "Shop", "", "a" * 31])
def test_a_name_that_could_end_a_statement_is_refused(world: World, name: str) -> None:
    with pytest.raises(world.users.UserError, match="is no name of a schema"):
        world.users.users_of(name)


def test_no_connection_is_refused_during_rotations(world: World) -> None:
    """Clients with the current value and with the value of before connect all the time."""
    world.create()
    refused: list[str] = []
    attempts = 0
    done = threading.Event()

    def connect(read: Callable[[], str]) -> None:
        nonlocal attempts
        while not done.is_set():
            value = read()
            attempts += 1
            if not world.connects(value):
                refused.append(json.loads(value)["username"])

    # A task reads the value when it starts. Until it is replaced, it connects with that value.
    started = world.current
    readers = [lambda: world.current, lambda: world.current, lambda: started]
    threads = [threading.Thread(target=connect, args=(read,)) for read in readers]
    for thread in threads:
        thread.start()
    world.rotate("second")
    started = world.current  # the credentials watch has replaced the task
    world.rotate("third")
    done.set()
    for thread in threads:
        thread.join()
    assert json.loads(world.current)["username"] == "my_shop_a"
    assert attempts > len(threads)
    assert refused == []


def calls_of_a_rotation() -> range:
    return range(16)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", calls_of_a_rotation())
def test_a_rotation_that_is_killed_at_any_call_continues(world: World, number: int, when: str) -> None:
    world.create()
    before = world.current
    world.calls = 0
    killed: list[int] = []

    def kill(call: int, moment: str) -> bool:
        if (call, moment) == (number, when) and not killed:
            killed.append(call)
            assert world.connects(world.current)
            return True
        return False

    world.kill = kill
    world.rotate("second")
    assert killed or world.calls <= number
    assert json.loads(world.current)["username"] == "my_shop_b"
    assert world.connects(world.current)
    assert world.connects(before)


def test_the_test_of_the_set_up_accepts_the_current_user_and_nothing_else(world: World) -> None:
    world.create()
    event = {"SecretId": SECRET, "ClientRequestToken": "unknown", "Step": "testSecret"}
    world.rotation.run_step(event)
    world.sql("ALTER USER 'my_shop_a'@'%' IDENTIFIED BY 'other'")
    with pytest.raises(world.rotation.RotationError, match="another password for my_shop_a"):
        world.rotation.run_step(event)


def test_a_second_rotation_within_the_hour_is_refused(world: World) -> None:
    """Tasks may still use the user whose password it would change."""
    from datetime import UTC, datetime, timedelta

    world.create()
    world.rotate("second")
    world.secrets.rotated = datetime.now(UTC) - timedelta(minutes=50)
    value = world.current
    with pytest.raises(world.rotation.RotationError, match="tasks may still use the user"):
        world.rotate("third")
    assert world.current == value
    world.secrets.rotated = datetime.now(UTC) - timedelta(minutes=61)
    world.rotate("third")
    assert world.current != value


def test_a_paused_database_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.users, "PAUSE_SECONDS", 0.01)
    execute, asked = world._execute, []

    def paused(**given: Any) -> Any:
        asked.append(given["sql"])
        if len(asked) < 3:
            raise ClientError({"Error": {"Code": "DatabaseResumingException", "Message": "resuming"}}, "Execute")
        return execute(**given)

    monkeypatch.setattr(world, "_execute", paused)
    world.create()
    assert world.connects(world.current)


def test_every_call_of_a_rotation_was_killed_once(world: World) -> None:
    world.create()
    world.calls = 0
    world.rotate("second")
    assert world.calls <= len(calls_of_a_rotation())


def test_the_package_has_what_the_function_imports() -> None:
    names = {path.stem for path in Path(REPOSITORY / "lambda/database_user").glob("*.py")}
    assert names == {"index", "rotation", "users"}
