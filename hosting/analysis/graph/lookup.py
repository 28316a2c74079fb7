"""Finds resources in resolved templates by type and reference, never by logical id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hosting.analysis.graph import model
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.model.templates import Template, kebab
from hosting.model.tokens import Json

TOPIC = "AWS::SNS::Topic"
BUCKET = "AWS::S3::Bucket"
FUNCTION = "AWS::Lambda::Function"
LOG_GROUP = "AWS::Logs::LogGroup"


class Lookup:
    """The resources of one environment."""

    def __init__(self, env: ResolvedEnvironment, templates: Mapping[str, Template]) -> None:
        self.env = env
        self.templates = templates
        root = env.stacks["root"].parameters
        self.name = f"{root.get('Project', 'project')}-{root.get('Environment', env.name)}"

    def all(self, *types: str, edge: bool | None = None) -> list[Resource]:
        """Return the resources of these types; `edge` selects stacks of the edge, or excludes them."""
        found = self.env.of_type(*types)
        return found if edge is None else [item for item in found if self.at_edge(item) is edge]

    def at_edge(self, resource: Resource) -> bool:
        """Return whether the resource's stack is one of the edge. The region does not decide: home may be us-east-1."""
        return resource.stack.split("/")[0].startswith("edge")

    def first(self, *types: str) -> Resource | None:
        return next(iter(self.all(*types)), None)

    def follow(self, value: Json, *types: str) -> list[Resource]:
        """Return the resources of these types that a value refers to, without duplicates."""
        found: list[Resource] = []
        for resource in self.env.resources_in(value):
            if resource.type in types and not is_in(resource, found):
                found.append(resource)
        return found

    def follow_one(self, value: Json, *types: str) -> Resource | None:
        return next(iter(self.follow(value, *types)), None)

    def plain(self, text: str) -> str:
        """Return a physical name without the environment's prefix."""
        return text.replace(f"{self.name}-", "").replace(f"{self.name}/", "").replace(self.name, "").strip("/")

    def zone(self, subnet: Resource | None) -> str:
        return str(subnet.get("AvailabilityZone", "")) if subnet else ""

    def zones(self, subnets: Json) -> tuple[str, ...]:
        return tuple(sorted({self.zone(item) for item in self.follow(subnets, "AWS::EC2::Subnet")}))

    def function(self, function: Resource) -> model.Function:
        """Return name, purpose and trigger of a function."""
        key = str(function.get("Code.S3Key", "")).split("/")
        schedule = next(
            (
                str(rule.get("ScheduleExpression"))
                for rule in self.all("AWS::Events::Rule")
                if rule.get("ScheduleExpression") and is_in(function, self.follow(rule.get("Targets"), FUNCTION))
            ),
            "",
        )
        custom = any(
            self.follow_one(item.get("ServiceToken"), FUNCTION) == function
            for stack in self.env.stacks.values()
            for item in stack.resources.values()
        )
        when = re.sub(r"^rate\((.*)\)$", r"every \1", schedule) or ("during deployments" if custom else "")
        name = key[1] if len(key) > 1 and key[0] == "lambda" else function.logical_id
        return model.Function(name, str(function.get("Description", "")), when)

    def topic(self, topic: Resource) -> str:
        return to_words(topic.logical_id.removesuffix("Topic")) or topic.logical_id


def key(resource: Resource) -> tuple[str, str]:
    return resource.stack, resource.logical_id


def is_in(resource: Resource, others: Iterable[Resource]) -> bool:
    return any(key(resource) == key(other) for other in others)


def is_true(value: Json) -> bool:
    return value is True or value == "true"


def days(number: Json) -> str:
    return "1 day" if str(number) == "1" else f"{number} days"


def to_words(logical_id: str) -> str:
    """Return a logical id as words: DataKey -> Data key."""
    return kebab(logical_id).replace("-", " ").capitalize()
