"""Reads the model of an environment from its resolved templates."""

from __future__ import annotations

from collections.abc import Mapping

from hosting.analysis.graph import model, read_operations, read_platform
from hosting.analysis.graph.lookup import Lookup
from hosting.analysis.graph.read_edge import edge
from hosting.analysis.resolve import ResolvedEnvironment
from hosting.model.declared_exceptions import declared_exceptions
from hosting.model.stack_order import EDGE_REGION, ROOT
from hosting.model.templates import Template


def read(env: ResolvedEnvironment, templates: Mapping[str, Template]) -> model.Architecture:
    """Return the architecture of one environment. `templates` is the result of load_complete."""
    lookup = Lookup(env, templates)
    archive = read_operations.archive(lookup)
    notices = read_operations.notices(lookup)
    shown = {item.name for item in (archive and archive.processor, notices and notices.function) if item}
    return model.Architecture(
        name=lookup.name,
        environment=lookup.env.name,
        region=lookup.env.environment.region,
        edge_region=EDGE_REGION,
        edge=edge(lookup),
        network=read_platform.network(lookup),
        balancer=read_platform.balancer(lookup),
        cluster=read_platform.cluster(lookup),
        services=read_platform.all_services(lookup),
        database=read_platform.database(lookup),
        secrets=read_operations.secrets(lookup),
        stores=read_operations.stores(lookup, templates[ROOT]),
        keys=read_operations.keys(lookup),
        repositories=read_operations.repositories(lookup),
        access_logs=read_operations.access_logs(lookup),
        functions=tuple(item for item in read_operations.functions(lookup) if item.name not in shown),
        logs=read_operations.logs(lookup),
        archive=archive,
        alarms=read_operations.alarms(lookup, edge=False),
        edge_alarms=read_operations.alarms(lookup, edge=True),
        notices=notices,
        chat=read_operations.chat(lookup),
        exceptions=declared_exceptions(templates[ROOT]),
    )
