"""Changes of permissions and rules as people read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.text import Text
from rich.tree import Tree

from hosting.analysis.diff.permissions import Access
from hosting.analysis.diff.statements import Line

_WIDE = 160
_FEW = 12

Mask = Callable[[str], str]


def render_permissions(found: Sequence[Access], words: Mask, *, verbose: bool = False) -> Iterator[Tree | Text]:
    """What gets broader in the open; the rest where it is short or asked for."""
    if broader := [access for access in found if access.is_broader]:
        yield _tree(Text("Gets broader", style="bold red"), broader, words)
    rest = [access for access in found if not access.is_broader]
    if rest and (verbose or len(rest) <= _FEW):
        yield _tree(Text("Permissions and rules that change without getting broader", style="bold"), rest, words)
    elif rest:
        yield Text(f"Permissions and rules: {len(rest)} resources change without getting broader (-v shows them).")


def sort_lines(access: Access) -> list[Line]:
    """A resource's lines, the worst first."""
    return sorted(access.lines, key=lambda line: (not line.severe, not line.broader))


def shorten(text: str, width: int = _WIDE) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _tree(title: Text, found: Sequence[Access], words: Mask) -> Tree:
    tree = Tree(title)
    for access in found:
        style = "bold red" if access.is_severe else "bold yellow" if access.is_broader else ""
        place = "/".join(access.path)
        branch = tree.add(Text.assemble((place, style), f"  {access.aspect}  ", (access.type, "dim")))
        for line in sort_lines(access):
            branch.add(_line(line, words))
    return tree


def _line(line: Line, words: Mask) -> Text:
    style = {"+": "green", "-": "red", "~": "yellow"}[line.sign]
    text = Text(f"{line.sign} {shorten(words(line.text))}", style=style)
    if line.broader:
        text.append(f"  {words(line.broader)}", style="bold red" if line.severe else "bold yellow")
    return text
