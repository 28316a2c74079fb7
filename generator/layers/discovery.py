"""Discovery: the private DNS zone with the names of the internal services.

Root nests this template only if there is an internal service. A Cloud Map service is in this stack and not beside its
ECS service, because its deletion fails while tasks are still registered in it.

Cloud Map serves every client in the VPC. Service Connect serves only tasks of ECS services, and neither jobs nor
migrations, and adds a proxy to every task (Amazon ECS Developer Guide, "Service Connect").
"""

from __future__ import annotations

from functools import partial

from troposphere import Sub, Tags, Template
from troposphere.servicediscovery import DnsConfig, DnsRecord, HealthCheckCustomConfig, PrivateDnsNamespace
from troposphere.servicediscovery import Service as Registry

from generator import value_types as v
from generator.resources.dns import PRIVATE_ZONE
from generator.wiring import FrozenConfig, Layer, StackInterface
from generator.workloads import InternalService, Workload


class Config(FrozenConfig):
    """Times in seconds. Clients keep an address for ``ttl``: the app of a stopped task is gone for them so long."""

    ttl: int = 10


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    vpc_id: v.VpcId


class Outputs(StackInterface):
    """Outputs of the nested stack. A project has one for each internal service."""


def build(services: tuple[InternalService, ...], t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the namespace, and a Cloud Map service for each internal service."""
    namespace = t.add_resource(
        PrivateDnsNamespace(
            "Namespace",
            Name=Sub(PRIVATE_ZONE),
            Vpc=inputs.vpc_id,
            Description="Names of the internal services.",
            Tags=Tags(Name=Sub(PRIVATE_ZONE)),
        )
    )
    arns = {}
    for entry in services:
        registry = t.add_resource(registry_of(entry, config, namespace))
        arns[registry_output(entry.name)] = v.RegistryArn(registry.get_att("Arn"))
    return outputs_of(services)(**arns)


def registry_of(entry: InternalService, config: Config, namespace: PrivateDnsNamespace) -> Registry:
    """Return the Cloud Map service in which ECS registers the addresses of the tasks."""
    return Registry(
        f"{entry.name}Registry",
        Name=entry.slug,
        NamespaceId=namespace.ref(),
        Description=f"Addresses of the tasks of {entry.name}.",
        DnsConfig=DnsConfig(DnsRecords=[DnsRecord(Type="A", TTL=str(config.ttl))], RoutingPolicy="MULTIVALUE"),
        # ECS reports the health of its tasks. Without this setting Route 53 would need public endpoints to check.
        HealthCheckCustomConfig=HealthCheckCustomConfig(),
        Tags=Tags(Service=entry.slug),
    )


def registry_output(service: str) -> str:
    """Return the name of the output with the Cloud Map service of an internal service."""
    return f"{service}RegistryArn"


def outputs_of(services: tuple[InternalService, ...]) -> type[Outputs]:
    """Return the outputs: the Cloud Map service of each internal service."""
    own = {registry_output(entry.name): v.RegistryArn for entry in services}
    return type("Outputs", (Outputs,), {"__annotations__": own, "__module__": __name__})


def layer_of(workloads: tuple[Workload, ...]) -> Layer[Config, Inputs, Outputs] | None:
    """Return the layer for the internal services among these workloads, or None if there are none."""
    services = tuple(entry for entry in workloads if isinstance(entry, InternalService))
    if not services:
        return None
    return Layer(
        "Discovery",
        "Discovery: private DNS names of the internal services.",
        Inputs,
        outputs_of(services),
        partial(build, services),
    )
