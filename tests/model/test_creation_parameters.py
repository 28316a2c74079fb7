"""The parameters that are decided at creation: which change is refused, and that the document shows each."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosting.model.creation_parameters import CREATION_PARAMETERS, find_refused_changes
from hosting.model.templates import load
from tests.support.project import TEMPLATES

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "before", "after", "refused"),
    [
        ("VpcNetwork", "10.0", "10.1", True),
        ("FirstZone", "ap-northeast-1a", "ap-northeast-1d", True),
        ("SecondZone", "ap-northeast-1c", "ap-northeast-1d", True),
        ("DbBacktrackSeconds", "0", "3600", True),
        ("DbBacktrackSeconds", "3600", "7200", False),
        ("DbBacktrackSeconds", "3600", "0", False),
        ("DbEngineVersion", "8.0.mysql_aurora.3.10.6", "8.0.mysql_aurora.3.10.4", True),
        ("DbEngineVersion", "8.0.mysql_aurora.3.10.6", "8.0.mysql_aurora.3.10.10", False),
        ("ArchiveLockDays", "30", "0", True),
        ("ArchiveLockDays", "0", "30", False),
        ("ArchiveLockDays", "30", "1", False),
        ("SlackWorkspaceId", "T0123456789", "T9123456789", True),
        ("SlackWorkspaceId", "T0123456789", "", False),
        ("SlackWorkspaceId", "", "T9123456789", False),
        ("DbMinCapacity", "1", "2", False),
    ],
)
def test_only_a_change_that_aws_refuses_is_refused(name: str, before: str, after: str, refused: bool) -> None:
    found = list(find_refused_changes({name: before}, {name: after}))
    assert bool(found) is refused
    assert not list(find_refused_changes({name: before}, {name: before}))
    assert not list(find_refused_changes({}, {name: after}))
    if found:
        assert str(found[0]).startswith(f"{name}: ")


def test_the_table_names_parameters_of_root() -> None:
    assert {one.name for one in CREATION_PARAMETERS} <= set(load(TEMPLATES)["root.json"].parameters)


def test_the_document_shows_the_table() -> None:
    text = (PROJECT / "docs" / "changes.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert rows == [f"| `{one.name}` | {one.change} | {one.reason} | {one.way} |" for one in CREATION_PARAMETERS]
