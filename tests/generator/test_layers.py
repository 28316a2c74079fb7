"""Layers as modules: each is rendered, and no modules of the generator import each other in a circle."""

from __future__ import annotations

import ast
import graphlib
import importlib
from pathlib import Path

import pytest

from generator.render import LAYERS

PROJECT = Path(__file__).parents[2]


def imports(package: Path) -> dict[str, set[str]]:
    """Return module -> modules of the same package that it imports, also below TYPE_CHECKING or in a function."""
    files = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        found[module] = (names & files.keys()) - {module, package.name}
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    graphlib.TopologicalSorter(imports(PROJECT / "generator")).prepare()


def test_a_circle_of_imports_is_found(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "task.py").write_text("def f():\n    from package.alarms import add\n")
    (package / "alarms.py").write_text("from package import task\n")
    with pytest.raises(graphlib.CycleError, match=r"package\.alarms"):
        graphlib.TopologicalSorter(imports(package)).prepare()


def test_every_layer_is_rendered() -> None:
    names = {path.stem for path in (PROJECT / "generator" / "layers").iterdir() if not path.name.startswith("_")}
    # These depend on what the project declares: `layer_of` returns them.
    declared = {"service", "stores", "discovery", "functions", "database_users"}
    layers = [importlib.import_module(f"generator.layers.{name}").LAYER for name in names - declared]
    assert sorted(layer.name for layer in layers) == sorted(layer.name for layer in LAYERS)
