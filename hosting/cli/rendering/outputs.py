"""Outputs and deletions as people read them. Makes strings and renderables; prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from hosting.deployer.deployment import States
    from hosting.deployer.destroy import Doomed


# --- outputs


def collect_outputs(states: States) -> dict[str, dict[str, str]]:
    """Outputs by stack; a stack of the same name in two regions is told apart by its region."""
    names = Counter(stack.name for stack, state in states.items() if state is not None)
    return {
        stack.name if names[stack.name] == 1 else f"{stack.name} ({stack.region})": dict(sorted(state.outputs.items()))
        for stack, state in states.items()
        if state is not None and state.outputs
    }


def format_outputs(found: Mapping[str, Mapping[str, str]]) -> str:
    width = max((len(key) for values in found.values() for key in values), default=0)
    blocks = []
    for stack, values in found.items():
        blocks.append("\n".join([stack, *(f"  {key:<{width}}  {value}" for key, value in values.items())]))
    return "\n\n".join(blocks)


# --- deletions


def render_deletions(doomed: Sequence[Doomed]) -> Iterator[Tree]:
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
        for bucket in one.full:
            line = (
                f"{bucket.name} is not empty, and EmptyBucketOnDelete is false: empty it first ({bucket.physical_id})"
            )
            tree.add(Text(line, style="bold yellow"))
        for protection in one.protections:
            tree.add(Text(str(protection), style="bold yellow"))
        yield tree
