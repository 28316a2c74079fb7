"""Render changes of permissions and security group rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.text import Text
from rich.tree import Tree

from hosting.analysis.diff.permissions import PermissionChange
from hosting.analysis.diff.statements import PermissionDifference

_WIDE = 160
_FEW = 12

Mask = Callable[[str], str]


def render_permissions(
    found: Sequence[PermissionChange], mask: Mask, *, verbose: bool = False
) -> Iterator[Tree | Text]:
    """Yield the permissions that widen, then the others if they are few or `verbose` is set."""
    if broader := [access for access in found if access.is_broader]:
        yield _render_tree(Text("Permissions widen", style="bold red"), broader, mask)
    rest = [access for access in found if not access.is_broader]
    if rest and (verbose or len(rest) <= _FEW):
        yield _render_tree(Text("Permissions and rules change without widening", style="bold"), rest, mask)
    elif rest:
        yield Text(f"Permissions and rules of {len(rest)} resources change without widening (-v lists them).")


def sort_lines(access: PermissionChange) -> list[PermissionDifference]:
    """Return the lines of a resource, the most severe first."""
    return sorted(access.lines, key=lambda line: (not line.severe, not line.broader))


def shorten(text: str, width: int = _WIDE) -> str:
    """Return the text, cut to the width."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _render_tree(title: Text, found: Sequence[PermissionChange], mask: Mask) -> Tree:
    tree = Tree(title)
    for access in found:
        style = "bold red" if access.is_severe else "bold yellow" if access.is_broader else ""
        place = "/".join(access.path)
        branch = tree.add(Text.assemble((place, style), f"  {access.aspect}  ", (access.type, "dim")))
        for line in sort_lines(access):
            branch.add(_render_line(line, mask))
    return tree


def _render_line(line: PermissionDifference, mask: Mask) -> Text:
    style = {"+": "green", "-": "red", "~": "yellow"}[line.sign]
    text = Text(f"{line.sign} {shorten(mask(line.text))}", style=style)
    if line.broader:
        text.append(f"  {mask(line.broader)}", style="bold red" if line.severe else "bold yellow")
    return text
