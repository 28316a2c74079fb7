"""Compares two documents down to the values that differ.

A new member at the beginning of a list must not make all later members differ. Members with a name are matched by name,
others by the unchanged members around them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from hosting.model.tokens import Json

Path = tuple[str, ...]

# Keys that name a member of a list, the most specific first.
_NAMES = ("Sid", "Name", "Key", "PolicyName", "Id", "ContainerName", "LogicalId", "TargetOriginId", "Type")


@dataclass(frozen=True)
class Difference:
    """One value that differs. Templates contain no null, so None means that the value is absent."""

    path: Path
    before: Json
    after: Json

    @property
    def name(self) -> str:
        return format_path(self.path)


def format_path(path: Path) -> str:
    """Return a path as text: Properties.ContainerDefinitions[app].Image."""
    text = ""
    for step in path:
        text += step if step.startswith("[") or not text else f".{step}"
    return text


def compare_documents(before: Json, after: Json, path: Path = ()) -> Iterator[Difference]:
    """Yield all differences of two documents, as deep as possible."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from compare_documents(before.get(key), after.get(key), (*path, str(key)))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, path)
    elif type(before) is type(after) and before == after:
        return
    elif (documents := _documents(before, after)) is not None:
        # White space or the order of keys may differ although the content does not. The text has changed in that case
        # too.
        inner = list(compare_documents(*documents, path))
        yield from inner or [Difference(path, before, after)]
    else:
        yield Difference(path, before, after)


def _documents(before: Json, after: Json) -> tuple[Json, Json] | None:
    """Return two texts parsed as JSON (such as a dashboard's body), or None if they are not JSON."""
    parsed = []
    for text in (before, after):
        if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")):
            return None
        try:
            parsed.append(json.loads(text))
        except ValueError:
            return None
    return (parsed[0], parsed[1]) if type(parsed[0]) is type(parsed[1]) else None


def _lists(before: list[Json], after: list[Json], path: Path) -> Iterator[Difference]:
    was, becomes = [_canonical(item) for item in before], [_canonical(item) for item in after]
    if was == becomes:
        return
    if named := _named(before, after):
        old, new = named
        for name in [*old, *(name for name in new if name not in old)]:
            yield from compare_documents(old.get(name), new.get(name), (*path, f"[{name}]"))
        if [name for name in old if name in new] != [name for name in new if name in old]:
            yield Difference((*path, "[order]"), list(old), list(new))
        return
    if Counter(was) == Counter(becomes):
        yield Difference((*path, "[order]"), before, after)
        return
    for kind, start, end, new_start, new_end in SequenceMatcher(a=was, b=becomes, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        pairs = zip_longest(before[start:end], after[new_start:new_end])
        for offset, (old_item, new_item) in enumerate(pairs):
            yield from compare_documents(old_item, new_item, (*path, f"[{new_start + offset}]"))


def _named(before: Sequence[Json], after: Sequence[Json]) -> tuple[dict[str, Json], dict[str, Json]] | None:
    """Return both lists by the names of their members, or None unless each member has a unique name."""
    if not all(isinstance(item, Mapping) for item in (*before, *after)):
        return None
    for key in _NAMES:
        if all(isinstance(item.get(key), str) for item in (*before, *after)):
            old, new = ({item[key]: item for item in items} for items in (before, after))
            if len(old) == len(before) and len(new) == len(after):
                return old, new
    return None


def _canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, default=str)
