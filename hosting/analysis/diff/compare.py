"""Two documents compared down to the values that differ.

Lists are what makes this more than a walk: a member that was put in front must not make all later ones look changed.
Members that have a name are found by it, others by what stays the same around them.
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

# What names a member of a list, the most telling first.
_NAMES = ("Sid", "Name", "Key", "PolicyName", "Id", "ContainerName", "LogicalId", "TargetOriginId", "Type")


@dataclass(frozen=True)
class Difference:
    """One value that differs. A template knows no null, so None means that there is none on that side."""

    path: Path
    before: Json
    after: Json

    @property
    def name(self) -> str:
        return written(self.path)


def written(path: Path) -> str:
    """As people write it: Properties.ContainerDefinitions[app].Image."""
    text = ""
    for step in path:
        text += step if step.startswith("[") or not text else f".{step}"
    return text


def differences(before: Json, after: Json, path: Path = ()) -> Iterator[Difference]:
    """Everything in which two documents differ, as deep as possible."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), (*path, str(key)))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, path)
    elif type(before) is type(after) and before == after:
        return
    elif (documents := _documents(before, after)) is not None:
        # Spaces and the order of keys may differ where the content does not; the text has changed all the same.
        inner = list(differences(*documents, path))
        yield from inner or [Difference(path, before, after)]
    else:
        yield Difference(path, before, after)


def _documents(before: Json, after: Json) -> tuple[Json, Json] | None:
    """JSON inside of texts, such as a dashboard's body."""
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
            yield from differences(old.get(name), new.get(name), (*path, f"[{name}]"))
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
            yield from differences(old_item, new_item, (*path, f"[{new_start + offset}]"))


def _named(before: Sequence[Json], after: Sequence[Json]) -> tuple[dict[str, Json], dict[str, Json]] | None:
    """Both lists by the name of their members, when each member has one of its own."""
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
