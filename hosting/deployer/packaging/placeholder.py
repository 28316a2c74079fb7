"""A stand-in for images that nobody has built yet, for the first deployment of an environment.

The platform has to be there before an application can be built for it: its registry, its addresses, its database. So a
first deployment may run any image that answers as the templates expect, and the next one, with the digests of the real
images in the parameter file, replaces it like any other release.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hosting.deployer import stack_parameters
from hosting.deployer.context import Context, States
from hosting.deployer.environment import Environment, service_images, with_parameters
from hosting.model.stack_order import StackRole
from hosting.model.templates import Template


@dataclass(frozen=True)
class PlaceholderImage:
    """One service that starts with the placeholder."""

    parameter: str
    missing_image: str
    # Where the load balancer will ask, as far as the templates say it.
    port: str
    path: str

    def __str__(self) -> str:
        asked = (
            f"GET {self.path} on port {self.port}" if self.port and self.path else "the load balancer's health check"
        )
        missing = f"{self.missing_image} is not in the registry" if self.missing_image else "names no image yet"
        return f"{self.parameter}: {missing}; the placeholder stands in and has to answer {asked}"


def use_placeholders(context: Context, states: States, image: str) -> tuple[Context, list[PlaceholderImage]]:
    """The same environment with the placeholder wherever an image is missing and nothing else is running yet."""
    root = context.stack(StackRole.ROOT)
    template, state = context.template(root), states[root]
    deployed = state.parameters if state is not None else {}
    values = context.environment.file.values
    missing = stack_parameters.find_missing_images(context)
    found = [
        _describe(context.environment, template, name, image)
        for name in service_images(template)
        # What runs is never taken down for a placeholder: there a missing image stays an error.
        if values.get(name) == image or (name in missing and deployed.get(name, image) == image)
    ]
    if not found:
        return context, []
    overrides = [f"{one.parameter}={image}" for one in found]
    return replace(context, environment=with_parameters(context.environment, overrides)), found


def _describe(environment: Environment, root: Template, parameter: str, image: str) -> PlaceholderImage:
    said = environment.file.values.get(parameter, "")
    nested = root.resources.get(f"{parameter.removesuffix('Image')}ServiceStack", {})
    given = nested.get("Properties", {}).get("Parameters", {})
    port, path = (str(given.get(name, "")) for name in ("ContainerPort", "HealthCheckPath"))
    return PlaceholderImage(parameter, "" if said == image else said, port, path)
