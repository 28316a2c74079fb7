"""`deploy.py timeline`: its text and its JSON."""

from __future__ import annotations

import json

import pytest

from hosting.cli.support.exit_codes import Exit
from tests.support.project import main


def test_text_has_the_critical_path_and_the_dependencies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "-e", "live"]) == Exit.DONE
    out = capsys.readouterr().out
    for words in ("a first deployment takes about", "Critical path", "root/DatabaseStack/", "(assumed)", "waits for"):
        assert words in out


def test_the_critical_path_in_json_adds_up_to_the_duration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "-e", "lab", "--output", "json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hosting-platform/timeline/1"
    assert sum(task["seconds"] for task in document["critical"]) == pytest.approx(document["seconds"], abs=5)
    assert all(task["source"] for task in document["critical"])


def test_the_default_is_every_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline"]) == Exit.DONE
    out = capsys.readouterr().out
    assert "lab: a first deployment takes about" in out
    assert "live: a first deployment takes about" in out
    assert main(["timeline", "--output", "json"]) == Exit.DONE
    assert [one["environment"] for one in json.loads(capsys.readouterr().out)] == ["lab", "live"]


def test_an_unknown_environment_is_wrong_input() -> None:
    assert main(["timeline", "-e", "staging"]) == Exit.USAGE
