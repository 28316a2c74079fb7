"""Every example: generated, validated, checked for reachability, and rehearsed. Its image is a digest for tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hosting.cli import main as command_line
from tests.support.example import EXAMPLES, copy_example
from tests.support.project import REPOSITORY

NAMES = sorted(file.parent.name for file in EXAMPLES.glob("*/workloads.py"))
# The tests of these start the software with the resolved variables. The others are only generated and rehearsed.
STARTED = {"django", "wordpress"}


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = command_line.main(arguments)
    output = "".join(capfd.readouterr())
    assert code == 0, f"deploy.py {' '.join(arguments)}\n{output[-6000:]}"
    return output


@pytest.mark.slow("rehearses an environment for each example")
@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_generated_validated_reachable_and_rehearsed(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = copy_example(name, tmp_path / "project")
    root = ("--root", str(project))
    run(capfd, "generate", *root)
    run(capfd, "params", "check", *root)
    assert "no findings" in run(capfd, "validate", *root)
    run(capfd, "reach", *root)
    assert re.search(r"checks hold", run(capfd, "rehearse", "-e", "dev", *root))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_a_page_that_states_what_is_declared_and_lost(name: str) -> None:
    page = (EXAMPLES / name / "README.md").read_text()
    for heading in ("## What is declared, and why", "## What is lost"):
        assert heading in page
    started = "The tests start it" in page
    assert started == (name in STARTED)
    assert f"../examples/{name}/README.md" in (REPOSITORY / "docs" / "from-compose.md").read_text()
