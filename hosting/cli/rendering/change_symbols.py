"""Symbols, colours and order of change actions, as in the plans of Terraform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.text import Text

from hosting.model.effects import EFFECTS

SYMBOLS: Mapping[str, tuple[str, str]] = {
    "replace": ("-/+", "bold red"),
    "delete": ("-", "red"),
    "may replace": ("-/+?", "magenta"),
    "modify": ("~", "yellow"),
    "import": ("<=", "cyan"),
    "add": ("+", "green"),
    "unknown": ("?", "yellow"),
    "nothing": ("=", "dim"),
}

VALUE_WIDTH = 48


def format_counts(found: Mapping[str, int]) -> Text:
    """Return the counts of effects in one line, the most severe first."""
    parts = [Text(f"{found[effect]} {effect}", style=SYMBOLS[effect][1]) for effect in EFFECTS if found.get(effect)]
    return (
        Text(", ").join(parts) if parts else Text("no resource changes (outputs, tags or policies only)", style="dim")
    )


def severity_rank(effects: Iterable[str]) -> int:
    """Return the rank of the most severe effect. A smaller rank is more severe."""
    ranks = [EFFECTS.index(effect) if effect in EFFECTS else len(EFFECTS) for effect in effects]
    return min(ranks, default=len(EFFECTS))


def shorten_pair(before: str | None, after: str | None, width: int = VALUE_WIDTH) -> tuple[str, str]:
    """Return both values, each in one line. Long values are cut around the first difference."""
    old, new = (" ".join(text.split()) if text is not None else None for text in (before, after))
    start = 0
    if old is not None and new is not None and max(len(old), len(new)) > width:
        same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        start = max(0, same - width // 3)
    return _cut(old, start, width), _cut(new, start, width)


def _cut(text: str | None, start: int, width: int) -> str:
    if text is None:
        return "(none)"
    if len(text) <= width:
        return text
    shown = text[start : start + width]
    return f"{'...' if start else ''}{shown}{'...' if start + width < len(text) else ''}"
