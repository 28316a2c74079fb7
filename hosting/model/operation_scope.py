"""The services that one operation on root deploys: a first deployment has two operations.

The first operation creates the platform: what services need. It runs with DisableRollback, so that a failure keeps the
resources that are complete, and a rerun continues. CloudFormation refuses every replacement in such an operation:
"Replacement type updates not supported on stack with disable-rollback" (CloudFormation User Guide, "Choose how to
handle failures when provisioning resources"). A new image replaces a task definition. So services follow in an ordinary
update with rollback: a service that fails is corrected and deployed again, and the platform is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hosting.model.intrinsics import Evaluator, parameter_values
from hosting.model.templates import Template
from hosting.model.tokens import Json

PLATFORM_ONLY = "PlatformOnly"
SERVICE_IS_INCLUDED = "ServiceIsIncluded"


@dataclass(frozen=True)
class OperationScope:
    """The scope of one operation on root: the platform alone, or the platform and some services."""

    platform_only: bool = False
    # Services that the operation leaves out, because they failed before they existed.
    excluded: frozenset[str] = frozenset()

    @classmethod
    def deployed(cls, template: Template, parameters: Mapping[str, str]) -> OperationScope:
        """Return the scope with which a stack was deployed, so that an operation can leave it unchanged."""
        included = parameters.get(SERVICE_IS_INCLUDED, "").split(",")
        excluded = {name for name, flag in zip(template.services, included, strict=False) if flag == "false"}
        return cls(is_platform_only(parameters), frozenset(excluded))

    def parameters(self, template: Template) -> dict[str, str]:
        """Return the parameters that tell the template the scope; empty if the template declares none."""
        flags = (str(not self.platform_only and name not in self.excluded).lower() for name in template.services)
        values = {PLATFORM_ONLY: str(self.platform_only).lower(), SERVICE_IS_INCLUDED: ",".join(flags)}
        return {name: value for name, value in values.items() if name in template.parameters}


EVERYTHING = OperationScope()
PLATFORM = OperationScope(platform_only=True)


def is_platform_only(parameters: Mapping[str, str]) -> bool:
    """Return whether a stack has, or a plan gives it, only what services need."""
    return parameters.get(PLATFORM_ONLY) == "true"


def deferred_stacks(template: Template, values: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the nested stacks that a later operation creates: those that only the scope's parameters leave out."""

    def present(given: Mapping[str, Json]) -> set[str]:
        evaluator = Evaluator(template, template.name, parameter_values(template, given), {})
        conditions = {name: resource.get("Condition") for name, resource in template.resources.items()}
        return {name for name, condition in conditions.items() if not condition or evaluator.condition(condition)}

    missing = present({**values, **EVERYTHING.parameters(template)}) - present(values)
    return tuple(name for name in template.children if name in missing)
