"""The README's tables of parameters and outputs, taken from the contracts so that they cannot lie.

The README holds a pair of comments for each table; what stands between them is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from troposphere import Template

from generator.render import LAYERS

# Filled by deploy.py and not by people: addresses by content, what it looks up, and outputs of earlier stacks.
_FILLED = re.compile(r".*(TemplateKey|CodeKey)$|^(ArtifactBucket|ServiceIsNew|CloudFrontPrefixListId)$")
_COMPANIONS = ("bootstrap.json", "edge.json", "edge-monitoring.json")


class DocumentationError(Exception):
    """The README lacks the place for a table."""


def tables(templates: dict[str, Template]) -> dict[str, str]:
    """Name of the table -> Markdown."""
    return {"parameters": parameter_table(templates), "outputs": output_table(templates)}


def parameter_table(templates: dict[str, Template]) -> str:
    """What people write into params/<env>.json."""
    rows: dict[str, tuple[str, ...]] = {}
    stacks = [name for name in ("root.json", *_COMPANIONS) if name in templates]
    outputs = {title for name in stacks for title in templates[name].outputs}
    for name in stacks:
        for title, parameter in templates[name].parameters.items():
            properties = parameter.to_dict()
            # What an earlier stack puts out is wired; a person gives it only where the template has a default for it.
            wired = title in outputs and "Default" not in properties
            if title in rows or wired or _FILLED.match(title):
                continue
            default = properties.get("Default")
            rows[title] = (
                f"`{title}`",
                "required" if default is None else f"`{default}`" if default != "" else "empty",
                properties["Description"],
                properties.get("ConstraintDescription", ""),
            )
    return table(("Parameter", "Default", "What it is", "Allowed"), rows.values())


def output_table(templates: dict[str, Template]) -> str:
    """What each stack gives, layer by layer in the order of root."""
    order = ["bootstrap.json", "edge.json", *(layer.file for layer in LAYERS), "root.json"]
    rows = [
        (f"`{name.removesuffix('.json')}`", f"`{title}`", output.to_dict()["Description"])
        for name in order
        for title, output in templates[name].outputs.items()
    ]
    return table(("Stack", "Output", "What it is"), rows)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Markdown would take ``<domain>`` for a tag, and ``|`` for the end of the cell."""
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")


def fill(text: str, contents: dict[str, str]) -> str:
    """The README with its tables renewed. Raises DocumentationError when the place for one is missing."""
    for name, content in contents.items():
        place = re.compile(rf"(<!-- {name}: generated -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not place.search(text):
            raise DocumentationError(f"README.md has no place for the table of {name}")
        text = place.sub(lambda match, body=content: f"{match[1]}{body}\n{match[2]}", text)  # type: ignore[misc]
    return text


def is_stale(readme: Path, templates: dict[str, Template]) -> bool:
    text = readme.read_text(encoding="utf-8")
    return fill(text, tables(templates)) != text


def write(readme: Path, templates: dict[str, Template]) -> bool:
    """Renew the tables; whether anything changed."""
    text = readme.read_text(encoding="utf-8")
    renewed = fill(text, tables(templates))
    if renewed != text:
        readme.write_text(renewed, encoding="utf-8", newline="\n")
    return renewed != text
