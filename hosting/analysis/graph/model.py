"""The content of an architecture picture, as plain values.

The read modules fill it from resolved templates; layout.py and mermaid.py draw it. A value that is None or empty is not
in the templates, and therefore not in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

# In place of a number of tasks.
JOB = "job"


@dataclass(frozen=True)
class Subnet:
    zone: str
    cidr: str
    tier: str  # "public", "app" or "database"
    nat_zone: str | None = None  # the zone of the NAT gateway of its default route


@dataclass(frozen=True)
class Network:
    cidr: str
    zones: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    nat_zones: tuple[str, ...]
    internet_gateway: bool
    interface_endpoints: tuple[str, ...]
    gateway_endpoints: tuple[str, ...]


@dataclass(frozen=True)
class Container:
    name: str
    image: str  # without registry and version: a release does not change the picture
    serves: bool  # receives the requests; a sidecar does not
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """One workload: an ECS service, or a job that a schedule starts."""

    name: str
    tasks: str
    size: str
    port: str
    paths: tuple[str, ...]
    containers: tuple[Container, ...]
    zones: tuple[str, ...]
    exec: bool
    started_by: str  # the schedule of a job, or the name and the callers of an internal service
    database_port: str | None  # port of the database; None if no security group rule allows the service

    @property
    def is_job(self) -> bool:
        return self.tasks == JOB


@dataclass(frozen=True)
class Cluster:
    capacity: str
    insights: str


@dataclass(frozen=True)
class Balancer:
    scheme: str
    zones: tuple[str, ...]
    listeners: tuple[str, ...]


@dataclass(frozen=True)
class Instance:
    role: str  # "writer" or "reader"
    size: str
    zone: str | None


@dataclass(frozen=True)
class Database:
    engine: str
    facts: tuple[str, ...]
    zones: tuple[str, ...]
    instances: tuple[Instance, ...]


@dataclass(frozen=True)
class WebAcl:
    rules: tuple[str, ...]
    logged: bool


@dataclass(frozen=True)
class AppOrigin:
    protocol: str
    header: str | None
    through_balancer: bool


@dataclass(frozen=True)
class StaticSite:
    paths: tuple[str, ...]
    access_control: bool
    facts: tuple[str, ...]
    filled_by: str | None  # the function that writes the first files


@dataclass(frozen=True)
class Edge:
    names: tuple[str, ...]  # empty means CloudFront's own name only
    dns: bool  # whether Route 53 records of these templates point to it
    facts: tuple[str, ...]
    origin: AppOrigin | None
    static: StaticSite | None
    web_acl: WebAcl | None
    certificate: str | None


@dataclass(frozen=True)
class Function:
    name: str
    purpose: str
    when: str = ""


@dataclass(frozen=True)
class NamedResource:
    """A resource of which only name and purpose are shown: a secret or a key."""

    name: str
    purpose: str


@dataclass(frozen=True)
class Logs:
    groups: int
    retention: str
    sources: tuple[str, ...]
    archived: int  # number of groups that are subscribed to the archive


@dataclass(frozen=True)
class Archive:
    processor: Function | None
    encrypted: bool
    lifecycle: tuple[str, ...]


@dataclass(frozen=True)
class Alarms:
    count: int
    subjects: tuple[str, ...]
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Notices:
    """Notifications of events other than alarms, formatted by a function."""

    sources: tuple[str, ...]
    function: Function
    topic: str | None


@dataclass(frozen=True)
class Chat:
    channel: str
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
    """The architecture of one environment."""

    name: str
    environment: str
    region: str
    edge_region: str
    edge: Edge | None
    network: Network | None
    balancer: Balancer | None
    cluster: Cluster | None
    services: tuple[Service, ...]
    database: Database | None
    secrets: tuple[NamedResource, ...]
    stores: tuple[NamedResource, ...]  # with the workloads that use each
    keys: tuple[NamedResource, ...]
    repositories: tuple[str, ...]
    access_logs: tuple[str, ...]
    functions: tuple[Function, ...]  # functions of neither archive nor notices
    logs: Logs | None
    archive: Archive | None
    alarms: Alarms | None
    edge_alarms: Alarms | None
    notices: Notices | None
    chat: Chat | None
    exceptions: tuple[str, ...]  # what the project declares to be other than the default
