"""Golden files: the committed templates equal a fresh render, byte for byte, on every machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from generator import render

PROJECT = Path(__file__).parents[2]
TEMPLATES = PROJECT / "templates"


def test_committed_templates_are_fresh(rendered: dict[str, str]) -> None:
    assert render.stale(TEMPLATES, rendered) == [], "run `python -m generator` and commit templates/"


def test_a_render_in_another_environment_gives_the_same_bytes(rendered: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from generator.config import load_config; from generator.render import render_all\n"
        "sys.stdout.write(''.join(render_all(load_config(Path(sys.argv[1]))).values()))"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
        "AWS_REGION": "eu-west-1",
    }
    command = [sys.executable, "-c", script, str(PROJECT)]
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout == "".join(rendered.values())


def test_a_template_is_sorted_ascii_with_a_final_newline(rendered: dict[str, str]) -> None:
    for name, text in rendered.items():
        assert text.isascii(), name
        assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n", name


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "root.json").write_text("{}\n"), "root.json: differs"),
        (lambda folder: (folder / "edge.json").unlink(), "edge.json: missing"),
        (lambda folder: (folder / "gone.json").write_text("{}\n"), "gone.json: no layer renders it"),
    ],
)
def test_a_stale_file_is_named(rendered: dict[str, str], tmp_path: Path, damage: Any, says: str) -> None:
    for name, text in rendered.items():
        (tmp_path / name).write_bytes(text.encode())
    assert render.stale(tmp_path, rendered) == []
    damage(tmp_path)
    assert any(finding.startswith(says) for finding in render.stale(tmp_path, rendered))


def test_write_changes_only_files_that_differ(rendered: dict[str, str], tmp_path: Path) -> None:
    assert sorted(render.write(tmp_path, rendered)) == sorted(rendered)
    (tmp_path / "network.json").write_text("{}")
    (tmp_path / "left-over.json").write_text("{}")
    assert sorted(render.write(tmp_path, rendered)) == ["left-over.json", "network.json"]
    assert render.write(tmp_path, rendered) == []


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "generator", "--check"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_check_names_the_stale_file_and_the_command_to_run(tmp_path: Path, rendered: dict[str, str]) -> None:
    copy_generator(tmp_path)
    for name in ("README.md", "workloads.py"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "templates").mkdir()
    for name, text in rendered.items():
        (tmp_path / "templates" / name).write_bytes(text.encode())
    assert check(tmp_path).returncode == 0
    (tmp_path / "templates" / "service.json").write_text("{}\n")
    failed = check(tmp_path)
    assert failed.returncode == 1
    assert "templates/service.json: differs" in failed.stderr
    assert "Run `python -m generator`" in failed.stderr


def copy_generator(folder: Path) -> None:
    """Its own folder decides where templates/ is, so a link would lead back to the project's."""
    shutil.copytree(PROJECT / "generator", folder / "generator", ignore=shutil.ignore_patterns("__pycache__"))
