"""The stacks of an environment as data: their order, names and regions, and what feeds what.

One acyclic chain. An output of an earlier stack feeds the parameter of the same name in a later one, and
wins over the file's value; there are no exports and no lookups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# CloudFront takes its WebACL, certificate and metrics from this region only.
EDGE_REGION = "us-east-1"


class Role(StrEnum):
    BOOTSTRAP = "bootstrap"
    EDGE = "edge"
    ROOT = "root"
    EDGE_MONITORING = "edge-monitoring"


TEMPLATES: Mapping[Role, str] = {role: f"{role}.json" for role in Role}


@dataclass(frozen=True)
class Stack:
    """A stack of the chain, whether or not it exists yet."""

    role: Role
    name: str
    region: str

    @property
    def template(self) -> str:
        return TEMPLATES[self.role]

    @property
    def label(self) -> str:
        return f"{self.name} ({self.region})"


def chain(project: str, environment: str, home: str) -> tuple[Stack, ...]:
    """In the order of deployment; destroying runs backwards and stops before bootstrap."""
    family = f"{project}-{environment}"
    regions = dict.fromkeys((home, EDGE_REGION))
    return (
        *(Stack(Role.BOOTSTRAP, f"{project}-bootstrap", region) for region in regions),
        Stack(Role.EDGE, f"{family}-edge", EDGE_REGION),
        Stack(Role.ROOT, family, home),
        Stack(Role.EDGE_MONITORING, f"{family}-edge-monitoring", EDGE_REGION),
    )


def wired(stack: Stack, stacks: Sequence[Stack], outputs: Mapping[Stack, Mapping[str, str]]) -> dict[str, str]:
    """The outputs that reach `stack`, by name, the nearest earlier stack first.

    Bootstrap stands in each region with a bucket of its own, so its outputs reach its own region only.
    """
    reached: dict[str, str] = {}
    for earlier in stacks[: stacks.index(stack)]:
        if earlier.role is Role.BOOTSTRAP and earlier.region != stack.region:
            continue
        reached.update(outputs.get(earlier, {}))
    return reached


def feeders(stack: Stack, stacks: Sequence[Stack]) -> tuple[Stack, ...]:
    """The earlier stacks whose outputs reach `stack`."""
    earlier = stacks[: stacks.index(stack)]
    return tuple(one for one in earlier if one.role is not Role.BOOTSTRAP or one.region == stack.region)
