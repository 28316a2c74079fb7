"""How the resources of an environment are named: the one table of ARN patterns.

A name that a template gives begins with `<project>-<environment>`; one that CloudFormation makes up begins with the
stack's name, which begins the same. Where AWS gives an id (EC2, KMS, CloudFront, ACM) no pattern can be narrower than
the account and the region.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hosting.analysis.errors import AnalysisError
from hosting.analysis.property_schemas import check_shapes
from hosting.analysis.resolve import ResolvedEnvironment

# Where CloudFormation makes up a name of 64 characters it keeps this much of the stack's; of 32 characters, this much.
_KEPT, _KEPT_SHORT = 24, 5
# ... and at least this much of the logical id.
_KEPT_OF_ID = 4

_EC2 = (
    "vpc", "subnet", "route-table", "internet-gateway", "natgateway", "elastic-ip", "security-group",
    "security-group-rule", "vpc-endpoint", "vpc-flow-log", "network-interface",
)  # fmt: skip

# (service, kind of resource as IAM calls it) -> ARNs without "arn:<partition>:".
PATTERNS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("acm", "certificate"): ("acm:{region}:{account}:certificate/*",),
    ("application-autoscaling", "ScalableTarget"): ("application-autoscaling:{region}:{account}:scalable-target/*",),
    ("billing", "billingview"): ("billing::{account}:billingview/primary",),
    ("budgets", "budget"): ("budgets::{account}:budget/{name}-*",),
    ("chatbot", "ChatbotConfiguration"): ("chatbot::{account}:chat-configuration/slack-channel/{name}",),
    ("cloudformation", "stack"): (
        "cloudformation:{region}:{account}:stack/{name}/*",
        "cloudformation:{region}:{account}:stack/{name}-*/*",
    ),
    ("cloudfront", "distribution"): ("cloudfront::{account}:distribution/*",),
    ("cloudfront", "function"): ("cloudfront::{account}:function/{name}-*",),
    ("cloudfront", "origin-access-control"): ("cloudfront::{account}:origin-access-control/*",),
    ("cloudfront", "response-headers-policy"): ("cloudfront::{account}:response-headers-policy/*",),
    ("cloudwatch", "alarm"): ("cloudwatch:{region}:{account}:alarm:{name}-*",),
    ("cloudwatch", "dashboard"): ("cloudwatch::{account}:dashboard/{name}",),
    **{("ec2", kind): (f"ec2:{{region}}:{{account}}:{kind}/*",) for kind in _EC2},
    ("ecr", "repository"): ("ecr:{region}:{account}:repository/{project}/*",),
    ("ecs", "capacity-provider"): ("ecs:{region}:{account}:capacity-provider/FARGATE*",),
    ("ecs", "cluster"): ("ecs:{region}:{account}:cluster/{name}",),
    ("ecs", "service"): ("ecs:{region}:{account}:service/{name}/*",),
    ("ecs", "service-deployment"): ("ecs:{region}:{account}:service-deployment/{name}/*",),
    ("ecs", "task-definition"): ("ecs:{region}:{account}:task-definition/{kept}*:*",),
    ("elasticloadbalancing", "loadbalancer/app/"): (
        "elasticloadbalancing:{region}:{account}:loadbalancer/app/{short}*/*",
    ),
    ("elasticloadbalancing", "listener/app"): ("elasticloadbalancing:{region}:{account}:listener/app/{short}*/*",),
    ("elasticloadbalancing", "listener-rule/app"): (
        "elasticloadbalancing:{region}:{account}:listener-rule/app/{short}*/*",
    ),
    ("elasticloadbalancing", "targetgroup"): ("elasticloadbalancing:{region}:{account}:targetgroup/{short}*/*",),
    ("events", "rule-on-default-event-bus"): ("events:{region}:{account}:rule/{kept}*",),
    ("firehose", "deliverystream"): ("firehose:{region}:{account}:deliverystream/{kept}*",),
    ("iam", "policy"): ("iam::{account}:policy/{kept}*",),
    ("iam", "role"): ("iam::{account}:role/{kept}*",),
    ("kms", "alias"): ("kms:{region}:{account}:alias/{name}-*",),
    ("kms", "key"): ("kms:{region}:{account}:key/*",),
    ("lambda", "function"): ("lambda:{region}:{account}:function:{kept}*",),
    ("logs", "delivery"): ("logs:{region}:{account}:delivery:*",),
    ("logs", "delivery-destination"): ("logs:{region}:{account}:delivery-destination:{name}-*",),
    ("logs", "delivery-source"): ("logs:{region}:{account}:delivery-source:{name}-*",),
    # Services name their groups, and each does it in another way.
    ("logs", "log-group"): (
        "logs:{region}:{account}:log-group:/{name}/*",
        "logs:{region}:{account}:log-group:/aws/*/{name}*",
        "logs:{region}:{account}:log-group:aws-waf-logs-{name}*",
    ),
    ("logs", "log-stream"): ("logs:{region}:{account}:log-group:/aws/*/{name}*:log-stream:*",),
    ("rds", "cluster"): ("rds:{region}:{account}:cluster:{name}",),
    ("rds", "cluster-auto-backup"): ("rds:{region}:{account}:cluster-auto-backup:*",),
    ("rds", "cluster-pg"): ("rds:{region}:{account}:cluster-pg:{name}-*",),
    ("rds", "cluster-snapshot"): ("rds:{region}:{account}:cluster-snapshot:{name}-*",),
    ("rds", "db"): ("rds:{region}:{account}:db:{name}-*",),
    ("rds", "og"): ("rds:{region}:{account}:og:default*",),
    ("rds", "pg"): ("rds:{region}:{account}:pg:default*",),
    ("rds", "snapshot"): ("rds:{region}:{account}:snapshot:{name}-*",),
    ("rds", "subgrp"): ("rds:{region}:{account}:subgrp:{name}-*",),
    ("route53", "change"): ("route53:::change/*",),
    ("route53", "hostedzone"): ("route53:::hostedzone/{zone}",),
    ("s3", "bucket"): ("s3:::{name}-*",),
    ("s3", "object"): ("s3:::{name}-*/*",),
    # Where a template gives a secret no name, CloudFormation names it after the logical id alone.
    ("secretsmanager", "Secret"): (
        "secretsmanager:{region}:{account}:secret:OriginSecret-*",
        "secretsmanager:{region}:{account}:secret:{name}-*",
    ),
    ("sns", "topic"): ("sns:{region}:{account}:{name}-*",),
    ("sqs", "queue"): ("sqs:{region}:{account}:{name}-*",),
    ("wafv2", "managedruleset"): ("wafv2:{region}:{account}:global/managedruleset/*/*",),
    ("wafv2", "webacl"): ("wafv2:{region}:{account}:global/webacl/{name}/*",),
}

# RDS makes the secret of a master user as the caller, and names it after the cluster's id. Nobody here reads it.
_MASTER = ("secretsmanager:{region}:{account}:secret:rds!cluster-*",)
ALSO: Mapping[str, tuple[str, ...]] = {
    "secretsmanager:CreateSecret": _MASTER,
    "secretsmanager:DescribeSecret": _MASTER,
    "secretsmanager:TagResource": _MASTER,
}
ONLY: Mapping[str, tuple[str, ...]] = {"secretsmanager:RotateSecret": _MASTER}


@dataclass(frozen=True)
class Names:
    """What the ARNs of one environment are made of."""

    project: str
    family: str  # "<project>-<environment>": the root stack, and the beginning of every name
    account: str
    home: str
    zone: str  # the hosted zone, or empty

    @property
    def bootstrap(self) -> str:
        return f"{self.project}-bootstrap"

    @property
    def partition(self) -> str:
        if self.home.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.home.startswith("us-gov-") else "aws"

    def role(self, nested: str, logical_id: str) -> str:
        """The roles that CloudFormation names after a stack and a logical id, either of them cut to make room."""
        stack = f"{self.family}-{nested}"[:_KEPT]
        return f"arn:{self.partition}:iam::{self.account}:role/{stack}*-{logical_id[:_KEPT_OF_ID]}*"

    def bucket(self, nested: str, logical_id: str) -> str:
        """The same for a bucket, whose name is in small letters."""
        stack = f"{self.family}-{nested}"[:_KEPT]
        return f"arn:{self.partition}:s3:::{stack}*-{logical_id[:_KEPT_OF_ID]}*".lower()

    @property
    def artifacts(self) -> tuple[str, ...]:
        """What deploy.py uploads. Of the buckets of bootstrap one holds artifacts; the other, access logs."""
        bucket = f"arn:{self.partition}:s3:::{self.bootstrap}-artifactbucket-*"
        return (f"{bucket}/lambda/*", f"{bucket}/templates/*")

    def arns(self, service: str, kind: str, region: str, stack: str) -> tuple[str, ...]:
        """Patterns for a kind of resource in a region, named after the stack that has it. None: not one of ours."""
        return self._filled(PATTERNS.get((service, kind), ()), region, stack)

    def of(self, action: str, kinds: Iterable[str], region: str, stack: str) -> tuple[str, ...]:
        """Patterns for everything that an action is done to."""
        if action in ONLY:
            return self._filled(ONLY[action], region, stack)
        service = action.partition(":")[0]
        found = [arn for kind in kinds for arn in self.arns(service, kind, region, stack)]
        return (*found, *self._filled(ALSO.get(action, ()), region, stack))

    def _filled(self, patterns: tuple[str, ...], region: str, stack: str) -> tuple[str, ...]:
        if not self.zone:
            patterns = tuple(pattern for pattern in patterns if "{zone}" not in pattern)
        # A cut name ends anywhere; one that is whole is followed by a hyphen, so that no longer name begins alike.
        kept = f"{stack}-" if len(stack) < _KEPT else stack[:_KEPT]
        given = {
            "region": region,
            "account": self.account,
            "name": stack,
            "project": self.project,
            "zone": self.zone,
            "kept": kept,
            "short": stack[:_KEPT_SHORT],
        }
        return tuple(f"arn:{self.partition}:" + pattern.format(**given) for pattern in patterns)


def names_of(env: ResolvedEnvironment) -> Names:
    check_shapes(env)
    given = env.environment.parameters
    missing = [key for key in ("Project", "Environment") if not given.get(key)]
    if missing:
        raise AnalysisError(f"{', '.join(missing)} is not given", where=env.environment.file)
    return Names(
        given["Project"],
        f"{given['Project']}-{given['Environment']}",
        env.environment.account,
        env.environment.region,
        given.get("HostedZoneId", ""),
    )
