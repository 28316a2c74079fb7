"""Evaluation of an ECR lifecycle policy (Amazon ECR User Guide, Lifecycle policy evaluation rules).

No emulator evaluates lifecycle policies.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PushedImage:
    """An image of a repository. `order` counts the pushes; `age` is in days."""

    digest: str
    tags: tuple[str, ...]
    order: int
    age: int = 0


def find_expired(policy: dict[str, Any], images: Iterable[PushedImage]) -> set[str]:
    """Return the digests of the images that the policy expires.

    - Rules apply by priority, the lowest number first.
    - An image that matches the tags of a rule cannot be expired by a rule with a lower priority.
    - A rule counts images that a rule with a higher priority has expired or protected, but does not expire them.
    """
    expired: set[str] = set()
    decided: set[str] = set()
    everything = sorted(images, key=lambda image: -image.order)
    for rule in sorted(policy["rules"], key=lambda rule: int(rule["rulePriority"])):
        selection = rule["selection"]
        matching = [image for image in everything if _matches(selection, image)]
        if selection["countType"] == "imageCountMoreThan":
            candidates = matching[selection["countNumber"] :]
        else:
            candidates = [image for image in matching if image.age > selection["countNumber"]]
        expired |= {image.digest for image in candidates} - decided
        decided |= {image.digest for image in matching}
    return expired


def _matches(selection: dict[str, Any], image: PushedImage) -> bool:
    if selection["tagStatus"] == "untagged":
        return not image.tags
    patterns = selection.get("tagPatternList") or [f"{prefix}*" for prefix in selection.get("tagPrefixList", ())]
    # Each pattern of the list has to match one of the tags.
    return bool(image.tags) and all(any(fnmatch.fnmatchcase(tag, one) for tag in image.tags) for one in patterns)
