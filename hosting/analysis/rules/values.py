"""Lookups in values and policies that rules use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack
from hosting.model.tokens import Json, origin, origins


def flag(value: Json) -> bool:
    """Return whether a boolean is true. CloudFormation accepts true and "true"."""
    return value is True or value == "true"


def number(value: Json) -> float | None:
    """Return a value as a number, or None."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def listed(value: Json) -> list[Any]:
    """Return a list; a single value becomes a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


# --- Policies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statement:
    """A policy statement with single values as lists."""

    effect: str
    principals: Mapping[str, list[str]]
    actions: list[str]
    resources: list[str]
    conditions: Mapping[str, Mapping[str, Json]]
    index: int
    excepts: tuple[str, ...] = ()  # those of NotAction, NotResource and NotPrincipal that it has

    def condition(self, key: str) -> list[str]:
        """Return the values of a condition key, of all operators."""
        found: list[str] = []
        for keys in self.conditions.values():
            for name, value in keys.items():
                if name.lower() == key.lower():
                    found += [str(item) for item in listed(value)]
        return found

    def allows(self, action: str) -> bool:
        return self.effect == "Allow" and any(matches(pattern, action) for pattern in self.actions)

    def service(self, name: str) -> bool:
        """Return whether a service principal is named; "logs" includes its regional form."""
        services = self.principals.get("Service", [])
        return any(item == f"{name}.amazonaws.com" or item.startswith(f"{name}.") for item in services)


def matches(pattern: str, action: str) -> bool:
    return fnmatchcase(action.lower(), pattern.lower())


def statements(document: Json) -> list[Statement]:
    """Return the statements of a policy document; empty if it is not an object."""
    if not isinstance(document, Mapping):
        return []
    result = []
    for index, item in enumerate(listed(document.get("Statement"))):
        principal = item.get("Principal", {})
        principals = {"AWS": ["*"]} if principal == "*" else {key: listed(value) for key, value in principal.items()}
        result.append(
            Statement(
                item.get("Effect", ""),
                principals,
                listed(item.get("Action")),
                [str(resource) for resource in listed(item.get("Resource"))],
                item.get("Condition", {}),
                index,
                tuple(key for key in ("NotAction", "NotPrincipal", "NotResource") if key in item),
            )
        )
    return result


ROLE = "AWS::IAM::Role"
_ATTACHED = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy")


def attached_policies(env: ResolvedEnvironment, role: Resource) -> list[Resource]:
    """Return the policy resources of all stacks that are attached to a role."""
    return [
        policy
        for policy in env.of_type(*_ATTACHED)
        if role in [env.resource(item) for item in listed(policy.get("Roles"))]
        or policy.ref in listed(role.get("ManagedPolicyArns"))
    ]


def permissions(env: ResolvedEnvironment, role: Resource | None) -> list[Statement]:
    """Return all statements of a role, except those of AWS managed policies."""
    if role is None:
        return []
    found = [
        statement for inline in listed(role.get("Policies")) for statement in statements(inline.get("PolicyDocument"))
    ]
    for policy in attached_policies(env, role):
        found += statements(policy.get("PolicyDocument"))
    return found


def policy_documents(env: ResolvedEnvironment) -> Iterator[tuple[Resource, str, Json]]:
    """Yield every policy of the environment: its resource, path and document."""
    paths = (
        "PolicyDocument",
        "AssumeRolePolicyDocument",
        "FileSystemPolicy",
        "KeyPolicy",
        "RepositoryPolicyText",
        "ResourcePolicy",
    )
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            for path in paths:
                if (document := resource.get(path)) is not None and isinstance(document, Mapping):
                    yield resource, f"Properties.{path}", document
            for index, inline in enumerate(listed(resource.get("Policies"))):
                if isinstance(inline, Mapping) and "PolicyDocument" in inline:
                    yield resource, f"Properties.Policies.{index}.PolicyDocument", inline["PolicyDocument"]


# --- References --------------------------------------------------------------------------------------------------


def follow(env: ResolvedEnvironment, value: Json, *types: str) -> Resource | None:
    """Return the resource that a value refers to, if it has one of the types, or None."""
    found = env.resource(value) if isinstance(value, str) else None
    return found if found and (not types or found.type in types) else None


def follow_all(env: ResolvedEnvironment, value: Json, *types: str) -> list[Resource]:
    """Return the resources of all tokens in a value with one of the types, without duplicates."""
    found = []
    for resource in env.resources_in(value):
        if (not types or resource.type in types) and resource not in found:
            found.append(resource)
    return found


def is_same(env: ResolvedEnvironment, first: Json, second: Json) -> bool:
    """Return whether two values refer to one resource; without references, whether they are equal."""
    one, other = follow(env, first), follow(env, second)
    return first == second if one is None or other is None else one == other


def depends_on_resource(stack: Stack, user: Resource, needed: str) -> bool:
    """Return whether a resource depends, directly or not, on another one of its stack."""
    seen: set[str] = set()
    waiting = [user.logical_id]
    while waiting:
        current = stack.resources.get(waiting.pop())
        if current is None or current.logical_id in seen:
            continue
        seen.add(current.logical_id)
        waiting += current.depends_on
        waiting += [item.logical_id for item in origins(dict(current.properties)) if item.stack == stack.path]
    return needed in seen - {user.logical_id}


def waits_for(env: ResolvedEnvironment, user: Resource, needed: Resource) -> bool:
    """Return whether a resource is created after another: in its own stack, or through their nested stacks.

    The outputs of a nested stack exist when all of it is complete, so a stack that reads an output waits for every
    resource.
    """
    first, second = user.stack.split("/"), needed.stack.split("/")
    common = 0
    while common < min(len(first), len(second)) and first[common] == second[common]:
        common += 1
    if not common:
        # Stacks of the chain are deployed one after the other.
        order = [stack.path for stack in env.chain]
        return order.index(second[0]) < order.index(first[0])
    stack = env.stacks["/".join(first[:common])]
    holder = stack.resources[first[common]] if common < len(first) else user
    return depends_on_resource(stack, holder, second[common] if common < len(second) else needed.logical_id)


def is_attribute(value: Json, attribute: str) -> bool:
    """Return whether a value is a token of this attribute."""
    found = origin(value)
    return found is not None and found.attribute == attribute
