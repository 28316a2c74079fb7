"""One database per test session, and a bastion in front of it per test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosting.rehearsal.emulator import Emulator
from tests.deployer.operate import parts
from tests.support import commands
from tests.support.programs import need
from tests.support.project import on_project
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Database]:
    """A running MariaDB server with a schema `app` and a user `admin`."""
    programs = need("mariadbd", "mariadb-install-db", "mariadb")
    made = parts.Database(tmp_path_factory.mktemp("db"), parts.free_port(), programs)
    made.install()
    try:
        made.start()
        yield made
    finally:
        made.stop()


_DASH = pytest.mark.slow(reason="the shell of Debian's images; the bastion's image is Alpine")


@pytest.fixture(scope="session", params=["busybox", pytest.param("dash", marks=_DASH)])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """A POSIX shell; busybox ash is the one of Alpine, which the bastion's image is."""
    name: str = request.param
    path = need(name)[name]
    return (path, "ash") if name == "busybox" else (path,)


@pytest.fixture
def make_bastion(
    database: parts.Database, shell: tuple[str, ...], tmp_path: Path
) -> Iterator[Callable[..., parts.Bastion]]:
    """`make_bastion(installed=False)`: a prepared bastion, not started yet."""
    need("socat")
    made: list[parts.Bastion] = []

    def make(*, installed: bool = True) -> parts.Bastion:
        bastion = parts.Bastion(shell, tmp_path / "bastion", database.port)
        bastion.prepare(installed=installed)
        made.append(bastion)
        return bastion

    try:
        yield make
    finally:
        for bastion in made:
            bastion.stop()


@pytest.fixture
def bastion(make_bastion: Callable[..., parts.Bastion]) -> parts.Bastion:
    """A running bastion, its relay up."""
    made = make_bastion()
    made.start()
    eventually(made.is_up, "the relay listens")
    return made


@pytest.fixture
def relay(database: parts.Database, tmp_path: Path) -> Iterator[parts.Bastion]:
    """The running bastion of a task, for tests of connections through it."""
    made = parts.Bastion((need("busybox", "socat")["busybox"], "ash"), tmp_path / "bastion", database.port)
    made.prepare()
    try:
        made.start()
        eventually(made.is_up, "the relay listens")
        yield made
    finally:
        made.stop()


# --- a deployed platform


@pytest.fixture(scope="session")
def deployed(emulator: Emulator) -> parts.Deployed:
    """The templates of the project with the values of lab, deployed once to an account of the emulator."""
    return parts.deploy(emulator)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def deploy_py(deployed: parts.Deployed) -> Run:
    """`deploy_py("status", "-e", "lab")`: the command in this process."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = commands.run(on_project(arguments), {**deployed.environment(), **more})
        return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)

    return run


@pytest.fixture
def process(deployed: parts.Deployed, tmp_path: Path) -> Run:
    """`process("exec", "--", "true")`: a process of its own, with a fake plugin on its PATH."""
    environment = parts.with_plugin(deployed.environment(), tmp_path)

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            parts.command_line(*arguments),
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run
