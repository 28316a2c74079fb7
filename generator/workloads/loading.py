"""Loads workloads.py, the file of a project that declares its workloads and the settings of the edge.

The file belongs to the user of this package. The generator loads it by its path from the project's folder and never
imports it by name, so that the package can be installed elsewhere and one process can load several projects.
"""

from __future__ import annotations

import ast
import runpy
from collections.abc import Mapping
from pathlib import Path

from generator.edge_settings import Edge
from generator.errors import ConfigError
from generator.platform_parts import Parts
from generator.workloads.base import Workload
from generator.workloads.functions import Function, resolve_functions
from generator.workloads.jobs import Job
from generator.workloads.resolution import resolve
from generator.workloads.services import InternalService, WebService, Worker
from generator.workloads.stores import Bucket, Queue, Store, Volume

FILE = "workloads.py"
WORKLOADS = "WORKLOADS"
EDGE = "EDGE"
FUNCTIONS = "FUNCTIONS"
STORES = "STORES"
# Assigned None, each leaves out a part of the platform.
DATABASE = "DATABASE"
ARCHIVE = "ARCHIVE"
_KINDS = {kind.__name__ for kind in (WebService, InternalService, Worker, Job, Function, Bucket, Queue, Volume)}


def load(project: Path) -> tuple[Workload, ...]:
    """Return the workloads that workloads.py in the folder ``project`` declares.

    Raises ConfigError with file and line if the file is missing, is not valid Python, or declares wrong workloads.
    """
    names = _execute(project / FILE)
    found = names.get(WORKLOADS)
    place = f"{FILE}:{_line_that_assigns(WORKLOADS, project / FILE)}"
    if not isinstance(found, tuple) or not all(isinstance(entry, Workload) for entry in found):
        raise ConfigError(f"{place}: {WORKLOADS} has to be a tuple, such as {WORKLOADS} = (WebService(...),)")
    parts = _parts(names, project / FILE)
    stores = _stores(names, project / FILE)
    try:
        resolve(found, parts, stores)
    except ConfigError as error:
        line = _line_of_entry(error.workload, project / FILE)
        raise ConfigError(f"{f'{FILE}:{line}' if line else place}: {error}") from None
    return found


def load_edge(project: Path) -> Edge:
    """Return the settings of the edge that workloads.py declares, or the defaults if it declares none.

    Raises ConfigError with file and line if the file is missing, is not valid Python, or declares another value.
    """
    found = _execute(project / FILE).get(EDGE, Edge())
    if not isinstance(found, Edge):
        raise ConfigError(f"{FILE}:{_line_that_assigns(EDGE, project / FILE)}: {EDGE} has to be Edge(...)")
    return found


def load_functions(project: Path) -> tuple[Function, ...]:
    """Return the Lambda functions that workloads.py declares; none if it has no FUNCTIONS.

    Raises ConfigError with file and line if the file is not valid, or declares wrong functions.
    """
    file = project / FILE
    names = _execute(file)
    found = names.get(FUNCTIONS, ())
    place = f"{FILE}:{_line_that_assigns(FUNCTIONS, file)}"
    if not isinstance(found, tuple) or not all(isinstance(entry, Function) for entry in found):
        raise ConfigError(f"{place}: {FUNCTIONS} has to be a tuple, such as {FUNCTIONS} = (Function(...),)")
    workloads = names.get(WORKLOADS, ())
    others = (entry.name for entry in workloads if isinstance(entry, Workload)) if isinstance(workloads, tuple) else ()
    try:
        resolve_functions(found, frozenset(others), _stores(names, file))
    except ConfigError as error:
        line = _line_of_entry(error.workload, file)
        raise ConfigError(f"{f'{FILE}:{line}' if line else place}: {error}") from None
    return found


def load_stores(project: Path) -> tuple[Store, ...]:
    """Return the stores that workloads.py declares; none if it has no STORES.

    Raises ConfigError with file and line if the file is not valid, or declares something else.
    """
    return _stores(_execute(project / FILE), project / FILE)


def _stores(names: Mapping[str, object], file: Path) -> tuple[Store, ...]:
    """Return the stores among the names of workloads.py."""
    found = names.get(STORES, ())
    if not isinstance(found, tuple) or not all(isinstance(entry, Store) for entry in found):
        place = f"{FILE}:{_line_that_assigns(STORES, file)}"
        raise ConfigError(f'{place}: {STORES} has to be a tuple, such as {STORES} = (Bucket("Uploads"),)')
    return found


def load_parts(project: Path) -> Parts:
    """Return the parts of the platform that workloads.py does not leave out.

    Raises ConfigError with file and line if the file is missing, is not valid Python, or assigns another value.
    """
    return _parts(_execute(project / FILE), project / FILE)


def _parts(names: Mapping[str, object], file: Path) -> Parts:
    """Return the parts of the platform that the names of workloads.py do not leave out."""
    for name in (DATABASE, ARCHIVE):
        if names.get(name) is not None:
            raise ConfigError(
                f"{FILE}:{_line_that_assigns(name, file)}: {name} can only be None, which leaves out the "
                f"{name.lower()}. Remove the line to keep it"
            )
    return Parts(database=DATABASE not in names, archive=ARCHIVE not in names)


def _execute(file: Path) -> dict[str, object]:
    """Return the names that a file assigns. Raises ConfigError with file and line if the file raises an error."""
    if not file.is_file():
        raise ConfigError(f"{file}: the file is missing. It declares the workloads of the project as {WORKLOADS}")
    try:
        return runpy.run_path(str(file), run_name=file.stem)
    except SyntaxError as error:
        raise ConfigError(f"{FILE}:{error.lineno or 1}: {error.msg}") from None
    except Exception as error:  # noqa: BLE001 -- the user's file may raise any exception
        name = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
        raise ConfigError(f"{FILE}:{_line_of(error, file)}: {name}{error}") from None


def _line_of(error: Exception, file: Path) -> int:
    """Return the last line of ``file`` in the traceback of an error."""
    line = 1
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _line_that_assigns(name: str, file: Path) -> int:
    """Return the line that assigns a name; 1 if no line does."""
    body = ast.parse(file.read_bytes()).body
    return next((node.lineno for node in body if assigned_value(node, name) is not None), 1)


def _line_of_entry(name: str, file: Path) -> int:
    """Return the last line that declares a workload of this name; 0 if none does."""
    calls = (node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call) and node.args)
    entries = (node for node in calls if ast.unparse(node.func).rpartition(".")[2] in _KINDS)
    named = (node for node in entries if isinstance(node.args[0], ast.Constant) and node.args[0].value == name)
    return max((node.lineno for node in named), default=0)


def workloads_value(node: ast.stmt) -> ast.expr | None:
    """Return the value that a statement assigns to WORKLOADS, or None if it does not."""
    return assigned_value(node, WORKLOADS)


def assigned_value(node: ast.stmt, name: str) -> ast.expr | None:
    """Return the value that a statement assigns to a name, or None if it does not."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return node.value if isinstance(target, ast.Name) and target.id == name else None
