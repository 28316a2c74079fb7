"""An instance of the Aurora cluster, for the two layers that make one."""

from __future__ import annotations

from typing import Annotated

from troposphere import AWSHelperFn, Equals, If, Not, NoValue, Template
from troposphere.rds import DBInstance

from generator import value_types as v
from generator.resources.deletion_policies import deletion_policy
from generator.wiring import StackInterface

MONITORING_SECONDS = 60


class InstanceInputs(StackInterface):
    """What a layer needs to make an instance: base of its Inputs."""

    data_key_arn: v.DataKeyArn
    db_instance_class: Annotated[v.Choice, "Instance class of the database; db.serverless scales by itself."]
    db_insights: Annotated[v.Flag, "true if Performance Insights is on."]


def add_instance(
    t: Template,
    title: str,
    inputs: InstanceInputs,
    *,
    zone: v.ZoneName,
    tier: int,
    cluster: AWSHelperFn,
    subnets: AWSHelperFn,
    monitoring: AWSHelperFn,
) -> DBInstance:
    """``tier`` is the promotion tier: 0 and 1 scale with the writer, so that a failover finds a reader of its size
    (Amazon Aurora User Guide, "Aurora Serverless v2 scaling"). ``monitoring`` is the ARN of a role."""
    t.add_condition("HasInsights", Not(Equals(inputs.db_insights, "false")))
    return t.add_resource(
        DBInstance(
            title,
            Engine="aurora-mysql",
            DBClusterIdentifier=cluster,
            DBInstanceClass=inputs.db_instance_class,
            DBSubnetGroupName=subnets,
            AvailabilityZone=zone,
            PubliclyAccessible=False,
            PromotionTier=tier,
            # AWS would upgrade, and the next deployment ask for the older version, which fails.
            AutoMinorVersionUpgrade=False,
            CACertificateIdentifier="rds-ca-rsa2048-g1",
            MonitoringInterval=MONITORING_SECONDS,
            MonitoringRoleArn=monitoring,
            EnablePerformanceInsights=If("HasInsights", True, False),
            PerformanceInsightsKMSKeyId=If("HasInsights", inputs.data_key_arn, NoValue),
            PerformanceInsightsRetentionPeriod=If("HasInsights", 7, NoValue),
            **deletion_policy("database instance"),
        )
    )
