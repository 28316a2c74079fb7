"""The stacks of an environment as data: their order, names and regions, and which stack feeds which.

The order is one acyclic chain. An output of an earlier stack feeds the parameter of the same name in a later one, and
overrides the value of the parameter file. There are no exports and no lookups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# CloudFront, its certificates, its web ACL and the metrics of both exist only in this region.
EDGE_REGION = "us-east-1"
# The region of a parameter file that names none.
DEFAULT_REGION = "ap-northeast-1"


class StackRole(StrEnum):
    """The purpose of a top-level stack. The value is the name of its template without `.json`."""

    BOOTSTRAP = "bootstrap"
    EDGE = "edge"
    ROOT = "root"
    EDGE_MONITORING = "edge-monitoring"


TEMPLATES: Mapping[StackRole, str] = {role: f"{role}.json" for role in StackRole}
ROOT = TEMPLATES[StackRole.ROOT]
# Every other template is nested in root.
COMPANIONS = tuple(file for file in TEMPLATES.values() if file != ROOT)


def templates_through(role: StackRole | None) -> tuple[str, ...]:
    """Return the templates of the stacks up to and including a role, in their order; all of them for None."""
    files = tuple(TEMPLATES.values())
    return files if role is None else files[: files.index(TEMPLATES[role]) + 1]


@dataclass(frozen=True)
class Stack:
    """A top-level stack of an environment, whether or not it exists yet."""

    role: StackRole
    name: str
    region: str

    @property
    def template(self) -> str:
        """Return the file name of its template."""
        return TEMPLATES[self.role]

    @property
    def label(self) -> str:
        """Return name and region, for messages."""
        return f"{self.name} ({self.region})"


def stack_order(project: str, environment: str, home: str) -> tuple[Stack, ...]:
    """Return the stacks in the order of deployment. `destroy` uses the reverse order and keeps bootstrap."""
    family = f"{project}-{environment}"
    regions = dict.fromkeys((home, EDGE_REGION))
    return (
        *(Stack(StackRole.BOOTSTRAP, f"{project}-bootstrap", region) for region in regions),
        Stack(StackRole.EDGE, f"{family}-edge", EDGE_REGION),
        Stack(StackRole.ROOT, family, home),
        Stack(StackRole.EDGE_MONITORING, f"{family}-edge-monitoring", EDGE_REGION),
    )


def resolve_upstream_outputs(
    stack: Stack, stacks: Sequence[Stack], outputs: Mapping[Stack, Mapping[str, str]]
) -> dict[str, str]:
    """Return the outputs that reach `stack`, by name; of two with one name the nearer stack's output wins."""
    reached: dict[str, str] = {}
    for upstream in upstream_stacks(stack, stacks):
        reached.update(outputs.get(upstream, {}))
    return reached


def upstream_stacks(stack: Stack, stacks: Sequence[Stack]) -> tuple[Stack, ...]:
    """Return the earlier stacks whose outputs reach `stack`.

    Bootstrap exists once per region with a bucket of its own, so its outputs reach only stacks of its own region.
    """
    earlier = stacks[: stacks.index(stack)]
    return tuple(one for one in earlier if one.role is not StackRole.BOOTSTRAP or one.region == stack.region)


def regions(template: str, home: str = DEFAULT_REGION) -> tuple[str, ...]:
    """Return the regions in which a template of templates/ is deployed."""
    found = dict.fromkeys(stack.region for stack in stack_order("", "", home) if stack.template == template)
    return tuple(found) or (home,)
