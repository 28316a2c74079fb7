"""Writes a project with many services, to measure generation, validation and rehearsal with them.

`python -m tests.support.scale COUNT DIR` copies params/ and lambda/ of this project and writes workloads.py: the
services of this project, and more until there are COUNT. The result cannot be deployed by accident: its image
repositories do not exist.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from generator import workloads
from generator.tooling import new_service, parameter_files
from generator.workloads import WebService, Workload
from hosting.model import parameter_file

# Priorities between those of the project's services with paths of their own and its service for all other requests.
_FIRST_PRIORITY = 101
_LAST_PRIORITY = 899


def services_with(own: tuple[Workload, ...], count: int) -> tuple[Workload, ...]:
    """Return `own` and as many services of one shared size as are missing to `count`."""
    taken = {number for entry in own if isinstance(entry, WebService) for number in entry.rules}
    free = [number for number in range(_FIRST_PRIORITY, _LAST_PRIORITY + 1) if number not in taken]
    if not len(own) <= count <= len(own) + len(free):
        raise ValueError(f"{count} services: there are {len(own)} already, and room for {len(free)} more")
    more = (
        WebService(
            f"Service{number:03}",
            paths=(f"/service{number:03}", f"/service{number:03}/*"),
            priority=priority,
            own_size=False,
        )
        for number, priority in zip(range(len(own) + 1, count + 1), free, strict=False)
    )
    return (*own, *more)


def write(project: Path, target: Path, count: int) -> None:
    """Write workloads.py, params/ and lambda/ of a project with `count` services to the folder `target`."""
    own = workloads.load(project)
    services = services_with(own, count)
    (target / "params").mkdir(parents=True, exist_ok=True)
    lines = "".join(new_service.entry_line(entry) for entry in services)
    text = f"from generator.workloads import WebService\n\n{workloads.WORKLOADS} = (\n{lines})\n"
    (target / workloads.FILE).write_text(text, encoding="utf-8")
    for file in sorted((project / "params").glob("*.json")):
        values = parameter_file.read(file).values
        added: dict[str, str] = {}
        for entry in services[len(own) :]:
            for key, (same, default) in parameter_files.service_parameters(entry, own[0].name).items():
                added[key] = values.get(same, default).replace(f"/{own[0].slug}@", f"/{entry.slug}@")
        text = parameter_files.insert_parameters(file.read_text(encoding="utf-8"), added)
        (target / "params" / file.name).write_text(text, encoding="utf-8")
    unwanted = shutil.ignore_patterns("__pycache__")
    functions = Path(__file__).parents[2] / "lambda"
    shutil.copytree(functions, target / "lambda", dirs_exist_ok=True, ignore=unwanted)


if __name__ == "__main__":
    write(Path(__file__).parents[2], Path(sys.argv[2]), int(sys.argv[1]))
