"""Templates as JSON text: sorted, indented, with a final newline, and the same bytes on every machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from troposphere import Template

from generator import root
from generator.config import Config
from generator.errors import ConfigError
from generator.layers import (
    application,
    database,
    db_reader,
    distribution,
    egress,
    log_archive,
    network,
    operations,
    security,
    service,
    service_access,
)
from generator.stacks import bootstrap, edge, edge_monitoring
from generator.wiring import Layer, template_file

# In the order of root: a layer uses only outputs of the layers before it.
LAYERS: tuple[Layer[Any, Any, Any], ...] = (
    network.LAYER,
    egress.LAYER,
    security.LAYER,
    log_archive.LAYER,
    database.LAYER,
    db_reader.LAYER,
    application.LAYER,
    service_access.LAYER,
    service.LAYER,
    distribution.LAYER,
    operations.LAYER,
)


def build_all(config: Config) -> dict[str, Template]:
    """Return file name -> template for one structure of the platform."""
    try:
        return _build_all(config)
    except ValueError as error:
        # troposphere raises an error at the first parameter, resource or output above the limit, without the reason.
        if not str(error).startswith("Maximum "):
            raise
        raise ConfigError(
            f"a template exceeds a limit of CloudFormation: {str(error).lower()}. Remove services, or set own_size=False "
            "for services that may share CPU, memory and number of tasks. Each one removes four parameters of root."
        ) from None


def _build_all(config: Config) -> dict[str, Template]:
    slugs = tuple(entry.slug for entry in config.services)
    return {
        "root.json": root.build(config),
        "bootstrap.json": bootstrap.build(bootstrap.Config(), slugs),
        "edge.json": edge.build(edge.Config()),
        template_file("EdgeMonitoring"): edge_monitoring.build(edge_monitoring.Config()),
        network.LAYER.file: network.LAYER.render(config.network),
        egress.LAYER.file: egress.LAYER.render(config.egress),
        security.LAYER.file: security.LAYER.render(config.security),
        service_access.LAYER.file: service_access.LAYER.render(config.access),
        log_archive.LAYER.file: log_archive.LAYER.render(config.archive),
        database.LAYER.file: database.LAYER.render(config.database),
        db_reader.LAYER.file: db_reader.LAYER.render(config.reader),
        application.LAYER.file: application.LAYER.render(config.application),
        service.LAYER.file: service.LAYER.render(config.service),
        distribution.LAYER.file: distribution.LAYER.render(config.distribution),
        operations.LAYER.file: operations.LAYER.render(config.operations),
    }


def as_text(template: Template) -> str:
    return json.dumps(template.to_dict(), indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def as_texts(templates: dict[str, Template]) -> dict[str, str]:
    """Return file name -> JSON text."""
    return {file: as_text(template) for file, template in sorted(templates.items())}


def render_all(config: Config) -> dict[str, str]:
    """Return file name -> JSON text."""
    return as_texts(build_all(config))


def stale(folder: Path, rendered: dict[str, str]) -> list[str]:
    """Return a line for each file of ``folder`` that differs from a fresh render, or an empty list."""
    findings = []
    for file, text in rendered.items():
        path = folder / file
        if not path.is_file():
            findings.append(f"{file}: missing")
        elif path.read_bytes() != text.encode():
            findings.append(f"{file}: differs from what generator/ renders")
    findings.extend(
        f"{path.name}: no layer renders it" for path in sorted(folder.glob("*.json")) if path.name not in rendered
    )
    return findings


def write(folder: Path, rendered: dict[str, str]) -> list[str]:
    """Write the files that differ, delete the files that no layer renders, and return the names of both."""
    folder.mkdir(exist_ok=True)
    touched = []
    for file, text in rendered.items():
        path = folder / file
        if not path.is_file() or path.read_bytes() != text.encode():
            path.write_bytes(text.encode())
            touched.append(file)
    for path in sorted(folder.glob("*.json")):
        if path.name not in rendered:
            path.unlink()
            touched.append(path.name)
    return touched
