"""Placeholder image for services without a built image, for the first deployment of an environment.

An application needs the registry, the addresses and the database of its environment before it can be built. So a first
deployment may run any image that passes the health check of the template. The next deployment replaces it, when the
parameter file contains the digests of the real images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hosting.deployer import stack_parameters
from hosting.deployer.context import Context, States
from hosting.deployer.environment import Environment, list_image_parameters, with_parameters
from hosting.model.stack_order import StackRole
from hosting.model.templates import Template


@dataclass(frozen=True)
class PlaceholderImage:
    """One service that starts with the placeholder."""

    parameter: str
    missing_image: str
    # Port and path of the health check, as far as the templates contain them.
    port: str
    path: str

    def __str__(self) -> str:
        asked = (
            f"GET {self.path} on port {self.port}" if self.port and self.path else "the load balancer's health check"
        )
        missing = f"{self.missing_image} is not in the registry" if self.missing_image else "no image is configured"
        return f"{self.parameter}: {missing}; the placeholder is used and must answer {asked}"


def use_placeholders(context: Context, states: States, image: str) -> tuple[Context, list[PlaceholderImage]]:
    """Return the environment with the placeholder for every service without an image, and the affected services.

    A service that runs already never gets the placeholder: its missing image stays an error.
    """
    root = context.stack(StackRole.ROOT)
    template, state = context.template(root), states[root]
    deployed = state.parameters if state is not None else {}
    values = context.environment.file.values
    missing = stack_parameters.find_missing_images(context)
    found = [
        _describe(context.environment, template, name, image)
        for name in list_image_parameters(template)
        # A running service is not replaced by a placeholder. Its missing image stays an error.
        if values.get(name) == image or (name in missing and deployed.get(name, image) == image)
    ]
    if not found:
        return context, []
    overrides = [f"{one.parameter}={image}" for one in found]
    return replace(context, environment=with_parameters(context.environment, overrides)), found


def _describe(environment: Environment, root: Template, parameter: str, image: str) -> PlaceholderImage:
    configured = environment.file.values.get(parameter, "")
    file = root.children[f"{parameter.removesuffix('Image')}ServiceStack"]
    targets = [
        resource["Properties"]
        for resource in environment.templates[file].resources.values()
        if resource["Type"] == "AWS::ElasticLoadBalancingV2::TargetGroup"
    ]
    port, path = (str(targets[0].get(name, "")) if targets else "" for name in ("Port", "HealthCheckPath"))
    return PlaceholderImage(parameter, "" if configured == image else configured, port, path)
