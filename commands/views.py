"""Plans, outputs and deletions as text, JSON and markdown. Makes strings and renderables; prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text
from rich.tree import Tree

from deployer.changesets import EFFECTS, Change, ChangeSet, Detail
from deployer.deployment import Kind, StackPlan

if TYPE_CHECKING:
    from deployer.deployment import States
    from deployer.destroy import Doomed

PLAN_SCHEMA = "hosting-platform/plan/1"

_MARKS: Mapping[str, tuple[str, str]] = {
    "replace": ("-/+", "bold red"),
    "delete": ("-", "red"),
    "may replace": ("-/+?", "magenta"),
    "modify": ("~", "yellow"),
    "import": ("<=", "cyan"),
    "add": ("+", "green"),
    "unknown": ("?", "yellow"),
    "nothing": ("=", "dim"),
}
# What becomes of the resource, or of the old one, when it is not simply deleted.
_FATES: Mapping[str, str] = {
    "Retain": "kept outside the stack",
    "Snapshot": "after a last snapshot",
    "ReplaceAndRetain": "the old one is kept outside the stack",
    "ReplaceAndSnapshot": "after a snapshot of the old one",
}
_LOSING = frozenset({"replace", "may replace", "delete"})
_VALUE_WIDTH = 48


# --- plans


def plan_trees(plans: Sequence[StackPlan], *, verbose: bool = False) -> Iterator[Tree | Text]:
    """One tree per stack of the chain, worst changes first."""
    for plan in plans:
        yield _plan_tree(plan, verbose=verbose)
    yield Text()
    yield summary(plans)
    derived = sum(plan.change_set.derived for plan in plans if plan.change_set is not None)
    if derived and not verbose:
        listed = "1 resource is" if derived == 1 else f"{derived} resources are"
        yield Text(f"{listed} listed by CloudFormation but will not change (-v shows them).", style="dim")


def summary(plans: Sequence[StackPlan]) -> Text:
    """All changes of the chain in one line."""
    total: Counter[str] = Counter()
    for plan in plans:
        if plan.change_set is not None:
            total.update(plan.change_set.counts())
    later = [plan for plan in plans if plan.kind is Kind.LATER]
    if not total and not later:
        return Text("Nothing to change.", style="green")
    text = Text("Changes: ") + (_counts(total) if total else Text("none computed yet"))
    if later:
        resources = sum(sum(plan.declares.values()) for plan in later)
        text.append(f", and {len(later)} stack{'s' * (len(later) > 1)} with about {resources} resources afterwards")
    return text


def _plan_tree(plan: StackPlan, *, verbose: bool) -> Tree:
    title = Text.assemble((plan.stack.name, "bold"), (f" ({plan.stack.region})", "dim"), "  ")
    if plan.kind is Kind.LATER:
        tree = Tree(title + Text(_later(plan), style="green"))
        for layer, count in plan.declares.items():
            tree.add(Text(f"{layer or 'resources'}: about {count}", style="dim"))
        return tree
    if plan.change_set is None:
        return Tree(title + Text("nothing to change", style="dim"))
    tree = Tree(title + Text(f"{plan.kind}  ") + _counts(plan.change_set.counts()))
    _add_changes(tree, plan.change_set, verbose=verbose)
    return tree


def _add_changes(tree: Tree, change_set: ChangeSet, *, verbose: bool) -> None:
    shown = change_set.changes if verbose else change_set.effective
    for change in sorted(shown, key=_rank):
        nested = change.nested
        if nested is None or not (nested.changes if verbose else nested.effective):
            branch = tree.add(_line(change))
            for detail in _details(change):
                branch.add(detail)
            continue
        counts = nested.counts()
        branch = tree.add(Text.assemble((change.logical_id, "bold"), "  ") + _counts(counts))
        # What is only added needs no reading line by line; what is changed or lost does.
        if verbose or set(counts) != {"add"}:
            _add_changes(branch, nested, verbose=verbose)


def _rank(change: Change) -> tuple[int, str]:
    if change.nested is not None and change.nested.effective:
        worst = min(_index(effect) for effect in change.nested.counts())
    else:
        worst = _index(change.effect)
    return worst, change.logical_id


def _index(effect: str) -> int:
    return EFFECTS.index(effect) if effect in EFFECTS else len(EFFECTS)


def _line(change: Change) -> Text:
    mark, style = _MARKS[change.effect]
    line = Text.assemble((f"{mark} {change.logical_id}", style), "  ", (change.resource_type, "dim"))
    if change.effect in {"replace", "may replace"}:
        line.append(f"  {change.effect}", style=style)
    if change.effect == "nothing":
        line.append("  derived, will not change", style="dim")
    if change.effect in _LOSING and change.policy_action in _FATES:
        line.append(f", {_FATES[change.policy_action]}", style="cyan")
    return line


def _details(change: Change) -> Iterator[Text]:
    for name, before, after in _differences(change):
        if before is None and after is None:
            yield Text(name, style="dim")
        else:
            yield Text.assemble(f"{name}: ", (_short(before), "red"), " -> ", (_short(after), "green"))


def _differences(change: Change) -> list[tuple[str, str | None, str | None]]:
    """Property, before, after; once each, although CloudFormation may name a property for several causes."""
    found: dict[str, Detail] = {}
    for detail in change.real:
        name = detail.name.removeprefix("/Properties/") or detail.attribute
        if name not in found or (found[name].before is None and detail.before is not None):
            found[name] = detail
    return [(name, detail.before, detail.after) for name, detail in found.items()]


def _short(value: str | None) -> str:
    if value is None:
        return "(none)"
    flat = " ".join(value.split())
    return flat if len(flat) <= _VALUE_WIDTH else flat[: _VALUE_WIDTH - 3] + "..."


def _counts(counts: Mapping[str, int]) -> Text:
    parts = [Text(f"{counts[effect]} {effect}", style=_MARKS[effect][1]) for effect in EFFECTS if counts.get(effect)]
    return (
        Text(", ").join(parts) if parts else Text("no resource changes (outputs, tags or policies only)", style="dim")
    )


def _later(plan: StackPlan) -> str:
    what = "updated" if plan.exists else "created"
    names = list(dict.fromkeys(stack.name for stack in plan.after))
    verb = "is" if len(names) == 1 else "are"
    return f"will be {what}; " + (plan.note or f"exact change set after {' and '.join(names)} {verb} deployed")


def plan_json(plans: Sequence[StackPlan]) -> dict[str, Any]:
    """A stable form for programs: new keys may come, none goes without a new schema number."""
    return {"schema": PLAN_SCHEMA, "stacks": [_stack_json(plan) for plan in plans]}


def _stack_json(plan: StackPlan) -> dict[str, Any]:
    changes = list(plan.change_set.walk()) if plan.change_set is not None else []
    return {
        "stack": plan.stack.name,
        "region": plan.stack.region,
        "kind": str(plan.kind),
        "note": plan.note,
        "after": [stack.name for stack in plan.after],
        "counts": plan.change_set.counts() if plan.change_set is not None else {},
        "changes": [
            {
                "path": [*path, change.logical_id],
                "type": change.resource_type,
                "effect": change.effect,
                "physicalId": change.physical_id,
                "properties": [
                    {"name": name, "before": before, "after": after} for name, before, after in _differences(change)
                ],
            }
            for path, change in changes
        ],
    }


def plan_markdown(plans: Sequence[StackPlan], environment: str) -> str:
    """For a comment on a pull request: a table, and below it what is more than an addition."""
    lines = [f"### Plan for `{environment}`", "", "| Stack | Region | |", "| --- | --- | --- |"]
    worth: list[str] = []
    for plan in plans:
        if plan.kind is Kind.LATER:
            said = _later(plan)
        elif plan.change_set is None:
            said = "nothing to change"
        else:
            said = f"{plan.kind}: {_counts(plan.change_set.counts()).plain}"
            worth += [
                f"- {change.effect} `{'/'.join((*path, change.logical_id))}` ({change.resource_type})"
                for path, change in sorted(plan.change_set.walk(), key=lambda item: _index(item[1].effect))
                if change.effect != "add"
            ]
        lines.append(f"| `{plan.stack.name}` | {plan.stack.region} | {said} |")
    return "\n".join([*lines, *([""] if worth else []), *worth])


# --- outputs


def collect_outputs(states: States) -> dict[str, dict[str, str]]:
    """Outputs by stack; a stack of the same name in two regions is told apart by its region."""
    names = Counter(stack.name for stack, state in states.items() if state is not None)
    return {
        stack.name if names[stack.name] == 1 else f"{stack.name} ({stack.region})": dict(sorted(state.outputs.items()))
        for stack, state in states.items()
        if state is not None and state.outputs
    }


def outputs_text(found: Mapping[str, Mapping[str, str]]) -> str:
    width = max((len(key) for values in found.values() for key in values), default=0)
    blocks = []
    for stack, values in found.items():
        blocks.append("\n".join([stack, *(f"  {key:<{width}}  {value}" for key, value in values.items())]))
    return "\n\n".join(blocks)


# --- deletions


def destroy_tree(doomed: Sequence[Doomed]) -> Iterator[Tree]:
    """What would go and what would stay, in the order of deletion."""
    for one in doomed:
        title = Text.assemble(("- ", "red"), (one.stack.name, "bold"), (f" ({one.stack.region})", "dim"))
        title.append(f"  {one.resources - len(one.kept)} of {one.resources} resources deleted")
        if one.kept:
            title.append(f", {len(one.kept)} kept", style="cyan")
        tree = Tree(title)
        for kept in one.kept:
            how = "a last snapshot is made" if kept.policy == "Snapshot" else "kept"
            tree.add(Text.assemble((f"{kept.name}", "cyan"), f"  {how}  ", (f"{kept.type} {kept.physical_id}", "dim")))
        for protection in one.protections:
            tree.add(Text(str(protection), style="bold yellow"))
        yield tree
