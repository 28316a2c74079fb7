"""`deploy.py cost`: its text and its JSON."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from hosting.analysis.cost import prices
from hosting.cli.support.exit_codes import Exit
from tests.support.project import copy_rendered, main


def test_text_has_the_total_and_the_excluded_items(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "-e", "lab"]) == Exit.DONE
    out = capsys.readouterr().out
    for words in ("NAT gateway", "total, without the items below", "Depends on traffic", "Not included", "Prices of"):
        assert words in out
    assert "Price unknown" not in out


def test_a_resource_without_a_price_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {key: price for key, price in prices.load_prices().items() if price.id != "nat-gateway"}
    monkeypatch.setattr(prices, "load_prices", lambda: known)
    assert main(["cost", "-e", "live"]) == Exit.DONE
    out = capsys.readouterr().out
    assert "Price unknown, not in the total:\n  Egress: NAT gateway, 2 times 1 in ap-northeast-1" in out
    assert "  NAT gateway  " not in out


def test_json_has_the_source_of_every_price(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--output", "json"]) == Exit.DONE
    documents = json.loads(capsys.readouterr().out)
    assert [one["environment"] for one in documents] == ["lab", "live"]
    for document in documents:
        assert document["schema"] == "hosting-platform/cost/1"
        assert all(line["price"]["source"] and line["price"]["date"] for line in document["lines"])
        sums = [Decimal(layer["least"]) for layer in document["layers"].values()]
        assert abs(sum(sums) - Decimal(document["total"]["least"])) < 1


def test_environments_and_commits_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "-e", "live", "--compare", "lab"]) == Exit.DONE
    assert "live, compared with lab" in capsys.readouterr().out
    root = copy_rendered(tmp_path)
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "templates", "params"], ["commit", "-qm", "First"]):
        subprocess.run(["git", *who, *command], cwd=root, check=True)
    assert main(["cost", "-e", "live", "--against", "HEAD", "--output", "json", "--root", str(root)]) == Exit.DONE
    (document,) = json.loads(capsys.readouterr().out)
    assert document["comparedWith"]["total"] is not None


@pytest.mark.parametrize(
    "arguments", [["--compare", "lab"], ["-e", "lab", "--compare", "live", "--against", "HEAD"], ["-e", "staging"]]
)
def test_contradictory_options_are_wrong_input(arguments: list[str]) -> None:
    assert main(["cost", *arguments]) == Exit.USAGE
