"""The command line against a small project and the emulator."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hosting.rehearsal.emulator import Emulator
from tests import small_project
from tests.support import commands
from tests.support.commands import Done
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small_project.write(tmp_path / "project")


@pytest.fixture
def command(emulator: Emulator, account: str, project: Path) -> Callable[..., Done]:
    """`command("plan", "-e", "dev")`: as a user starts it, without a terminal, but in this process."""

    def run(*arguments: str, **environment: str) -> Done:
        variables = {**emulator.subprocess_environment(account), **environment}
        return commands.run([*arguments, "--root", str(project)], variables)

    return run


@pytest.fixture
def process(emulator: Emulator, account: str, project: Path) -> Callable[..., Done]:
    """The same in a process of its own, which takes a second longer."""

    def run(*arguments: str, **environment: str) -> Done:
        done = subprocess.run(
            [sys.executable, str(ROOT / "deploy.py"), *arguments, "--root", str(project)],
            env={**emulator.subprocess_environment(account), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run
