"""Projects of examples/, generated and resolved, with their containers as this machine runs them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from generator.config import load_config
from generator.render import render_all
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.edge_simulator.resources import Resource
from hosting.local.container import Container, read_container
from hosting.local.database import Login
from hosting.local.process import Destination
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load
from hosting.model.tokens import Json, Origin, pieces
from tests.support.project import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
# An image that no registry has. Examples contain FILL-IN, because a digest of today would be an old version soon.
TEST_DIGEST = "sha256:" + "e" * 64
# With a domain, the load balancer has a name that an app may read, in place of a token.
DOMAIN = {"DomainName": "shop.example.com", "HostedZoneId": "Z0123456789ABCDEFGHIJ"}
LOGIN = Login("app", "admin", "a test's \\password")
DATABASE_HOST = "database.example"
DATABASE_PORT = 3306


def copy_example(name: str, target: Path) -> Path:
    """Copy the project of an example to a folder, with the test digest in place of FILL-IN."""
    (target / "params").mkdir(parents=True)
    shutil.copy(EXAMPLES / name / "workloads.py", target)
    for file in (EXAMPLES / name / "params").iterdir():
        (target / "params" / file.name).write_text(file.read_text().replace("FILL-IN", TEST_DIGEST))
    (target / "lambda").symlink_to(REPOSITORY / "lambda")
    return target


@dataclass(frozen=True)
class Example:
    """A generated example."""

    folder: Path
    environment: str = "dev"

    @cached_property
    def resolved(self) -> ResolvedEnvironment:
        """The resolved environment."""
        return self.resolve()

    def resolve(self, **parameters: str) -> ResolvedEnvironment:
        """Return the resolved environment with changed parameters."""
        found = load_environment(self.folder / "params" / f"{self.environment}.json")
        changed = replace(found, parameters={**found.parameters, **parameters})
        return resolve(load(self.folder / "templates"), changed)

    @cached_property
    def containers(self) -> dict[str, Container]:
        """The app containers by the name of their workload."""
        found = {}
        for definition in self.resolved.of_type("AWS::ECS::TaskDefinition"):
            name = re.sub(r"(Service)?Stack$", "", definition.stack.rsplit("/")[-1])
            found[name] = read_container(name, dict(definition.properties), self.value, self.secret, self.owner)
        return found

    def migration(self, workload: str) -> list[str]:
        """Return the command of a workload's migration."""
        (found,) = self.resolved.stacks[f"root/{workload}ServiceStack"].of_type("Custom::Migration")
        return [str(part) for part in found.properties["Command"]]

    def value(self, value: Json) -> str:
        """Return a resolved value with those of the test in place of tokens."""
        return "".join(self._of(part) if isinstance(part, Origin) else part for part in pieces(str(value)))

    def _of(self, source: Origin) -> str:
        known = {
            "Endpoint.Address": DATABASE_HOST,
            "ReadEndpoint.Address": DATABASE_HOST,
            "Endpoint.Port": DATABASE_PORT,
        }
        return str(known.get(source.attribute, f"{source.logical_id}.{source.attribute}"))

    def owner(self, access_point: Json) -> str:
        """Return the user of an access point."""
        point = self.resolved.resource(str(access_point))
        return f"{point.get('PosixUser.Uid')}:{point.get('PosixUser.Gid')}" if point else ""

    def secret(self, variable: str, value_from: str) -> str:
        """Return the value of a secret."""
        key = value_from.removesuffix("::").rsplit(":", 1)[-1]
        return {"username": LOGIN.user, "password": LOGIN.password}.get(key) or f"the secret of {variable} " * 3


def generate_example(name: str, target: Path) -> Example:
    """Generate an example in a folder."""
    folder = copy_example(name, target)
    (folder / "templates").mkdir()
    for file, text in render_all(load_config(folder)).items():
        (folder / "templates" / file).write_text(text)
    return Example(folder)


def destinations(address: tuple[str, int]) -> list[Destination]:
    """Return what a container of an example may call: the database."""
    return [Destination(DATABASE_HOST, DATABASE_PORT, address)]


def with_host_withheld(resources: Iterable[Resource]) -> list[Resource]:
    """Return the resources with the origin request policy that withholds Host, and without the viewer function."""
    changed = []
    for resource in resources:
        changed.append(resource)
        if resource.type == "AWS::CloudFront::Distribution":
            behavior = resource.properties["DistributionConfig"]["DefaultCacheBehavior"]
            behavior["OriginRequestPolicyId"] = "b689b0a8-53d0-40ab-baf2-68738e2966ac"  # AllViewerExceptHostHeader
            behavior.pop("FunctionAssociations", None)
    return changed
