"""What a picture of the architecture shows, as plain values.

read.py fills it from the resolved templates; layout.py and mermaid.py draw it. Whatever is None or empty here is not
in the templates, and so not in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subnet:
    zone: str
    cidr: str
    tier: str  # "public", "app" or "database"
    nat_zone: str | None = None  # the zone whose NAT gateway carries its traffic out


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
    name: str
    tasks: str
    size: str
    port: str
    paths: tuple[str, ...]
    containers: tuple[Container, ...]
    zones: tuple[str, ...]
    exec: bool
    database_port: str | None  # by which it may reach the database; None when no security group rule lets it


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
class Origin:
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
    names: tuple[str, ...]  # empty: CloudFront's own name only
    dns: bool  # whether Route 53 records of ours lead here
    facts: tuple[str, ...]
    origin: Origin | None
    static: StaticSite | None
    web_acl: WebAcl | None
    certificate: str | None


@dataclass(frozen=True)
class Function:
    name: str
    purpose: str
    when: str = ""


@dataclass(frozen=True)
class Named:
    """A thing of which only name and purpose are shown: a secret, a key."""

    name: str
    purpose: str


@dataclass(frozen=True)
class Logs:
    groups: int
    retention: str
    sources: tuple[str, ...]
    archived: int  # how many of the groups are subscribed to the archive


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
    """What no alarm says: events, turned into text by a function."""

    sources: tuple[str, ...]
    function: Function
    topic: str | None


@dataclass(frozen=True)
class Chat:
    channel: str
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
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
    secrets: tuple[Named, ...]
    keys: tuple[Named, ...]
    repositories: tuple[str, ...]
    access_logs: tuple[str, ...]
    functions: tuple[Function, ...]  # those that are neither the archive's nor the notices'
    logs: Logs | None
    archive: Archive | None
    alarms: Alarms | None
    edge_alarms: Alarms | None
    notices: Notices | None
    chat: Chat | None
