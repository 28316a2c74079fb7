"""Find an installed Python of a version: on PATH, of pyenv or of uv."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def find_python(version: str) -> Path | None:
    """Return the path of an installed Python such as `3.13`, or None."""
    # Symbolic links are not resolved: the python of a virtual environment is one, and loses its packages otherwise.
    return next((path for path in _candidates(version) if (read_version(path) or "").startswith(f"{version}.")), None)


def read_version(path: Path) -> str | None:
    """Return the interpreter's version, or None if it does not run, such as pyenv's shim of a version not selected."""
    if not path.is_file():
        return None
    code = "import sys; print(*sys.version_info[:3], sep='.')"
    done = subprocess.run([path, "-S", "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder) / name
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python"))
    for versions, pattern in ((pyenv / "versions", f"{version}.*/bin/{name}"), (uv, f"cpython-{version}*/bin/{name}")):
        yield from sorted(versions.glob(pattern), reverse=True)
