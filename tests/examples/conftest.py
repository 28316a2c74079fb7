"""The database of the example apps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hosting.local.database import DatabaseServer
from tests.support.example import DATABASE_HOST, LOGIN
from tests.support.programs import need


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A MariaDB server with an empty database, for the app of one module."""
    need("bwrap", "ip", "mariadbd", "mariadb-install-db")
    with DatabaseServer(tmp_path_factory.mktemp("database"), LOGIN, DATABASE_HOST) as server:
        yield server
