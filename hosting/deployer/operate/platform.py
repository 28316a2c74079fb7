"""A deployed environment as whoever operates it sees it: its services, its outputs, its nested stacks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import STACK_TYPE, StackState
from hosting.deployer.context import Context
from hosting.deployer.errors import DeployerError
from hosting.model.stack_order import StackRole

_ECS_SERVICE = "AWS::ECS::Service"


@dataclass(frozen=True)
class Service:
    """One service: how the configuration calls it, and how ECS does."""

    name: str
    ecs_name: str
    stack: str

    @property
    def slug(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Platform:
    """An environment's root stack and what is in it. Looks things up when first asked."""

    context: Context
    root: StackState

    @property
    def family(self) -> str:
        return self.context.environment.family

    @property
    def home(self) -> str:
        return self.context.home

    @property
    def cluster(self) -> str:
        return self.output("ClusterName")

    @cached_property
    def nested(self) -> Mapping[str, str]:
        """Logical id of a nested stack -> the stack's id."""
        client = self.context.clients.cloudformation(self.home)
        found = stacks.list_resources(client, self.root.id)
        return {item.logical_id: item.physical_id for item in found if item.type == STACK_TYPE and item.physical_id}

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Every service that exists, in the order of the templates."""
        client = self.context.clients.cloudformation(self.home)
        made: list[Service] = []
        for name in self.context.template(self.context.stack(StackRole.ROOT)).services:
            stack = self.nested.get(f"{name}ServiceStack")
            if stack is None:
                continue
            made.extend(
                Service(name, item.physical_id.rpartition("/")[2], stack)
                for item in stacks.list_resources(client, stack)
                if item.type == _ECS_SERVICE and item.physical_id
            )
        return tuple(made)

    def output(self, name: str) -> str:
        """An output of the root stack."""
        value = self.root.outputs.get(name)
        if value is None:
            hint = f"deploy the environment with the templates as they are now: deploy.py deploy -e {self.name}"
            raise DeployerError(f'has no output "{name}" ({self.root.status})', where=self.root.name, hint=hint)
        return value

    def service(self, wanted: str | None) -> Service:
        """The service of this name, in any case; the first one without a name."""
        if not self.services:
            raise DeployerError("has no service yet", where=self.root.name, hint=f"deploy.py deploy -e {self.name}")
        if wanted is None:
            return self.services[0]
        for service in self.services:
            if service.slug == wanted.lower():
                return service
        known = [service.slug for service in self.services]
        near = difflib.get_close_matches(wanted.lower(), known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
        raise DeployerError(f'there is no service "{wanted}"', where=self.root.name, hint=hint)

    @property
    def name(self) -> str:
        """The environment's name, as -e takes it."""
        return self.context.environment.name


def find_platform(context: Context) -> Platform:
    """The deployed environment; an error when there is none."""
    stack = context.stack(StackRole.ROOT)
    state = stacks.describe_stack(context.clients.cloudformation(stack.region), stack.name)
    if state is None or state.status in {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}:
        name = context.environment.name
        raise DeployerError("is not deployed", where=stack.label, hint=f"deploy.py deploy -e {name}")
    return Platform(context, state)
