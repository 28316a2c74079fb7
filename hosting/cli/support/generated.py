"""The generated files of a project: templates, reference tables and pictures. One function renders all of them.

Paths are relative to the project folder, with forward slashes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.model import parameter_file

if TYPE_CHECKING:
    from generator.config import Config

TEMPLATES = "templates/*.json"
# Every file that matches belongs to the generator. It deletes the files that it does not render any more.
GENERATED = (TEMPLATES, "docs/parameters.md", "docs/outputs.md", "docs/architecture-*.svg")


def render_templates(config: Config) -> dict[str, str]:
    """Return path -> text of every template."""
    from generator import render

    return _below("templates", render.render_all(config))


def render_project(root: Path, config: Config) -> dict[str, str]:
    """Return path -> text of every generated file: the templates of `config`, and a picture for each parameter file."""
    from generator import render
    from generator.tooling import reference_tables

    built = render.build_all(config)
    templates = render.as_texts(built)
    return {
        **_below("templates", templates),
        **_below("docs", reference_tables.documents(built)),
        **_below("docs", _draw_all(root, templates)),
    }


def report_limits(files: Mapping[str, str]) -> bool:
    """Print each exceeded limit of the templates to stderr. Return whether CloudFormation accepts them."""
    from generator.resources import limits

    templates = {Path(name).name: text for name, text in files.items() if name.startswith("templates/")}
    excesses = limits.check(templates)
    for excess in excesses:
        click.echo(f"{'note: ' if excess.adjustable else ''}{excess}", err=True)
    return all(excess.adjustable for excess in excesses)


def find_stale(root: Path, files: Mapping[str, str], patterns: tuple[str, ...] = GENERATED) -> list[str]:
    """Return `path: reason` for each file on disk that differs from `files`, or an empty list."""
    findings = []
    for name, text in files.items():
        path = root / name
        if not path.is_file():
            findings.append(f"{name}: missing")
        elif path.read_bytes() != text.encode():
            findings.append(f"{name}: differs from the generated text")
    return [*findings, *(f"{name}: nothing generates it any more" for name in _left_over(root, files, patterns))]


def write(root: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files that differ, delete those that are not generated any more, and return the paths of both."""
    touched = []
    for name, text in files.items():
        path = root / name
        if not path.is_file() or path.read_bytes() != text.encode():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            touched.append(name)
    for name in _left_over(root, files, GENERATED):
        (root / name).unlink()
        touched.append(name)
    return touched


def _below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in files.items()}


def _left_over(root: Path, files: Mapping[str, str], patterns: tuple[str, ...]) -> list[str]:
    found = {path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern)}
    return sorted(found - files.keys())


def _draw_all(root: Path, templates: Mapping[str, str]) -> dict[str, str]:
    """Return file name in docs/ -> picture, for each environment.

    A picture takes longer than a template. So a drawn picture stays in build/pictures/ under the digest of everything
    that it depends on: templates, values and the code of `hosting`.
    """
    params = root / "params"
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parents[2].rglob("*.py")):
        code.update(path.read_bytes())
    for name, text in templates.items():
        code.update(f"{name} {text}".encode())
    pictures: dict[str, str] = {}
    used: set[Path] = set()
    for name in parameter_file.environments(params):
        values = parameter_file.load_environment(params / f"{name}.json")
        digest = code.copy()
        digest.update(repr((values.name, sorted(values.parameters.items()), values.account, values.region)).encode())
        drawn = root / "build" / "pictures" / f"{digest.hexdigest()}.svg"
        used.add(drawn)
        if drawn.is_file():
            text = drawn.read_text(encoding="utf-8")
        else:
            text = _draw(templates, values)
            _keep(drawn, text)
        pictures[f"architecture-{name}.svg"] = text
    for path in (root / "build" / "pictures").glob("*.svg"):
        if path not in used:
            path.unlink(missing_ok=True)
    return pictures


def _draw(templates: Mapping[str, str], values: parameter_file.Environment) -> str:
    from hosting.analysis.graph import pictures
    from hosting.model.templates import Template

    return pictures.as_svg(
        pictures.architecture({name: Template(name, text) for name, text in templates.items()}, values)
    )


def _keep(path: Path, text: str) -> None:
    """Write a drawn picture as a whole, so that another process never reads half of it. A read-only folder is fine."""
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
