"""Reads the workloads of a resolved environment, with values of this machine in place of those of AWS."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack
from hosting.local.container import Container, read_container
from hosting.local.database import Login
from hosting.local.job_schedules import JobSchedule
from hosting.local.stores import BUCKET, QUEUE, bucket_name, queue_url
from hosting.model.errors import InputError, Problem
from hosting.model.tokens import Json, Origin, pieces

DATABASE_HOST = "database.internal"
DATABASE_PORT = 3306
_CLUSTER = "AWS::RDS::DBCluster"
_ENDPOINTS = ("Endpoint.Address", "ReadEndpoint.Address")


class MissingSecretsError(InputError):
    """Secrets that people supply have no value on this machine. ``names`` are WORKLOAD.VARIABLE."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        hint = "add WORKLOAD.VARIABLE=VALUE to the file of --secret-file"
        super().__init__(Problem(name, "the secret has no value on this machine", hint) for name in names)


@dataclass(frozen=True)
class LocalWorkload:
    """A workload: its container, whether the load balancer has a target group for it, its schedule and migration."""

    name: str
    container: Container
    behind_load_balancer: bool = False
    is_job: bool = False
    # The schedule of a job that the environment runs.
    schedule: JobSchedule | None = None
    migration: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()


@dataclass
class LocalValues:
    """Values of this machine. ``site`` is the address of the simulated edge, and ``given`` the supplied secrets.

    Generated secrets are kept in a file, because apps encrypt data with them.
    """

    resolved: ResolvedEnvironment
    site: str
    login: Login
    database: tuple[str, int]
    given: Mapping[str, str]
    kept: Path
    # Where a container reaches buckets and queues; empty if there are none.
    stores: str = ""
    missing: list[str] = field(default_factory=list)

    def value(self, value: Json) -> str:
        """Return a resolved value as text, with values of this machine in place of tokens."""
        text = "".join(self._attribute(part) if isinstance(part, Origin) else part for part in pieces(str(value)))
        domain = self.resolved.environment.parameters.get("DomainName")
        return text.replace(f"https://{domain}", self.site) if domain else text

    def secret(self, workload: str, name: str, value_from: str) -> str:
        """Return the value of a secret of a workload. A missing value is noted in ``missing``."""
        for key in (f"{workload}.{name}", name):
            if key in self.given:
                return self.given[key]
        first = pieces(value_from)[0]
        resource = self.resolved.resource(first) if isinstance(first, Origin) else None
        key = value_from.rsplit(":", 3)[-3] if value_from.endswith("::") else ""
        if resource is not None and resource.type == _CLUSTER:
            return {"username": self.login.user, "password": self.login.password}[key]
        if resource is not None and "GenerateSecretString" in resource.properties:
            return self._generated(resource, key)
        self.missing.append(f"{workload}.{name}")
        return ""

    def schemas(self) -> tuple[Login, ...]:
        """Return the schemas of workloads, each with the user that its secret names."""
        found = []
        for user in self.resolved.of_type("Custom::DatabaseUser"):
            secret = self.resolved.resource(user.get("Secret"))
            if secret is not None:
                name, password = self._generated(secret, "username"), self._generated(secret, "password")
                found.append(Login(str(user.get("Schema")), name, password))
        return tuple(found)

    def owner(self, access_point: Json) -> str:
        """Return the user of an access point, which owns the files of its volume."""
        point = self.resolved.resource(str(access_point))
        return f"{point.get('PosixUser.Uid')}:{point.get('PosixUser.Gid')}" if point else ""

    def _generated(self, resource: Resource, key: str) -> str:
        found: dict[str, str] = json.loads(self.kept.read_text(encoding="utf-8")) if self.kept.is_file() else {}
        name = f"{resource.stack}/{resource.logical_id}"
        if name not in found:
            found[name] = _generate(resource.properties["GenerateSecretString"])
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            self.kept.touch(mode=0o600)
            self.kept.write_text(json.dumps(found, indent=2), encoding="utf-8")
        return str(json.loads(found[name])[key]) if key else found[name]

    def _attribute(self, source: Origin) -> str:
        resource = self.resolved.resource(source)
        if resource is not None and resource.type == _CLUSTER:
            return self.database[0] if source.attribute in _ENDPOINTS else str(self.database[1])
        if resource is not None and resource.type == "AWS::CloudFront::Distribution":
            return self.site.removeprefix("https://")
        if resource is not None and resource.type == BUCKET:
            return bucket_name(resource)
        if resource is not None and resource.type == QUEUE and source.attribute == "Ref":
            return queue_url(resource, self.stores)
        return source.logical_id


def read_workloads(values: LocalValues) -> list[LocalWorkload]:
    """Return the workloads. Raises InputError for secrets without a value."""
    found = [
        _workload(stack, definition, values)
        for stack in values.resolved.stacks.values()
        for definition in stack.of_type("AWS::ECS::TaskDefinition")
    ]
    if values.missing:
        raise MissingSecretsError(values.missing)
    return found


def _workload(stack: Stack, definition: Resource, values: LocalValues) -> LocalWorkload:
    name = re.sub(r"(Service)?Stack$", "", stack.path.rsplit("/", 1)[-1])
    container = read_container(
        name,
        dict(definition.properties),
        values.value,
        lambda variable, value_from: values.secret(name, variable, value_from),
        values.owner,
    )
    migrations = stack.of_type("Custom::Migration")
    schedules = stack.of_type("AWS::Scheduler::Schedule")
    return LocalWorkload(
        name,
        container,
        behind_load_balancer=bool(stack.of_type("AWS::ElasticLoadBalancingV2::TargetGroup")),
        is_job=bool(schedules),
        schedule=_schedule(schedules[0]) if schedules else None,
        migration=tuple(values.value(item) for item in migrations[0].properties["Command"]) if migrations else (),
        host_names=tuple(_host_names(stack, values.resolved)),
    )


def _schedule(resource: Resource) -> JobSchedule | None:
    """Return the schedule, or None if the environment has switched it off."""
    if resource.get("State") == "DISABLED":
        return None
    timezone = resource.get("ScheduleExpressionTimezone") or "UTC"
    return JobSchedule(str(resource.get("ScheduleExpression")), str(timezone))


def _host_names(stack: Stack, resolved: ResolvedEnvironment) -> list[str]:
    """Return the names under which other workloads call a workload."""
    names = []
    for service in stack.of_type("AWS::ECS::Service"):
        for registry in resolved.resources_in(service.get("ServiceRegistries", [])):
            namespace = next(iter(resolved.resources_in(dict(registry.properties))), None)
            if namespace is not None:
                names.append(f"{registry.get('Name')}.{namespace.get('Name')}")
    return names


def _generate(settings: Mapping[str, Json]) -> str:
    """Return a value as Secrets Manager generates it, for GenerateSecretString."""
    alphabet = string.ascii_letters + string.digits
    if str(settings.get("ExcludePunctuation", "false")).lower() != "true":
        alphabet += string.punctuation
    alphabet = "".join(sorted(set(alphabet) - set(str(settings.get("ExcludeCharacters", "")))))
    value = "".join(secrets.choice(alphabet) for _ in range(int(settings.get("PasswordLength", 32))))
    if "SecretStringTemplate" in settings:
        content = json.loads(settings["SecretStringTemplate"])
        return json.dumps({**content, settings["GenerateStringKey"]: value})
    return value
