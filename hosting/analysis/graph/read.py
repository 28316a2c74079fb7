"""The model of an environment, read from its resolved templates."""

from __future__ import annotations

from collections.abc import Mapping

from hosting.analysis.graph import model, read_operations, read_platform
from hosting.analysis.graph.lookup import Lookup
from hosting.analysis.graph.read_edge import edge
from hosting.analysis.resolve import ResolvedEnvironment
from hosting.model.stack_order import EDGE_REGION
from hosting.model.templates import Template


def read(env: ResolvedEnvironment, templates: Mapping[str, Template]) -> model.Architecture:
    """The architecture of one environment. `templates` is what load_complete returns."""
    look = Lookup(env, templates)
    archive = read_operations.archive(look)
    notices = read_operations.notices(look)
    shown = {item.name for item in (archive and archive.processor, notices and notices.function) if item}
    return model.Architecture(
        name=look.name,
        environment=look.env.name,
        region=look.env.environment.region,
        edge_region=EDGE_REGION,
        edge=edge(look),
        network=read_platform.network(look),
        balancer=read_platform.balancer(look),
        cluster=read_platform.cluster(look),
        services=read_platform.all_services(look),
        database=read_platform.database(look),
        secrets=read_operations.secrets(look),
        keys=read_operations.keys(look),
        repositories=read_operations.repositories(look),
        access_logs=read_operations.access_logs(look),
        functions=tuple(item for item in read_operations.functions(look) if item.name not in shown),
        logs=read_operations.logs(look),
        archive=archive,
        alarms=read_operations.alarms(look, edge=False),
        edge_alarms=read_operations.alarms(look, edge=True),
        notices=notices,
        chat=read_operations.chat(look),
    )
