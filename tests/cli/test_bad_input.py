"""Bad input to every command: one clear message, exit code 64 or 1, nothing changed, no traceback, no call of AWS.

The commands run in this process, so that a bug is an exception in the test. The AWS endpoint is a closed port.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosting.cli.main import COMMANDS, main
from tests.support.sampling import diagonal

PROJECT = Path(__file__).resolve().parents[2]

# Each command with the arguments that it needs to read its parameter file. The other commands are in ELSEWHERE.
READS_PARAMETERS: dict[str, tuple[str, ...]] = {
    "params": ("check",),
    "validate": (),
    "security": (),
    "reach": (),
    "policy": ("plan",),
    "graph": (),
    "cost": (),
    "timeline": (),
    "diff": ("--against", "HERE"),
    "package": (),
    "rehearse": (),
    "local": ("--check",),
    "preflight": (),
    "plan": (),
    "deploy": ("--yes",),
    "releases": (),
    "rollback": ("--to", "1", "--yes"),
    "tunnel": ("db",),
    "exec": (),
    "run": ("--service", "Frontend", "--", "true"),
    "status": (),
    "logs": ("app",),
    "events": (),
    "site": ("HERE",),
    "invalidate": ("/index.html",),
    "restart": ("--service", "Frontend"),
    "addresses": (),
    "rotate-origin-secret": (),
    "drift": (),
    "outputs": (),
    "secrets": ("list",),
    "watch": (),
    "cancel": ("--yes",),
    "recover": ("--yes",),
    "destroy": ("--yes",),
}
ELSEWHERE = {"generate", "new-service", "completion", "diagnose"}

DAMAGED_PARAMETERS: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"{'Parameters': {}}",
    "cut off": b'{"Parameters": {"Project": "plat',
    "a number": b"7",
    "null": b"null",
    "a list of numbers": b"[1, 2, 3]",
    "no object under Parameters": b'{"Parameters": ["Project"]}',
    "an object as value": b'{"Parameters": {"Project": {"a": "b"}}}',
    "a list of lists as value": b'{"Parameters": {"Project": [["a"]]}}',
    "null as value": b'{"Parameters": {"Project": null}}',
    "a key twice": b'{"Parameters": {"Project": "a", "Project": "b"}}',
    "UTF-16": '{"Parameters": {}}'.encode("utf-16"),
    "Latin-1": '{"Parameters": {"Project": "caf\u00e9"}}'.encode("latin-1"),
    "a NUL byte": b'{"Parameters": {"Project": "a\x00"}}',
    "very deep": b'{"Parameters": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "very large": b'{"Parameters": {"Project": "' + b"a" * 3_000_000 + b'"}}',
    "infinity": b'{"Parameters": {"DbMaxCapacity": Infinity}}',
    "a hostile key": b'{"Parameters": {"../../etc/passwd": "x", "\\u001b[31mred": "y"}}',
}
DAMAGED_TEMPLATES: dict[str, Callable[[Path], object]] = {
    "no root": lambda folder: (folder / "root.json").unlink(),
    "no nested template": lambda folder: (folder / "network.json").unlink(),
    "not JSON": lambda folder: (folder / "root.json").write_text("{"),
    "a list": lambda folder: (folder / "root.json").write_text("[]"),
    "no resources": lambda folder: (folder / "network.json").write_text('{"Resources": 7}'),
    "a foreign file": lambda folder: (folder / "foreign.json").write_text('{"Resources": {}}'),
    "no folder": shutil.rmtree,
}
HOSTILE_NAMES = (
    "../params/dev",
    "dev/../prod",
    "/etc/passwd",
    "dev.json",
    "",
    " ",
    "de\nv",
    "\u958b\u767a",
    "a" * 300,
    "$(id)",
)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the data of the project, which each test copies and damages."""
    folder = tmp_path_factory.mktemp("intact")
    for part in ("templates", "params"):
        shutil.copytree(PROJECT / part, folder / part)
    return folder


@pytest.fixture
def project(intact: Path, tmp_path: Path) -> Path:
    shutil.copytree(intact, tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture(autouse=True)
def no_endpoint_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "111122223333",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_COLOR": "1",
    }.items():
        monkeypatch.setenv(name, value)


class Captured(Protocol):
    """The result of capfd.readouterr()."""

    @property
    def out(self) -> str: ...

    @property
    def err(self) -> str: ...


def invoke(command: str, project: Path, environment: str = "dev") -> int:
    arguments = [str(project) if argument == "HERE" else argument for argument in READS_PARAMETERS[command]]
    first, rest = (arguments[:1], arguments[1:]) if command in {"params", "policy", "secrets"} else ([], arguments)
    return main([command, *first, "-e", environment, "--root", str(project), *rest])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(code: int, captured: Captured, before: dict[str, bytes], project: Path) -> None:
    assert code in {1, 64}, captured
    assert captured.out == ""
    assert captured.err.strip()
    assert len(captured.err) < 8_000, "one message, not the whole input"
    assert "\x1b[31m" not in captured.err, "control characters of the input reach the terminal"
    assert contents(project) == before


def test_every_command_is_covered() -> None:
    assert set(READS_PARAMETERS) | ELSEWHERE == set(COMMANDS)


@pytest.mark.parametrize(("command", "damage"), diagonal([*READS_PARAMETERS], [*DAMAGED_PARAMETERS]))
def test_a_damaged_parameter_file_is_one_message(
    command: str, damage: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "params" / "dev.json").write_bytes(DAMAGED_PARAMETERS[damage])
    before = contents(project)
    code = invoke(command, project)
    assert_refused(code, capfd.readouterr(), before, project)


@pytest.mark.parametrize(("command", "name"), diagonal([*READS_PARAMETERS], HOSTILE_NAMES))
def test_a_hostile_environment_name_is_one_message(
    command: str, name: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(project)
    code = invoke(command, project, name)
    assert_refused(code, capfd.readouterr(), before, project)


# Commands that only read deployed stacks from AWS need no templates.
NEEDS_TEMPLATES = (
    "params",
    "validate",
    "security",
    "reach",
    "policy",
    "graph",
    "cost",
    "timeline",
    "rehearse",
    "plan",
    "deploy",
    "preflight",
)


# `params check` reads only declarations of stacks, and a rehearsal renders the templates first.
UNSEEN = {("params", "a foreign file"), ("params", "no resources"), ("rehearse", "a foreign file")}


@pytest.mark.parametrize(("command", "damage"), diagonal(NEEDS_TEMPLATES, [*DAMAGED_TEMPLATES], without=UNSEEN))
def test_a_damaged_template_folder_is_one_message(
    command: str, damage: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    DAMAGED_TEMPLATES[damage](project / "templates")
    before = contents(project)
    code = invoke(command, project)
    assert_refused(code, capfd.readouterr(), before, project)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=VALUES)
def test_any_json_in_a_parameter_file_is_one_message(
    document: object, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "params" / "dev.json").write_text(json.dumps(document), encoding="utf-8")
    before = contents(project)
    for command in ("params", "validate"):
        code = invoke(command, project)
        assert_refused(code, capfd.readouterr(), before, project)
