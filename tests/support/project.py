"""The project that the tests of the platform use. Names, network and zones differ from those of the sample.

Its files of a user are frozen in tests/fixtures/project. Its templates are rendered once in each process, to a
temporary folder, so that they always are what the generator renders now.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from generator.config import load_config
from generator.render import render_all
from hosting.model.parameter_file import environments

# The repository: the code of the platform.
REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURE = REPOSITORY / "tests" / "fixtures" / "project"


def copy_project(target: Path) -> Path:
    """Copy the user's files of the project to a folder, with the functions of the platform, and return the folder."""
    shutil.copytree(FIXTURE, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "lambda").symlink_to(REPOSITORY / "lambda")
    return target


def leave_out(folder: Path, *parts: str) -> None:
    """Leave out parts of the platform in a project: "database" or "archive", with their parameters."""
    file = folder / "workloads.py"
    file.write_text(file.read_text(encoding="utf-8") + "".join(f"{part.upper()} = None\n" for part in parts), "utf-8")
    prefixes = tuple({"database": "Db", "archive": "Archive"}[part] for part in parts)
    for path in (folder / "params").glob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        given = document["Parameters"].items()
        document["Parameters"] = {name: value for name, value in given if not name.startswith(prefixes)}
        path.write_text(json.dumps(document), encoding="utf-8")


def write_templates(folder: Path) -> Path:
    """Write the templates of a project and return its folder."""
    shutil.rmtree(folder / "templates", ignore_errors=True)
    (folder / "templates").mkdir()
    for name, text in render_all(load_config(folder)).items():
        (folder / "templates" / name).write_text(text, encoding="utf-8", newline="\n")
    return folder


def _render() -> Path:
    folder = copy_project(Path(tempfile.mkdtemp(prefix="project-")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_templates(folder)


# A complete project for --root. No test may change it: `copy_project` gives a test its own.
PROJECT = _render()
TEMPLATES = PROJECT / "templates"
PARAMS = PROJECT / "params"
ENVIRONMENTS = environments(PARAMS)
SERVICES = tuple(entry.name for entry in load_config(FIXTURE).workloads)


def copy_rendered(target: Path) -> Path:
    """Copy the project with its templates to a folder, and return the folder."""
    return shutil.copytree(PROJECT, target, symlinks=True, dirs_exist_ok=True)


def on_project(arguments: Sequence[str]) -> list[str]:
    """Add --root with the project to a command of deploy.py that names none; what follows `--` stays as it is."""
    names = 2 if arguments[0] in {"params", "secrets"} else 1
    return [*arguments[:names], *([] if "--root" in arguments else ["--root", str(PROJECT)]), *arguments[names:]]


def main(arguments: Sequence[str]) -> int:
    """Run deploy.py in this process on the project, unless the arguments name another --root."""
    from hosting.cli import main as command_line

    return command_line.main(on_project(arguments))
