"""Statements for planning and deploying: permissions of handlers and of deploy.py, for our resources only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hosting.analysis.errors import AnalysisError
from hosting.analysis.iam_policies.actions import required_actions, resource_types
from hosting.analysis.iam_policies.arns import Names, build_names
from hosting.analysis.iam_policies.calls import DEPLOYER_PERMISSIONS, Use
from hosting.analysis.resolve import ResolvedEnvironment, Stack
from hosting.analysis.rules.values import listed
from hosting.model.stack_order import EDGE_REGION

Condition = Mapping[str, Mapping[str, str | list[str]]]

# A handler's calls use the caller's permissions. With this condition the permissions are useless for direct calls with
# the same credentials (IAM User Guide, aws:CalledVia).
VIA_CLOUDFORMATION: Condition = {"ForAnyValue:StringEquals": {"aws:CalledVia": ["cloudformation.amazonaws.com"]}}

# Permissions that a type needs although its schema does not list them.
MORE: Mapping[str, tuple[str, ...]] = {
    # CloudFormation calls the function behind a custom resource as the caller.
    "AWS::Lambda::Function": ("lambda:InvokeFunction",),
    # The caller that sets a resource's key creates a grant for the service (AWS KMS Developer Guide, Grants).
    "AWS::KMS::Key": ("kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey"),
    # A dynamic reference is read as the caller.
    "AWS::SecretsManager::Secret": ("secretsmanager:GetSecretValue",),
    # CloudFront checks this permission for log delivery (CloudFront Developer Guide, Standard logging v2).
    "AWS::Logs::DeliverySource": ("cloudfront:AllowVendedLogDeliveryForResource",),
    "AWS::CloudFront::Distribution": ("cloudfront:CreateDistribution", "cloudfront:TagResource"),
    # Cloud Map deletes the hosted zone of a namespace as the caller (AWS Cloud Map API Reference, DeleteNamespace).
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("route53:DeleteHostedZone",),
    # Nested stacks have change sets of their own.
    "AWS::CloudFormation::Stack": (
        "cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
    ),
    # EFS makes a network interface for a mount target as the caller (Amazon EFS API Reference, CreateMountTarget,
    # DeleteMountTarget and ModifyMountTargetSecurityGroups).
    "AWS::EFS::MountTarget": (
        "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:ModifyNetworkInterfaceAttribute",
    ),
    # Elastic Load Balancing reads the load balancer's network (Elastic Load Balancing User Guide, API permissions).
    "AWS::ElasticLoadBalancingV2::LoadBalancer": (
        "ec2:DescribeAccountAttributes", "ec2:DescribeInternetGateways", "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets", "ec2:DescribeVpcs", "iam:CreateServiceLinkedRole",
    ),
}  # fmt: skip

# Services whose service-linked role the first resource of a type in an account creates.
LINKED_ROLES: Mapping[str, str] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "ecs.application-autoscaling.amazonaws.com",
    "AWS::Chatbot::SlackChannelConfiguration": "management.chatbot.amazonaws.com",
    "AWS::ECS::Cluster": "ecs.amazonaws.com",
    "AWS::EFS::FileSystem": "elasticfilesystem.amazonaws.com",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "elasticloadbalancing.amazonaws.com",
    "AWS::Logs::DeliverySource": "delivery.logs.amazonaws.com",
    "AWS::RDS::DBCluster": "rds.amazonaws.com",
    "AWS::WAFv2::LoggingConfiguration": "wafv2.amazonaws.com",
}

_PASS, _LINK = "iam:PassRole", "iam:CreateServiceLinkedRole"


@dataclass(frozen=True)
class PolicyStatement:
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


def plan_statements(env: ResolvedEnvironment) -> list[PolicyStatement]:
    """Return the statements of a role for planning: it reads, uploads new artifacts, and creates change sets."""
    return _own(env, {Use.PLAN})


def deploy_statements(env: ResolvedEnvironment) -> list[PolicyStatement]:
    """Return the statements of a role that deploys and destroys."""
    own = _own(env, {Use.PLAN, Use.DEPLOY})
    return [*own, *_pass_role(env), *_linked_roles(env), *_handlers(env, own)]


def caller_statements(env: ResolvedEnvironment, role_arn: str) -> list[PolicyStatement]:
    """Return the statements of a role that deploys with `--role-arn`: its own calls, and passing that role."""
    condition: Condition = {"StringEquals": {"iam:PassedToService": ["cloudformation.amazonaws.com"]}}
    return [
        *_own(env, {Use.PLAN, Use.DEPLOY}),
        PolicyStatement("PassCloudFormationRole", (_PASS,), (role_arn,), condition),
    ]


def execution_statements(env: ResolvedEnvironment) -> list[PolicyStatement]:
    """Return the statements of the role that CloudFormation assumes. They have no aws:CalledVia condition."""
    via = set(VIA_CLOUDFORMATION)
    return [
        replace(item, condition={key: value for key, value in (item.condition or {}).items() if key not in via} or None)
        for item in (*_pass_role(env), *_linked_roles(env), *_handlers(env, []))
    ]


# --- deploy.py's own calls ---------------------------------------------------------------------------------------


def _own(env: ResolvedEnvironment, uses: set[Use]) -> list[PolicyStatement]:
    names = build_names(env)
    found = []
    for own in DEPLOYER_PERMISSIONS:
        if own.use not in uses or any(env.environment.parameters.get(name) for name in own.unless):
            continue
        if not all(env.environment.parameters.get(name) for name in own.requires):
            continue
        if own.of_type and not env.of_type(own.of_type):
            continue
        groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for action in own.actions:
            resources = names.releases(action) if own.of_releases else _own_resources(action, names, env)
            groups[resources].append(action)
        for number, (bound, actions) in enumerate(sorted(groups.items())):
            condition = _filled(own.condition, names) if own.condition else None
            found.append(PolicyStatement(f"{own.why}{number or ''}", tuple(sorted(actions)), bound, condition))
    return found


def _filled(condition: Mapping[str, Mapping[str, str]], names: Names) -> Condition:
    return {
        operator: {key: value.format(family=names.family) for key, value in keys.items()}
        for operator, keys in condition.items()
    }


def _own_resources(action: str, names: Names, env: ResolvedEnvironment) -> tuple[str, ...]:
    if not resource_types(action):
        return ("*",)
    service = action.partition(":")[0]
    # deploy.py reads stacks in each region of the chain, the web ACL in us-east-1, and all else in the home region.
    regions = {"cloudformation": {stack.region for stack in env.chain}, "wafv2": {EDGE_REGION}}.get(
        service, {names.home}
    )
    stacks = (names.family, names.bootstrap) if service == "cloudformation" else (names.family,)
    return _bound(action, names, sorted((region, stack) for region in regions for stack in stacks))


def _bound(action: str, names: Names, places: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    if action in ("s3:GetObject", "s3:PutObject"):
        # The only objects of a deployment: templates and Lambda packages.
        return names.artifacts
    found = {arn for region, stack in places for arn in names.for_action(action, resource_types(action), region, stack)}
    if not found:
        raise AnalysisError(
            f"no ARN is known for {action} ({', '.join(resource_types(action))})",
            hint="add a pattern to PATTERNS in iam_policies/arns.py, or the action to UNUSED in actions.py",
        )
    return tuple(sorted(found))


# --- CloudFormation's handlers -----------------------------------------------------------------------------------


def _owner(stack: Stack, names: Names) -> str:
    """Return the prefix of the names of a stack's resources."""
    return names.bootstrap if stack.path.startswith("bootstrap") else names.family


def handler_actions(env: ResolvedEnvironment) -> dict[str, set[tuple[str, str]]]:
    """Return every permission that the environment's handlers need, with its regions and stack names."""
    names = build_names(env)
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            for action in required_actions(resource, stack.region) | set(MORE.get(resource.type, ())):
                found[action].add((stack.region, _owner(stack, names)))
    return found


def _handlers(env: ResolvedEnvironment, own: list[PolicyStatement]) -> list[PolicyStatement]:
    names = build_names(env)
    given: dict[str, set[str]] = defaultdict(set)
    for item in own:
        for action in item.actions if item.condition is None else ():
            given[action] |= set(item.resources)
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for action, places in handler_actions(env).items():
        if action in (_PASS, _LINK):
            continue
        resources = _bound(action, names, places) if resource_types(action) else ("*",)
        left = tuple(arn for arn in resources if arn not in given[action])
        if left:
            service = "Any" if left == ("*",) else action.partition(":")[0]
            groups[service, left].append(action)
    found = []
    counts: dict[str, int] = defaultdict(int)
    for (service, resources), actions in sorted(groups.items()):
        counts[service] += 1
        why = "Handle" + "".join(part.capitalize() for part in service.split("-")) + f"No{counts[service]}"
        found.append(PolicyStatement(why, tuple(sorted(actions)), resources, VIA_CLOUDFORMATION))
    return found


def _pass_role(env: ResolvedEnvironment) -> list[PolicyStatement]:
    """Return statements that pass each role only to the services of its trust policy."""
    names = build_names(env)
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
        PolicyStatement(
            "Pass" + "".join(part.capitalize() for part in services[0].split(".")[0].replace("-", " ").split()),
            (_PASS,),
            tuple(sorted(arns)),
            {**VIA_CLOUDFORMATION, "StringEquals": {"iam:PassedToService": list(services)}},
        )
        for services, arns in sorted(roles.items())
        if services
    ]


def _linked_roles(env: ResolvedEnvironment) -> list[PolicyStatement]:
    services = sorted({LINKED_ROLES[item.type] for item in env.of_type(*LINKED_ROLES)})
    names = build_names(env)
    arn = f"arn:{names.partition}:iam::{names.account}:role/aws-service-role/*"
    condition = {**VIA_CLOUDFORMATION, "StringEquals": {"iam:AWSServiceName": services}}
    return [PolicyStatement("MakeLinkedRoles", (_LINK,), (arn,), condition)] if services else []
