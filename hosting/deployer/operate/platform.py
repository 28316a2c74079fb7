"""A deployed environment: its services, its outputs, and its nested stacks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import STACK_TYPE, StackState
from hosting.deployer.context import Context
from hosting.deployer.errors import DeployerError
from hosting.model.stack_order import StackRole

_ECS_SERVICE = "AWS::ECS::Service"
_TASK_DEFINITION = "AWS::ECS::TaskDefinition"
_SCHEDULE = "AWS::Scheduler::Schedule"
_QUEUE = "AWS::SQS::Queue"


@dataclass(frozen=True)
class Service:
    """One service, with its name in the configuration and in ECS."""

    name: str
    ecs_name: str
    stack: str

    @property
    def slug(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Job:
    """One job, with its name in the configuration and the family of its task definitions. It has no ECS service."""

    name: str
    # ARN of the newest task definition, and name of the schedule.
    definition: str
    schedule: str
    stack: str
    # URL of the queue with the starts that ECS refused.
    queue: str = ""

    @property
    def family(self) -> str:
        return self.definition.rpartition("/")[2].partition(":")[0]

    @property
    def slug(self) -> str:
        return self.name.lower()


_Workload = TypeVar("_Workload", Service, Job, Service | Job)


@dataclass(frozen=True)
class Platform:
    """Root stack of a deployed environment. Its parts are read from AWS at first use."""

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
        """The id of each nested stack by logical id."""
        client = self.context.clients.cloudformation(self.home)
        found = stacks.list_resources(client, self.root.id)
        return {item.logical_id: item.physical_id for item in found if item.type == STACK_TYPE and item.physical_id}

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """The services that exist, in the order of the template."""
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

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs that exist, in the order of the template."""
        client = self.context.clients.cloudformation(self.home)
        template = self.context.template(self.context.stack(StackRole.ROOT))
        found = [
            (name, self.nested[f"{name}ServiceStack"])
            for name in template.services
            if template.kind_of(name) == "job" and f"{name}ServiceStack" in self.nested
        ]
        made: list[Job] = []
        for name, stack in found:
            ids = {item.type: item.physical_id for item in stacks.list_resources(client, stack) if item.physical_id}
            if _TASK_DEFINITION in ids:
                made.append(Job(name, ids[_TASK_DEFINITION], ids.get(_SCHEDULE, ""), stack, ids.get(_QUEUE, "")))
        return tuple(made)

    @property
    def has_database(self) -> bool:
        """Return whether the environment has a database, or the project wants one that does not exist yet."""
        template = self.context.template(self.context.stack(StackRole.ROOT))
        return "database" not in template.without or "DatabaseStack" in self.nested

    def require_database(self) -> None:
        """Raise DeployerError if the project has no database."""
        if not self.has_database:
            hint = "DATABASE = None in workloads.py leaves out the database"
            raise DeployerError("the environment has no database", where=self.root.name, hint=hint)

    def output(self, name: str) -> str:
        """Return an output of the root stack. Raises DeployerError if the stack does not have it."""
        value = self.root.outputs.get(name)
        if value is None:
            hint = f"deploy the current templates: deploy.py deploy -e {self.name}"
            raise DeployerError(f'has no output "{name}" ({self.root.status})', where=self.root.name, hint=hint)
        return value

    def service(self, wanted: str | None) -> Service:
        """Return the service of this name, in any case. Without a name, return the first service."""
        if not self.services:
            raise DeployerError(
                "has no service yet", where=self.root.name, hint=f"deploy it: deploy.py deploy -e {self.name}"
            )
        if wanted is not None and wanted.lower() in {job.slug for job in self.jobs}:
            raise DeployerError(
                f'"{wanted}" is a job: it has no service, and each run is a new task',
                where=self.root.name,
                hint=f"start it now: deploy.py run -e {self.name} --service {wanted.lower()}",
            )
        return self.services[0] if wanted is None else self._find(self.services, wanted, "service")

    @property
    def workloads(self) -> tuple[Service | Job, ...]:
        """The services, then the jobs."""
        return (*self.services, *self.jobs)

    def workload(self, wanted: str | None) -> Service | Job:
        """Return the service or the job of this name, in any case. Without a name, return the first of them."""
        if wanted is not None:
            return self._find(self.workloads, wanted, "service or job")
        return self.workloads[0] if self.workloads else self.service(None)

    def _find(self, workloads: Sequence[_Workload], wanted: str, what: str) -> _Workload:
        for workload in workloads:
            if workload.slug == wanted.lower():
                return workload
        known = [workload.slug for workload in workloads]
        near = difflib.get_close_matches(wanted.lower(), known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
        raise DeployerError(f'{what} "{wanted}" does not exist', where=self.root.name, hint=hint)

    @property
    def name(self) -> str:
        """The name of the environment for option -e."""
        return self.context.environment.name


def find_platform(context: Context) -> Platform:
    """Return the deployed environment. Raises DeployerError if it is not deployed."""
    stack = context.stack(StackRole.ROOT)
    state = stacks.describe_stack(context.clients.cloudformation(stack.region), stack.name)
    if state is None or state.status in {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}:
        name = context.environment.name
        raise DeployerError(
            "the environment is not deployed", where=stack.label, hint=f"deploy it: deploy.py deploy -e {name}"
        )
    return Platform(context, state)
