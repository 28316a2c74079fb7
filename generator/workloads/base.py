"""The base of all kinds of workload: the container of the app, its variables and its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar

from generator.declared_fields import UNSET, check_types
from generator.errors import ConfigError
from generator.resources import exec_agent
from generator.workloads.checks import check_name, check_range, contains_port, find_twice
from generator.workloads.egress import Egress, check_egress
from generator.workloads.schemas import check_schema
from generator.workloads.stores import Mount, Use, check_uses
from generator.workloads.values import (
    AddressOf,
    DatabasePassword,
    DatabaseUsername,
    Existing,
    Fact,
    RootParameter,
    Secret,
    StoredSecret,
    StoreValue,
    Text,
    Variable,
    parameter_part,
)

# ECS accepts more and passes none of them to the container (aws/aws-cdk, issue 38225).
VARIABLES = 100
# ECS sets these in every container, or the AWS SDK in the app reads them in place of the task role. The name of a
# bucket is neither: Laravel and Django read it from such a variable.
_RESERVED = re.compile(r"AWS_(?!.*BUCKET).*|ECS_CONTAINER_METADATA_URI(_V4)?|ECS_AGENT_URI")
# Disk of a task that asks for none (Amazon ECS Developer Guide, "Fargate task ephemeral storage").
DEFAULT_GIB = 20

# Values of every plain entry, for an app that expects these names.
DATABASE_VARIABLES: Mapping[str, Variable] = MappingProxyType(
    {
        "DB_HOST": Fact.DATABASE_HOST,
        "DB_READER_HOST": Fact.DATABASE_READER_HOST,
        "DB_PORT": Fact.DATABASE_PORT,
        "DB_NAME": Fact.DATABASE_NAME,
    }
)
DATABASE_SECRETS: Mapping[str, Secret] = MappingProxyType(
    {"DB_USERNAME": DatabaseUsername(), "DB_PASSWORD": DatabasePassword()}
)


def shared(default: object) -> Any:
    """Return a field that a workload takes over from the one that ``like`` names, unless its entry sets the field."""
    return field(default=UNSET, metadata={"shared": True, "default": default})


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Base of all kinds of workload: an app in a container, with the bastion beside it.

    ``name`` in CamelCase is part of parameter names: ``FrontendImage``. ``command`` and ``entry_point`` replace those
    of the image. With ``own_size`` the workload has its own root parameters for CPU, memory and number of tasks.
    Without it the workload shares one set of these parameters with all such workloads.

    The app receives exactly ``variables`` and ``secrets``. It runs as ``user``, "uid:gid", and may write only to
    ``writable_paths``, which its image should declare as VOLUME. Set ``read_only`` to False for an image that needs a
    writable root file system. ECS waits ``stop_seconds`` after SIGTERM before it kills the app. ``ephemeral_gib`` is
    the disk of a task, the image included.

    The tasks reach the internet on port 443, and on the ports in ``egress``. They may use the stores in ``uses``, and
    no others.

    With ``schema="shop"`` the workload has a schema of its own in the database, and a user who reaches only this
    schema: ``Fact.DATABASE_NAME``, ``DatabaseUsername()`` and ``DatabasePassword()`` are those of the schema. Otherwise
    they are those of the platform, with the master user.

    With ``spot`` the tasks run on spare capacity of Fargate at a lower price. AWS may stop them with two minutes of
    warning. A change of ``spot`` replaces the ECS service.

    ``like`` names a workload whose image, command, variables, secrets and other settings of the container this workload
    takes over. What its own entry sets, differs. Variables and secrets of its own are added to them. One parameter
    with the digest of the image serves both, so that a deployment always moves them together.
    """

    name: str = field(kw_only=False)
    like: str = ""
    command: tuple[str, ...] = shared(())
    entry_point: tuple[str, ...] = shared(())
    variables: Mapping[str, Variable] = shared(DATABASE_VARIABLES)
    secrets: Mapping[str, Secret] = shared(DATABASE_SECRETS)
    user: str = shared("10001:10001")
    read_only: bool = shared(default=True)
    writable_paths: tuple[str, ...] = shared(("/tmp",))  # noqa: S108 -- a folder in the container, mounted for it alone
    stop_seconds: int = shared(60)
    ephemeral_gib: int = shared(20)
    egress: tuple[Egress, ...] = shared(())
    uses: tuple[Use, ...] = shared(())
    schema: str = shared("")
    own_size: bool = True
    spot: bool = False

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        check_types(self, f"{self.kind} {self.name}")
        check_name(self.name)
        if not self.like:
            for item in fields(self):
                if getattr(self, item.name) is UNSET:
                    object.__setattr__(self, item.name, self.default(item.name))
            self.check()

    def check(self) -> None:
        """Raise ConfigError if the workload cannot run. Every field must have a value."""
        where = f"{self.kind} {self.name}"
        check_container(self, where)
        check_variables(self, where)
        check_egress(self.egress, where)
        check_uses(self.uses, where)
        check_schema(self.schema, where)

    @classmethod
    def default(cls, name: str) -> Any:
        """Return the value of a field that no entry sets."""
        return next(item.metadata["default"] for item in fields(cls) if item.name == name)

    @property
    def root_parameters(self) -> tuple[RootParameter, ...]:
        """Return the root parameters whose values the container receives."""
        arns = [secret.arn for secret in self.secrets.values() if isinstance(secret, Existing)]
        return tuple(value for value in (*self.variables.values(), *arns) if isinstance(value, RootParameter))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the names of the internal services whose addresses the container receives."""
        return tuple(dict.fromkeys(part.workload for part in self._parts if isinstance(part, AddressOf)))

    @property
    def store_values(self) -> tuple[StoreValue, ...]:
        """Return the values of stores that the container receives."""
        return tuple(dict.fromkeys(part for part in self._parts if isinstance(part, StoreValue)))

    @property
    def _parts(self) -> list[object]:
        """Return the values of all variables, and the parts of those that are texts."""
        values = self.variables.values()
        return [part for one in values for part in (one.parts if isinstance(one, Text) else (one,))]

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Return the volumes that the app has in its folders."""
        return tuple(use for use in self.uses if isinstance(use, Mount))

    @property
    def stored_secrets(self) -> tuple[StoredSecret, ...]:
        """Return the secrets of the layer ``stores`` that the container receives."""
        return tuple(secret for secret in self.secrets.values() if isinstance(secret, StoredSecret))

    @property
    def container_port(self) -> int | None:
        """Return the port on which the app listens, or None if it has none."""
        return None

    @property
    def slug(self) -> str:
        """Return the name in lower case, as repositories and stacks use it."""
        return self.name.lower()


def check_container(entry: Workload, where: str) -> None:
    """Raise ConfigError if user, folders, times or disk of the container are not possible on Fargate."""
    if not re.fullmatch(r"(0|[1-9][0-9]{0,8}):(0|[1-9][0-9]{0,8})", entry.user):
        raise ConfigError(f'{where}: user "{entry.user}", give user and group as numbers, such as 10001:10001')
    paths = [*entry.writable_paths, *(use.path for use in entry.mounts)]
    for path in paths:
        if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) or path in exec_agent.FOLDERS.values():
            raise ConfigError(f'{where}: writable path "{path}", give a folder of the app itself')
    if twice := find_twice(paths):
        raise ConfigError(f'{where}: writable path "{twice}" is given twice')
    check_range(where, "stop_seconds", entry.stop_seconds, 2, 120)
    if entry.ephemeral_gib != DEFAULT_GIB:
        check_range(where, "ephemeral_gib", entry.ephemeral_gib, 21, 200)


def check_variables(entry: Workload, where: str) -> None:
    """Raise ConfigError if a variable or a secret has a name or value that the container cannot have."""
    for name in (*entry.variables, *entry.secrets):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
            raise ConfigError(f'{where}: variable "{name}", give a name of letters, digits and underscores')
        if _RESERVED.fullmatch(name):
            raise ConfigError(f"{where}: variable {name} is reserved for ECS and the AWS SDK, give another name")
    if both := sorted(set(entry.variables) & set(entry.secrets)):
        raise ConfigError(f"{where}: {both[0]} is a variable and a secret, remove one of them")
    if (count := len(entry.variables) + len(entry.secrets)) > VARIABLES:
        raise ConfigError(f"{where}: {count} variables and secrets, give at most {VARIABLES}")
    for name, value in entry.variables.items():
        if entry.container_port is None and contains_port(value):
            raise ConfigError(f"{where}: variable {name} contains Fact.PORT, but a {entry.kind} has no port")
    titles = {name: parameter_part(name) for name in (*entry.variables, *entry.secrets)}
    if same := find_twice(titles.values()):
        names = " and ".join(name for name, title in titles.items() if title == same)
        raise ConfigError(f"{where}: the names {names} differ too little for parameters, rename one of them")
