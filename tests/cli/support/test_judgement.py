"""`params check`, `plan` and `deploy` load an environment by one function, which checks all of its input."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from hosting.cli.support import options
from hosting.cli.support.options import Options, load_environment
from hosting.model.errors import InputError

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a copy of the project, with its workloads."""
    for folder in ("templates", "params", "lambda"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    shutil.copy(PROJECT / "workloads.py", tmp_path)
    return tmp_path


def problems(root: Path, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as raised:
        load_environment(Options("dev", root, overrides))
    return [str(problem) for problem in raised.value.problems]


def test_a_range_is_reported_with_its_line(root: Path) -> None:
    file = root / "params" / "dev.json"
    lines = file.read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "FrontendMinTasks" in text)
    file.write_text(file.read_text().replace('"FrontendMinTasks": "2"', '"FrontendMinTasks": "7"'))
    (found,) = problems(root)
    assert found.startswith(f"params/dev.json:{line}: FrontendMinTasks 7 is more than FrontendMaxTasks 4; ")


def test_region_and_tags_are_judged_with_the_values(root: Path) -> None:
    file = root / "params" / "dev.json"
    document = json.loads(file.read_text())
    document["Region"] = "tokyo"
    document["Tags"]["aws:team"] = "x"
    file.write_text(json.dumps(document))
    found = problems(root, "DbMinCapacity=8")
    assert any('"tokyo" is not a region of AWS' in one for one in found)
    assert any('tag "aws:team"' in one for one in found)
    assert any(one.startswith("--set: DbMinCapacity 8 is more than DbMaxCapacity 2") for one in found)


def test_a_rule_of_the_templates_is_judged_without_cfn_lint(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = root / "templates" / "network.json"
    body = json.loads(network.read_text())
    vpc = next(item for item in body["Resources"].values() if item["Type"] == "AWS::EC2::VPC")
    vpc["Properties"]["EnableDnsHostnames"] = False
    network.write_text(json.dumps(body))
    monkeypatch.setattr(options, "find_stale_templates", lambda _root: [])
    loaded = set(sys.modules)
    found = problems(root)
    assert any("NET-" in one and "generator/layers/network.py:" in one for one in found), found
    assert "cfnlint" not in set(sys.modules) - loaded


def test_the_committed_environments_pass() -> None:
    for name in ("dev", "prod"):
        assert load_environment(Options(name)).name == name
