"""Permissions for deploy.py's own calls when it plans, deploys and destroys. CloudFormation makes all other calls.

A test compares this table with the deployer's code and with the calls of a rehearsal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    PLAN = "plan"  # planning, which deploying includes
    DEPLOY = "deploy"  # deploying and destroying only


@dataclass(frozen=True)
class DeployerPermission:
    """A permission for calls of deploy.py itself."""

    use: Use
    why: str
    actions: tuple[str, ...]
    condition: Mapping[str, Mapping[str, str]] | None = None  # "{family}" is <project>-<environment>
    # Whether the objects are releases, instead of templates and packages.
    of_releases: bool = False
    # Root parameters. If one of them is set, deploy.py does not make these calls.
    unless: tuple[str, ...] = ()
    # Root parameters. If one of them is empty, deploy.py does not make these calls.
    requires: tuple[str, ...] = ()
    # The type of the resources of which deploy.py makes these calls. Without one it makes none.
    of_type: str = ""


_DATABASE = "AWS::RDS::DBCluster"

DEPLOYER_PERMISSIONS: tuple[DeployerPermission, ...] = (
    DeployerPermission(
        Use.PLAN,
        "ReadStacks",
        (
            "cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks", "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        ),
    ),
    # With IncludeNestedStacks CloudFormation creates and deletes the change sets of nested stacks as the caller.
    DeployerPermission(
        Use.PLAN,
        "PlanChanges",
        (
            "cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:DescribeChangeSet",
            "cloudformation:DescribeEvents", "cloudformation:ListChangeSets", "cloudformation:TagResource",
        ),
    ),
    DeployerPermission(Use.PLAN, "ReadArtifacts", ("s3:GetObject",)),
    # Only new objects: the key of a package or template is the hash of its content, and it is never replaced (Amazon S3
    # User Guide, Enforce conditional writes on Amazon S3 buckets).
    DeployerPermission(Use.PLAN, "AddArtifacts", ("s3:PutObject",), {"Null": {"s3:if-none-match": "false"}}),
    # A record of a release is never replaced either. Only a deployment writes one.
    DeployerPermission(Use.PLAN, "ReadReleases", ("s3:GetObject",), of_releases=True),
    DeployerPermission(
        Use.PLAN,
        "ListReleases",
        ("s3:ListBucket",),
        {"StringLike": {"s3:prefix": "releases/{family}/*"}},
        of_releases=True,
    ),
    DeployerPermission(
        Use.DEPLOY, "AddRelease", ("s3:PutObject",), {"Null": {"s3:if-none-match": "false"}}, of_releases=True,
    ),
    DeployerPermission(
        Use.PLAN,
        "LookUp",
        (
            "acm:DescribeCertificate", "acm:ListCertificates", "acm:ListTagsForCertificate",
            "ec2:DescribeManagedPrefixLists", "ecr:DescribeImages", "ecs:DescribeServices",
        ),
    ),
    DeployerPermission(Use.PLAN, "ReadHostedZone", ("route53:GetHostedZone",), requires=("HostedZoneId",)),
    DeployerPermission(
        Use.DEPLOY,
        "ChangeStacks",
        (
            "cloudformation:CancelUpdateStack", "cloudformation:ContinueUpdateRollback", "cloudformation:DeleteStack",
            "cloudformation:ExecuteChangeSet", "cloudformation:UpdateTerminationProtection",
        ),
    ),
    # Stack policies of production, changed for an allowed replacement and restored.
    DeployerPermission(Use.DEPLOY, "GuardStacks", ("cloudformation:GetStackPolicy", "cloudformation:SetStackPolicy")),
    # CloudFormation reads every resource for this as the caller, which a role for planning is not allowed to do.
    DeployerPermission(
        Use.DEPLOY,
        "DetectDrift",
        (
            "cloudformation:DescribeStackDriftDetectionStatus", "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:DetectStackDrift", "cloudformation:DetectStackResourceDrift",
        ),
    ),
    # CloudFormation cannot remove rules from the VPC's default group.
    DeployerPermission(
        Use.DEPLOY,
        "CloseDefaultGroup",
        (
            "ec2:DescribeSecurityGroups", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
        ),
    ),
    # AWS::RDS::DBCluster has no property for the rotation schedule of the managed password.
    DeployerPermission(
        Use.DEPLOY, "ScheduleRotation", ("secretsmanager:DescribeSecret", "secretsmanager:RotateSecret"),
        of_type=_DATABASE,
    ),
    # An update of a set of addresses empties it. The deployer writes back what operators block and allow.
    DeployerPermission(Use.DEPLOY, "KeepAddresses", ("wafv2:GetIPSet", "wafv2:UpdateIPSet")),
    # A tag protects the images of a release from the lifecycle policy. BatchDeleteImage removes such a tag.
    DeployerPermission(
        Use.DEPLOY, "ProtectImages", ("ecr:BatchDeleteImage", "ecr:BatchGetImage", "ecr:PutImage"),
    ),
    # The load balancer's certificate without a domain: the deployer creates and renews it,
    DeployerPermission(
        Use.DEPLOY,
        "OwnCertificate",
        ("acm:AddTagsToCertificate", "acm:ImportCertificate"),
        unless=("DomainName", "OriginCertificateArn"),
    ),
    # and deletes it with the environment, even if a domain was set later.
    DeployerPermission(
        Use.DEPLOY,
        "DeleteOwnCertificate",
        ("acm:DeleteCertificate",),
        {"StringEquals": {"aws:ResourceTag/hosting-platform:origin-of": "{family}"}},
    ),
    # CloudFormation does not delete a bucket with objects; `destroy` reports that first.
    DeployerPermission(Use.DEPLOY, "LookIntoBuckets", ("s3:ListBucketVersions",)),
    # `destroy --unprotect` disables deletion protection.
    DeployerPermission(
        Use.DEPLOY,
        "LiftProtection",
        ("elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes"),
    ),
    DeployerPermission(
        Use.DEPLOY, "LiftDatabaseProtection", ("rds:DescribeDBClusters", "rds:ModifyDBCluster"), of_type=_DATABASE,
    ),
)  # fmt: skip

# Actions that need no permission.
FREE = frozenset({"sts:GetCallerIdentity"})

# An operation of an API whose permission has another name.
PERMISSION_NAMES = {
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
}
