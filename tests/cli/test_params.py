"""`deploy.py params`, and the agreement of all commands about parameter files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hosting.cli.main import main
from tests import small_project

Write = Callable[[str, object], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_project.write(tmp_path)


@pytest.fixture
def write(root: Path) -> Write:
    """Return a function that writes a parameter file, one key on each line."""
    return lambda name, document: (root / "params" / name).write_text(json.dumps(document, indent=1))


def test_params_show_names_the_origin_of_each_value(
    root: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("base.json", {"Account": "111122223333", "Parameters": {"Size": 3, "DomainName": "x"}, "Tags": {"Team": "a"}})
    write("dev.json", {"Parameters": {"FrontendImage": small_project.IMAGE, "DomainName": ""}, "Tags": {"Cost": "7"}})
    assert main(["params", "show", "-e", "dev", "--root", str(root), "--set", "Size=4", "--output", "json"]) == 0
    shown = {item["name"]: (item["value"], item["origin"]) for item in json.loads(capsys.readouterr().out)}
    assert (
        shown.items()
        >= {
            "Account": ("111122223333", "params/base.json:2"),
            "Region": (None, "not set"),
            "Size": ("4", "--set"),
            "DomainName": ("", "params/dev.json:4"),
            "FrontendImage": (small_project.IMAGE, "params/dev.json:3"),
            "Project": ("shop", "default of templates/bootstrap.json"),
            "ArtifactBucket": (None, "supplied by deploy.py"),
            "EdgeTopicArn": (None, "output of an earlier stack"),
            "Tags.Team": ("a", "params/base.json:8"),
            "Tags.Cost": ("7", "params/dev.json:7"),
        }.items()
    )
    assert main(["params", "show", "-e", "dev", "--root", str(root)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert 'Size "3" (params/base.json:4)' in lines
    assert "ArtifactBucket - (supplied by deploy.py)" in lines


def test_base_is_no_environment(root: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("base.json", {"Parameters": {}})
    assert main(["params", "show", "-e", "base", "--root", str(root)]) == 64
    assert "base.json contains the values that environments share" in capsys.readouterr().err
    assert main(["params", "check", "--root", str(root)]) in {0, 64}
    assert "params/base.json:" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"template-file-path": "root.json", "parameters": {}}, "is a file of CloudFormation Git sync"),
        (["Project=shop"], 'is a list of "Key=Value" texts'),
        (
            {"Parameters": {"FrontendImage": small_project.IMAGE, "Sise": "3"}},
            'unknown key "Sise"; did you mean "Size"?',
        ),
        ({"Parameters": {}}, 'missing "FrontendImage"; templates/root.json requires it'),
    ],
    ids=["git sync", "texts", "unknown key", "missing key"],
)
@pytest.mark.parametrize("command", [["params", "check"], ["validate"], ["cost"], ["timeline"], ["plan"]], ids=" ".join)
def test_every_command_reports_the_same_mistake(
    root: Path, write: Write, command: list[str], document: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("dev.json", document)
    assert main([*command, "-e", "dev", "--root", str(root)]) == 64
    assert re.search(rf"params/dev\.json(:[0-9]+)?: {re.escape(message)}", capsys.readouterr().err)
