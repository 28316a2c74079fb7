"""Durability, names, texts and limits: what CloudFormation refuses, replaces or loses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.nesting import in_resources, reads_parameter
from hosting.analysis.rules.registry import RuleMatch, TemplateLocation, environment_rule, template_rule
from hosting.analysis.rules.values import (
    ROLE,
    attached_policies,
    depends_on_resource,
    follow,
    follow_all,
    listed,
)
from hosting.model.templates import NESTED_STACK, Template
from hosting.model.tokens import Json, origins, strings

_ADDRESS = re.compile(r"/[0-9a-f]{32}([0-9a-f]{32})?\.(json|zip)$")


@environment_rule(
    "CF-09",
    "Templates and function code are addressed by their content",
    why="An unchanged key is no change: a function keeps its old code, and a key that is overwritten breaks rollback "
    "(AWS Lambda Developer Guide, Deploying functions with CloudFormation).",
    hint="take the key from a parameter that the deployer fills with a hash of the content",
)
def content_addresses(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for nested in env.of_type(NESTED_STACK):
        if not _ADDRESS.search(str(nested.get("TemplateURL", ""))):
            yield RuleMatch(nested, "Properties.TemplateURL", "key is not the hash of the template")
    for function in env.of_type("AWS::Lambda::Function", "AWS::Lambda::LayerVersion"):
        path = "Code" if function.type.endswith("Function") else "Content"
        if not _ADDRESS.search(str(function.get(f"{path}.S3Key", ""))):
            yield RuleMatch(function, f"Properties.{path}.S3Key", "key is not the hash of the code")


KEEP = {"Retain", "RetainExceptOnCreate"}


# What deletion and replacement may do to what holds data.
_DURABLE: dict[str, set[str]] = {
    "AWS::RDS::DBCluster": {"Snapshot"},
    "AWS::KMS::Key": KEEP,
    "AWS::ECR::Repository": KEEP,
    "AWS::EFS::FileSystem": KEEP,
}


_DATA = {
    *_DURABLE,
    "AWS::S3::Bucket",
    "AWS::RDS::DBInstance",
    "AWS::SecretsManager::Secret",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
    "AWS::DynamoDB::Table",
    "AWS::Kinesis::Stream",
}


@environment_rule(
    "CF-11",
    "Stateful resources have deletion policies",
    why="Without DeletionPolicy and UpdateReplacePolicy, data is deleted with the stack, or with an unnoticed "
    "noticed (CloudFormation Template Reference, DeletionPolicy attribute).",
    hint="add both policies from the generator's durability table",
)
def data_has_policies(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource in env.of_type(*sorted(_DATA)):
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            given = resource.attributes.get(policy)
            allowed = _DURABLE.get(resource.type)
            if given is None:
                yield RuleMatch(resource, policy, f"{resource.type} without {policy}")
            elif allowed and isinstance(given, str) and given not in allowed:
                yield RuleMatch(resource, policy, f"{policy} of {resource.type} is {given}")


@environment_rule(
    "CF-12",
    "A key is retained as long as the data that it encrypts",
    why="Retained data that a deleted key encrypts is lost after the waiting period (AWS KMS Developer Guide, Delete "
    "an AWS KMS key).",
    hint="keep the key: DeletionPolicy RetainExceptOnCreate, UpdateReplacePolicy Retain",
)
def keys_outlive_data(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            if (
                str(resource.attributes.get("DeletionPolicy")) not in {"Snapshot", *KEEP}
                or resource.type == "AWS::KMS::Key"
            ):
                continue
            for key in follow_all(env, dict(resource.properties), "AWS::KMS::Key"):
                if key.attributes.get("DeletionPolicy") not in KEEP:
                    yield RuleMatch(resource, "DeletionPolicy", f"is kept, but its key {key.logical_id} is not")


_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 -- a type
# A replacement creates the new resource before the old one is deleted, so these may not be named.
_NAMELESS: dict[str, str] = {
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::EC2::SecurityGroup": "GroupName",
    _SECRET: "Name",
    "AWS::ECS::Service": "ServiceName",
    "AWS::RDS::DBParameterGroup": "DBParameterGroupName",
    "AWS::RDS::DBClusterParameterGroup": "DBClusterParameterGroupName",
    "AWS::RDS::DBSubnetGroup": "DBSubnetGroupName",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::KinesisFirehose::DeliveryStream": "DeliveryStreamName",
    "AWS::Events::Rule": "Name",
}


@environment_rule(
    "CF-13",
    "Only resources that external systems look up have a physical name",
    why="A named resource cannot be replaced: its successor is created first, under the same name (CloudFormation "
    "Template Reference, Name type).",
    hint="remove the name",
)
def no_needless_names(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            # A bucket in the account's own namespace does not compete for its name, and is not replaced. A secret that
            # is kept is found by its name, and only another name replaces it.
            kept = resource.type == _SECRET and resource.attributes.get("DeletionPolicy") in KEEP
            own = resource.get("BucketNamespace") == "account-regional" or kept
            key = _NAMELESS.get(resource.type)
            if key and resource.get(key) is not None and not own:
                yield RuleMatch(resource, f"Properties.{key}", f"{resource.type} is named {resource.get(key)}")


_ACCOUNT_WIDE: dict[str, str] = {
    "AWS::CloudFront::CachePolicy": "CachePolicyConfig.Name",
    "AWS::CloudFront::OriginRequestPolicy": "OriginRequestPolicyConfig.Name",
    "AWS::CloudFront::ResponseHeadersPolicy": "ResponseHeadersPolicyConfig.Name",
    "AWS::CloudFront::OriginAccessControl": "OriginAccessControlConfig.Name",
    "AWS::CloudFront::Function": "Name",
    "AWS::KMS::Alias": "AliasName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    _SECRET: "Name",
    "AWS::WAFv2::IPSet": "Name",
    "AWS::WAFv2::WebACL": "Name",
}


@environment_rule(
    "CF-14",
    "Names carry project and environment, and are unique",
    why="These names are unique in the account or region, so a second environment, or another stack of this one, "
    "would fail to create them (CloudFormation Template Reference, Name type).",
    hint="begin the name with the prefix of project and environment",
)
def names_are_unique(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    prefix = f"{env.environment.parameters.get('Project', '')}-{env.environment.parameters.get('Environment', '')}"
    seen: dict[tuple[str, str, str], Resource] = {}
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            key = _ACCOUNT_WIDE.get(resource.type)
            name = str(resource.get(key)) if key and resource.get(key) is not None else ""
            if not name or not key:
                continue
            if prefix not in name:
                yield RuleMatch(resource, f"Properties.{key}", f"{name} does not carry {prefix}")
            place = "" if "CloudFront" in resource.type else stack.region
            if seen.setdefault((resource.type, place, name), resource) != resource:
                yield RuleMatch(resource, f"Properties.{key}", f"{name} is also the name of another {resource.type}")


_GROUP_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


@template_rule(
    "CF-15",
    "Templates are printable ASCII",
    why="Descriptions of security groups, subnet groups, parameter groups and IAM refuse other characters, tags of "
    "some services too (Amazon EC2 API Reference, CreateSecurityGroup).",
    hint="write it in plain English letters",
)
def ascii_only(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        for section, content in template.body.items():
            entries = content.items() if isinstance(content, dict) else [("", content)]
            for name, entry in entries:
                bad = [text for text in strings(entry) if not re.fullmatch(r"[\x20-\x7e\n]*", text)]
                if bad:
                    place = TemplateLocation(template.name, name if section == "Resources" else "")
                    yield RuleMatch(place, f"{section}.{name}".rstrip("."), f"not printable ASCII: {bad[0]!r}")


@environment_rule(
    "CF-26",
    "Descriptions of security groups use EC2's characters",
    why="EC2 allows a small set of characters, without > and ' (Amazon EC2 API Reference, CreateSecurityGroup); after "
    "Fn::Sub cfn-lint sees no text to check.",
    hint="use letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*",
)
def group_descriptions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    types = ("AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
    for resource in env.of_type(*types):
        texts = {path: resource.get(path) for path in ("GroupDescription", "Description")}
        for direction in ("SecurityGroupIngress", "SecurityGroupEgress"):
            for index, rule in enumerate(listed(resource.get(direction))):
                texts[f"{direction}.{index}.Description"] = rule.get("Description")
        for path, text in texts.items():
            if text is not None and not _GROUP_TEXT.fullmatch(str(text)):
                yield RuleMatch(resource, f"Properties.{path}", f"EC2 refuses {text!r}")


@environment_rule(
    "CF-16",
    "Secrets do not pass through custom resources",
    why="Secure dynamic references are not resolved in custom resources (CloudFormation User Guide, Get values stored "
    "in other services using dynamic references).",
    hint="give the function the secret's ARN and let it read the secret",
)
def no_secret_in_custom_resource(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource in custom_resources(env):
        for text in strings(dict(resource.properties)):
            if re.search(r"\{\{resolve:(secretsmanager|ssm-secure)", text):
                yield RuleMatch(resource, "Properties", "dynamic reference to a secret")


def custom_resources(env: ResolvedEnvironment) -> list[Resource]:
    return [
        resource
        for stack in env.stacks.values()
        for resource in stack.resources.values()
        if resource.type.startswith("Custom::") or resource.type == "AWS::CloudFormation::CustomResource"
    ]


_ROLE_USERS = (
    "AWS::EC2::FlowLog",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::Lambda::Function",
    "AWS::Logs::SubscriptionFilter",
    "AWS::ECS::Service",
    "AWS::Chatbot::SlackChannelConfiguration",
)


@environment_rule(
    "CF-17",
    "A user of a role depends on the role's policies",
    why="A policy that is a resource of its own may come after the role's user, and go before it on deletion: the "
    "user then fails with access denied (CloudFormation Template Reference, DependsOn attribute).",
    hint="add the policy to the DependsOn of its user",
)
def role_users_wait(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for user in env.of_type(*_ROLE_USERS):
        values: Json = dict(user.properties)
        if task := follow(env, user.get("TaskDefinition"), "AWS::ECS::TaskDefinition"):
            values = [values, dict(task.properties)]
        stack = env.stacks[user.stack]
        # A function does nothing until it is called: it is enough that those wait who call it from a template.
        callers = [item for item in custom_resources(env) if follow(env, item.get("ServiceToken")) == user]
        for role in follow_all(env, values, ROLE):
            for policy in attached_policies(env, role):
                waiting = [depends_on_resource(stack, item, policy.logical_id) for item in (callers or [user])]
                if policy.stack == user.stack and not all(waiting):
                    yield RuleMatch(user, "DependsOn", f"does not wait for {policy.logical_id} of its role")


@template_rule(
    "CF-18",
    "No output or default contains a secret",
    why="Outputs and parameters can be read by every principal that may describe the stack (CloudFormation User Guide, "
    "Security best practices).",
    hint="give the ARN of the secret",
)
def outputs_without_secrets(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        hidden = {
            key for key, item in template.section("Parameters").items() if str(item.get("NoEcho")).lower() == "true"
        }
        for name in sorted(hidden):
            if template.section("Parameters")[name].get("Default"):
                yield RuleMatch(
                    TemplateLocation(template.name), f"Parameters.{name}.Default", "default of a NoEcho parameter"
                )
        for name, output in template.section("Outputs").items():
            value = output.get("Value")
            if any("{{resolve:" in text for text in strings(value)) or reads_parameter(value) & hidden:
                yield RuleMatch(TemplateLocation(template.name), f"Outputs.{name}", "output shows a secret")


@template_rule(
    "CF-19",
    "Zones are chosen by name, by the user",
    why="Which zones GetAZs lists, and in which order, differs between accounts (CloudFormation Template Reference, "
    "Fn::GetAZs), so a subnet may move and be replaced.",
    hint="take the zone from a root parameter",
)
def no_listed_zones(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        for logical_id, path, name, _ in in_resources(template):
            if name == "Fn::GetAZs":
                yield RuleMatch(TemplateLocation(template.name, logical_id), path, "zones are listed by CloudFormation")


@environment_rule(
    "CF-27",
    "Zones belong to the stack's region",
    why="A zone of another region, or a zone's id in place of its name, is refused only when the subnet is created "
    "(Amazon EC2 User Guide, Availability Zones).",
    hint="correct the zone in the parameter file",
)
def zones_of_region(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        for resource in stack.of_type("AWS::EC2::Subnet", "AWS::RDS::DBInstance"):
            zone = resource.get("AvailabilityZone")
            if zone is not None and not re.fullmatch(rf"{stack.region}[a-z]", str(zone)):
                yield RuleMatch(resource, "Properties.AvailabilityZone", f"{zone} is no zone of {stack.region}")


@environment_rule(
    "CF-22",
    "A distribution's comment has at most 128 characters",
    why="CloudFront refuses a longer one (Amazon CloudFront API Reference, DistributionConfig).",
    hint="shorten it",
)
def short_comment(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource in env.of_type("AWS::CloudFront::Distribution"):
        if len(str(resource.get("DistributionConfig.Comment", ""))) > 128:
            yield RuleMatch(resource, "Properties.DistributionConfig.Comment", "comment above 128 characters")


@environment_rule(
    "CF-23",
    "A dashboard's body is JSON",
    why="CloudWatch refuses a body that does not parse (Amazon CloudWatch API Reference, Dashboard body structure); "
    "inside Fn::Sub no other tool checks it.",
    hint="build the body as data, and substitute only inside its strings",
)
def dashboards_parse(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource in env.of_type("AWS::CloudWatch::Dashboard"):
        try:
            body = json.loads(str(resource.get("DashboardBody")))
            if not body.get("widgets"):
                yield RuleMatch(resource, "Properties.DashboardBody", "no widgets")
        except (ValueError, AttributeError) as problem:
            yield RuleMatch(resource, "Properties.DashboardBody", f"not JSON: {problem}")


@environment_rule(
    "CF-24",
    "Event patterns match against lists",
    why="A bare value in a pattern is refused when the rule is created (Amazon EventBridge User Guide, Creating event "
    "patterns).",
    hint="put the value into a list",
)
def patterns_hold_lists(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    def bare(value: Json, path: str) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from bare(item, f"{path}.{key}")
        elif not isinstance(value, list):
            yield path

    for resource in env.of_type("AWS::Events::Rule"):
        for path in bare(resource.get("EventPattern", {}), "Properties.EventPattern"):
            yield RuleMatch(resource, path, "a bare value instead of a list")


@environment_rule(
    "CF-25",
    "Names of buckets and of the database cluster are lower case, short enough and without two hyphens in a row",
    why="S3 takes 3 to 63 small letters, digits and hyphens (Amazon S3 User Guide, Bucket naming rules). RDS takes no "
    "two hyphens in a row, and puts an identifier in small letters: a log group named otherwise is never found.",
    hint="shorten Project or the name",
)
def physical_names(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    keys = {"AWS::S3::Bucket": "BucketName", "AWS::RDS::DBCluster": "DBClusterIdentifier"}
    for resource in env.of_type(*keys):
        name = resource.get(keys[resource.type])
        sound = re.fullmatch(r"(?!.*--)[a-z][a-z0-9-]{1,61}[a-z0-9]", str(name))
        if name is not None and not any(origins(name)) and not sound:
            yield RuleMatch(resource, f"Properties.{keys[resource.type]}", f"{name} is refused")
