"""Reads local.toml of a project: the commands that replace images on this machine, and the requests of --check."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosting.local.container import LocalImage
from hosting.model.errors import InputError, Problem

FILE = "local.toml"
# The page that the custom resource writes to the static bucket.
_SORRY_PAGE = "lambda/custom_resource/pages/sorry.html"
_SERVICE_KEYS = {"command", "folder", "variables"}
_REQUEST_KEYS = {"path", "method", "status", "contains"}


@dataclass(frozen=True)
class ExpectedRequest:
    """A request through the edge, and what its response must be. Without ``status`` every status below 500 is right."""

    path: str
    method: str = "GET"
    status: int | None = None
    contains: str = ""


@dataclass(frozen=True)
class Settings:
    """The content of local.toml, with the commands of the command line.

    ``static`` is the folder that `deploy.py site` uploads.
    """

    images: Mapping[str, LocalImage] = field(default_factory=dict)
    requests: tuple[ExpectedRequest, ...] = ()
    static: Path | None = None
    sorry_page: Path | None = None


def load_settings(root: Path, commands: Iterable[str], path: str) -> Settings:
    """Return the settings of a project. A command NAME=COMMAND replaces that of the file.

    ``path`` is the PATH of the containers. Raises InputError with every problem.
    """
    file = root / FILE
    problems: list[Problem] = []
    content: dict[str, Any] = {}
    if file.is_file():
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise InputError([Problem(FILE, str(error))]) from None
    services: dict[str, dict[str, Any]] = dict(content.get("services", {}))
    for text in commands:
        name, found, command = text.partition("=")
        if not found or not command.strip():
            problems.append(Problem(f"--service {text}", "is not NAME=COMMAND", "such as --service Web='npm start'"))
        services[name] = {**services.get(name, {}), "command": command}
    for name, service in services.items():
        problems += _unknown(f"services.{name}", service, _SERVICE_KEYS)
    for number, request in enumerate(content.get("requests", []), start=1):
        problems += _unknown(f"requests, entry {number}", request, _REQUEST_KEYS)
        if not str(request.get("path", "")).startswith("/"):
            problems.append(Problem(FILE, f"requests, entry {number} has no path that begins with a slash"))
    problems += _unknown("the file", content, {"services", "requests", "static"})
    static = root / content["static"] if "static" in content else None
    if static is not None and not static.is_dir():
        problems.append(Problem(FILE, f"static: there is no folder {static}"))
    if problems:
        raise InputError(problems)
    return Settings(
        {name: _image(root, service, path) for name, service in services.items()},
        tuple(ExpectedRequest(**request) for request in content.get("requests", [])),
        static,
        root / _SORRY_PAGE,
    )


def _unknown(where: str, found: Mapping[str, Any], known: set[str]) -> list[Problem]:
    return [
        Problem(FILE, f"{where} has the unknown key {key}", f"known are {', '.join(sorted(known))}")
        for key in sorted(set(found) - known)
    ]


def _image(root: Path, service: Mapping[str, Any], path: str) -> LocalImage:
    """Return what replaces an image. The app's folder is a folder of this machine, at the same path."""
    folder = (root / service.get("folder", ".")).resolve()
    return LocalImage(
        command=tuple(shlex.split(service.get("command", ""))),
        working_directory=str(folder),
        folders={str(folder): folder},
        programs=tuple(_installation(Path(part)) for part in path.split(":") if part.startswith("/")),
        variables={"PATH": path, **service.get("variables", {})},
    )


def _installation(folder: Path) -> Path:
    """Return the folder that a program of a PATH entry needs: that of a virtual environment, or the entry itself."""
    return folder.parent if folder.name == "bin" and (folder.parent / "lib").is_dir() else folder
