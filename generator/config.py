"""Configuration: the structure of the platform, the same in every environment. What differs between environments is a
parameter of root and a line in params/.

To add a service, add an entry to ``default_services``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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
from generator.layers.service import task


@dataclass(frozen=True)
class ServiceEntry:
    """One service. Adding one is adding an entry: no template but root changes.

    ``name`` in CamelCase is part of parameter names, ``FrontendImage``. ``path_patterns`` are up to four paths that
    belong to it; the entry with the greater ``priority`` is asked later. With ``own_size`` the service has CPU,
    memory and task counts of its own as root parameters, without it shares those of all such services.

    The app runs as ``user``, never root, and may write only to ``writable_paths``, up to three folders that its image
    should declare as VOLUME. ``read_only`` false is for an image that cannot live with that.
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

    @property
    def slug(self) -> str:
        return self.name.lower()


def default_services() -> tuple[ServiceEntry, ...]:
    return (
        ServiceEntry("Frontend", ("/*",), priority=900),
        ServiceEntry("Backend", ("/api", "/api/*"), priority=100),
    )


def check_container(entry: ServiceEntry) -> None:
    """Raises ConfigError where the app would be root, or would write where the agent of ECS Exec does."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}:[1-9][0-9]{0,8}", entry.user):
        raise ConfigError(f'service {entry.name}: user "{entry.user}", give user and group as numbers other than 0')
    if len(entry.writable_paths) > task.WRITABLE_PATHS:
        raise ConfigError(f"service {entry.name}: {len(entry.writable_paths)} writable paths, give at most 3")
    for path in entry.writable_paths:
        if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) or path in task.AGENT_FOLDERS.values():
            raise ConfigError(f'service {entry.name}: writable path "{path}", give a folder of the app itself')


@dataclass(frozen=True)
class Config:
    """The structure of the platform, the same in every environment."""

    services: tuple[ServiceEntry, ...] = field(default_factory=default_services)
    network: network.Config = field(default_factory=network.Config)
    egress: egress.Config = field(default_factory=egress.Config)
    security: security.Config = field(default_factory=security.Config)
    access: service_access.Config = field(default_factory=service_access.Config)
    archive: log_archive.Config = field(default_factory=log_archive.Config)
    database: database.Config = field(default_factory=database.Config)
    reader: db_reader.Config = field(default_factory=db_reader.Config)
    application: application.Config = field(default_factory=application.Config)
    service: service.Config = field(default_factory=service.Config)
    distribution: distribution.Config = field(default_factory=distribution.Config)
    operations: operations.Config = field(default_factory=operations.Config)

    def __post_init__(self) -> None:
        for what in ("name", "priority"):
            values = [getattr(entry, what) for entry in self.services]
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise ConfigError(f"two services with {what} {', '.join(twice)}: give each its own")
        for entry in self.services:
            # A rule holds at most five values, and the secret header is one of them.
            if not 1 <= len(entry.path_patterns) <= 4:
                raise ConfigError(f"service {entry.name}: {len(entry.path_patterns)} path patterns, give 1 to 4")
            check_container(entry)
