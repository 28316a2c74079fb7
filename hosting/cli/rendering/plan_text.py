"""Render plans as text: data loss, wider permissions, then one tree for each stack, the most severe first."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text
from rich.tree import Tree

from hosting.analysis.cost.difference import MonthlyCost
from hosting.analysis.diff.impossible import Impossible
from hosting.analysis.diff.prediction import NewSecret
from hosting.cli.rendering import change_symbols, impossible, permissions
from hosting.cli.support.plan_permissions import find_permission_changes
from hosting.cli.support.plan_properties import (
    PropertyChange,
    list_property_changes,
    list_replacement_causes,
    mask_value,
)
from hosting.deployer.change_set_filter import is_desired_count_removed
from hosting.deployer.change_sets import Change, ChangeSet
from hosting.deployer.deployment import Kind, StackPlan
from hosting.deployer.safeguards.gates import Allowed, Loss, find_losses
from hosting.model.effects import DESTRUCTIVE_EFFECTS, count_effects

# The effect of a deletion policy or update replace policy on the resource.
FATES: Mapping[str, str] = {
    "Retain": "retained outside the stack",
    "RetainExceptOnCreate": "retained outside the stack",
    "Snapshot": "after a final snapshot",
    "ReplaceAndRetain": "the old resource is retained outside the stack",
    "ReplaceAndSnapshot": "after a snapshot of the old resource",
}
_SHOWN_VALUES = 12
# Up to this number, resources that change only their tags are listed one by one.
_TAGGED = 3


@dataclass(frozen=True)
class PlanReview:
    """The plans of a run with the data that is needed to render them: allowed losses and secret values."""

    plans: Sequence[StackPlan]
    allowed: Allowed = field(default_factory=Allowed)
    hidden: Collection[str] = ()
    # Updates that AWS refuses although CloudFormation computed the change set.
    impossible: Sequence[Impossible] = ()
    new_secrets: Sequence[NewSecret] = ()
    # What the project declares to be other than the default, such as a workload with one task.
    exceptions: Sequence[str] = ()
    cost: MonthlyCost | None = None

    @property
    def losses(self) -> list[Loss]:
        return [one for plan in self.plans for one in find_losses(plan.stack, plan.change_set)]

    @property
    def deferred(self) -> list[StackPlan]:
        return [plan for plan in self.plans if plan.kind is Kind.LATER]

    @property
    def derived(self) -> int:
        return sum(plan.change_set.derived for plan in self.plans if plan.change_set is not None)

    def counts(self) -> dict[str, int]:
        """Return how many resources have each effect, the most severe first."""
        sets = [plan.change_set for plan in self.plans if plan.change_set is not None]
        return count_effects(change.effect for one in sets for _, change in one.walk())

    def mask(self, text: str) -> str:
        """Return a line with secret values masked."""
        return mask_value(text, (), self.hidden) or ""


def render_plan(review: PlanReview, *, verbose: bool = False) -> Iterator[Tree | Text]:
    """Yield the parts of a plan, the most severe first."""
    yield from impossible.render_impossible(review.impossible, review.mask)
    if found := review.losses:
        yield _render_losses(review, found)
    yield from impossible.render_new_secrets(review.new_secrets)
    yield from permissions.render_permissions(find_permission_changes(review.plans), review.mask, verbose=verbose)
    for plan in review.plans:
        yield _render_stack(review, plan, verbose=verbose)
    yield Text()
    yield from (Text(f"declared: {sentence}", style="yellow") for sentence in review.exceptions)
    if review.cost is not None:
        yield Text(review.cost.sentence, style="dim")
    yield render_summary(review)
    if review.derived and not verbose:
        listed = "1 resource is" if review.derived == 1 else f"{review.derived} resources are"
        yield Text(f"{listed} listed by CloudFormation but will not change (-v shows them).", style="dim")


def render_summary(review: PlanReview) -> Text:
    """Return the changes of all stacks in one line."""
    total, deferred = review.counts(), review.deferred
    if not total and all(plan.kind is Kind.NOTHING for plan in review.plans):
        return Text("Nothing to change.", style="green")
    text = Text("Changes: ")
    if total:
        text += change_symbols.format_counts(total)
    elif deferred:
        text.append("none computed yet")
    else:
        text += change_symbols.format_counts({})
    if deferred:
        resources = sum(sum(plan.declares.values()) for plan in deferred)
        text.append(f", and later {len(deferred)} stack{'s' * (len(deferred) > 1)} with about {resources} resources")
    if later := [count for plan in review.plans if plan.is_platform_only for count in plan.declares.values()]:
        text.append(f", and then {len(later)} layers with about {sum(later)} resources")
    if number := len(review.impossible):
        text.append(f"; {number} of them {'are' if number > 1 else 'is'} impossible", style="bold red")
    if number := len(review.losses):
        text.append(f"; {number} of them lose{'s' * (number == 1)} data", style="bold red")
    if number := sum(access.is_broader for access in find_permission_changes(review.plans)):
        text.append(f"; {number} resource{'s' * (number > 1)} with wider permissions", style="bold red")
    return text


def describe_replacement(change: Change, hidden: Collection[str] = ()) -> str:
    """Return the reason why CloudFormation replaces a resource or may replace it."""
    found = list_replacement_causes(change, hidden)
    names = ", ".join(dict.fromkeys(re.split(r"[.\[]", value.name)[0] for value in found if value.recreation))
    if not names:
        return ""
    if change.effect == "replace" and not all(value.dynamic for value in found):
        return f"{names} cannot be changed in place"
    if all(value.dynamic for value in found):
        return f"if {names} changes, which is known only during the deployment"
    return f"{names} cannot always be changed in place"


def describe_deferred_stack(plan: StackPlan) -> str:
    """Return the text for a stack whose change set depends on stacks that are not deployed yet."""
    what = "updated" if plan.exists else "created"
    names = list(dict.fromkeys(stack.name for stack in plan.after))
    verb = "is" if len(names) == 1 else "are"
    return f"will be {what}; " + (
        plan.note or f"the change set is computed after {' and '.join(names)} {verb} deployed"
    )


def severity_key(change: Change) -> tuple[int, str]:
    """Return the sort key: the most severe change first, then by name."""
    if change.nested is not None and change.nested.effective:
        return change_symbols.severity_rank(change.nested.counts()), change.logical_id
    return change_symbols.severity_rank([change.effect]), change.logical_id


def _render_losses(review: PlanReview, found: Sequence[Loss]) -> Tree:
    tree = Tree(Text("Data loss", style="bold red"))
    for one in found:
        mark, style = change_symbols.SYMBOLS[one.effect]
        line = Text.assemble((f"{mark} {one.name}", style), f"  {one.effect}: {one.what}")
        if one.policy in FATES:
            line.append(f", {FATES[one.policy]}", style="cyan")
        if review.allowed.covers(one):
            line.append("  allowed", style="yellow")
        else:
            line.append(f"  refused without {one.option}", style="bold")
        tree.add(line)
    return tree


def _render_stack(review: PlanReview, plan: StackPlan, *, verbose: bool) -> Tree:
    title = Text.assemble((plan.stack.name, "bold"), (f" ({plan.stack.region})", "dim"), "  ")
    if plan.kind is Kind.LATER:
        tree = Tree(title + Text(describe_deferred_stack(plan), style="green"))
        for layer, count in plan.declares.items():
            tree.add(Text(f"{layer or 'resources'}: about {count}", style="dim"))
        return tree
    if plan.change_set is None:
        return Tree(title + Text("nothing to change", style="dim"))
    tree = Tree(title + Text(f"{plan.kind}  ") + change_symbols.format_counts(plan.change_set.counts()))
    if plan.change_set.flat:
        names = ", ".join(change.logical_id for change in plan.change_set.hidden)
        shown = f"--flat: the changes in {names} are not shown" if names else "--flat: no nested stack changes"
        tree.add(Text(shown, style="bold yellow"))
    _add_changes(review, tree, plan.change_set, verbose=verbose)
    if plan.is_platform_only:
        later = tree.add(Text("then, in an update of their own, which is rolled back if it fails:", style="green"))
        for layer, count in plan.declares.items():
            later.add(Text(f"{layer}: about {count}", style="dim"))
    return tree


def _add_changes(review: PlanReview, tree: Tree, change_set: ChangeSet, *, verbose: bool) -> None:
    tagged = [] if verbose else [change for change in change_set.effective if change.is_about_tags]
    # A change of stack tags changes every resource: the list would hide the other changes.
    folded = tagged if len(tagged) > _TAGGED else []
    for change in sorted(change_set.changes if verbose else change_set.effective, key=severity_key):
        if change in folded:
            continue
        nested = change.nested
        if nested is None or not (nested.changes if verbose else nested.effective):
            branch = tree.add(_render_change(review, change))
            for line in _render_values(review, change, verbose=verbose):
                branch.add(line)
            continue
        counts = nested.counts()
        whole = {"Add": "  the whole layer is created", "Remove": "  the whole layer is deleted"}.get(change.action, "")
        branch = tree.add(
            Text.assemble((change.logical_id, "bold"), "  ") + change_symbols.format_counts(counts) + Text(whole)
        )
        # Additions are counted. Changes and losses are listed one by one.
        if verbose or set(counts) != {"add"}:
            _add_changes(review, branch, nested, verbose=verbose)
    if folded:
        mark, style = change_symbols.SYMBOLS["modify"]
        tree.add(Text.assemble((f"{mark} {len(folded)} resources", style), "  only their tags (-v lists them)"))


def _render_change(review: PlanReview, change: Change) -> Text:
    mark, style = change_symbols.SYMBOLS[change.effect]
    line = Text.assemble((f"{mark} {change.logical_id}", style), "  ", (change.resource_type, "dim"))
    if change.effect in {"replace", "may replace"}:
        line.append(f"  {change.effect}", style=style)
        if why := describe_replacement(change, review.hidden):
            line.append(f": {why}", style=style)
    if change.effect == "nothing":
        scales = any(is_desired_count_removed(change, detail) for detail in change.details)
        left = "desired count unchanged: Application Auto Scaling controls it"
        line.append(f"  {left if scales else 'derived, will not change'}", style="dim")
    if change.effect in DESTRUCTIVE_EFFECTS and change.policy_action in FATES:
        line.append(f", {FATES[change.policy_action]}", style="cyan")
    return line


def _render_values(review: PlanReview, change: Change, *, verbose: bool) -> Iterator[Text]:
    if change.action != "Modify":
        return
    found = list_property_changes(change, review.hidden, derived=verbose)
    shown = found if verbose else found[:_SHOWN_VALUES]
    for value in shown:
        yield render_value(value)
    if len(shown) < len(found):
        yield Text(f"and {len(found) - len(shown)} more values (-v lists them)", style="dim")


def render_value(
    value: PropertyChange, excerpt: Callable[[str | None, str | None], tuple[str, str]] = change_symbols.shorten_pair
) -> Text:
    """Return one value before and after the change."""
    if value.before is None and value.after is None:
        return Text(value.name, style="dim")
    before, after = excerpt(value.before, value.after)
    style = "dim" if value.derived else ""
    return Text.assemble(
        (f"{value.name}: ", style), (before, style or "red"), " -> ", (after, style or "green"),
        ("  derived" if value.derived else "", "dim"),
    )  # fmt: skip
