"""Names of an environment's resources: the only table of ARN patterns.

A name in a template begins with `<project>-<environment>`. A name that CloudFormation generates begins with the stack's
name, which begins the same. For resources with an id from AWS (EC2, KMS, CloudFront, ACM) the narrowest pattern is
account and region.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hosting.analysis.errors import AnalysisError
from hosting.analysis.property_schemas import check_property_types
from hosting.analysis.resolve import ResolvedEnvironment

# Characters of the stack's name that CloudFormation keeps in generated names of 64 and of 32 characters,
_KEPT, _KEPT_SHORT = 24, 5
# and at least this many of the logical id.
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
    ("cloudfront", "origin-request-policy"): ("cloudfront::{account}:origin-request-policy/*",),
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
    ("elasticfilesystem", "access-point"): ("elasticfilesystem:{region}:{account}:access-point/*",),
    ("elasticfilesystem", "file-system"): ("elasticfilesystem:{region}:{account}:file-system/*",),
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
    # Lambda gives a source a UUID.
    ("lambda", "eventSourceMapping"): ("lambda:{region}:{account}:event-source-mapping:*",),
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
    ("scheduler", "schedule"): ("scheduler:{region}:{account}:schedule/default/{kept}*",),
    ("scheduler", "schedule-group"): ("scheduler:{region}:{account}:schedule-group/default",),
    # Where a template gives a secret no name, CloudFormation names it after the logical id alone.
    ("secretsmanager", "Secret"): (
        "secretsmanager:{region}:{account}:secret:OriginSecret-*",
        "secretsmanager:{region}:{account}:secret:NextOriginSecret-*",
        "secretsmanager:{region}:{account}:secret:{name}-*",
        # Secrets of apps.
        "secretsmanager:{region}:{account}:secret:{name}/*",
    ),
    # Cloud Map names both by an id.
    ("servicediscovery", "namespace"): ("servicediscovery:{region}:{account}:namespace/*",),
    ("servicediscovery", "service"): ("servicediscovery:{region}:{account}:service/*",),
    ("sns", "topic"): ("sns:{region}:{account}:{name}-*",),
    ("sqs", "queue"): ("sqs:{region}:{account}:{name}-*",),
    ("wafv2", "ipset"): ("wafv2:{region}:{account}:global/ipset/{name}-*/*",),
    ("wafv2", "managedruleset"): ("wafv2:{region}:{account}:global/managedruleset/*/*",),
    ("wafv2", "webacl"): ("wafv2:{region}:{account}:global/webacl/{name}/*",),
}

# RDS creates the secret of a master user with the caller's permissions and names it by an id. No policy here reads it.
_MASTER = ("secretsmanager:{region}:{account}:secret:{master}",)
ALSO: Mapping[str, tuple[str, ...]] = {
    # Route 53 chooses the id of the zone that Cloud Map creates.
    "route53:DeleteHostedZone": ("route53:::hostedzone/{private_zone}",),
    "route53:GetHostedZone": ("route53:::hostedzone/{private_zone}",),
    "secretsmanager:CreateSecret": _MASTER,
    "secretsmanager:DescribeSecret": _MASTER,
    "secretsmanager:TagResource": _MASTER,
}
ONLY: Mapping[str, tuple[str, ...]] = {"secretsmanager:RotateSecret": _MASTER}


@dataclass(frozen=True)
class Names:
    """The parts of the ARNs of one environment."""

    project: str
    family: str  # "<project>-<environment>": the root stack, and the beginning of every name
    account: str
    home: str
    zone: str  # the hosted zone, or empty
    private_zone: str = ""  # "*" if Cloud Map creates a hosted zone, or empty
    master: str = "rds!cluster-*"  # the names of the secrets of master users; empty without a database

    @property
    def bootstrap(self) -> str:
        return f"{self.project}-bootstrap"

    @property
    def partition(self) -> str:
        if self.home.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.home.startswith("us-gov-") else "aws"

    def role(self, nested: str, logical_id: str) -> str:
        """Return the pattern of a generated role name: stack name and logical id, both shortened."""
        stack = f"{self.family}-{nested}"[:_KEPT]
        return f"arn:{self.partition}:iam::{self.account}:role/{stack}*-{logical_id[:_KEPT_OF_ID]}*"

    def bucket(self, nested: str, logical_id: str) -> str:
        """Return the pattern of a bucket name that CloudFormation generates, in lower case."""
        stack = f"{self.family}-{nested}"[:_KEPT]
        return f"arn:{self.partition}:s3:::{stack}*-{logical_id[:_KEPT_OF_ID]}*".lower()

    @property
    def artifact_bucket(self) -> str:
        """The artifact bucket of bootstrap."""
        return f"arn:{self.partition}:s3:::{self.bootstrap}-artifactbucket-*"

    @property
    def artifacts(self) -> tuple[str, ...]:
        """The templates and packages in the artifact bucket."""
        return (f"{self.artifact_bucket}/lambda/*", f"{self.artifact_bucket}/templates/*")

    def releases(self, action: str) -> tuple[str, ...]:
        """Return the resource of an action on the releases of the environment: the bucket, or objects in it."""
        if action == "s3:ListBucket":
            return (self.artifact_bucket,)
        return (f"{self.artifact_bucket}/releases/{self.family}/*",)

    def arns(self, service: str, kind: str, region: str, stack: str) -> tuple[str, ...]:
        """Return the patterns of a resource type in a region, named after its stack; empty for unknown types."""
        return self._filled(PATTERNS.get((service, kind), ()), region, stack)

    def for_action(self, action: str, kinds: Iterable[str], region: str, stack: str) -> tuple[str, ...]:
        """Return the patterns of all resources of an action."""
        if action in ONLY:
            return self._filled(ONLY[action], region, stack)
        service = action.partition(":")[0]
        found = [arn for kind in kinds for arn in self.arns(service, kind, region, stack)]
        return (*found, *self._filled(ALSO.get(action, ()), region, stack))

    def _filled(self, patterns: tuple[str, ...], region: str, stack: str) -> tuple[str, ...]:
        for part, value in (("{zone}", self.zone), ("{private_zone}", self.private_zone), ("{master}", self.master)):
            if not value:
                patterns = tuple(pattern for pattern in patterns if part not in pattern)
        # A complete name is followed by a hyphen, so that the pattern does not match a longer name; a shortened one
        # is not.
        kept = f"{stack}-" if len(stack) < _KEPT else stack[:_KEPT]
        given = {
            "region": region,
            "account": self.account,
            "name": stack,
            "project": self.project,
            "zone": self.zone,
            "private_zone": self.private_zone,
            "master": self.master,
            "kept": kept,
            "short": stack[:_KEPT_SHORT],
        }
        return tuple(f"arn:{self.partition}:" + pattern.format(**given) for pattern in patterns)


def build_names(env: ResolvedEnvironment) -> Names:
    """Return the names of an environment. Raise AnalysisError without Project or Environment."""
    check_property_types(env)
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
        "*" if env.of_type("AWS::ServiceDiscovery::PrivateDnsNamespace") else "",
        Names.master if env.of_type("AWS::RDS::DBCluster") else "",
    )
