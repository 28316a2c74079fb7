"""Configuration of the platform: structure that is the same in every environment.

A value that differs between environments is a root parameter with a line in params/. The workloads and the settings of
the edge come from the project's workloads.py. Everything else is a default of a layer's own Config.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from generator import workloads
from generator.edge_settings import Edge
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
from generator.platform_parts import COMPLETE, Parts
from generator.workloads import Function, Store, WebService, Workload


@dataclass(frozen=True)
class Config:
    """Configuration of every layer."""

    workloads: tuple[Workload, ...]
    edge: Edge = field(default_factory=Edge)
    parts: Parts = COMPLETE
    own_functions: tuple[Function, ...] = ()
    own_stores: tuple[Store, ...] = ()
    egress: egress.Config = field(default_factory=egress.Config)
    archive: log_archive.Config = field(default_factory=log_archive.Config)
    reader: db_reader.Config = field(default_factory=db_reader.Config)
    stores: stores.Config = field(default_factory=stores.Config)
    discovery: discovery.Config = field(default_factory=discovery.Config)

    def __post_init__(self) -> None:
        # A value in every field, also for what `like` takes over.
        object.__setattr__(self, "workloads", workloads.resolve(self.workloads, self.parts, self.own_stores))
        names = frozenset(entry.name for entry in self.workloads)
        object.__setattr__(
            self, "own_functions", workloads.resolve_functions(self.own_functions, names, self.own_stores)
        )
        for entry in self.workloads:
            if isinstance(entry, WebService):
                self.edge.check_paths(entry.name, entry.paths)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the labels of the host names of web services, below the domain."""
        return tuple(sorted({one.host for one in self.workloads if isinstance(one, WebService) and one.host}))

    @property
    def network(self) -> network.Config:
        return network.Config(parts=self.parts)

    @property
    def database(self) -> database.Config:
        return database.Config(data_api=any(entry.schema for entry in self.workloads))

    @property
    def database_users(self) -> database_users.Config:
        return database_users.Config(parts=self.parts)

    @property
    def security(self) -> security.Config:
        return security.Config(parts=self.parts)

    @property
    def access(self) -> service_access.Config:
        return service_access.Config(parts=self.parts, has_stores=bool(self.own_stores))

    @property
    def service(self) -> service.Config:
        return service.Config(parts=self.parts)

    @property
    def functions(self) -> functions.Config:
        return functions.Config(parts=self.parts)

    @property
    def operations(self) -> operations.Config:
        return operations.Config(parts=self.parts)

    @property
    def application(self) -> application.Config:
        return application.Config(edge=self.edge, hosts=self.hosts)

    @property
    def distribution(self) -> distribution.Config:
        return distribution.Config(edge=self.edge, hosts=self.hosts)


def load_config(project: Path) -> Config:
    """Return the configuration of the project in a folder. Raises ConfigError for an error in its workloads.py."""
    return Config(
        workloads=workloads.load(project),
        edge=workloads.load_edge(project),
        parts=workloads.load_parts(project),
        own_functions=workloads.load_functions(project),
        own_stores=workloads.load_stores(project),
    )
