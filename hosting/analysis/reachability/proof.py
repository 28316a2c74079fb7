"""The claims of one environment, each with where its evidence stands in the templates and in the generator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hosting.analysis.errors import AnalysisError
from hosting.analysis.findings import SourceMap, source_line
from hosting.analysis.property_schemas import check_shapes
from hosting.analysis.reachability.claims import claims
from hosting.analysis.reachability.network_model import World
from hosting.analysis.reachability.traffic import Evidence
from hosting.analysis.resolve import ResolvedEnvironment


@dataclass(frozen=True)
class Place:
    """Where something stands that carries or contradicts a claim."""

    stack: str
    template: str
    logical_id: str
    path: str
    says: str
    source: str  # "generator/layers/network.py:42"


@dataclass(frozen=True)
class Proved:
    id: str
    section: str
    says: str
    because: tuple[Place, ...]
    problems: tuple[Place, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class Proof:
    environment: str
    claims: tuple[Proved, ...]

    @property
    def holds(self) -> bool:
        return all(claim.holds for claim in self.claims)


def prove(env: ResolvedEnvironment, sources: SourceMap, calls: Iterable[tuple[str, str]] = ()) -> Proof:
    """Look at every claim. `calls` are the pairs of services that are meant to talk to each other directly."""
    check_shapes(env)
    world = World(env, frozenset((caller.lower(), callee.lower()) for caller, callee in calls))
    known = {place.name for place in world.services}
    if strangers := sorted({name for pair in world.calls for name in pair} - known):
        raise AnalysisError(
            f"there is no service {', '.join(strangers)}", hint=f"the services are {', '.join(sorted(known))}"
        )

    def place(evidence: Evidence) -> Place:
        resource = evidence.resource
        template = env.template_of(resource)
        line = source_line(sources, template, resource.logical_id, evidence.path)
        return Place(resource.stack, template, resource.logical_id, evidence.path, evidence.says, line)

    return Proof(
        env.name,
        tuple(
            Proved(
                claim.id,
                claim.section,
                claim.says,
                tuple(place(item) for item in claim.because),
                tuple(place(item) for item in claim.problems),
            )
            for claim in claims(world)
        ),
    )
