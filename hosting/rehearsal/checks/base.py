"""The deployed environment that checks query, and the form of a proof."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from hosting.deployer.aws.session import Clients


@dataclass(frozen=True)
class Proof:
    """A statement about the deployment, whether it holds, and what was seen."""

    area: str
    name: str
    holds: bool
    seen: str


@dataclass(frozen=True)
class Resource:
    """A resource as CloudFormation lists it, with its path in the tree of nested stacks."""

    path: str
    type: str
    physical_id: str
    status: str


@dataclass
class Deployed:
    """A deployed environment: its stacks, their resources, and clients to query the API."""

    family: str
    account: str
    home: str
    edge: str
    # Stack id and outputs by the stack's role in the chain.
    stacks: Mapping[str, str]
    outputs: Mapping[str, Mapping[str, str]]
    # The root's parameters as deployed.
    parameters: Mapping[str, str]
    # The workloads with an ECS service, and the image parameter of each workload, as root.json's Metadata lists them.
    services: tuple[str, ...]
    images: Mapping[str, str]
    # Services of which exactly one task runs.
    single: frozenset[str]
    has_web_service: bool
    # The deployment's credentials and endpoint; the checks create clients of their own.
    clients: Clients
    # The kind of each workload, such as "worker".
    kinds: Mapping[str, str] = field(default_factory=dict)
    # The parts of the platform that the project leaves out: "database", "archive".
    without: frozenset[str] = frozenset()
    # The domain, the redirected name and the names of workloads; none without a domain.
    host_names: tuple[str, ...] = ()
    resources: dict[str, list[Resource]] = field(default_factory=dict)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_database(self) -> bool:
        return "database" not in self.without

    @property
    def has_archive(self) -> bool:
        return "archive" not in self.without

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client of a service, by default in the home region."""
        key = (service, region or self.home)
        with self._lock:
            if key not in self._clients:
                config = Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=60)
                self._clients[key] = self.clients.create(*key, config)
            return self._clients[key]

    def pages(self, service: str, operation: str, key: str, *, region: str | None = None, **named: Any) -> list[Any]:
        """Return all items of a paginated answer."""
        paginator = self.client(service, region).get_paginator(operation)
        return [item for page in paginator.paginate(**named) for item in page[key]]

    def resources_of_stack(self, role: str) -> list[Resource]:
        """Return all resources of a stack of the chain, including those of its nested stacks."""
        if role not in self.resources:
            stack = self.stacks[role]
            self.resources[role] = list(self._walk(stack, "", stack.split(":")[3]))
        return self.resources[role]

    def _walk(self, stack: str, prefix: str, region: str) -> Iterator[Resource]:
        for item in self.pages(
            "cloudformation", "list_stack_resources", "StackResourceSummaries", region=region, StackName=stack
        ):
            path = prefix + item["LogicalResourceId"]
            yield Resource(path, item["ResourceType"], item.get("PhysicalResourceId", ""), item["ResourceStatus"])
            if item["ResourceType"] == "AWS::CloudFormation::Stack":
                yield from self._walk(item["PhysicalResourceId"], f"{path}/", region)

    def id(self, path: str, role: str = "root") -> str:
        """Return the physical id of the resource at a path such as `NetworkStack/Vpc`, or raise LookupError."""
        for resource in self.resources_of_stack(role):
            if resource.path == path:
                return resource.physical_id
        raise LookupError(f"there is no {path} in the {role} stack")

    def ids(self, kind: str, role: str = "root") -> dict[str, str]:
        """Return the physical ids of all resources of a type, by path."""
        return {
            resource.path: resource.physical_id for resource in self.resources_of_stack(role) if resource.type == kind
        }

    def parameter(self, name: str) -> str:
        return self.parameters.get(name, "")


Check = Callable[[Deployed], Iterator[Proof]]


class Area:
    """A factory for the proofs of one part of the platform."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, name: str, holds: object, seen: object) -> Proof:
        return Proof(self.name, name, bool(holds), format_value(seen))


def format_value(seen: object) -> str:
    """Return an observed value as one line of text."""
    if isinstance(seen, str):
        return seen
    if isinstance(seen, Mapping):
        return ", ".join(f"{key}: {value}" for key, value in seen.items()) or "nothing"
    if isinstance(seen, list | tuple | set | frozenset):
        return ", ".join(str(item) for item in (sorted(seen, key=str) if isinstance(seen, set | frozenset) else seen))
    return str(seen)


def examine(check: Check, deployed: Deployed) -> Iterator[Proof]:
    """Run a check. A failed API call or a missing resource becomes a failed proof."""
    try:
        yield from check(deployed)
    except (ClientError, BotoCoreError, LookupError) as error:
        area = check.__module__.rpartition(".")[2]
        yield Proof(area, f"{check.__name__.replace('_', ' ')} can be looked at", False, f"{error!r}")
