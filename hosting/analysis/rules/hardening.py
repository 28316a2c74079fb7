"""Hardening: requirements of strict reviews beyond what AWS rejects."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.network import GROUP, egress, ingress
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.roles import bound_to_account
from hosting.analysis.rules.services import BALANCER, SCHEDULE, SERVICE, TASK, containers
from hosting.analysis.rules.tasks import is_bastion
from hosting.analysis.rules.values import (
    Statement,
    flag,
    follow_all,
    listed,
    number,
    statements,
)
from hosting.model.tokens import origins

KEY = "AWS::KMS::Key"


@environment_rule(
    "SEC-31",
    "Apps run as a user of their own, on a root they cannot write, unless declared, and within a memory limit",
    why="Root in a container is root after an escape from the container, and without a limit a leak takes the bastion "
    "too, through which people would look (AWS Security Hub, controls ECS.20 and ECS.5; Amazon ECS Developer Guide, "
    "Task and container security best practices).",
    hint="give User as numbers, the first not 0, ReadonlyRootFilesystem, and Memory, or declare user and read_only in "
    "workloads.py; take Privileged out",
)
def unprivileged_apps(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        # A project declares in workloads.py what its image needs. The template repeats it as metadata.
        declared = env.stacks[task.stack].template.section("Metadata").get("Container", {})
        for index, container in containers(task):
            path, name = f"Properties.ContainerDefinitions.{index}", container.get("Name")
            if flag(container.get("Privileged")):
                yield RuleMatch(task, f"{path}.Privileged", f"{name} may do what the host may")
            if is_bastion(container):
                continue
            if not flag(container.get("ReadonlyRootFilesystem")) and declared.get("ReadOnly") is not False:
                yield RuleMatch(task, f"{path}.ReadonlyRootFilesystem", f"{name} may write over its own program")
            user = str(container.get("User", ""))
            if not re.fullmatch(r"[1-9]\d*:\d+", user) and (not user or declared.get("User") != user):
                yield RuleMatch(
                    task, f"{path}.User", f"{name} may be root: user {container.get('User', 'of the image')}"
                )
            if not number(container.get("Memory")):
                yield RuleMatch(task, f"{path}.Memory", f"{name} may take all of the task's memory")


# The property with the security groups of each type in a VPC; without groups a resource uses the default group.
_IN_GROUPS = {
    SERVICE: "NetworkConfiguration.AwsvpcConfiguration.SecurityGroups",
    SCHEDULE: "Target.EcsParameters.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups",
    BALANCER: "SecurityGroups",
    "AWS::RDS::DBCluster": "VpcSecurityGroupIds",
    "AWS::EC2::VPCEndpoint": "SecurityGroupIds",
    "AWS::Lambda::Function": "VpcConfig.SecurityGroupIds",
}


@environment_rule(
    "SEC-32",
    "Nothing is in the VPC's default security group",
    why="AWS creates it with rules that allow its members all traffic. deploy.py removes these rules, so a resource "
    "that is in it reaches nothing (Amazon VPC User Guide, Default security groups for your VPCs).",
    hint="name a group of our own",
)
def default_group_unused(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for kind, path in _IN_GROUPS.items():
        for resource in env.of_type(kind):
            if _is_in_vpc(resource) and not listed(resource.get(path)):
                yield RuleMatch(resource, f"Properties.{path}", "names no group, so it is in the default one")
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            if any(item.attribute == "DefaultSecurityGroup" for item in origins(dict(resource.properties))):
                yield RuleMatch(resource, "", "uses the default group")


def _is_in_vpc(resource: Resource) -> bool:
    if resource.type == "AWS::EC2::VPCEndpoint":
        return bool(resource.get("VpcEndpointType") == "Interface")
    return resource.type != "AWS::Lambda::Function" or resource.get("VpcConfig") is not None


@environment_rule(
    "SEC-33",
    "Topics and queues refuse plain HTTP",
    why="Otherwise a client that forgets TLS sends message and signature in the clear (Amazon SNS Developer Guide and "
    "Amazon SQS Developer Guide, Security best practices).",
    hint="deny sns:Publish, or sqs:SendMessage and sqs:ReceiveMessage, where aws:SecureTransport is false",
)
def messages_need_tls(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for kind, policy_kind, attached in (
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
    ):
        covered = [
            resource
            for policy in env.of_type(policy_kind)
            if any(_denies_plain_http(item) for item in statements(policy.get("PolicyDocument")))
            for resource in follow_all(env, policy.get(attached))
        ]
        for resource in env.of_type(kind):
            if resource not in covered:
                yield RuleMatch(resource, "", "plain HTTP is not denied")


def _denies_plain_http(item: Statement) -> bool:
    return (
        item.effect == "Deny" and item.condition("aws:SecureTransport") == ["false"] and "*" in item.principals["AWS"]
    )


@environment_rule(
    "SEC-34",
    "Only AWS services make grants on our keys",
    why="A grant is a second key policy without review, and it remains when the permission to create it is removed "
    "(AWS KMS Developer Guide, Grants in AWS KMS).",
    hint="deny kms:CreateGrant where kms:GrantIsForAWSResource and aws:PrincipalIsAWSService are false",
)
def grants_for_services(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for key in env.of_type(KEY):
        if not any(_denies_grants(item) for item in statements(key.get("KeyPolicy"))):
            yield RuleMatch(key, "Properties.KeyPolicy", "every user of the key may create grants")


def _denies_grants(item: Statement) -> bool:
    keys = item.conditions.get("BoolIfExists", {})
    return (
        item.effect == "Deny"
        and "kms:CreateGrant" in item.actions
        and "*" in item.principals.get("AWS", [])
        and set(item.conditions) == {"BoolIfExists"}
        # Both: a service's own calls have only the second key, those for a resource only the first.
        and {key for key, value in keys.items() if not flag(value)}
        == {"kms:GrantIsForAWSResource", "aws:PrincipalIsAWSService"}
    )


@environment_rule(
    "SEC-35",
    "The web ACL's log holds no credentials",
    why="WAF logs whole requests, and its log is read by more people than may sign in as a visitor (AWS WAF Developer "
    "Guide, Logging protection pack or web ACL traffic, redacted fields).",
    hint="redact the headers authorization and cookie, and the query string",
)
def redacted_log(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for log in env.of_type("AWS::WAFv2::LoggingConfiguration"):
        fields = listed(log.get("RedactedFields"))
        headers = {str(item["SingleHeader"].get("Name")).lower() for item in fields if "SingleHeader" in item}
        missing = sorted({"authorization", "cookie"} - headers)
        if not any("QueryString" in item for item in fields):
            missing.append("the query string")
        if missing:
            yield RuleMatch(log, "Properties.RedactedFields", f"{', '.join(missing)} in the clear")


# Types with resource-based policies. Topics have a rule of their own, with their senders.
_SAYS_WHO = {
    KEY: "KeyPolicy",
    "AWS::EFS::FileSystem": "FileSystemPolicy",
    "AWS::ECR::Repository": "RepositoryPolicyText",
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
}


# What CloudWatch Logs names as its source when it uses a key: the group, with its account.
_OF_LOGS = "kms:EncryptionContext:aws:logs:arn"


@environment_rule(
    "SEC-36",
    "No resource policy allows all accounts, or a service on behalf of all accounts",
    why="Any account of AWS may then use the resource, itself or by way of the service; a bucket that blocks public "
    "policies refuses such a policy, which fails the deployment (IAM User Guide, AWS JSON policy elements: Principal; "
    "The confused deputy problem).",
    hint="name the principal, or add a condition on aws:SourceAccount, aws:SourceArn or aws:PrincipalAccount",
)
def no_public_resource_policies(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for kind, path in _SAYS_WHO.items():
        for resource in env.of_type(kind):
            for item in statements(resource.get(path)):
                public = "*" in item.principals.get("AWS", []) or "NotPrincipal" in item.excepts
                if item.effect != "Allow" or bound_to_account(item) or item.condition(_OF_LOGS):
                    continue
                # EventBridge names no source when it uses a key for a rule.
                services = [name for name in item.principals.get("Service", []) if name != "events.amazonaws.com"]
                if public or services:
                    who = "all accounts" if public else f"{', '.join(services)} for every account"
                    yield RuleMatch(resource, f"Properties.{path}.Statement.{item.index}", f"admits {who}")


@environment_rule(
    "SEC-37",
    "Security groups say what each rule is for, and what may leave",
    why="A rule without a description is never removed, and a group without egress rules allows all egress "
    "out (Amazon EC2 User Guide, Security group rules).",
    hint="give every rule a Description, and every group a rule for what leaves",
)
def described_rules(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type(GROUP):
        for direction, rules in (
            ("SecurityGroupIngress", ingress(env, group)),
            ("SecurityGroupEgress", egress(env, group)),
        ):
            if any(not rule.get("Description") for rule in rules):
                yield RuleMatch(group, f"Properties.{direction}", "a rule without a description")
        if not egress(env, group):
            yield RuleMatch(group, "Properties.SecurityGroupEgress", "names nothing, so everything may leave")


# Where each type that keeps what passes through it names its key.
_ENCRYPTED = {
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
}


@environment_rule(
    "SEC-38",
    "Log groups, topics and queues are encrypted with a key",
    why="Without a key every principal that may read the group or the queue can read its content; with one a second "
    "permission is needed, which can be taken back (AWS KMS Developer Guide, Key policies).",
    hint="name a key of ours",
)
def encrypted_messages(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for kind, path in _ENCRYPTED.items():
        for resource in env.of_type(kind):
            if not resource.get(path):
                yield RuleMatch(resource, f"Properties.{path}", "no key")


@environment_rule(
    "SEC-39",
    "The database knows people by IAM, and its snapshots by their tags",
    why="Without IAM authentication all users share a password, and snapshots without tags have no owner (AWS "
    "Security Hub, controls RDS.12 and RDS.16).",
    hint="set EnableIAMDatabaseAuthentication and CopyTagsToSnapshot",
)
def database_identities(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type("AWS::RDS::DBCluster"):
        for key in ("EnableIAMDatabaseAuthentication", "CopyTagsToSnapshot"):
            if not flag(cluster.get(key)):
                yield RuleMatch(cluster, f"Properties.{key}", "is off")
