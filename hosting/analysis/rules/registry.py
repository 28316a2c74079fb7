"""How a guard is written and run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hosting.analysis.findings import Finding
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.model.templates import Template


class Place(NamedTuple):
    """A place in a committed template, for guards that do not look at resolved resources."""

    template: str
    logical_id: str = ""


class Broken(NamedTuple):
    """What a guard yields: where, which property ("Properties.X", or "Parameters.X" beside resources), and what."""

    where: Resource | Place
    path: str
    message: str


EnvironmentCheck = Callable[[ResolvedEnvironment], Iterator[Broken]]
TemplateCheck = Callable[[Mapping[str, Template]], Iterator[Broken]]


@dataclass(frozen=True)
class Guard:
    """One rule. Exactly one of the two checks is set."""

    id: str
    title: str
    why: str
    remedy: str
    on_environment: EnvironmentCheck | None = None
    on_templates: TemplateCheck | None = None


GUARDS: dict[str, Guard] = {}


def _add(new: Guard) -> None:
    if new.id in GUARDS:
        raise ValueError(f"two guards have the id {new.id}")
    GUARDS[new.id] = new


def guard(id: str, title: str, *, why: str, remedy: str) -> Callable[[EnvironmentCheck], EnvironmentCheck]:
    """Register a guard over an environment with its parameters put in. `why` ends with the AWS document's name."""

    def register(check: EnvironmentCheck) -> EnvironmentCheck:
        _add(Guard(id, title, why, remedy, on_environment=check))
        return check

    return register


def template_guard(id: str, title: str, *, why: str, remedy: str) -> Callable[[TemplateCheck], TemplateCheck]:
    """Register a guard over the committed templates: for how a thing is written, not what it comes to."""

    def register(check: TemplateCheck) -> TemplateCheck:
        _add(Guard(id, title, why, remedy, on_templates=check))
        return check

    return register


# What a guard, or the resolver, runs into when a value has not the shape that its place demands.
ShapeError = (AttributeError, IndexError, KeyError, TypeError, ValueError)

Trouble = Callable[[str, Exception], None]


def guard_findings(
    templates: Mapping[str, Template], environments: Iterable[ResolvedEnvironment], trouble: Trouble | None = None
) -> Iterator[Finding]:
    """What all guards find. Guards take well-formed templates for granted; `trouble` is told of one that stumbles."""
    for rule in GUARDS.values():
        if rule.on_templates:
            yield from _run(rule, rule.on_templates(templates), None, trouble)
    for environment in environments:
        for rule in GUARDS.values():
            if rule.on_environment:
                yield from _run(rule, rule.on_environment(environment), environment, trouble)


def _run(
    rule: Guard, found: Iterator[Broken], environment: ResolvedEnvironment | None, trouble: Trouble | None
) -> Iterator[Finding]:
    try:
        for broken in found:
            yield _finding(rule, broken, environment)
    except ShapeError as error:
        if trouble is None:
            raise
        trouble(f"guard {rule.id}", error)


def _finding(rule: Guard, broken: Broken, environment: ResolvedEnvironment | None) -> Finding:
    where, path, message = broken
    if isinstance(where, Resource):
        template = environment.template_of(where) if environment else ""
        stack = where.stack
    else:
        template, stack = where.template, ""
    return Finding(
        rule.id,
        "error",
        template,
        message,
        where.logical_id,
        path,
        rule.remedy,
        rule.why,
        stack,
        environment.name if environment else "",
    )
