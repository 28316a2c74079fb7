"""The workloads of a project: the type in which workloads.py declares its services, and the functions that load it.

workloads.py belongs to the user of this package. The generator loads it by its path from the project's folder and never
imports it by name, so that the package can be installed elsewhere and one process can load several projects.
"""

from __future__ import annotations

import ast
import re
import runpy
from dataclasses import dataclass
from pathlib import Path

from generator.declared_fields import check_types
from generator.edge_settings import Edge
from generator.errors import ConfigError
from generator.layers.service import task

FILE = "workloads.py"
SERVICES = "SERVICES"
EDGE = "EDGE"


@dataclass(frozen=True)
class Service:
    """One service of the platform.

    ``name`` in CamelCase is part of parameter names: ``FrontendImage``. The load balancer sends requests for up to four
    ``path_patterns`` to the service. It tries the service with the greater ``priority`` later. With ``own_size`` the
    service has its own root parameters for CPU, memory and number of tasks. Without it the service shares one set of
    these parameters with all such services.

    The app runs as ``user``, never as root. It may write only to ``writable_paths``: up to three folders, which its
    image should declare as VOLUME. Set ``read_only`` to False for an image that needs a writable root file system.
    """

    name: str
    path_patterns: tuple[str, ...]
    priority: int
    port: int = 8080
    health_check_path: str = "/healthz"
    own_size: bool = True
    user: str = "10001:10001"
    read_only: bool = True
    writable_paths: tuple[str, ...] = ("/tmp",)  # noqa: S108 -- a folder in the container, mounted for it alone

    def __post_init__(self) -> None:
        check_types(self, f"service {self.name}")
        check_name(self.name)
        # A rule holds at most five values, and two of them are values of the secret header.
        if not 1 <= len(self.path_patterns) <= 3:
            raise ConfigError(f"service {self.name}: {len(self.path_patterns)} path patterns, give 1 to 3")
        check_container(self)

    @property
    def slug(self) -> str:
        """Return the name in lower case, as repositories and stacks use it."""
        return self.name.lower()


def check_name(name: str) -> None:
    """Raise ConfigError if ``name`` cannot be the name of a service."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{0,29}", name):
        raise ConfigError(f'service "{name}": give it a name in CamelCase, such as Search or UserProfile')
    # The bastion has a repository beside those of the services; ServiceCpu is the size that services share.
    if name.lower() in ("bastion", "service"):
        raise ConfigError(f'service "{name}": there is {name.capitalize()} already')


def check_container(entry: Service) -> None:
    """Raise ConfigError if the app would be root, or would write to the folders of the agent of ECS Exec."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}:[1-9][0-9]{0,8}", entry.user):
        raise ConfigError(f'service {entry.name}: user "{entry.user}", give user and group as numbers other than 0')
    if len(entry.writable_paths) > task.WRITABLE_PATHS:
        raise ConfigError(f"service {entry.name}: {len(entry.writable_paths)} writable paths, give at most 3")
    for path in entry.writable_paths:
        if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) or path in task.AGENT_FOLDERS.values():
            raise ConfigError(f'service {entry.name}: writable path "{path}", give a folder of the app itself')


def check_together(services: tuple[Service, ...]) -> None:
    """Raise ConfigError if there is no service, or if two share what only one may have."""
    if not services:
        raise ConfigError("no service: the platform needs at least one")
    for attribute, shown in (("slug", "name"), ("priority", "priority")):
        values = [getattr(entry, attribute) for entry in services]
        for entry, value in zip(services, values, strict=True):
            if values.count(value) > 1:
                raise ConfigError(f"two services with {shown} {getattr(entry, shown)}: give each its own")


def load(project: Path) -> tuple[Service, ...]:
    """Return the services that workloads.py in the folder ``project`` declares.

    Raises ConfigError with file and line if the file is missing, is not valid Python, or declares wrong services.
    """
    found = _execute(project / FILE).get(SERVICES)
    place = f"{FILE}:{_line_that_assigns(SERVICES, project / FILE)}"
    if not isinstance(found, tuple) or not all(isinstance(entry, Service) for entry in found):
        raise ConfigError(
            f"{place}: {SERVICES} has to be a tuple of Service(...), such as {SERVICES} = (Service(...),)"
        )
    try:
        check_together(found)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    return found


def load_edge(project: Path) -> Edge:
    """Return the settings of the edge that workloads.py declares, or the defaults if it declares none.

    Raises ConfigError with file and line if the file is missing, is not valid Python, or declares another value.
    """
    found = _execute(project / FILE).get(EDGE, Edge())
    if not isinstance(found, Edge):
        raise ConfigError(f"{FILE}:{_line_that_assigns(EDGE, project / FILE)}: {EDGE} has to be Edge(...)")
    return found


def _execute(file: Path) -> dict[str, object]:
    """Return the names that a file assigns. Raises ConfigError with file and line if the file raises an error."""
    if not file.is_file():
        raise ConfigError(f"{file}: the file is missing. It declares the services of the project as {SERVICES}")
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


def services_value(node: ast.stmt) -> ast.expr | None:
    """Return the value that a statement assigns to SERVICES, or None if it does not."""
    return assigned_value(node, SERVICES)


def assigned_value(node: ast.stmt, name: str) -> ast.expr | None:
    """Return the value that a statement assigns to a name, or None if it does not."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return node.value if isinstance(target, ast.Name) and target.id == name else None
