"""Gates of a deployment: the replacement or deletion of stateful resources is refused unless the user allows it by
name.

A name is LAYER/RESOURCE, as the plan shows it: Database/Cluster in a nested stack, edge/TelemetryKey in another
top-level stack. An allowance covers exactly this resource, in this run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosting.deployer.change_sets import Change, ChangeSet
from hosting.deployer.errors import RefusedError
from hosting.model.effects import DESTRUCTIVE_EFFECTS, describe_loss
from hosting.model.errors import InputError, Problem
from hosting.model.parameter_file import suggest
from hosting.model.stack_order import Stack, StackRole
from hosting.model.templates import Template

if TYPE_CHECKING:
    from hosting.deployer.context import Context
    from hosting.deployer.deployment import StackPlan


@dataclass(frozen=True)
class Allowed:
    """Stateful resources whose replacement or deletion the user allows by name."""

    replace: frozenset[str] = frozenset()
    delete: frozenset[str] = frozenset()

    @classmethod
    def named(cls, replace: Iterable[str] = (), delete: Iterable[str] = ()) -> Allowed:
        """Return the allowances for these names. DatabaseStack/Cluster means Database/Cluster."""
        return cls(frozenset(map(_short, replace)), frozenset(map(_short, delete)))

    def covers(self, found: Loss) -> bool:
        return found.name in (self.delete if found.effect == "delete" else self.replace)


@dataclass(frozen=True)
class Loss:
    """Change that loses data, or that may lose data."""

    name: str
    stack: Stack
    path: tuple[str, ...]
    logical_id: str
    type: str
    effect: str
    what: str
    # Retain or Snapshot: the data remains, but the environment no longer uses it.
    policy: str = ""

    @property
    def option(self) -> str:
        return f"--allow-{'delete' if self.effect == 'delete' else 'replace'} {self.name}"

    def __str__(self) -> str:
        verb = {"replace": "is replaced", "may replace": "may be replaced"}.get(self.effect, "is deleted")
        return f"{self.name} {verb} ({self.type}: {self.what})"


_HIDDEN = "its contents are not shown with --flat, and any resource in it may be replaced or deleted"


def _refuse_nothing(_plans: Sequence[StackPlan]) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Gates:
    """Conditions on which a run refuses plans: data losses that are not allowed, and further conditions."""

    allowed: Allowed = Allowed()
    # Yields a message for each change that the command refuses, such as those of --fail-on.
    find_refusals: Callable[[Sequence[StackPlan]], Iterable[str]] = _refuse_nothing

    def check_names(self, context: Context, plans: Sequence[StackPlan]) -> None:
        """Raise an error if an allowed name belongs to no resource."""
        template_name = {stack: context.template(stack) for stack in context.chain}
        known = list_template_resources(template_name, context.environment.templates)
        changed = list_changed_resources((plan.stack, plan.change_set) for plan in plans)
        check_names(self.allowed, {*known, *changed})

    def require(self, plans: Sequence[StackPlan]) -> None:
        """Raise an error if a gate refuses the plans. Nothing has been changed yet."""
        if found := list(self.find_refusals(plans)):
            raise RefusedError("\n  ".join(["refused:", *found] if len(found) > 1 else found))
        require_allowed((one for plan in plans for one in find_losses(plan.stack, plan.change_set)), self.allowed)


def format_resource_name(stack: Stack, path: Sequence[str], logical_id: str) -> str:
    """Return the name of a resource in options and messages."""
    layers = [layer.removesuffix("Stack") for layer in path] or (
        [] if stack.role is StackRole.ROOT else [str(stack.role)]
    )
    return "/".join((*layers, logical_id))


def find_losses(stack: Stack, change_set: ChangeSet | None) -> Iterator[Loss]:
    """Yield the replacements and deletions of stateful resources in a change set."""
    if change_set is None:
        return
    for change in change_set.hidden:
        name = format_resource_name(stack, (), change.logical_id)
        yield Loss(name, stack, (), change.logical_id, change.resource_type, "may replace", _HIDDEN)
    for path, change in change_set.walk():
        if change.effect in DESTRUCTIVE_EFFECTS and (what := _what(change)):
            name = format_resource_name(stack, path, change.logical_id)
            yield Loss(
                name, stack, path, change.logical_id, change.resource_type, change.effect, what, change.policy_action
            )


def require_allowed(found: Iterable[Loss], allowed: Allowed) -> None:
    """Raise RefusedError if a loss is not allowed by name."""
    refused = [one for one in found if not allowed.covers(one)]
    if refused:
        what = "\n  ".join(["this would delete data, or resources that contain everything else:", *map(str, refused)])
        options = " ".join(one.option for one in refused)
        raise RefusedError(what, hint=f"to allow it, add: {options}")


def check_names(allowed: Allowed, known: Iterable[str]) -> None:
    """Raise InputError for an allowed name that no resource has, in the templates or in the change sets."""
    names = sorted(known)
    problems = []
    for option, given in (("--allow-replace", allowed.replace), ("--allow-delete", allowed.delete)):
        for name in sorted(given - set(names)):
            near = suggest(name, names)
            hint = f'did you mean "{near}"?' if near else "a name is LAYER/RESOURCE, such as Database/Cluster"
            problems.append(Problem(option, f'resource "{name}" does not exist', hint))
    if problems:
        raise InputError(problems)


def list_template_resources(chain: Mapping[Stack, Template], templates: Mapping[str, Template]) -> Iterator[str]:
    """Yield the name of every resource in the templates."""
    for stack, template in chain.items():
        yield from _names(stack, (), template, templates)


def _names(stack: Stack, path: tuple[str, ...], template: Template, templates: Mapping[str, Template]) -> Iterator[str]:
    for logical_id in template.resources:
        child = templates.get(template.children.get(logical_id, ""))
        if child is None:
            yield format_resource_name(stack, path, logical_id)
        else:
            yield from _names(stack, (*path, logical_id), child, templates)


def list_changed_resources(change_sets: Iterable[tuple[Stack, ChangeSet | None]]) -> Iterator[str]:
    """Yield the name of every resource in the change sets. A deleted resource is in no template."""
    for stack, change_set in change_sets:
        if change_set is not None:
            yield from (format_resource_name(stack, path, change.logical_id) for path, change in change_set.walk())


def find_unused(allowed: Allowed, found: Iterable[Loss]) -> list[str]:
    """Return the allowances without an effect. The user should remove them: they would allow a later accident."""
    losing = {(one.name, one.effect == "delete") for one in found}
    return [
        f"{option} {name}"
        for option, names, deletes in (
            ("--allow-replace", allowed.replace, False),
            ("--allow-delete", allowed.delete, True),
        )
        for name in sorted(names)
        if (name, deletes) not in losing
    ]


def _what(change: Change) -> str:
    properties = change.properties_before or change.properties_after
    return describe_loss(change.resource_type, change.policy_action, properties)


def _short(name: str) -> str:
    *layers, logical_id = name.split("/")
    return "/".join((*(layer.removesuffix("Stack") for layer in layers), logical_id))
