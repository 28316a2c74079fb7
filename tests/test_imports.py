"""Import rules of the packages."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TEMPLATING = {"troposphere", "awacs"}
AWS = {"boto3", "botocore", "s3transfer"}
PACKAGES = {
    "generator",
    "tests",
    *(
        f"hosting.{folder.name}"
        for folder in (PROJECT / "hosting").iterdir()
        if folder.is_dir() and folder.name != "__pycache__"
    ),
}

# The modules that a package must not import, at module level or inside a function.
FORBIDDEN: dict[str, set[str]] = {
    "generator": (PACKAGES - {"generator"}) | AWS | {"cfnlint", "click", "rich", "requests", "urllib3"},
    "hosting.model": PACKAGES - {"hosting.model"},
    "hosting.deployer": (PACKAGES - {"hosting.deployer", "hosting.model"}) | TEMPLATING | {"cfnlint", "click", "rich"},
    "hosting.analysis": (PACKAGES - {"hosting.analysis", "hosting.model"}) | TEMPLATING | AWS,
    # Its buckets and queues are those of the emulator.
    "hosting.local": (
        PACKAGES - {"hosting.local", "hosting.rehearsal", "hosting.edge_simulator", "hosting.analysis", "hosting.model"}
    )
    | TEMPLATING
    | AWS,
    "hosting.edge_simulator": (PACKAGES - {"hosting.edge_simulator", "hosting.model"}) | TEMPLATING | AWS,
    "hosting.rehearsal": (
        PACKAGES - {"hosting.rehearsal", "hosting.deployer", "hosting.edge_simulator", "hosting.model"}
    )
    | TEMPLATING,
    "hosting.cli": TEMPLATING | AWS | {"tests"},
    "lambda": {"generator", "hosting", "tests"} | TEMPLATING | {"click", "rich"},
}
# Modules of the standard library that would make a template depend on the machine or the time of its generation.
IMPURE = {"datetime", "time", "random", "secrets", "uuid", "socket", "urllib", "http", "subprocess", "os", "platform"}
LAYERS = {path.stem for path in (PROJECT / "generator" / "layers").iterdir() if not path.name.startswith("__")}


def modules(package: str) -> list[Path]:
    return sorted((PROJECT / package.replace(".", "/")).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at any place in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden_imports(path: Path, forbidden: set[str]) -> list[str]:
    return sorted(
        {name for name in imported(path) if any(name == one or name.startswith(f"{one}.") for one in forbidden)}
    )


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_no_forbidden_module(package: str) -> None:
    found = {
        str(path.relative_to(PROJECT)): names
        for path in modules(package)
        if (names := forbidden_imports(path, FORBIDDEN[package]))
    }
    assert found == {}


def test_the_generator_is_pure() -> None:
    found = {path.name: names for path in modules("generator") if (names := forbidden_imports(path, IMPURE))}
    assert found == {}


def test_the_model_needs_only_the_standard_library() -> None:
    found = {
        str(path.relative_to(PROJECT)): names
        for path in modules("hosting.model")
        if (names := sorted(n for n in imported(path) if n.split(".")[0] not in {*sys.stdlib_module_names, "hosting"}))
    }
    assert found == {}


def test_modules_that_functions_share_need_only_the_standard_library() -> None:
    found = {
        path.name: names
        for path in modules("hosting.model.lambda_shared")
        if (names := sorted(n for n in imported(path) if n.split(".")[0] not in sys.stdlib_module_names))
    }
    assert found == {}


def layer_of(path: Path) -> str:
    """Return the layer that a module under generator/layers/ belongs to."""
    return path.relative_to(PROJECT / "generator" / "layers").with_suffix("").parts[0]


def test_no_layer_imports_a_layer() -> None:
    assert len(LAYERS) > 9
    found = {
        str(path.relative_to(PROJECT)): names
        for path in modules("generator.layers")
        if (names := forbidden_imports(path, {f"generator.layers.{layer}" for layer in LAYERS - {layer_of(path)}}))
    }
    assert found == {}


def test_a_forbidden_import_is_found_also_inside_a_function(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    import boto3.session\n    from generator.layers import network\n")
    assert forbidden_imports(bad, AWS | {"generator.layers.network"}) == ["boto3.session", "generator.layers.network"]
