"""Computes when each resource of a first deployment begins and ends.

CloudFormation creates a resource when everything that it depends on is complete. A nested stack begins when all stacks
whose outputs it reads are complete; its outputs exist when all of it is complete. CloudFormation may start a dependent
earlier, when a resource is configured but not yet stable, so the real duration can be shorter (CloudFormation User
Guide, "Understand CloudFormation stack creation events"). deploy.py deploys the stacks of the chain one after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack
from hosting.analysis.timeline.durations import Duration, Durations
from hosting.model.operation_scope import PLATFORM, deferred_stacks
from hosting.model.templates import NESTED_STACK
from hosting.model.tokens import origins

Edge = tuple[str, str]  # dependent nested stack, nested stack that it depends on


@dataclass(frozen=True)
class Task:
    """One resource, or one nested stack with its resources."""

    stack: str
    logical_id: str
    type: str
    begin: float
    end: float
    source: str
    after: str | None  # the logical id in the same stack whose end it waited for

    @property
    def path(self) -> str:
        return f"{self.stack}/{self.logical_id}"

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Schedule:
    """Begin and end of all tasks of a deployment."""

    tasks: Mapping[str, Task]  # by path
    tops: tuple[tuple[str, float, float], ...]  # stack of the chain, begin, end

    @property
    def total(self) -> float:
        return max((end for _, _, end in self.tops), default=0.0)

    def stacks(self, top: str) -> list[Task]:
        return [task for task in self.tasks.values() if task.stack == top and task.type == NESTED_STACK]

    @cached_property
    def critical(self) -> tuple[Task, ...]:
        """The resources that determine the total duration, first to last, including those of nested stacks."""
        return tuple(task for top, _, _ in self.tops for task in self._critical(top))

    def _critical(self, stack: str) -> list[Task]:
        within = {task.logical_id: task for task in self.tasks.values() if task.stack == stack}
        if not within:
            return []
        last: Task | None = max(within.values(), key=lambda task: task.end)
        path: list[Task] = []
        while last is not None:
            inner = self._critical(last.path) if last.type == NESTED_STACK else []
            path = [*(inner or [last]), *path]
            last = within[last.after] if last.after else None
        return path


def compute_schedule(
    env: ResolvedEnvironment, durations: Durations, without: frozenset[Edge] = frozenset()
) -> Schedule:
    """Return the schedule_resource of a first deployment. ``without`` ignores that one nested stack waits for another.

    Root is created by two operations: what the first one leaves out begins when the first one has ended.
    """
    tasks: dict[str, Task] = {}
    tops = []
    now = 0.0
    for top in env.chain:
        platform = {**top.parameters, **PLATFORM.parameters(top.template)}
        deferred = frozenset(deferred_stacks(top.template, platform))
        end = _stack(top, top.path, now, durations, without, tasks, deferred)
        tops.append((top.path, now, end))
        now = end
    return Schedule(tasks, tuple(tops))


def _stack(
    stack: Stack,
    top: str,
    begin: float,
    durations: Durations,
    without: frozenset[Edge],
    tasks: dict[str, Task],
    deferred: frozenset[str] = frozenset(),
) -> float:
    """Add the tasks of a stack and return when it is complete."""
    children = {child.path.rpartition("/")[2]: child for child in stack.children}
    needs = find_dependencies(stack)
    done: dict[str, Task] = {}

    def schedule_resource(name: str) -> Task:
        """Schedule a resource after those that it depends on."""
        if name in done:
            return done[name]
        # A workload of the second operation may also wait for another one, for its migration.
        awaited = [*first, *sorted(needs[name] & deferred)] if name in deferred else sorted(needs[name])
        before = [schedule_resource(other) for other in awaited if (name, other) not in without]
        last = max(before, key=lambda task: task.end, default=None)
        start = last.end if last else begin
        kind = stack.resources[name].type
        if name in children:
            end = _stack(children[name], top, start, durations, without, tasks)
            took = Duration(end - start, "its resources")
        else:
            took = durations.for_resource(top, f"{stack.path}/{name}".partition("/")[2], kind)
        task = Task(stack.path, name, kind, start, start + took.seconds, took.source, last.logical_id if last else None)
        done[name] = tasks[task.path] = task
        return task

    first = [name for name in stack.resources if name not in deferred]
    return max((schedule_resource(name).end for name in stack.resources), default=begin)


def find_dependencies(stack: Stack) -> dict[str, set[str]]:
    """Return, by logical id, the resources of the same stack that CloudFormation creates before it."""
    return {name: set(_needs(stack, resource)) - {name} for name, resource in stack.resources.items()}


def _needs(stack: Stack, resource: Resource) -> Iterator[str]:
    yield from (name for name in resource.depends_on if name in stack.resources)
    for source in origins(resource.properties):
        if source.stack == stack.path and source.logical_id in stack.resources:
            yield source.logical_id


# --- Avoidable waits ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AvoidableWait:
    """A dependency between two nested stacks, and the time that the deployment would save without it."""

    waits: str
    awaits: str
    parameters: tuple[str, ...]
    gain: float


def find_avoidable_waits(env: ResolvedEnvironment, durations: Durations) -> list[AvoidableWait]:
    """Return single dependencies between nested stacks that extend a first deployment, greatest saving first."""
    before = compute_schedule(env, durations).total
    found = []
    for top in env.chain:
        nested = {one.path.rpartition("/")[2] for one in top.children}
        for waits, awaited in find_dependencies(top).items():
            for awaits in sorted(awaited & nested) if waits in nested else ():
                gain = before - compute_schedule(env, durations, frozenset({(waits, awaits)})).total
                if gain >= 1:
                    found.append(AvoidableWait(waits, awaits, tuple(_wires(top, waits, awaits)), gain))
    return sorted(found, key=lambda cut: (-cut.gain, cut.waits, cut.awaits))


def _wires(stack: Stack, waits: str, awaits: str) -> Iterator[str]:
    """Yield the parameters through which one nested stack reads outputs of another."""
    for name, value in stack.resources[waits].get("Parameters", {}).items():
        if any(source.stack == stack.path and source.logical_id == awaits for source in origins(value)):
            yield name


def find_longest_chain(stack: Stack) -> list[str]:
    """Return the longest chain of nested stacks that depend on each other, first to last."""
    needs = {name: set(found) for name, found in find_dependencies(stack).items()}
    longest: dict[str, list[str]] = {}

    def chain(name: str) -> list[str]:
        if name not in longest:
            longest[name] = [*max((chain(other) for other in sorted(needs[name])), key=len, default=[]), name]
        return longest[name]

    nested = [name for name, resource in stack.resources.items() if resource.type == NESTED_STACK]
    return max((chain(name) for name in sorted(nested)), key=len, default=[])
