"""Permissions of CloudFormation's resource handlers and IAM actions, from the data that cfn-lint installs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

from hosting.analysis.errors import AnalysisError
from hosting.analysis.resolve import Resource

# The operations that CloudFormation runs for a stack. "list" is for resources outside stacks.
_OPERATIONS = ("create", "read", "update", "delete")

# Permissions that a handler needs for a feature, and the properties that use the feature. A resource without these
# properties does not need the permission.
UNUSED: Mapping[str, tuple[str, ...]] = {
    "acm-pca:*": ("CertificateAuthorityArn",),
    "cloudfront:*ConnectionGroup": ("ConnectionMode",),
    "cloudfront:GetVpcOrigin": ("VpcOriginConfig",),
    "cloudfront:UpdateDistributionWithStagingConfig": ("ContinuousDeploymentPolicyId",),
    "codewhisperer:*": ("CodeWhisperer",),
    "cognito-idp:*": ("AuthenticateCognitoConfig",),
    "ec2:AcceptAddressTransfer": ("TransferAddress",),
    "ec2:AssociateAddress": ("InstanceId",),
    "ec2:*PrivateNatGatewayAddress": ("SecondaryPrivateIpAddresses",),
    "ec2:AssociateNatGatewayAddress": ("SecondaryAllocationIds",),
    "ec2:DescribeInstances": ("InstanceId",),
    "ec2:DescribeIpamPools": ("IpamPoolId", "Ipv4IpamPoolId"),
    "ec2:*SubnetCidrBlock": ("Ipv6CidrBlock",),
    "ec2:*VpnGateway*": ("VpnGatewayId",),
    "ec2:ModifyVpcTenancy": ("InstanceTenancy",),
    "ec2:*VpcEncryptionControl*": ("VpcEncryptionControl",),
    "ecs:PutAccountSetting*": ("AccountSettings",),
    # Functions and stores use EFS; other types only name it in their schemas.
    "elasticfilesystem:*": ("FileSystemConfigs", "FileSystemId", "FileSystemTags"),
    "elasticfilesystem:*eplicationConfiguration*": ("ReplicationConfiguration",),
    "elasticfilesystem:*LifecycleConfiguration": ("LifecyclePolicies",),
    "elasticloadbalancing:ModifyIpPools": ("Ipv4IpamPoolId",),
    "elasticloadbalancing:*CapacityReservation": ("MinimumLoadBalancerCapacity",),
    "elasticloadbalancing:*registerTargets": ("Targets",),
    "elasticloadbalancing:RegisterTargets": ("Targets",),
    "iam:*tachGroupPolicy": ("Groups",),
    "iam:*tachUserPolicy": ("Users",),
    "iam:*RolePermissionsBoundary": ("PermissionsBoundary",),
    "iam:*RolePolicy": ("Policies",),
    "lambda:*CodeSigningConfig": ("CodeSigningConfigArn",),
    "lambda:*ProvisionedConcurrency*": ("ProvisionedConcurrencyConfig", "ProvisionedConcurrentExecutions"),
    "lambda:*ScalingConfig": ("FunctionScalingConfig",),
    "lambda:GetLayerVersion": ("Layers",),
    "lambda:PassCapacityProvider": ("CapacityProviderConfig",),
    "lambda:PublishVersion": ("PublishToLatestPublished",),
    "logs:*DataProtectionPolicy": ("DataProtectionPolicy",),
    "logs:*IndexPolic*": ("FieldIndexPolicies",),
    "logs:PutBearerTokenAuthentication": ("BearerTokenAuthenticationEnabled",),
    "rds:*GlobalCluster*": ("GlobalClusterIdentifier",),
    "rds:*HttpEndpoint": ("EnableHttpEndpoint",),
    "rds:*RoleToDB*": ("AssociatedRoles",),
    "rds:*RoleFromDB*": ("AssociatedRoles",),
    "rds:*AutomatedBackupsReplication": ("AutomaticBackupReplicationRegion",),
    "rds:CreateDBInstanceReadReplica": ("SourceDBInstanceIdentifier",),
    "rds:PromoteReadReplica": ("SourceDBInstanceIdentifier",),
    "rds:Restore*": (
        "SnapshotIdentifier",
        "DBSnapshotIdentifier",
        "SourceDBClusterIdentifier",
        "UseLatestRestorableTime",
    ),
    # A private namespace of Cloud Map, with the property Vpc, has a hosted zone of its own.
    "route53:*": ("HostedZoneId", "Vpc"),
    "route53:ChangeResourceRecordSets": ("HostedZoneId",),
    "s3:*MetadataTableConfiguration": ("MetadataTableConfiguration",),
    "s3:UpdateBucketMetadata*": ("MetadataConfiguration",),
    "s3:PutReplicationConfiguration": ("ReplicationConfiguration",),
    "s3:*BucketWebsite": ("WebsiteConfiguration",),
    "s3:PutBucketCORS": ("CorsConfiguration",),
    "s3:PutAccelerateConfiguration": ("AccelerateConfiguration",),
    "s3:PutAnalyticsConfiguration": ("AnalyticsConfigurations",),
    "s3:PutInventoryConfiguration": ("InventoryConfigurations",),
    "s3:PutIntelligentTieringConfiguration": ("IntelligentTieringConfigurations",),
    "s3:PutMetricsConfiguration": ("MetricsConfigurations",),
    "s3:PutBucketAbac": ("AbacStatus",),
    "s3:PutBucketAcl": ("AccessControl",),
    "s3:PutObjectAcl": ("AccessControl",),
    "s3:GetObjectVersion": ("S3ObjectVersion",),
    # CloudFormation deletes empty buckets only (CloudFormation Template Reference, AWS::S3::Bucket).
    "s3:DeleteObject": (),
    "s3files:*": ("FileSystemConfigs",),
    "s3tables:*": ("MetadataTableConfiguration", "MetadataConfiguration"),
    "secretsmanager:*eplicat*": ("ReplicaRegions",),
    "sns:*DataProtectionPolicy": ("DataProtectionPolicy",),
    "vpc-lattice:*": ("ServiceNetworkArn",),
    "vpce:*": ("ServiceRegion",),
    "workmail:*": ("WorkMail",),
}


@cache
def _data(*path: str) -> Any:
    with resources.files("cfnlint.data").joinpath(*path).open(encoding="utf-8") as file:
        return json.load(file)


def handler_permissions(kind: str, region: str) -> frozenset[str]:
    """Return the permissions that CloudFormation needs to manage a type; empty for custom resources."""
    if kind.startswith("Custom::"):
        return frozenset()
    name = _data("schemas", "providers", f"{region}.json").get(kind)
    if name is None:
        raise AnalysisError(f"{kind} is not a resource type of {region}", hint="run `deploy.py validate`")
    handlers = _data("schemas", "resources", f"{name}.json").get("handlers", {})
    return frozenset(
        action for operation in _OPERATIONS for action in handlers.get(operation, {}).get("permissions", ())
    )


def is_known(action: str) -> bool:
    """Return whether IAM has this action. Some handlers list API names that are not actions."""
    return _entry(action) is not None


def resource_types(action: str) -> tuple[str, ...]:
    """Return the resource types that an action can be restricted to; empty if IAM accepts only "*"."""
    if action in _CORRECTED:
        return _CORRECTED[action]
    entry = _entry(action) or {}
    return tuple(entry.get("Resources", ()))


# Corrections after the Service Authorization Reference: metrics have no resource type, a delivery source is deleted by
# its own name, and tasks of Fargate have no container instance.
_CORRECTED: Mapping[str, tuple[str, ...]] = {
    "cloudwatch:GetMetricData": (),
    "ecs:ListTasks": (),
    "logs:DeleteDeliverySource": ("delivery-source",),
}


def _entry(action: str) -> Mapping[str, Any] | None:
    service, _, name = action.partition(":")
    found = _data("AdditionalSpecs", "Policies.json").get(service, {}).get("Actions", {}).get(name.lower())
    return found if isinstance(found, dict) else None


def required_actions(resource: Resource, region: str) -> frozenset[str]:
    """Return the permissions of a resource's handler, without those for features that the resource does not use."""
    written = frozenset(_keys(dict(resource.properties)))
    return frozenset(
        action
        for action in handler_permissions(resource.type, region)
        if is_known(action) and not is_unused(action, written)
    )


def is_unused(action: str, properties: frozenset[str]) -> bool:
    return any(fnmatchcase(action, pattern) and not properties & set(needs) for pattern, needs in UNUSED.items())


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*map(str, value), *(key for item in value.values() for key in _keys(item))]
    return [key for item in value for key in _keys(item)] if isinstance(value, list) else []
