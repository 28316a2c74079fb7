"""Who may import whom: a slip here is how packages grow together."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
OURS = {"generator", "deployer", "analysis", "rehearsal", "commands", "tests"}
TEMPLATING = {"troposphere", "awacs"}
AWS = {"boto3", "botocore", "s3transfer"}

# Package -> what no module of it may import, at its head or inside a function.
FORBIDDEN: dict[str, set[str]] = {
    "generator": (OURS - {"generator"}) | AWS | {"cfnlint", "click", "rich", "requests", "urllib3"},
    "deployer": (OURS - {"deployer"}) | TEMPLATING | {"cfnlint", "click", "rich"},
    "analysis": (OURS - {"analysis"}) | TEMPLATING | AWS,
    "rehearsal": {"generator", "analysis", "commands", "tests"} | TEMPLATING,
    "commands": TEMPLATING | AWS | {"tests"},
    "lambda": OURS | TEMPLATING | {"click", "rich"},
}
# Modules of the standard library by which a template could depend on where and when it is made.
IMPURE = {"datetime", "time", "random", "secrets", "uuid", "socket", "urllib", "http", "subprocess", "os", "platform"}
LAYERS = {
    "access",
    "application",
    "archive",
    "database",
    "distribution",
    "egress",
    "network",
    "operations",
    "reader",
    "security",
    "service",
}


def modules(package: str) -> list[Path]:
    return sorted((PROJECT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def slips(path: Path, forbidden: set[str]) -> list[str]:
    return sorted({name for name in imported(path) if name.split(".")[0] in forbidden})


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_keep_apart(package: str) -> None:
    found = {
        str(path.relative_to(PROJECT)): names for path in modules(package) if (names := slips(path, FORBIDDEN[package]))
    }
    assert found == {}


def test_the_generator_is_pure() -> None:
    found = {path.name: names for path in modules("generator") if (names := slips(path, IMPURE))}
    # Only to leave: it reads nothing.
    assert found == {"__main__.py": ["os", "os._exit"]}


def test_no_layer_imports_a_layer() -> None:
    found = {
        path.name: names
        for path in modules("generator")
        if path.stem in LAYERS
        and (
            names := sorted(
                name
                for name in imported(path)
                if name.startswith("generator.") and name.split(".")[1] in LAYERS - {path.stem}
            )
        )
    }
    assert found == {}


def test_a_slip_is_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    import boto3.session\n    from generator import network\n")
    assert slips(bad, AWS | {"generator"}) == ["boto3.session", "generator", "generator.network"]
