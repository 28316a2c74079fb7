"""Services: the kinds of workload whose tasks ECS keeps running."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from generator.declared_fields import check_types
from generator.errors import ConfigError
from generator.resources import origin_secret
from generator.workloads.base import Workload, shared
from generator.workloads.checks import check_range
from generator.workloads.values import Fact, Variable

# Condition values of a rule of the load balancer (Elastic Load Balancing User Guide, "Quotas for your Application Load
# Balancers").
RULE_VALUES = 5
# The label of the load balancer's name below the domain.
ORIGIN = "origin"


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
class Scaling:
    """Targets of the scaling of a service, between MinTasks and MaxTasks. 0 leaves a target out.

    The percentages are averages over the tasks. ``requests_per_task`` is the number of requests in a minute, of a web
    service only.
    """

    cpu_percent: int = 60
    memory_percent: int = 75
    requests_per_task: int = 0

    def __post_init__(self) -> None:
        check_types(self, "Scaling(...)")
        check_range("Scaling(...)", "cpu_percent", self.cpu_percent, 0, 100)
        check_range("Scaling(...)", "memory_percent", self.memory_percent, 0, 100)
        check_range("Scaling(...)", "requests_per_task", self.requests_per_task, 0, 1_000_000)
        if not (self.cpu_percent or self.memory_percent or self.requests_per_task):
            raise ConfigError("Scaling(...): every target is 0, give one of them")


DEFAULT_SCALING = Scaling()


@dataclass(frozen=True, kw_only=True)
class EcsService(Workload):
    """Base of the kinds whose tasks ECS keeps running.

    With ``one_task`` exactly one task runs, for an app that no second one may run beside. A deployment stops it before
    it starts the new one, and the service is down in between. It is not highly available. Otherwise the number of tasks
    follows ``scaling``.

    ``migrate`` is a command that runs once with each new version, before the service changes, at the first deployment
    too. It may take ``migrate_minutes``. If it fails, the deployment is rolled back and the old version stays. The old
    version serves meanwhile, so the old code has to work with the new schema. Workloads that share the image wait for
    the migration, and ``like`` does not take it over.
    """

    one_task: bool = False
    scaling: Scaling = DEFAULT_SCALING
    migrate: tuple[str, ...] = ()
    migrate_minutes: int = 15

    def check(self) -> None:
        """Raise ConfigError if the service cannot run. Every field must have a value."""
        super().check()
        if self.scaling.requests_per_task and not isinstance(self, WebService):
            raise ConfigError(f"{self.kind} {self.name}: requests_per_task is for web services")
        if self.one_task and self.scaling != DEFAULT_SCALING:
            raise ConfigError(f"{self.kind} {self.name}: one_task has no scaling, remove one of them")
        # CloudFormation waits at most one hour for a custom resource, and the function needs a minute to respond.
        check_range(f"{self.kind} {self.name}", "migrate_minutes", self.migrate_minutes, 1, 59)
        if not all(self.migrate):
            raise ConfigError(f"{self.kind} {self.name}: migrate has an empty word, remove it from the command")
        if self.container_port is not None:
            check_port(self.container_port, self.user, f"{self.kind} {self.name}")


@dataclass(frozen=True, kw_only=True)
class WebService(EcsService):
    """A service behind the load balancer, which sends it the requests for ``paths``.

    The load balancer tries the service with the greater ``priority`` later. A rule holds three paths, so that more
    paths need more rules, with the priorities after ``priority``. The app listens on ``port``. With ``sticky_seconds``
    the load balancer sends a viewer to the same task for that time.

    With ``host="auth"`` the service has the host name ``auth.<DomainName>`` of its own, and receives requests to that
    name only. In an environment without a domain no request reaches it.

    Two alarms notify, and roll a deployment back during which they fire: at ``errors_per_minute`` responses of 500 and
    above, and when the slowest hundredth of responses takes ``latency_milliseconds`` (0 for no such alarm). Both in
    three minutes in a row.
    """

    paths: tuple[str, ...]
    priority: int
    host: str = ""
    port: int = shared(8080)
    health_check: HealthCheck = shared(DEFAULT_CHECK)  # noqa: RUF009 -- the function returns a field
    sticky_seconds: int = 0
    errors_per_minute: int = 10
    latency_milliseconds: int = 0

    kind = "web service"

    def check(self) -> None:
        """Raise ConfigError if the service cannot run or receive requests. Every field must have a value."""
        super().check()
        where = f"{self.kind} {self.name}"
        check_range(where, "errors_per_minute", self.errors_per_minute, 1, 1_000_000)
        check_range(where, "latency_milliseconds", self.latency_milliseconds, 0, 120_000)
        check_routing(self, where)

    @property
    def container_port(self) -> int:
        """Return the port on which the app listens."""
        return self.port

    @property
    def rules(self) -> dict[int, tuple[str, ...]]:
        """Return the paths of each rule of the load balancer, by its priority."""
        room = RULE_VALUES - origin_secret.VALUES - bool(self.host)
        parts = (self.paths[start : start + room] for start in range(0, len(self.paths), room))
        return dict(enumerate(parts, start=self.priority))

    @classmethod
    def default(cls, name: str) -> Any:
        """Return the value of a field that no entry sets. The app learns its port by default."""
        return _with_port(super().default(name)) if name == "variables" else super().default(name)


@dataclass(frozen=True, kw_only=True)
class InternalService(EcsService):
    """A service without a load balancer, which only the tasks of the workloads in ``called_by`` reach.

    They connect to ``AddressOf(name)`` on ``port``. The name is in the DNS of the VPC, and has an address for each
    running task.
    """

    called_by: tuple[str, ...]
    port: int = shared(8080)

    kind = "internal service"

    @property
    def container_port(self) -> int:
        """Return the port on which the app listens."""
        return self.port

    @classmethod
    def default(cls, name: str) -> Any:
        """Return the value of a field that no entry sets. The app learns its port by default."""
        return _with_port(super().default(name)) if name == "variables" else super().default(name)


@dataclass(frozen=True, kw_only=True)
class Worker(EcsService):
    """A service that receives no requests, such as the consumer of a queue."""

    kind = "worker"


def _with_port(variables: Mapping[str, Variable]) -> Mapping[str, Variable]:
    return MappingProxyType({**variables, "PORT": Fact.PORT})


def check_routing(entry: WebService, where: str) -> None:
    """Raise ConfigError if the load balancer cannot send requests to the service."""
    if not entry.paths:
        raise ConfigError(f'{where}: no paths, give at least one, such as "/*"')
    for path in entry.paths:
        if not re.fullmatch(r"/[A-Za-z0-9_.$/~\"'@:+&*?-]{0,127}", path):
            raise ConfigError(f'{where}: path "{path}", give a pattern of up to 128 characters, such as "/api/*"')
    check_range(where, "priority", entry.priority, 1, 50_000)
    if entry.host and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", entry.host):
        raise ConfigError(
            f'{where}: host "{entry.host}", give one label below the domain, such as "auth" for auth.example.com'
        )
    if entry.host == ORIGIN:
        raise ConfigError(f"{where}: {ORIGIN}.<DomainName> is the name of the load balancer, give another host")
    check_range(where, "sticky_seconds", entry.sticky_seconds, 0, 604_800)


def check_port(port: int, user: str, where: str) -> None:
    """Raise ConfigError if the app cannot listen on its port."""
    check_range(where, "port", port, 1, 65_535)
    # Fargate can add no capability but SYS_PTRACE (aws/containers-roadmap, issue 1721), and no report shows that the
    # sysctl net.ipv4.ip_unprivileged_port_start works there.
    if port < 1024 and not user.startswith("0:"):
        raise ConfigError(f"{where}: port {port} is for root, but the user is {user}. Give a port from 1024 on")
