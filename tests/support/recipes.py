"""Reads the recipes of docs/extending.md and applies them to a copy of the project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# A comment names file and place; the fenced block after it, if any, is the text.
_EDIT = re.compile(
    r"<!-- (?P<file>[\w./-]+): (?P<action>new|append|before|replace|remove)(?: (?P<line>(?!-->)[^\n]*?))? -->\n"
    r"(?:```\w+\n(?P<text>.*?)```\n)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Edit:
    """One change of a file: a new file, or lines at a place that one line of the file marks."""

    file: str
    action: str
    line: str
    text: str

    def apply(self, project: Path) -> None:
        """Change the file. Raises AssertionError if the file has not exactly one such line."""
        path = project / self.file
        if self.action == "new":
            assert not path.exists(), f"{self.file} exists"
            path.write_text(self.text, encoding="utf-8")
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if self.action == "append":
            path.write_text("".join(lines) + self.text, encoding="utf-8")
            return
        places = [number for number, line in enumerate(lines) if line.rstrip("\n").startswith(self.line)]
        assert len(places) == 1, f"{self.file} has {len(places)} lines that begin with {self.line!r}"
        kept = lines[places[0] : places[0] + 1] if self.action == "before" else []
        lines[places[0] : places[0] + 1] = [self.text, *kept]
        path.write_text("".join(lines), encoding="utf-8")


def read_recipes(document: str) -> dict[str, list[Edit]]:
    """Return the edits of each recipe by its heading."""
    recipes = {}
    for section in re.split(r"^## ", document, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        edits = [Edit(m["file"], m["action"], m["line"] or "", m["text"] or "") for m in _EDIT.finditer(body)]
        assert len(edits) == body.count("<!-- "), f"a comment of the recipe {heading} is not understood"
        recipes[heading] = edits
    return recipes
