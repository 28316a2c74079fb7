"""Render stack outputs and the preview of a deletion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from hosting.deployer.deployment import States
    from hosting.deployer.destroy import StackDeletion


# --- outputs


def collect_outputs(states: States) -> dict[str, dict[str, str]]:
    """Return the outputs by stack. The region is added to a stack name that exists in two regions."""
    names = Counter(stack.name for stack, state in states.items() if state is not None)
    return {
        stack.name if names[stack.name] == 1 else f"{stack.name} ({stack.region})": dict(sorted(state.outputs.items()))
        for stack, state in states.items()
        if state is not None and state.outputs
    }


def format_outputs(found: Mapping[str, Mapping[str, str]]) -> str:
    """Return the outputs as aligned text, one block for each stack."""
    width = max((len(key) for values in found.values() for key in values), default=0)
    blocks = []
    for stack, values in found.items():
        blocks.append("\n".join([stack, *(f"  {key:<{width}}  {value}" for key, value in values.items())]))
    return "\n\n".join(blocks)


# --- deletions


def render_deletions(doomed: Sequence[StackDeletion]) -> Iterator[Tree]:
    """Yield a tree for each stack, in the order of deletion: deleted, retained and protected resources."""
    for one in doomed:
        title = Text.assemble(("- ", "red"), (one.stack.name, "bold"), (f" ({one.stack.region})", "dim"))
        title.append(f"  {one.resources - len(one.kept)} of {one.resources} resources deleted")
        if one.kept:
            title.append(f", {len(one.kept)} retained", style="cyan")
        tree = Tree(title)
        for kept in one.kept:
            how = "a final snapshot is created" if kept.policy == "Snapshot" else "retained"
            tree.add(Text.assemble((f"{kept.name}", "cyan"), f"  {how}  ", (f"{kept.type} {kept.physical_id}", "dim")))
        for bucket in one.full:
            line = f"{bucket.name} is not empty and EmptyBucketOnDelete is false. Empty it first: {bucket.physical_id}"
            tree.add(Text(line, style="bold yellow"))
        for protection in one.protections:
            tree.add(Text(str(protection), style="bold yellow"))
        yield tree
