"""Registers rules, and runs all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hosting.analysis.findings import Finding
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.model.templates import Template


class TemplateLocation(NamedTuple):
    """A resource of a committed template, for rules that do not use resolved resources."""

    template: str
    logical_id: str = ""


class RuleMatch(NamedTuple):
    """A violation: the resource, the property ("Properties.X" or "Parameters.X"), and the message."""

    where: Resource | TemplateLocation
    path: str
    message: str


EnvironmentCheck = Callable[[ResolvedEnvironment], Iterator[RuleMatch]]
TemplateCheck = Callable[[Mapping[str, Template]], Iterator[RuleMatch]]


@dataclass(frozen=True)
class Rule:
    """One rule. Exactly one of the two checks is set."""

    id: str
    title: str
    why: str
    hint: str
    on_environment: EnvironmentCheck | None = None
    on_templates: TemplateCheck | None = None


RULES: dict[str, Rule] = {}


def _add(new: Rule) -> None:
    if new.id in RULES:
        raise ValueError(f"two rules have the id {new.id}")
    RULES[new.id] = new


def environment_rule(id: str, title: str, *, why: str, hint: str) -> Callable[[EnvironmentCheck], EnvironmentCheck]:
    """Register a rule for a resolved environment. `why` ends with the name of the AWS document."""

    def register(check: EnvironmentCheck) -> EnvironmentCheck:
        _add(Rule(id, title, why, hint, on_environment=check))
        return check

    return register


def template_rule(id: str, title: str, *, why: str, hint: str) -> Callable[[TemplateCheck], TemplateCheck]:
    """Register a rule for the committed templates: for how a value is written, not for its result."""

    def register(check: TemplateCheck) -> TemplateCheck:
        _add(Rule(id, title, why, hint, on_templates=check))
        return check

    return register


# Errors of a rule or the resolver for a value of the wrong type.
ShapeError = (AttributeError, IndexError, KeyError, TypeError, ValueError)

OnError = Callable[[str, Exception], None]


def check_rules(
    templates: Mapping[str, Template], environments: Iterable[ResolvedEnvironment], on_error: OnError | None = None
) -> Iterator[Finding]:
    """Yield the findings of all rules. `on_error` receives the error of a rule that fails on a malformed template."""
    for rule in RULES.values():
        if rule.on_templates:
            yield from _run(rule, rule.on_templates(templates), None, on_error)
    for environment in environments:
        for rule in RULES.values():
            if rule.on_environment:
                yield from _run(rule, rule.on_environment(environment), environment, on_error)


def _run(
    rule: Rule, found: Iterator[RuleMatch], environment: ResolvedEnvironment | None, on_error: OnError | None
) -> Iterator[Finding]:
    try:
        for broken in found:
            yield _finding(rule, broken, environment)
    except ShapeError as error:
        if on_error is None:
            raise
        on_error(f"rule {rule.id}", error)


def _finding(rule: Rule, broken: RuleMatch, environment: ResolvedEnvironment | None) -> Finding:
    where, path, message = broken
    if isinstance(where, Resource):
        template = environment.template_name(where) if environment else ""
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
        rule.hint,
        rule.why,
        stack,
        environment.name if environment else "",
    )
