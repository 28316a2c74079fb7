"""Templates as JSON text: sorted, indented, with a final newline, and the same bytes on every machine."""

from __future__ import annotations

import json
from typing import Any

from troposphere import Template

from generator import root, workloads
from generator.config import Config
from generator.errors import ConfigError
from generator.layers import (
    application,
    database,
    database_users,
    db_reader,
    discovery,
    distribution,
    egress,
    functions,
    log_archive,
    network,
    operations,
    security,
    service,
    service_access,
    stores,
)
from generator.stacks import bootstrap, edge, edge_monitoring
from generator.wiring import Layer, template_file

# Field of Config -> layer, in the order of root: a layer uses only outputs of the layers before it.
_LAYERS: dict[str, Layer[Any, Any, Any]] = {
    "network": network.LAYER,
    "egress": egress.LAYER,
    "security": security.LAYER,
    "archive": log_archive.LAYER,
    "database": database.LAYER,
    "reader": db_reader.LAYER,
    "application": application.LAYER,
    "access": service_access.LAYER,
    "distribution": distribution.LAYER,
    "operations": operations.LAYER,
}
LAYERS = tuple(_LAYERS.values())
# Part of the platform -> fields of Config of the layers that only it needs.
_OPTIONAL = {"database": ("database", "reader"), "archive": ("archive",)}


def build_all(config: Config) -> dict[str, Template]:
    """Return file name -> template for one structure of the platform."""
    try:
        return _build_all(config)
    except ValueError as error:
        # troposphere raises an error at the first parameter, resource or output above the limit, without the reason.
        if not str(error).startswith("Maximum "):
            raise
        raise ConfigError(
            f"a template exceeds a limit of CloudFormation: {str(error).lower()}. Remove workloads, or set "
            "own_size=False for workloads that may share CPU, memory and number of tasks. Each one removes four "
            "parameters of root."
        ) from None


def _build_all(config: Config) -> dict[str, Template]:
    own = {layer.file: layer.render(config.service) for layer in map(service.layer_of, config.workloads)}
    if stored := stores.layer_of(stores.Contents(config.own_stores, config.workloads)):
        own[stored.file] = stored.render(config.stores)
    left_out = {name for part in config.parts.left_out for name in _OPTIONAL[part]}
    names = discovery.layer_of(config.workloads)
    users = database_users.layer_of(config.workloads)
    own_functions = functions.layer_of(config.own_functions)
    owners = workloads.image_owners(config.workloads).values()
    slugs = tuple(entry.slug for entry in config.workloads if entry.name in owners)
    return {
        "root.json": root.build(config, own),
        "bootstrap.json": bootstrap.build(bootstrap.Config(), slugs),
        "edge.json": edge.build(edge.Config(edge=config.edge, hosts=config.hosts)),
        template_file("EdgeMonitoring"): edge_monitoring.build(edge_monitoring.Config()),
        **{layer.file: layer.render(getattr(config, name)) for name, layer in _LAYERS.items() if name not in left_out},
        **({names.file: names.render(config.discovery)} if names else {}),
        **({users.file: users.render(config.database_users)} if users else {}),
        **({own_functions.file: own_functions.render(config.functions)} if own_functions else {}),
        **own,
    }


def as_text(template: Template) -> str:
    """Return the JSON text of a template."""
    return json.dumps(template.to_dict(), indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def as_texts(templates: dict[str, Template]) -> dict[str, str]:
    """Return file name -> JSON text."""
    return {file: as_text(template) for file, template in sorted(templates.items())}


def render_all(config: Config) -> dict[str, str]:
    """Return file name -> JSON text."""
    return as_texts(build_all(config))
