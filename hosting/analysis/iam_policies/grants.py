"""Who may do what to what: the handlers' permissions and deploy.py's own, bound to the environment's resources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hosting.analysis.errors import AnalysisError
from hosting.analysis.iam_policies.actions import bound_to, needed
from hosting.analysis.iam_policies.arns import Names, names_of
from hosting.analysis.iam_policies.calls import OWN, Use
from hosting.analysis.resolve import ResolvedEnvironment, Stack
from hosting.analysis.rules.values import listed

Condition = Mapping[str, Mapping[str, str | list[str]]]

# What a handler does, CloudFormation does with the caller's rights. Bound to that, the rights are worth nothing to
# somebody who holds the credentials and calls the services directly (IAM User Guide, aws:CalledVia).
VIA_CLOUDFORMATION: Condition = {"ForAnyValue:StringEquals": {"aws:CalledVia": ["cloudformation.amazonaws.com"]}}

# Permissions that a type needs though its schema does not say so.
MORE: Mapping[str, tuple[str, ...]] = {
    # CloudFormation calls the function behind a custom resource as the caller.
    "AWS::Lambda::Function": ("lambda:InvokeFunction",),
    # Whoever gives a resource its key lets the service use it (AWS KMS Developer Guide, Grants).
    "AWS::KMS::Key": ("kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey"),
    # A dynamic reference is read as the caller.
    "AWS::SecretsManager::Secret": ("secretsmanager:GetSecretValue",),
    # CloudFront asks whether its distribution may deliver logs (CloudFront Developer Guide, Standard logging v2).
    "AWS::Logs::DeliverySource": ("cloudfront:AllowVendedLogDeliveryForResource",),
    "AWS::CloudFront::Distribution": ("cloudfront:CreateDistribution", "cloudfront:TagResource"),
    # Nested stacks have change sets of their own.
    "AWS::CloudFormation::Stack": (
        "cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
    ),
    # The load balancer looks at the network it is put into (Elastic Load Balancing User Guide, API permissions).
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        "ec2:DescribeAccountAttributes", "ec2:DescribeInternetGateways", "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets", "ec2:DescribeVpcs", "iam:CreateServiceLinkedRole",
    ),
}  # fmt: skip

# The services whose linked role a resource may be the first in the account to need.
LINKED_ROLES: Mapping[str, str] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "ecs.application-autoscaling.amazonaws.com",
    "AWS::Chatbot::SlackChannelConfiguration": "management.chatbot.amazonaws.com",
    "AWS::ECS::Cluster": "ecs.amazonaws.com",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "elasticloadbalancing.amazonaws.com",
    "AWS::Logs::DeliverySource": "delivery.logs.amazonaws.com",
    "AWS::RDS::DBCluster": "rds.amazonaws.com",
    "AWS::WAFv2::LoggingConfiguration": "wafv2.amazonaws.com",
}

_PASS, _LINK = "iam:PassRole", "iam:CreateServiceLinkedRole"


@dataclass(frozen=True)
class Statement:
    """One statement of a policy. `why` becomes its Sid."""

    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Condition | None = None

    def document(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "Sid": self.why,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources) if len(self.resources) > 1 else self.resources[0],
        }
        return body | ({"Condition": self.condition} if self.condition else {})


def plan_statements(env: ResolvedEnvironment) -> list[Statement]:
    """For a role that looks and proposes: it reads, adds archives that are not there, and makes change sets."""
    return _own(env, {Use.PLAN})


def deploy_statements(env: ResolvedEnvironment) -> list[Statement]:
    """For a role that deploys and destroys."""
    own = _own(env, {Use.PLAN, Use.DEPLOY})
    return [*own, *_pass_role(env), *_linked_roles(env), *_handlers(env, own)]


def caller_statements(env: ResolvedEnvironment, role_arn: str) -> list[Statement]:
    """For a role that deploys with `--role-arn`: its own calls, and that role for CloudFormation alone."""
    condition: Condition = {"StringEquals": {"iam:PassedToService": ["cloudformation.amazonaws.com"]}}
    return [*_own(env, {Use.PLAN, Use.DEPLOY}), Statement("PassCloudFormationRole", (_PASS,), (role_arn,), condition)]


def execution_statements(env: ResolvedEnvironment) -> list[Statement]:
    """For the role that CloudFormation assumes: it calls the services itself, so nothing is called via it."""
    via = set(VIA_CLOUDFORMATION)
    return [
        replace(item, condition={key: value for key, value in (item.condition or {}).items() if key not in via} or None)
        for item in (*_pass_role(env), *_linked_roles(env), *_handlers(env, []))
    ]


# --- deploy.py's own calls ---------------------------------------------------------------------------------------


def _own(env: ResolvedEnvironment, uses: set[Use]) -> list[Statement]:
    names = names_of(env)
    found = []
    for own in OWN:
        if own.use not in uses or any(env.environment.parameters.get(name) for name in own.unless):
            continue
        groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for action in own.actions:
            groups[_own_resources(action, names, env)].append(action)
        for number, (resources, actions) in enumerate(sorted(groups.items())):
            condition = _filled(own.condition, names) if own.condition else None
            found.append(Statement(f"{own.why}{number or ''}", tuple(sorted(actions)), resources, condition))
    return found


def _filled(condition: Mapping[str, Mapping[str, str]], names: Names) -> Condition:
    return {
        operator: {key: value.format(family=names.family) for key, value in keys.items()}
        for operator, keys in condition.items()
    }


def _own_resources(action: str, names: Names, env: ResolvedEnvironment) -> tuple[str, ...]:
    if not bound_to(action):
        return ("*",)
    service = action.partition(":")[0]
    # Where deploy.py looks: stacks and certificates in each region of the chain, the rest at home.
    regions = {stack.region for stack in env.chain} if service == "cloudformation" else {names.home}
    stacks = (names.family, names.bootstrap) if service == "cloudformation" else (names.family,)
    return _bound(action, names, sorted((region, stack) for region in regions for stack in stacks))


def _bound(action: str, names: Names, places: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    if action in ("s3:GetObject", "s3:PutObject"):
        # The only objects that anybody deals with while deploying: templates, and archives of functions.
        return names.artifacts
    found = {arn for region, stack in places for arn in names.of(action, bound_to(action), region, stack)}
    if not found:
        raise AnalysisError(
            f"no ARN is known for {action} ({', '.join(bound_to(action))})",
            hint="add a pattern to PATTERNS in iam_policies/arns.py, or the action to UNUSED in actions.py",
        )
    return tuple(sorted(found))


# --- CloudFormation's handlers -----------------------------------------------------------------------------------


def _owner(stack: Stack, names: Names) -> str:
    """The beginning of the names that a stack's resources get."""
    return names.bootstrap if stack.path.startswith("bootstrap") else names.family


def handler_actions(env: ResolvedEnvironment) -> dict[str, set[tuple[str, str]]]:
    """Every permission that a handler of the environment needs, with the regions and stack names it is needed for."""
    names = names_of(env)
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            for action in needed(resource, stack.region) | set(MORE.get(resource.type, ())):
                found[action].add((stack.region, _owner(stack, names)))
    return found


def _handlers(env: ResolvedEnvironment, own: list[Statement]) -> list[Statement]:
    names = names_of(env)
    given = {action: set(item.resources) for item in own if item.condition is None for action in item.actions}
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for action, places in handler_actions(env).items():
        if action in (_PASS, _LINK):
            continue
        resources = _bound(action, names, places) if bound_to(action) else ("*",)
        left = tuple(arn for arn in resources if arn not in given.get(action, set()))
        if left:
            service = "Any" if left == ("*",) else action.partition(":")[0]
            groups[service, left].append(action)
    found = []
    counts: dict[str, int] = defaultdict(int)
    for (service, resources), actions in sorted(groups.items()):
        counts[service] += 1
        why = "Handle" + "".join(part.capitalize() for part in service.split("-")) + f"No{counts[service]}"
        found.append(Statement(why, tuple(sorted(actions)), resources, VIA_CLOUDFORMATION))
    return found


def _pass_role(env: ResolvedEnvironment) -> list[Statement]:
    """Each role only to the services that its own trust policy names."""
    names = names_of(env)
    roles: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for stack in env.stacks.values():
        for role in stack.of_type("AWS::IAM::Role"):
            services = sorted(
                str(service)
                for statement in listed(role.get("AssumeRolePolicyDocument.Statement"))
                for service in listed(statement.get("Principal", {}).get("Service"))
            )
            roles[tuple(services)].add(names.role(stack.path.partition("/")[2], role.logical_id))
    return [
        Statement(
            "Pass" + "".join(part.capitalize() for part in services[0].split(".")[0].replace("-", " ").split()),
            (_PASS,),
            tuple(sorted(arns)),
            {**VIA_CLOUDFORMATION, "StringEquals": {"iam:PassedToService": list(services)}},
        )
        for services, arns in sorted(roles.items())
        if services
    ]


def _linked_roles(env: ResolvedEnvironment) -> list[Statement]:
    services = sorted({LINKED_ROLES[item.type] for item in env.of_type(*LINKED_ROLES)})
    names = names_of(env)
    arn = f"arn:{names.partition}:iam::{names.account}:role/aws-service-role/*"
    condition = {**VIA_CLOUDFORMATION, "StringEquals": {"iam:AWSServiceName": services}}
    return [Statement("MakeLinkedRoles", (_LINK,), (arn,), condition)] if services else []
