"""Reader: a second Aurora instance in the other zone, for read connections and for a failover of the writer.

It is a layer of its own, after ``database``. The first instance of a cluster becomes its writer, and one change must
not restart both instances at once. No layer waits for the reader: until it exists, the reader endpoint leads to the
writer.
"""

from __future__ import annotations

from troposphere import Template

from generator import value_types as v
from generator.interfaces import DbInstanceSettings
from generator.resources.aurora import add_instance
from generator.wiring import FrozenConfig, Layer, StackInterface


class Config(FrozenConfig):
    """The layer has no configuration."""


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    instances: DbInstanceSettings
    second_zone: v.SecondZoneName
    db_cluster_id: v.DbClusterId
    db_subnet_group_name: v.DbSubnetGroupName
    monitoring_role_arn: v.MonitoringRoleArn


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    db_instance_id: v.DbInstanceId


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:  # noqa: ARG001 -- every layer's build looks alike
    """Add the reader instance."""
    reader = add_instance(
        t,
        "ReaderInstance",
        inputs.instances,
        zone=inputs.second_zone,
        tier=1,
        cluster=inputs.db_cluster_id,
        subnets=inputs.db_subnet_group_name,
        monitoring_role=inputs.monitoring_role_arn,
    )
    return Outputs(db_instance_id=v.DbInstanceId(reader.ref()))


LAYER = Layer("Reader", "Reader: second Aurora instance, in the other zone.", Inputs, Outputs, build)
