"""Instances of the Aurora cluster. Two layers contain one each."""

from __future__ import annotations

from troposphere import Equals, If, Not, NoValue, Template
from troposphere.rds import DBInstance

from generator import value_types as v
from generator.interfaces import DbInstanceSettings
from generator.resources.deletion_policies import deletion_policy
from generator.resources.suppressions import suppress


def add_instance(
    t: Template,
    title: str,
    settings: DbInstanceSettings,
    *,
    zone: v.ZoneName,
    tier: int,
    cluster: v.DbClusterId,
    subnets: v.DbSubnetGroupName,
    monitoring_role: v.MonitoringRoleArn,
) -> DBInstance:
    """Add an instance to the cluster.

    ``tier`` is the promotion tier. Instances of tier 0 and 1 scale with the writer, so that a failover finds a reader
    of the same size (Amazon Aurora User Guide, "Aurora Serverless v2 scaling").
    """
    t.add_condition("Monitors", Not(Equals(settings.db_monitoring_seconds, "0")))
    return t.add_resource(
        DBInstance(
            title,
            **suppress(
                CKV_AWS_118="Each environment sets the interval. The metrics cost money per instance, so dev sets 0."
            ),
            Engine="aurora-mysql",
            DBClusterIdentifier=cluster,
            DBInstanceClass=settings.db_instance_class,
            DBSubnetGroupName=subnets,
            AvailabilityZone=zone,
            PubliclyAccessible=False,
            PromotionTier=tier,
            # After an automatic upgrade the next deployment would request the older version, which fails.
            AutoMinorVersionUpgrade=False,
            CACertificateIdentifier="rds-ca-rsa2048-g1",
            MonitoringInterval=settings.db_monitoring_seconds,
            # RDS rejects a role with the interval 0.
            MonitoringRoleArn=If("Monitors", monitoring_role, NoValue),
            **deletion_policy("database instance"),
        )
    )
