"""Pictures of environments: from templates and a parameter file to text or bytes."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Mapping

from hosting.analysis.errors import AnalysisError
from hosting.analysis.graph import mermaid, svg
from hosting.analysis.graph.layout import draw
from hosting.analysis.graph.model import Architecture
from hosting.analysis.graph.read import read
from hosting.analysis.resolve import resolve
from hosting.model.parameter_file import Environment
from hosting.model.templates import Template


class RasterError(AnalysisError):
    """No converter to PNG is installed, or it failed."""


def architecture(templates: Mapping[str, Template], environment: Environment) -> Architecture:
    return read(resolve(templates, environment), templates)


def as_svg(model: Architecture) -> str:
    return svg.render(draw(model))


def as_mermaid(model: Architecture) -> str:
    return mermaid.render(model)


def as_png(picture: str) -> bytes:
    """Return the picture in light colours as PNG, by an installed converter; none is part of this project."""
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
