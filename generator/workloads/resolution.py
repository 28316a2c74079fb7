"""Workloads together: what ``like`` takes over, and what only one workload may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from generator.declared_fields import UNSET
from generator.errors import ConfigError
from generator.platform_parts import COMPLETE, Parts
from generator.resources.dns import record_subject
from generator.workloads.base import Workload
from generator.workloads.checks import contains_port, find_twice, uses_database
from generator.workloads.services import InternalService, WebService
from generator.workloads.stores import Store, Volume, check_stores, needed_kind
from generator.workloads.values import (
    Existing,
    Generated,
    PerEnvironment,
    RootParameter,
    Secret,
    StoredSecret,
    Supplied,
    Variable,
    parameter_part,
)

Kind = TypeVar("Kind", bound=Workload)
# A certificate has 10 names (AWS Certificate Manager User Guide, "Quotas"): the site, the redirected name, the load
# balancer, and these.
MOST_HOSTS = 7


def resolve(
    workloads: tuple[Workload, ...], parts: Parts = COMPLETE, stores: tuple[Store, ...] = ()
) -> tuple[Workload, ...]:
    """Return the workloads with a value in every field.

    Raises ConfigError if there is no workload, if ``like`` names none, if two share what only one may have, or if one
    uses a store that does not exist, or the database of a project without a database.
    """
    if not workloads:
        raise ConfigError("no workload: the platform needs at least one")
    _check_names(workloads)
    resolved: dict[str, Workload] = {}
    for declared in _owners_first(workloads):
        entry = declared if parts.database else _without_database(declared)
        done = _with_parameters(entry)
        if entry.like:
            done = _take_over(done, resolved[entry.like])
            try:
                done.check()
            except ConfigError as error:
                raise ConfigError(str(error), workload=entry.name) from None
        resolved[entry.name] = done
    found = tuple(resolved[entry.name] for entry in workloads)
    _check_rules(found)
    _check_calls(found)
    _check_uses(found, stores)
    _check_schemas(workloads, found, parts)
    return found


def _without_database(entry: Kind) -> Kind:
    """Return the entry without those variables and secrets of the database that an entry has by default.

    Raises ConfigError if it declares others.
    """
    changed: dict[str, Any] = {}
    for name in ("variables", "secrets"):
        values = getattr(entry, name)
        if values is not UNSET and values == entry.default(name):
            changed[name] = {key: value for key, value in values.items() if not uses_database(value)}
        elif values is not UNSET:
            for key, value in values.items():
                if uses_database(value):
                    raise ConfigError(
                        f"{entry.kind} {entry.name}: {key} is a value of the database, but DATABASE = None leaves out "
                        f"the database. Remove {key} or that line",
                        workload=entry.name,
                    )
    return replace(entry, **changed)


def image_owners(workloads: tuple[Workload, ...]) -> dict[str, str]:
    """Return for each workload the name of the workload whose image it runs."""
    likes = {entry.name: entry.like for entry in workloads}
    owners = {}
    for name in likes:
        owner = name
        while likes[owner]:
            owner = likes[owner]
        owners[name] = owner
    return owners


def _check_names(workloads: tuple[Workload, ...]) -> None:
    if same := find_twice(entry.slug for entry in workloads):
        name = [entry.name for entry in workloads if entry.slug == same][-1]
        raise ConfigError(f"two workloads with name {name}: give each its own", workload=name)


def _owners_first(workloads: tuple[Workload, ...]) -> list[Workload]:
    """Return the workloads so that each follows the one that its ``like`` names."""
    by_name = {entry.name: entry for entry in workloads}
    ordered: dict[str, Workload] = {}
    for entry in workloads:
        chain = [entry]
        while (name := chain[-1].like) and name not in ordered:
            if name not in by_name:
                where = f"{chain[-1].kind} {chain[-1].name}"
                raise ConfigError(f'{where}: like="{name}", but there is no workload {name}', workload=chain[-1].name)
            if name in {one.name for one in chain}:
                circle = " -> ".join([*(one.name for one in chain), name])
                raise ConfigError(f"like has a cycle: {circle}. One of them needs settings of its own", workload=name)
            chain.append(by_name[name])
        ordered |= {one.name: one for one in reversed(chain)}
    return list(ordered.values())


def _with_parameters(entry: Kind) -> Kind:
    """Return the entry with root parameters and stored secrets in place of what the user declares."""
    changed: dict[str, Any] = {}
    if entry.variables is not UNSET:
        changed["variables"] = {
            name: RootParameter(f"{entry.name}Var{parameter_part(name)}")
            if isinstance(value, PerEnvironment)
            else value
            for name, value in entry.variables.items()
        }
    if entry.secrets is not UNSET:
        changed["secrets"] = {name: _with_owner(entry, name, secret) for name, secret in entry.secrets.items()}
    return replace(entry, **changed)


def _with_owner(entry: Workload, variable: str, secret: Secret) -> Secret:
    """Return the secret of the workload that declares it. A workload that takes it over reads the same secret."""
    if isinstance(secret, (Generated, Supplied)):
        return StoredSecret(entry.name, variable, secret)
    if isinstance(secret, Existing) and isinstance(secret.arn, PerEnvironment):
        return replace(secret, arn=RootParameter(f"{entry.name}Secret{parameter_part(variable)}"))
    return secret


def _take_over(entry: Kind, owner: Workload) -> Kind:
    """Return the entry with the shared values of ``owner`` in the fields that it does not set."""
    changed = {
        item.name: getattr(owner, item.name, item.metadata["default"])
        for item in fields(entry)
        if item.metadata.get("shared") and getattr(entry, item.name) is UNSET
    }
    variables: Mapping[str, Variable] = {} if entry.variables is UNSET else entry.variables
    secrets: Mapping[str, Secret] = {} if entry.secrets is UNSET else entry.secrets
    shared = {name: value for name, value in owner.variables.items() if name not in secrets}
    if entry.container_port is None:
        shared = {name: value for name, value in shared.items() if not contains_port(value)}
    changed["variables"] = {**shared, **variables}
    changed["secrets"] = {**{name: one for name, one in owner.secrets.items() if name not in variables}, **secrets}
    return replace(entry, **changed)


def _check_calls(workloads: tuple[Workload, ...]) -> None:
    """Raise ConfigError if a workload calls a service that does not exist or does not name it as a caller."""
    names = {entry.name for entry in workloads}
    callers = {entry.name: entry.called_by for entry in workloads if isinstance(entry, InternalService)}
    for callee, called_by in callers.items():
        for caller in called_by:
            if caller not in names - {callee}:
                raise ConfigError(
                    f'internal service {callee}: called_by contains "{caller}", give other workloads', workload=callee
                )
        if same := find_twice(called_by):
            raise ConfigError(f"internal service {callee}: called_by contains {same} twice", workload=callee)
    for entry in workloads:
        for callee in entry.addresses:
            if entry.name not in callers.get(callee, ()):
                raise ConfigError(
                    f'{entry.kind} {entry.name}: AddressOf("{callee}") needs an internal service {callee} with '
                    f"{entry.name} in called_by",
                    workload=entry.name,
                )


def _check_uses(workloads: tuple[Workload, ...], stores: tuple[Store, ...]) -> None:
    """Raise ConfigError if a workload uses a store that does not exist, or a value of a store that it does not use."""
    check_stores(stores)
    by_name = {store.name: store for store in stores}
    users: dict[str, Workload] = {}
    for entry in workloads:
        where = f"{entry.kind} {entry.name}"
        for use in entry.uses:
            if not isinstance(by_name.get(use.store), use.of):
                raise ConfigError(
                    f'{where}: {type(use).__name__}("{use.store}") needs a {use.of.kind} {use.store} in STORES',
                    workload=entry.name,
                )
            store = by_name[use.store]
            if isinstance(store, Volume) and not store.owner:
                _check_owner(entry, users.setdefault(use.store, entry), store)
        for value in entry.store_values:
            kind = needed_kind(value)
            if not any(use.store == value.store and use.of is kind for use in entry.uses):
                raise ConfigError(
                    f'{where}: {type(value).__name__}("{value.store}") needs a use of the {kind.kind} {value.store} in '
                    "uses",
                    workload=entry.name,
                )


def _check_schemas(declared: tuple[Workload, ...], resolved: tuple[Workload, ...], parts: Parts) -> None:
    """Raise ConfigError if two workloads declare one schema, or if there is no database for it."""
    owners: dict[str, str] = {}
    for before, entry in zip(declared, resolved, strict=True):
        where = f"{entry.kind} {entry.name}"
        if entry.schema and not parts.database:
            raise ConfigError(
                f"{where}: schema is {entry.schema}, but DATABASE = None leaves out the database. Remove one of them",
                workload=entry.name,
            )
        # What `like` takes over is shared on purpose.
        if not entry.schema or (before.like and before.schema is UNSET):
            continue
        if other := owners.get(entry.schema):
            raise ConfigError(
                f"{where}: the schema {entry.schema} belongs to {other}. Share it with like, or give another name",
                workload=entry.name,
            )
        owners[entry.schema] = entry.name


def _check_owner(entry: Workload, first: Workload, volume: Volume) -> None:
    """Raise ConfigError if the files of a volume without an owner cannot belong to the user of a workload."""
    where = f"{entry.kind} {entry.name}"
    hint = f"Give the volume {volume.name} an owner, such as 33:33"
    if entry.user.startswith("0:"):
        raise ConfigError(f"{where}: root cannot own the files of a volume. {hint}", workload=entry.name)
    if first.user != entry.user:
        raise ConfigError(
            f"{where}: its user is {entry.user}, but that of {first.name} is {first.user}, and both mount "
            f"{volume.name}. {hint}",
            workload=entry.name,
        )


def _check_rules(workloads: tuple[Workload, ...]) -> None:
    """Raise ConfigError if two web services need a rule of the load balancer for the same path or priority."""
    priorities: dict[int, str] = {}
    paths: dict[tuple[str, str], str] = {}
    services = [entry for entry in workloads if isinstance(entry, WebService)]
    _check_hosts(services)
    for entry in services:
        for number in entry.rules:
            if number in priorities:
                names = f"{priorities[number]} and {entry.name}"
                needed = len(entry.rules)
                raise ConfigError(
                    f"two workloads with priority {number}: {names}. Give each its own; {entry.name} needs {needed}",
                    workload=entry.name,
                )
            priorities[number] = entry.name
        for path in entry.paths:
            if other := paths.get((entry.host, path)):
                raise ConfigError(
                    f"path {path} belongs to {other} and {entry.name}, give it to one of them", workload=entry.name
                )
            paths[entry.host, path] = entry.name


def _check_hosts(services: Sequence[WebService]) -> None:
    """Raise ConfigError if hosts are too many or too similar, or if another service gets the requests of one."""
    hosts = sorted({entry.host for entry in services if entry.host})
    if len(hosts) > MOST_HOSTS:
        raise ConfigError(f"{len(hosts)} hosts of web services: a certificate has room for {MOST_HOSTS}")
    if same := find_twice(record_subject(host) for host in hosts):
        names = " and ".join(host for host in hosts if record_subject(host) == same)
        raise ConfigError(f"the hosts {names} differ too little for names of resources, rename one of them")
    for entry in services:
        for other in services if entry.host else ():
            if not other.host and other.priority < entry.priority:
                raise ConfigError(
                    f"web service {entry.name}: {other.name} has priority {other.priority} and receives its paths of "
                    f"every host. Give {entry.name} a lower priority",
                    workload=entry.name,
                )
