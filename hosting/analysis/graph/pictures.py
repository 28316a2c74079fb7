"""Pictures of environments: from the folder of templates and a parameter file to text or bytes; and those in docs/."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from hosting.analysis.errors import AnalysisError
from hosting.analysis.graph import mermaid, svg
from hosting.analysis.graph.layout import draw
from hosting.analysis.graph.model import Architecture
from hosting.analysis.graph.read import read
from hosting.analysis.resolve import resolve
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import Template, load_complete


class RasterError(AnalysisError):
    """Nothing here can make a PNG."""


def architecture(templates: Mapping[str, Template], environment: Environment) -> Architecture:
    return read(resolve(templates, environment), templates)


def as_svg(model: Architecture) -> str:
    return svg.render(draw(model))


def as_mermaid(model: Architecture) -> str:
    return mermaid.render(model)


def as_png(picture: str) -> bytes:
    """The picture in its light colours, by whichever converter is installed; we ship none, and need none otherwise."""
    if converter := shutil.which("rsvg-convert"):
        done = subprocess.run([converter, "--format", "png"], input=picture.encode(), capture_output=True, check=False)
        if done.returncode:
            raise RasterError(done.stderr.decode(errors="replace").strip() or "it failed", where=converter)
        return done.stdout
    try:
        cairosvg = importlib.import_module("cairosvg")
    except (ImportError, OSError):  # OSError: the package is there and the cairo library is not
        raise RasterError(
            "no converter for PNG is installed",
            hint="install rsvg-convert (librsvg2-bin, librsvg) or `pip install cairosvg`, or use --output svg",
        ) from None
    made: bytes = cairosvg.svg2png(bytestring=picture.encode())
    return made


# --- docs/ -----------------------------------------------------------------------------------------------------------


def documents(templates: Path, params: Iterable[Path]) -> dict[str, str]:
    """File name in docs/ -> the picture that belongs there, for every environment."""
    loaded = load_complete(templates)
    return {
        f"architecture-{file.stem}.svg": as_svg(architecture(loaded, load_environment(file))) for file in sorted(params)
    }


def stale(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """What is wrong in the folder, a line each; empty when every picture is as it should be."""
    problems = []
    for name, text in wanted.items():
        file = folder / name
        if not file.is_file():
            problems.append(f"{name} is missing")
        elif file.read_bytes() != text.encode():
            problems.append(f"{name} is stale")
    left = sorted({file.name for file in folder.glob("architecture-*.svg")} - set(wanted))
    return problems + [f"{name} is of no environment" for name in left]


def write(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Bring the folder up to date; the names of what changed."""
    folder.mkdir(exist_ok=True)
    touched = []
    for name, text in wanted.items():
        file = folder / name
        if not file.is_file() or file.read_bytes() != text.encode():
            file.write_bytes(text.encode())
            touched.append(name)
    for file in sorted(folder.glob("architecture-*.svg")):
        if file.name not in wanted:
            file.unlink()
            touched.append(file.name)
    return touched
