"""The types of the failure catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum


class Cause(StrEnum):
    """The kind of a fault, so that the reader knows who has to act."""

    IMAGE = "container image"
    APPLICATION = "the application"
    QUOTA = "quota"
    NAME = "name taken"
    SECRET = "secret"  # noqa: S105 - the name of a cause
    KEY = "encryption key"
    CERTIFICATE = "certificate"
    ZONE = "availability zone"
    VERSION = "version"
    PERMISSION = "permission"
    ROLE = "service-linked role"
    ACCOUNT = "account not enabled"
    ORDER = "order of creation"
    DATA = "holds data"
    IN_USE = "still in use"
    NETWORK = "network"
    INPUT = "wrong value"
    CODE = "custom resource"
    THROTTLING = "throttling"
    AWS = "AWS itself"


class Seen(StrEnum):
    """The place of the text: an event of a stack, a stopped task, or a change set."""

    EVENT = "event"
    TASK = "task"
    CHANGE_SET = "change set"


class Source(StrEnum):
    """The origin of the text, which shows how reliable it is."""

    REPORT = "public report"  # seen in a public issue, with the text
    DOCUMENT = "AWS documentation"
    MODEL = "AWS API model"
    KNOWN = "general knowledge"  # not verified: correct it when you meet it


@dataclass(frozen=True)
class Signature:
    """One way to fail. Named groups of the pattern may be used in `meaning` and `remedy` as `{group}`."""

    name: str
    cause: Cause
    pattern: re.Pattern[str]
    meaning: str
    remedy: str
    document: str
    source: Source
    # Resource types of the text; a trailing `*` matches any rest. Empty: all types.
    types: tuple[str, ...] = ()
    seen: frozenset[Seen] = field(default_factory=lambda: frozenset({Seen.EVENT, Seen.CHANGE_SET}))
    # A general signature is consulted only when no specific one matches.
    general: bool = False

    def applies(self, resource_type: str, seen: Seen) -> bool:
        """Return whether the signature is for this resource type and place."""
        if seen not in self.seen:
            return False
        # A stopped task has no type of its own, and neither has a change set.
        return not self.types or not resource_type or any(_covers(one, resource_type) for one in self.types)


@dataclass(frozen=True)
class Match:
    """A signature found in a text."""

    name: str
    cause: Cause
    meaning: str
    remedy: str
    document: str


def signature(
    name: str,
    cause: Cause,
    pattern: str,
    *,
    meaning: str,
    remedy: str,
    document: str,
    source: Source,
    types: str = "",
    seen: str = "event and change set",
    general: bool = False,
) -> Signature:
    """Return a line of the table; `types` and `seen` are words, so that the table stays a table."""
    return Signature(
        name=name,
        cause=cause,
        pattern=re.compile(pattern, re.IGNORECASE | re.DOTALL),
        meaning=meaning,
        remedy=remedy,
        document=document,
        source=source,
        types=tuple(types.split()),
        seen=frozenset(Seen(word) for word in seen.replace(" and ", ",").split(",")),
        general=general,
    )


def _covers(pattern: str, resource_type: str) -> bool:
    return resource_type.startswith(pattern[:-1]) if pattern.endswith("*") else resource_type == pattern
