"""Another structure of the platform than the committed one, to try it: how does it lint, plan and rehearse with a
hundred services? Written into a folder of its own, with parameter files for it, and never deployed by accident: the
image digests in it are the committed ones under names of repositories that do not exist.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from generator import render
from generator.config import Config, load_config
from generator.tooling import parameter_files
from generator.workloads import Service

# Between the committed services: after those with a path of their own, before the one that takes what is left.
_FIRST_PRIORITY = 101
_LAST_PRIORITY = 899


def config_with(base: Config, count: int) -> Config:
    """The services of ``base`` and as many more as make ``count``, all of those of one size."""
    own = base.services
    if not len(own) <= count <= len(own) + _LAST_PRIORITY - _FIRST_PRIORITY:
        raise ValueError(f"{count} services: there are {len(own)} already, and room for some 800")
    more = (
        Service(
            f"Service{number:03}",
            (f"/service{number:03}", f"/service{number:03}/*"),
            priority=_FIRST_PRIORITY + number - len(own),
            own_size=False,
        )
        for number in range(len(own) + 1, count + 1)
    )
    return Config(services=(*own, *more))


def write(project: Path, target: Path, config: Config, rendered: Mapping[str, str]) -> list[str]:
    """templates/, params/ and lambda/ below ``target``, as deploy.py's --root takes them. Returns what was written."""
    target.mkdir(parents=True, exist_ok=True)
    render.write(target / "templates", dict(rendered))
    (target / "params").mkdir(exist_ok=True)
    files = sorted((project / "params").glob("*.json"))
    more = config.services[len(load_config(project).services) :]
    for file in files:
        text = file.read_text(encoding="utf-8")
        (target / "params" / file.name).write_text(_extended(text, config.services[0], more), encoding="utf-8")
    shutil.copytree(
        project / "lambda", target / "lambda", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    return [f"templates/ ({len(rendered)} files)", *(f"params/{file.name}" for file in files), "lambda/"]


def _extended(text: str, model: Service, more: tuple[Service, ...]) -> str:
    image = parameter_files.image_of(text, model.name)
    for entry in more:
        own = image.replace(f"/{model.slug}@", f"/{entry.slug}@")
        text = parameter_files.with_service(text, entry, model.name, image=own)
    return text
