"""Protections against the deletion of an environment: read from AWS, and disabled only if the user asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_rds import RDSClient

STACK = "AWS::CloudFormation::Stack"
CLUSTER = "AWS::RDS::DBCluster"
LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"

_ELB_ATTRIBUTE = "deletion_protection.enabled"
# A resource that was deleted outside of CloudFormation is still listed by its stack, and is not protected.
_NOT_FOUND = frozenset({"DBClusterNotFoundFault", "DBClusterNotFound", "LoadBalancerNotFound"})


@dataclass(frozen=True)
class Protection:
    """Enabled protection of one resource."""

    type: str
    physical_id: str
    name: str

    def __str__(self) -> str:
        what = {STACK: "termination protection", CLUSTER: "the database's deletion protection"}
        return f"{what.get(self.type, 'deletion protection')} of {self.name} is enabled"


def find_protected_clusters(client: RDSClient, found: Iterable[tuple[str, str]]) -> Iterator[Protection]:
    """Yield the protection of each protected database cluster among (name, physical id)."""
    for name, physical_id in found:
        try:
            clusters = client.describe_db_clusters(DBClusterIdentifier=physical_id)["DBClusters"]
        except ClientError as error:
            if _is_not_found(error):
                continue
            raise
        if any(cluster.get("DeletionProtection") for cluster in clusters):
            yield Protection(CLUSTER, physical_id, name)


def find_protected_load_balancers(
    client: ElasticLoadBalancingv2Client, found: Iterable[tuple[str, str]]
) -> Iterator[Protection]:
    """Yield the protection of each protected load balancer among (name, physical id)."""
    for name, physical_id in found:
        try:
            attributes = client.describe_load_balancer_attributes(LoadBalancerArn=physical_id)["Attributes"]
        except ClientError as error:
            if _is_not_found(error):
                continue
            raise
        if {"Key": _ELB_ATTRIBUTE, "Value": "true"} in attributes:
            yield Protection(LOAD_BALANCER, physical_id, name)


def _is_not_found(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in _NOT_FOUND


def disable(
    protection: Protection,
    cloudformation: CloudFormationClient,
    rds: RDSClient,
    elbv2: ElasticLoadBalancingv2Client,
) -> None:
    """Disable a protection. CloudFormation does not do this itself: the deletion would fail in the middle."""
    physical_id = protection.physical_id
    if protection.type == STACK:
        cloudformation.update_termination_protection(StackName=physical_id, EnableTerminationProtection=False)
    elif protection.type == CLUSTER:
        rds.modify_db_cluster(DBClusterIdentifier=physical_id, DeletionProtection=False, ApplyImmediately=True)
    else:
        off = {"Key": _ELB_ATTRIBUTE, "Value": "false"}
        elbv2.modify_load_balancer_attributes(LoadBalancerArn=physical_id, Attributes=[off])  # type: ignore[list-item] # a plain dict is not seen as its TypedDict
