"""Programs and folders that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting.local.container import LocalImage
from hosting.local.database import DatabaseServer, Login
from tests.support.programs import need

LOGIN = Login("app", "admin", 'a "quoted" #pass\\word\'')


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """A MariaDB server with an empty database."""
    need("mariadbd", "mariadb-install-db")
    with DatabaseServer(tmp_path_factory.mktemp("database"), LOGIN, "database.example") as server:
        yield server


@pytest.fixture
def python_image(tmp_path: Path) -> LocalImage:
    """An image with an empty folder /app, and Python as its entry point."""
    (tmp_path / "app").mkdir()
    return LocalImage(
        entry_point=("python3", "-u"),
        command=("main.py",),
        working_directory="/app",
        folders={"/app": tmp_path / "app"},
        variables={"PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
