"""`params check`, `plan` and `deploy` load an environment by one function, which checks all of its input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hosting.cli.support import options
from hosting.cli.support.options import Options, load_environment
from hosting.model.errors import InputError
from hosting.model.stack_order import StackRole
from tests.support.project import copy_rendered


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a copy of the frozen project, with its templates."""
    return copy_rendered(tmp_path)


def problems(root: Path, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as raised:
        load_environment(Options("lab", root, overrides))
    return [str(problem) for problem in raised.value.problems]


def test_a_range_is_reported_with_its_line(root: Path) -> None:
    file = root / "params" / "lab.json"
    lines = file.read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "PortalMinTasks" in text)
    file.write_text(file.read_text().replace('"PortalMinTasks": "2"', '"PortalMinTasks": "7"'))
    (found,) = problems(root)
    assert found.startswith(f"params/lab.json:{line}: PortalMinTasks 7 is more than PortalMaxTasks 4; ")


def test_region_and_tags_are_judged_with_the_values(root: Path) -> None:
    file = root / "params" / "lab.json"
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


def test_the_frozen_environments_pass(root: Path) -> None:
    for name in ("lab", "live"):
        assert load_environment(Options(name, root)).name == name


def test_a_channel_of_another_environment_of_the_account_is_found(root: Path) -> None:
    files = {name: root / "params" / f"{name}.json" for name in ("lab", "live")}
    lab, live = (json.loads(file.read_text()) for file in files.values())
    for key in ("SlackWorkspaceId", "SlackChannelId"):
        lab["Parameters"][key] = live["Parameters"][key]
    files["lab"].write_text(json.dumps(lab))
    assert load_environment(Options("lab", root)).name == "lab", "the accounts differ"
    lab["Account"] = live["Account"]
    files["lab"].write_text(json.dumps(lab))
    (found,) = problems(root)
    assert "SlackChannelId: params/live.json has the same channel" in found


def test_a_missing_value_of_root_does_not_stop_what_root_is_not_in(root: Path) -> None:
    file = root / "params" / "lab.json"
    document = json.loads(file.read_text())
    del document["Parameters"]["DbReader"]
    file.write_text(json.dumps(document))
    assert any('missing "DbReader"' in one for one in problems(root))
    assert load_environment(Options("lab", root), StackRole.BOOTSTRAP).name == "lab"
