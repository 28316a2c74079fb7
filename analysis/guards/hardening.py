"""What strict reviewers ask beyond what AWS would refuse: nothing breaks without it, until somebody breaks in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from analysis.guards.registry import Broken, guard
from analysis.guards.services import BALANCER, SERVICE, containers, served_tasks
from analysis.guards.values import Statement, all_behind, flag, listed, number, statements
from analysis.resolve import ResolvedEnvironment, Resource
from analysis.tokens import origins

KEY = "AWS::KMS::Key"


@guard(
    "SEC-31",
    "Apps run as a user of their own, within a memory limit of their own",
    why="Root in a container is root for whoever breaks out of it, and without a limit a leak takes the bastion too, "
    "through which people would look (AWS Security Hub, controls ECS.20 and ECS.5; Amazon ECS Developer Guide, Task "
    "and container security best practices).",
    remedy="give User as numbers other than 0, and Memory",
)
def unprivileged_apps(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service, task in served_tasks(env):
        apps = {item.get("ContainerName") for item in listed(service.get("LoadBalancers"))}
        for index, container in containers(task):
            if container.get("Name") not in apps:
                continue
            path, name = f"Properties.ContainerDefinitions.{index}", container.get("Name")
            if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(container.get("User", ""))):
                yield Broken(task, f"{path}.User", f"{name} may be root: user {container.get('User', 'of the image')}")
            if not number(container.get("Memory")):
                yield Broken(task, f"{path}.Memory", f"{name} may take all of the task's memory")


# Where each type that stands in a VPC names its groups; without any it is in the VPC's default group.
_IN_GROUPS = {
    SERVICE: "NetworkConfiguration.AwsvpcConfiguration.SecurityGroups",
    BALANCER: "SecurityGroups",
    "AWS::RDS::DBCluster": "VpcSecurityGroupIds",
    "AWS::EC2::VPCEndpoint": "SecurityGroupIds",
    "AWS::Lambda::Function": "VpcConfig.SecurityGroupIds",
}


@guard(
    "SEC-32",
    "Nothing is in the VPC's default security group",
    why="AWS makes it so that members reach each other and everything else, and deploy.py closes it, so that whatever "
    "is in it reaches nothing (Amazon VPC User Guide, Default security groups for your VPCs).",
    remedy="name a group of our own",
)
def default_group_unused(env: ResolvedEnvironment) -> Iterator[Broken]:
    for kind, path in _IN_GROUPS.items():
        for resource in env.of_type(kind):
            if _stands_in_vpc(resource) and not listed(resource.get(path)):
                yield Broken(resource, f"Properties.{path}", "names no group, so it is in the default one")
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            if any(item.attribute == "DefaultSecurityGroup" for item in origins(dict(resource.properties))):
                yield Broken(resource, "", "uses the default group")


def _stands_in_vpc(resource: Resource) -> bool:
    if resource.type == "AWS::EC2::VPCEndpoint":
        return bool(resource.get("VpcEndpointType") == "Interface")
    return resource.type != "AWS::Lambda::Function" or resource.get("VpcConfig") is not None


@guard(
    "SEC-33",
    "Topics and queues refuse plain HTTP",
    why="Otherwise a client that forgets TLS sends message and signature in the clear (Amazon SNS Developer Guide and "
    "Amazon SQS Developer Guide, Security best practices).",
    remedy="deny sns:Publish, or sqs:SendMessage and sqs:ReceiveMessage, where aws:SecureTransport is false",
)
def messages_need_tls(env: ResolvedEnvironment) -> Iterator[Broken]:
    for kind, policy_kind, attached in (
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
    ):
        covered = [
            resource
            for policy in env.of_type(policy_kind)
            if any(_denies_plain_http(item) for item in statements(policy.get("PolicyDocument")))
            for resource in all_behind(env, policy.get(attached))
        ]
        for resource in env.of_type(kind):
            if resource not in covered:
                yield Broken(resource, "", "plain HTTP is not denied")


def _denies_plain_http(item: Statement) -> bool:
    return (
        item.effect == "Deny" and item.condition("aws:SecureTransport") == ["false"] and "*" in item.principals["AWS"]
    )


@guard(
    "SEC-34",
    "Only AWS services make grants on our keys",
    why="A grant is a second key policy that nobody reviews, and outlives the permission to make it (AWS KMS Developer "
    "Guide, Grants in AWS KMS).",
    remedy="deny kms:CreateGrant where kms:GrantIsForAWSResource and aws:PrincipalIsAWSService are false",
)
def grants_for_services(env: ResolvedEnvironment) -> Iterator[Broken]:
    for key in env.of_type(KEY):
        if not any(_denies_grants(item) for item in statements(key.get("KeyPolicy"))):
            yield Broken(key, "Properties.KeyPolicy", "whoever may use the key may pass it on")


def _denies_grants(item: Statement) -> bool:
    keys = item.conditions.get("BoolIfExists", {})
    return (
        item.effect == "Deny"
        and "kms:CreateGrant" in item.actions
        and "*" in item.principals.get("AWS", [])
        and set(item.conditions) == {"BoolIfExists"}
        # Both: a service's own calls carry only the second, those for somebody's resource only the first.
        and {key for key, value in keys.items() if not flag(value)}
        == {"kms:GrantIsForAWSResource", "aws:PrincipalIsAWSService"}
    )


@guard(
    "SEC-35",
    "The web ACL's log holds no credentials",
    why="WAF logs whole requests, and its log is read by more people than may sign in as a visitor (AWS WAF Developer "
    "Guide, Logging protection pack or web ACL traffic, redacted fields).",
    remedy="redact the headers authorization and cookie, and the query string",
)
def redacted_log(env: ResolvedEnvironment) -> Iterator[Broken]:
    for log in env.of_type("AWS::WAFv2::LoggingConfiguration"):
        fields = listed(log.get("RedactedFields"))
        headers = {str(item["SingleHeader"].get("Name")).lower() for item in fields if "SingleHeader" in item}
        missing = sorted({"authorization", "cookie"} - headers)
        if not any("QueryString" in item for item in fields):
            missing.append("the query string")
        if missing:
            yield Broken(log, "Properties.RedactedFields", f"{', '.join(missing)} in the clear")
