"""`deploy.py reach` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.project import PARAMS, TEMPLATES, main

PROJECT = Path(__file__).resolve().parents[2]


def test_text_has_the_claims_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reach", "-e", "lab"]) == 0
    text = capsys.readouterr().out
    assert "The internet does not reach Aurora" in text
    assert "generator/layers/network.py:" in text
    assert text.rstrip().endswith("claims hold.")


def test_json_has_the_claims_with_their_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reach", "--output", "json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["schema"] == "reach/1"
    assert body["holds"] is True
    assert {item["environment"] for item in body["environments"]} == {"lab", "live"}
    claim = next(item for item in body["environments"][0]["claims"] if item["id"] == "alb -> orders")
    assert (claim["from"], claim["to"], claim["holds"], claim["problems"]) == ("alb", "orders", True, [])
    rule = next(item for item in claim["because"] if item["logicalId"] == "FromAlbEgress")
    assert rule["stack"] == "root/OrdersAccessStack"
    assert rule["source"].startswith("generator/layers/service_access.py:")


def test_a_claim_that_fails_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    shutil.copytree(PARAMS, tmp_path / "params")
    security = json.loads((folder / "security.json").read_text())
    del security["Resources"]["DatabaseSecurityGroup"]["Properties"]["SecurityGroupEgress"]
    (folder / "security.json").write_text(json.dumps(security))
    assert main(["reach", "-e", "live", "--root", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "FAIL  Aurora does not reach the internet" in text
    assert "wrong: SecurityStack/DatabaseSecurityGroup has no egress rule" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-e", "staging"], 'unknown environment "staging"'),
        (["--root", "nowhere"], "no such folder"),
        (["--call", "Portal"], "is not CALLER:CALLEE"),
        (["--call", "Portal:Worker"], "there is no service worker"),
        (["--output", "yaml"], "yaml"),
    ],
)
def test_bad_input_is_one_message(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reach", *arguments]) == 64
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""
