"""Render updates that AWS refuses, and secrets that get a new value, for `diff`, `plan` and `deploy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.text import Text
from rich.tree import Tree

from hosting.analysis.diff.impossible import Impossible
from hosting.analysis.diff.prediction import NewSecret
from hosting.cli.rendering import permissions
from hosting.cli.rendering.markdown import format_code


def render_impossible(found: Sequence[Impossible], mask: Callable[[str], str]) -> Iterator[Tree]:
    """Yield the updates that AWS refuses, each with the reason and a way."""
    if not found:
        return
    tree = Tree(Text("Impossible: AWS refuses these updates", style="bold red"))
    for one in found:
        branch = tree.add(Text.assemble(("/".join(one.path), "bold red"), f"  {one.type}"))
        branch.add(Text(mask(f"{one.reason}.")))
        branch.add(Text(mask(f"{one.way}."), style="cyan"))
    yield tree


def render_new_secrets(found: Sequence[NewSecret]) -> Iterator[Tree]:
    """Yield the secrets that get a newly generated value, with the resources that use them."""
    if not found:
        return
    tree = Tree(Text("New secret values", style="bold yellow"))
    for one in found:
        branch = tree.add(
            Text.assemble(("/".join(one.path), "bold yellow"), f"  a new value is generated: {one.reason}")
        )
        if one.users:
            names = permissions.shorten(", ".join(one.user_names), 110)
            branch.add(Text(f"used by {names}; each keeps the old value until it is updated or restarted", style="dim"))
    yield tree


def build_impossible(found: Sequence[Impossible], mask: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the updates that AWS refuses, for the documents of `diff` and `plan`."""
    return [
        {
            "stack": one.stack.split("/")[0],
            "path": list(one.path),
            "type": one.type,
            "reason": mask(one.reason),
            "way": mask(one.way),
        }
        for one in found
    ]


def build_new_secrets(found: Sequence[NewSecret]) -> list[dict[str, Any]]:
    """Return the secrets that get a new value, for the documents of `diff` and `plan`."""
    return [{"path": list(one.path), "reason": one.reason, "users": list(one.user_names)} for one in found]


def format_impossible(found: Sequence[Impossible], mask: Callable[[str], str]) -> list[str]:
    """Return the updates that AWS refuses as lines of Markdown; empty if there are none."""
    if not found:
        return []
    lines = ["**Impossible: AWS refuses these updates**", ""]
    for one in found:
        lines.append(f"- {format_code('/'.join(one.path))} ({one.type}): {mask(one.reason)}.")
        lines.append(f"  - {mask(one.way)}.")
    return [*lines, ""]


def format_new_secrets(found: Sequence[NewSecret]) -> list[str]:
    """Return the secrets that get a new value as lines of Markdown; empty if there are none."""
    if not found:
        return []
    lines = [f"- {format_code('/'.join(one.path))}: {one.reason}" for one in found]
    return ["**New secret values**", "", *lines, ""]
