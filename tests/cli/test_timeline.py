"""`deploy.py timeline` as a person and a program read it."""

from __future__ import annotations

import json

import pytest

from hosting.cli.main import main
from hosting.cli.support.exit_codes import Exit


def test_text_names_the_path_and_what_to_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "-e", "prod"]) == Exit.DONE
    out = capsys.readouterr().out
    for words in ("a first deployment takes about", "Critical path", "root/DatabaseStack/", "(assumed)", "waits for"):
        assert words in out


def test_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "-e", "dev", "--output", "json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hosting-platform/timeline/1"
    assert sum(task["seconds"] for task in document["critical"]) == pytest.approx(document["seconds"], abs=5)
    assert all(task["source"] for task in document["critical"])


def test_every_environment_where_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline"]) == Exit.DONE
    out = capsys.readouterr().out
    assert "dev: a first deployment takes about" in out
    assert "prod: a first deployment takes about" in out
    assert main(["timeline", "--output", "json"]) == Exit.DONE
    assert [one["environment"] for one in json.loads(capsys.readouterr().out)] == ["dev", "prod"]


def test_an_environment_that_is_not_there() -> None:
    assert main(["timeline", "-e", "staging"]) == Exit.USAGE
