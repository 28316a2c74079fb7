"""`deploy.py generate` refuses what CloudFormation would refuse, and writes nothing of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from generator import render
from generator.config import load_config
from generator.tooling import trial
from hosting.cli.main import main
from hosting.cli.support.exit_codes import Exit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of templates/, written instead of the project's own should anything be."""
    monkeypatch.setattr("hosting.cli.commands.generate.ROOT", tmp_path)
    shutil.copy(ROOT / "workloads.py", tmp_path)
    return Path(shutil.copytree(ROOT / "templates", tmp_path / "templates"))


@pytest.mark.parametrize("arguments", [["generate"], ["generate", "--check"]])
def test_too_many_services_are_refused(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    large = render.render_all(trial.config_with(load_config(ROOT), 110))
    monkeypatch.setattr(render, "render_all", lambda _: large)
    assert main(arguments) == Exit.ERROR
    said = capsys.readouterr().err
    assert "root.json: " in said
    assert "services fit" in said
    assert "note: root.json: 110 egress rules of AlbSecurityGroupId" in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_what_is_raised_on_request_is_no_reason_to_refuse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many = render.render_all(trial.config_with(load_config(ROOT), 70))
    monkeypatch.setattr(render, "render_all", lambda _: many)
    monkeypatch.setattr(render, "stale", lambda *_: [])
    assert main(["generate", "--check"]) == Exit.DONE
    assert "note: " in capsys.readouterr().err
