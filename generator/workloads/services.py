"""Services: the kinds of workload that answer requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from generator.declared_fields import check_types
from generator.errors import ConfigError
from generator.resources import origin_secret
from generator.workloads.base import Workload, shared
from generator.workloads.checks import check_range
from generator.workloads.values import Fact

# Condition values of a rule of the load balancer (Elastic Load Balancing User Guide, "Quotas for your Application Load
# Balancers").
RULE_VALUES = 5


def check_health(check: HealthCheck) -> None:
    """Raise ConfigError if a load balancer cannot make the health check."""
    where = "HealthCheck(...)"
    if not re.fullmatch(r"/\S{0,1023}", check.path):
        raise ConfigError(f'{where}: path "{check.path}", give one that begins with a slash')
    if not re.fullmatch(r"[2-4][0-9]{2}((-[2-4][0-9]{2})|(,[2-4][0-9]{2})*)", check.codes):
        raise ConfigError(f'{where}: codes "{check.codes}", give 200, 200,302 or 200-399')
    check_range(where, "port", check.port, 0, 65_535)
    check_range(where, "grace_seconds", check.grace_seconds, 0, 7_200)
    check_range(where, "interval_seconds", check.interval_seconds, 5, 300)
    check_range(where, "timeout_seconds", check.timeout_seconds, 2, 120)
    if check.timeout_seconds >= check.interval_seconds:
        raise ConfigError(f"{where}: timeout_seconds is not below interval_seconds")


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """The request with which the load balancer checks a task. ``port`` 0 is the port of the app.

    The load balancer accepts the status ``codes``, such as "200" or "200-399". A new task has ``grace_seconds`` until
    a failed check stops it.
    """

    path: str = "/healthz"
    port: int = 0
    codes: str = "200-399"
    grace_seconds: int = 60
    interval_seconds: int = 15
    timeout_seconds: int = 5

    def __post_init__(self) -> None:
        check_types(self, "HealthCheck(...)")
        check_health(self)


DEFAULT_CHECK = HealthCheck()


@dataclass(frozen=True, kw_only=True)
class WebService(Workload):
    """A service behind the load balancer, which sends it the requests for ``paths``.

    The load balancer tries the service with the greater ``priority`` later. A rule holds three paths, so that more
    paths need more rules, with the priorities after ``priority``. The app listens on ``port``.
    """

    paths: tuple[str, ...]
    priority: int
    port: int = shared(8080)
    health_check: HealthCheck = shared(DEFAULT_CHECK)  # noqa: RUF009 -- the function returns a field

    kind = "web service"

    def check(self) -> None:
        """Raise ConfigError if the service cannot run or receive requests. Every field must have a value."""
        super().check()
        check_routing(self, f"{self.kind} {self.name}")

    @property
    def container_port(self) -> int:
        """Return the port on which the app listens."""
        return self.port

    @property
    def rules(self) -> dict[int, tuple[str, ...]]:
        """Return the paths of each rule of the load balancer, by its priority."""
        room = RULE_VALUES - origin_secret.VALUES
        parts = (self.paths[start : start + room] for start in range(0, len(self.paths), room))
        return dict(enumerate(parts, start=self.priority))

    @classmethod
    def default(cls, name: str) -> Any:
        """Return the value of a field that no entry sets. The app learns its port by default."""
        value = super().default(name)
        return MappingProxyType({**value, "PORT": Fact.PORT}) if name == "variables" else value


def check_routing(entry: WebService, where: str) -> None:
    """Raise ConfigError if the load balancer cannot send requests to the service."""
    if not entry.paths:
        raise ConfigError(f'{where}: no paths, give at least one, such as "/*"')
    for path in entry.paths:
        if not re.fullmatch(r"/[A-Za-z0-9_.$/~\"'@:+&*?-]{0,127}", path):
            raise ConfigError(f'{where}: path "{path}", give a pattern of up to 128 characters, such as "/api/*"')
    check_range(where, "priority", entry.priority, 1, 50_000)
    check_port(entry, where)


def check_port(entry: WebService, where: str) -> None:
    """Raise ConfigError if the app cannot listen on its port."""
    check_range(where, "port", entry.port, 1, 65_535)
    # Fargate can add no capability but SYS_PTRACE (aws/containers-roadmap, issue 1721), and no report shows that the
    # sysctl net.ipv4.ip_unprivileged_port_start works there.
    if entry.port < 1024 and not entry.user.startswith("0:"):
        raise ConfigError(
            f"{where}: port {entry.port} is for root, but the user is {entry.user}. Give a port from 1024 on"
        )
