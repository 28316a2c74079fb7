"""Roles and their policies: who trusts whom, and how much they may do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hosting.analysis.resolve import ResolvedEnvironment
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.services import containers, started_tasks
from hosting.analysis.rules.values import (
    ROLE,
    Statement,
    follow,
    listed,
    matches,
    permissions,
    policy_documents,
    statements,
)
from hosting.model.tokens import origins, strings


def bound_to_account(item: Statement) -> bool:
    keys = ("aws:SourceAccount", "aws:SourceArn", "aws:SourceOwner", "aws:PrincipalAccount", "aws:PrincipalOrgID")
    return any(item.condition(key) for key in keys)


_TRUSTED = {
    "chatbot",
    "ecs-tasks",
    "edgelambda",
    "events",
    "firehose",
    "lambda",
    "logs",
    "monitoring.rds",
    "scheduler",
    "vpc-flow-logs",
}


# Their documents prescribe a trust without conditions, and name none that they would send. They take a role only from
# who may pass it, so none of another account.
_SEND_NOTHING = {"chatbot", "edgelambda", "firehose", "lambda"}


@environment_rule(
    "SEC-17",
    "Roles trust a service that exists, for this account only",
    why="A misspelt principal is refused late or never assumes the role; without a condition another account's "
    "resource could make the service use it (IAM User Guide, The confused deputy problem).",
    hint="use the service's principal, and aws:SourceAccount or aws:SourceArn where the service sends them",
)
def trusts(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    unconditional = {*_SEND_NOTHING, "monitoring.rds"}
    for role in env.of_type(ROLE):
        for item in statements(role.get("AssumeRolePolicyDocument")):
            path = f"Properties.AssumeRolePolicyDocument.Statement.{item.index}"
            if set(item.principals) != {"Service"}:
                yield RuleMatch(role, path, "trusts more than a service")
            for principal in item.principals.get("Service", []):
                name = re.sub(rf"^logs\.{env.stacks[role.stack].region}\.", "logs.", str(principal))
                service = name.removesuffix(".amazonaws.com")
                if service not in _TRUSTED:
                    yield RuleMatch(role, path, f"{principal} is not a service that assumes roles here")
                elif service not in unconditional and not bound_to_account(item):
                    yield RuleMatch(role, path, f"any account may have {principal} use it")


# The source that a service names when it assumes a role, as far as it is known before the resource exists.
_SOURCES = {
    "ecs-tasks": "arn:aws:ecs:{region}:{account}:task/x",
    "logs": "arn:aws:logs:{region}:{account}:log-group:x",
    "monitoring.rds": "arn:aws:rds:{region}:{account}:db:x",
    "vpc-flow-logs": "arn:aws:ec2:{region}:{account}:vpc-flow-log/fl-1",
}


@environment_rule(
    "SEC-28",
    "Conditions on a trust admit what the service sends",
    why="A condition that never matches locks the service out, and the error names neither it nor the role (IAM User "
    "Guide, The confused deputy problem).",
    hint="compare aws:SourceArn by ArnLike with the kind of resource that assumes the role, not what it writes to",
)
def trusts_admit_service(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for role in env.of_type(ROLE):
        stack = env.stacks[role.stack]
        for item in statements(role.get("AssumeRolePolicyDocument")):
            path = f"Properties.AssumeRolePolicyDocument.Statement.{item.index}"
            accounts, patterns = item.condition("aws:SourceAccount"), item.condition("aws:SourceArn")
            if accounts and stack.account not in accounts:
                yield RuleMatch(role, path, f"admits account {', '.join(accounts)} only")
            for principal in item.principals.get("Service", []):
                name = re.sub(r"^logs\.[a-z0-9-]+\.", "logs.", str(principal)).removesuffix(".amazonaws.com")
                if name in _SEND_NOTHING and (accounts or patterns):
                    yield RuleMatch(role, path, f"{principal} documents no condition that it sends")
                sent = _SOURCES.get(name, "").format(region=stack.region, account=stack.account)
                if (
                    sent
                    and patterns
                    and not any(matches(pattern, sent) or pattern.startswith(sent[:-1]) for pattern in patterns)
                ):
                    yield RuleMatch(role, path, f"{principal} names {sent}, not {', '.join(patterns)}")


_MANAGED = {
    "AmazonSSMManagedInstanceCore",
    "CloudWatchReadOnlyAccess",
    "ReadOnlyAccess",
    "service-role/AmazonECSTaskExecutionRolePolicy",
    "service-role/AmazonRDSEnhancedMonitoringRole",
}


@environment_rule(
    "SEC-21",
    "Managed policies of AWS exist under the path that is written",
    why="A policy that is missed by its path is refused when the role is created, and a broad one is easily taken for "
    "a narrow one (AWS Managed Policy Reference Guide).",
    hint="correct the name or the path, or grant exactly what is needed",
)
def managed_policies(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for role in env.of_type(ROLE):
        for arn in listed(role.get("ManagedPolicyArns")):
            if any(origins(arn)):
                continue
            name = str(arn).removeprefix("arn:aws:iam::aws:policy/")
            if name not in _MANAGED:
                yield RuleMatch(role, "Properties.ManagedPolicyArns", f"{arn} is not among the policies used here")


# Actions for which the service offers no narrower resource (Service Authorization Reference).
_UNBOUND = {
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:ListMetrics",
    "cloudwatch:PutMetricData",
    "ec2:DescribeNetworkInterfaces",
    "ecr:GetAuthorizationToken",
    "ecs:ListServices",
    "ecs:DescribeTaskDefinition",
    "logs:DescribeLogGroups",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}


@environment_rule(
    "SEC-22",
    "Roles may do named actions on named resources",
    why="A wildcard allows unintended actions, today or when AWS adds one (IAM User Guide, Security best practices).",
    hint="name the actions, and the ARNs; permissions are AWS::IAM::ManagedPolicy resources",
)
def least_privilege(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource, path, document in policy_documents(env):
        if path.startswith("Properties.Policies"):
            yield RuleMatch(resource, path, "inline policy")
        if resource.type not in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", ROLE) or path.endswith(
            "AssumeRolePolicyDocument"
        ):
            continue
        for item in statements(document):
            if item.effect != "Allow":
                continue
            here = f"{path}.Statement.{item.index}"
            if item.excepts:
                yield RuleMatch(resource, here, f"{', '.join(item.excepts)} allows everything that is not listed")
            for action in item.actions:
                if "*" in action:
                    yield RuleMatch(resource, here, f"{action} is a wildcard")
                elif "*" in item.resources and action not in _UNBOUND:
                    yield RuleMatch(resource, here, f"{action} on every resource")


# What the agent of Session Manager does in a task.
_SESSIONS = ("ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenDataChannel")


@environment_rule(
    "SEC-24",
    "Only tasks open sessions",
    why="Who may use ssmmessages can be reached by Session Manager (Amazon ECS Developer Guide, Monitor Amazon ECS "
    "containers with ECS Exec).",
    hint="attach the session permissions to task roles only",
)
def sessions_for_tasks(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    tasks = [follow(env, task.get("TaskRoleArn"), ROLE) for _, _, task in started_tasks(env)]
    for role in env.of_type(ROLE):
        managed = [str(arn) for arn in listed(role.get("ManagedPolicyArns"))]
        if role in tasks:
            continue
        if any(arn.endswith("AmazonSSMManagedInstanceCore") for arn in managed):
            yield RuleMatch(role, "Properties.ManagedPolicyArns", "may open sessions, and is not a task's role")
        if any(item.allows(action) for item in permissions(env, role) for action in _SESSIONS):
            yield RuleMatch(role, "", "has a policy with which it may open sessions, and is not a task's role")


@environment_rule(
    "SEC-25",
    "No password or key is written in a container's environment",
    why="The environment of a task definition can be read by everyone who may describe it, and credentials there "
    "override the task's role and break ECS Exec (Amazon ECS Developer Guide, Pass sensitive data).",
    hint="use Secrets with the ARN of a secret",
)
def no_secret_in_environment(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    name_pattern = re.compile(r"(PASSWORD|SECRET|TOKEN|API_?KEY|ACCESS_KEY)", re.IGNORECASE)
    for task in env.of_type("AWS::ECS::TaskDefinition"):
        for index, container in containers(task):
            for variable in listed(container.get("Environment")):
                name, value = str(variable.get("Name")), str(variable.get("Value"))
                secret = name_pattern.search(name) and not name.upper().endswith(("_ARN", "_NAME"))
                if secret or any("{{resolve:" in text for text in strings(value)):
                    yield RuleMatch(
                        task, f"Properties.ContainerDefinitions.{index}.Environment", f"{name} in the clear"
                    )
    for function in env.of_type("AWS::Lambda::Function"):
        for name, value in (function.get("Environment.Variables") or {}).items():
            secret = name_pattern.search(name) and not name.upper().endswith(("_ARN", "_NAME"))
            if secret or "{{resolve:" in str(value):
                yield RuleMatch(function, "Properties.Environment.Variables", f"{name} in the clear")
