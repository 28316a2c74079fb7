"""The claims of one environment, each with references to the templates and the generator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hosting.analysis.errors import AnalysisError
from hosting.analysis.findings import SourceMap, source_line
from hosting.analysis.property_schemas import check_property_types
from hosting.analysis.reachability.claims import list_claims
from hosting.analysis.reachability.network_model import NetworkModel
from hosting.analysis.reachability.traffic import Evidence
from hosting.analysis.resolve import ResolvedEnvironment
from hosting.model.declared_exceptions import declared_exceptions


@dataclass(frozen=True)
class SourceReference:
    """The place in the templates and the generator that proves or contradicts a claim."""

    stack: str
    template: str
    logical_id: str
    path: str
    text: str
    source: str  # "generator/layers/network.py:42"


@dataclass(frozen=True)
class ProvedClaim:
    """A claim with the references that prove it, and those that contradict it."""

    id: str
    section: str
    text: str
    because: tuple[SourceReference, ...]
    problems: tuple[SourceReference, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


@dataclass(frozen=True)
class Proof:
    """All claims of one environment."""

    environment: str
    claims: tuple[ProvedClaim, ...]
    # What the project declares to be other than the default, such as a workload with one task.
    exceptions: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return all(claim.holds for claim in self.claims)


def prove(env: ResolvedEnvironment, sources: SourceMap, calls: Iterable[tuple[str, str]] = ()) -> Proof:
    """Evaluate all claims. `calls` are the pairs of services with a direct path that has to be open."""
    check_property_types(env)
    network = NetworkModel(env, frozenset((caller.lower(), callee.lower()) for caller, callee in calls))
    known = {service.name for service in network.services}
    if strangers := sorted({name for pair in network.calls for name in pair} - known):
        raise AnalysisError(
            f"there is no service {', '.join(strangers)}", hint=f"the services are {', '.join(sorted(known))}"
        )

    def reference(evidence: Evidence) -> SourceReference:
        resource = evidence.resource
        template = env.template_name(resource)
        line = source_line(sources, template, resource.logical_id, evidence.path)
        return SourceReference(resource.stack, template, resource.logical_id, evidence.path, evidence.text, line)

    return Proof(
        env.name,
        tuple(
            ProvedClaim(
                claim.id,
                claim.section,
                claim.text,
                tuple(reference(item) for item in claim.because),
                tuple(reference(item) for item in claim.problems),
            )
            for claim in list_claims(network)
        ),
        declared_exceptions(env.stacks["root"].template),
    )
