"""What deploy.py itself asks of AWS while it plans, deploys and destroys: all else CloudFormation does for it.

A test reads the deployer's code and the calls of a rehearsal, and fails when one of them is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    PLAN = "plan"  # planning, and everything that deploying does before
    DEPLOY = "deploy"  # deploying and destroying only


@dataclass(frozen=True)
class Own:
    """A permission for calls of deploy.py's own."""

    use: Use
    why: str
    actions: tuple[str, ...]
    condition: Mapping[str, Mapping[str, str]] | None = None  # "{family}" stands for <project>-<environment>
    # Root parameters; where one of them is given, nobody makes these calls.
    unless: tuple[str, ...] = ()


OWN: tuple[Own, ...] = (
    Own(
        Use.PLAN,
        "ReadStacks",
        (
            "cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks", "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        ),
    ),
    # With IncludeNestedStacks CloudFormation makes and deletes the change sets of nested stacks as the caller.
    Own(
        Use.PLAN,
        "PlanChanges",
        (
            "cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:DescribeChangeSet",
            "cloudformation:ListChangeSets", "cloudformation:TagResource",
        ),
    ),
    Own(Use.PLAN, "ReadArtifacts", ("s3:GetObject",)),
    # Only what is not there yet: an archive or template is addressed by its content and never replaced (Amazon S3 User
    # Guide, Enforce conditional writes on Amazon S3 buckets).
    Own(Use.PLAN, "AddArtifacts", ("s3:PutObject",), {"Null": {"s3:if-none-match": "false"}}),
    Own(
        Use.PLAN,
        "LookUp",
        (
            "acm:DescribeCertificate", "acm:ListCertificates", "acm:ListTagsForCertificate",
            "ec2:DescribeManagedPrefixLists", "ecr:DescribeImages", "ecs:DescribeServices",
        ),
    ),
    Own(
        Use.DEPLOY,
        "ChangeStacks",
        (
            "cloudformation:CancelUpdateStack", "cloudformation:ContinueUpdateRollback", "cloudformation:DeleteStack",
            "cloudformation:ExecuteChangeSet", "cloudformation:UpdateTerminationProtection",
        ),
    ),
    # Stack policies of production, opened for a named allowance and closed again.
    Own(Use.DEPLOY, "GuardStacks", ("cloudformation:GetStackPolicy", "cloudformation:SetStackPolicy")),
    # CloudFormation reads every resource for this, as the caller: a role that only plans could not.
    Own(
        Use.DEPLOY,
        "DetectDrift",
        (
            "cloudformation:DescribeStackDriftDetectionStatus", "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:DetectStackDrift", "cloudformation:DetectStackResourceDrift",
        ),
    ),
    # CloudFormation can add rules to the VPC's default group, and take none away.
    Own(
        Use.DEPLOY,
        "CloseDefaultGroup",
        (
            "ec2:DescribeSecurityGroups", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
        ),
    ),
    # No property of a cluster says when the password that RDS keeps is rotated.
    Own(Use.DEPLOY, "ScheduleRotation", ("secretsmanager:DescribeSecret", "secretsmanager:RotateSecret")),
    # The certificate of the load balancer where nobody gave a domain: made here, renewed here.
    Own(
        Use.DEPLOY,
        "OwnCertificate",
        ("acm:AddTagsToCertificate", "acm:ImportCertificate"),
        unless=("DomainName", "OriginCertificateArn"),
    ),
    # ... and deleted here, with the environment: also when it has got a domain since.
    Own(
        Use.DEPLOY,
        "DeleteOwnCertificate",
        ("acm:DeleteCertificate",),
        {"StringEquals": {"aws:ResourceTag/hosting-platform:origin-of": "{family}"}},
    ),
    # A bucket that holds something is not deleted; destroying says so before it begins.
    Own(Use.DEPLOY, "LookIntoBuckets", ("s3:ListBucketVersions",)),
    # `destroy --unprotect` lifts what forbids the deletion.
    Own(
        Use.DEPLOY,
        "LiftProtection",
        (
            "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "rds:DescribeDBClusters", "rds:ModifyDBCluster",
        ),
    ),
)  # fmt: skip

# IAM asks nobody's permission for these.
FREE = frozenset({"sts:GetCallerIdentity"})

# An operation of an API whose permission has another name.
PERMISSION_OF = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectVersions": "s3:ListBucketVersions"}
