"""Nesting, change sets, names, and what becomes of data: what CloudFormation itself trips over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from analysis.guards.registry import Broken, Place, guard, template_guard
from analysis.guards.values import ROLE, all_behind, attached_policies, behind, depends, listed, number
from analysis.resolve import NESTED_STACK, ResolvedEnvironment, Resource, Stack
from analysis.templates import COMPANIONS, ROOT, Template, nested_template
from analysis.tokens import Json, origins, strings


def expressions(value: Json, path: str = "") -> Iterator[tuple[str, str, Json]]:
    """Every intrinsic function in a value: where, its name, its argument."""
    if isinstance(value, dict):
        for key, item in value.items():
            here = f"{path}.{key}" if path else key
            if key == "Ref" or key.startswith("Fn::"):
                yield here, key, item
            yield from expressions(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from expressions(item, f"{path}.{index}")


def in_resources(template: Template) -> Iterator[tuple[str, str, str, Json]]:
    """Every intrinsic function of the resources, with the logical id first."""
    for logical_id, resource in template.resources.items():
        for path, name, argument in expressions({k: v for k, v in resource.items() if k != "Type"}):
            yield logical_id, path, name, argument


def reads_parameter(expression: Json) -> set[str]:
    """The names in Ref and Sub."""
    found = set()
    for _, name, argument in expressions(expression):
        if name == "Ref":
            found.add(str(argument))
        elif name == "Fn::Sub":
            text = argument[0] if isinstance(argument, list) else argument
            found |= set(re.findall(r"\$\{([A-Za-z0-9]+)\}", text))
    return found


PLACEHOLDER = (
    "While a nested change set is computed, a sibling's output is only a placeholder text, on which this fails or "
    "takes the wrong branch (CloudFormation User Guide, Change sets for nested stacks)."
)


@guard(
    "CF-01",
    "A parameter fed by a sibling stack is plain text",
    why=PLACEHOLDER,
    remedy="drop the constraint or the AWS-specific type here; check the value on a root parameter instead",
)
def wired_parameters_are_plain(env: ResolvedEnvironment) -> Iterator[Broken]:
    constraints = {"AllowedPattern", "AllowedValues", "MinLength", "MaxLength", "MinValue", "MaxValue"}
    for stack in env.stacks.values():
        for name in sorted(stack.wired):
            declared = stack.template.section("Parameters").get(name, {})
            place = Place(stack.template.name)
            if declared.get("Type") not in ("String", "CommaDelimitedList"):
                yield Broken(place, f"Parameters.{name}.Type", f"wired parameter of type {declared.get('Type')}")
            for key in sorted(constraints & set(declared)):
                yield Broken(place, f"Parameters.{name}.{key}", f"wired parameter with {key}")


@guard(
    "CF-02",
    "Nothing picks from a list that a sibling stack gives",
    why=PLACEHOLDER,
    remedy="let the sibling give each value by itself, and build the list here",
)
def no_select_on_wired(env: ResolvedEnvironment) -> Iterator[Broken]:
    for stack in env.stacks.values():
        for logical_id, path, name, argument in in_resources(stack.template):
            if name in ("Fn::Select", "Fn::Split") and (used := reads_parameter(argument) & stack.wired):
                yield Broken(Place(stack.template.name, logical_id), path, f"{name} on wired {', '.join(sorted(used))}")


@guard(
    "CF-03",
    "No condition depends on what a sibling stack gives",
    why=PLACEHOLDER,
    remedy="decide on a root parameter that is passed down as it is",
)
def no_condition_on_wired(env: ResolvedEnvironment) -> Iterator[Broken]:
    for stack in env.stacks.values():
        for name, condition in stack.template.section("Conditions").items():
            if used := reads_parameter(condition) & stack.wired:
                yield Broken(
                    Place(stack.template.name), f"Conditions.{name}", f"decides on wired {', '.join(sorted(used))}"
                )


@template_guard(
    "CF-04",
    "Nothing is exported or imported",
    why="An export cannot change while it is imported, and in nested change sets names of exports built with Join "
    "collide (CloudFormation User Guide, Fn::ImportValue).",
    remedy="pass the value as a parameter",
)
def no_exports(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        for name, output in template.section("Outputs").items():
            if "Export" in output:
                yield Broken(Place(template.name), f"Outputs.{name}.Export", "output is exported")
        for logical_id, path, name, _ in in_resources(template):
            if name == "Fn::ImportValue":
                yield Broken(Place(template.name, logical_id), path, "value is imported")


@template_guard(
    "CF-05",
    "A nested stack is given text, never a list",
    why="Parameters of AWS::CloudFormation::Stack are a map of strings; a list is refused when the stack is created "
    "(CloudFormation Template Reference, AWS::CloudFormation::Stack).",
    remedy="join the list with commas",
)
def no_list_for_nested_stack(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        kinds = {key: str(item.get("Type", "")) for key, item in template.section("Parameters").items()}
        for logical_id, resource in template.resources.items():
            if resource["Type"] != NESTED_STACK:
                continue
            for key, value in resource.get("Properties", {}).get("Parameters", {}).items():
                reference = kinds.get(str(value.get("Ref")), "") if isinstance(value, dict) else ""
                function = next(iter(value), "") if isinstance(value, dict) else ""
                if (
                    isinstance(value, list)
                    or "List" in reference
                    or function in ("Fn::Split", "Fn::GetAZs", "Fn::Cidr")
                ):
                    yield Broken(
                        Place(template.name, logical_id), f"Properties.Parameters.{key}", f"{key} is given a list"
                    )


@guard(
    "CF-08",
    "Nested stacks keep CloudFormation's limits",
    why="A template URL is https and at most 1,024 characters, a template at most 1 MB, a parameter's value 4,096 "
    "bytes, a nested operation 2,500 resources (CloudFormation User Guide, Understand CloudFormation quotas).",
    remedy="shorten the value, or split the layer",
)
def limits(env: ResolvedEnvironment) -> Iterator[Broken]:
    for top in env.chain:
        total = sum(len(stack.resources) for stack in top.walk())
        if total > 2500:
            yield Broken(Place(top.template.name), "Resources", f"{total} resources in one nested operation")
    for stack in env.stacks.values():
        if len(stack.template.text.encode()) > 1_000_000:
            yield Broken(Place(stack.template.name), "", "template above 1 MB")
        for name, value in stack.parameters.items():
            if len(",".join(listed(value)).encode()) > 4096:
                yield Broken(Place(stack.template.name), f"Parameters.{name}", "value above 4,096 bytes")
        for nested in stack.of_type(NESTED_STACK):
            url = str(nested.get("TemplateURL", ""))
            if not url.startswith("https://") or len(url) > 1024:
                yield Broken(nested, "Properties.TemplateURL", f"not an https URL of S3: {url}")


_ADDRESS = re.compile(r"[0-9a-f]{64}\.(json|zip)$")


@guard(
    "CF-09",
    "Templates and function code are addressed by their content",
    why="An unchanged key is no change: a function keeps its old code, and a key that is overwritten breaks rollback "
    "(AWS Lambda Developer Guide, Deploying functions with CloudFormation).",
    remedy="take the key from a parameter that the deployer fills with a hash of the content",
)
def content_addresses(env: ResolvedEnvironment) -> Iterator[Broken]:
    for nested in env.of_type(NESTED_STACK):
        if not _ADDRESS.search(str(nested.get("TemplateURL", ""))):
            yield Broken(nested, "Properties.TemplateURL", "key is not the hash of the template")
    for function in env.of_type("AWS::Lambda::Function", "AWS::Lambda::LayerVersion"):
        path = "Code" if function.type.endswith("Function") else "Content"
        if not _ADDRESS.search(str(function.get(f"{path}.S3Key", ""))):
            yield Broken(function, f"Properties.{path}.S3Key", "key is not the hash of the code")


_LANGUAGE_EXTENSIONS = ("Fn::Transform", "Fn::ForEach", "Fn::Length", "Fn::ToJsonString")


@template_guard(
    "CF-10",
    "No transforms",
    why="Macros need CAPABILITY_AUTO_EXPAND, which the deployer never gives, and do not resolve dynamic references "
    "(CloudFormation User Guide, Using macros).",
    remedy="let the generator write the expanded form",
)
def no_transforms(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        if "Transform" in template.body:
            yield Broken(Place(template.name), "Transform", "template has a transform")
        for logical_id, path, name, _ in in_resources(template):
            if name.startswith(_LANGUAGE_EXTENSIONS):
                yield Broken(Place(template.name, logical_id), path, f"{name} needs a transform")
        for logical_id, resource in template.resources.items():
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                if not isinstance(resource.get(policy, ""), str):
                    yield Broken(Place(template.name, logical_id), policy, f"{policy} is not a literal")


KEEP = {"Retain", "RetainExceptOnCreate"}
# What deletion and replacement may do to what holds data.
_DURABLE: dict[str, set[str]] = {
    "AWS::RDS::DBCluster": {"Snapshot"},
    "AWS::KMS::Key": KEEP,
    "AWS::ECR::Repository": KEEP,
}
_DATA = {
    *_DURABLE,
    "AWS::S3::Bucket",
    "AWS::RDS::DBInstance",
    "AWS::SecretsManager::Secret",
    "AWS::Logs::LogGroup",
    "AWS::SQS::Queue",
    "AWS::DynamoDB::Table",
    "AWS::EFS::FileSystem",
    "AWS::Kinesis::Stream",
}


@guard(
    "CF-11",
    "What holds data says what becomes of it",
    why="Without DeletionPolicy and UpdateReplacePolicy, data goes with the stack, or with a replacement that nobody "
    "noticed (CloudFormation Template Reference, DeletionPolicy attribute).",
    remedy="add both policies from the generator's durability table",
)
def data_has_policies(env: ResolvedEnvironment) -> Iterator[Broken]:
    for resource in env.of_type(*sorted(_DATA)):
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            given = resource.attributes.get(policy)
            allowed = _DURABLE.get(resource.type)
            if given is None:
                yield Broken(resource, policy, f"{resource.type} without {policy}")
            elif allowed and isinstance(given, str) and given not in allowed:
                yield Broken(resource, policy, f"{policy} of {resource.type} is {given}")


@guard(
    "CF-12",
    "A key lives as long as what it encrypts",
    why="Data that is kept under a deleted key is lost after the waiting period (AWS KMS Developer Guide, Delete an "
    "AWS KMS key).",
    remedy="keep the key: DeletionPolicy RetainExceptOnCreate, UpdateReplacePolicy Retain",
)
def keys_outlive_data(env: ResolvedEnvironment) -> Iterator[Broken]:
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            if (
                str(resource.attributes.get("DeletionPolicy")) not in {"Snapshot", *KEEP}
                or resource.type == "AWS::KMS::Key"
            ):
                continue
            for key in all_behind(env, dict(resource.properties), "AWS::KMS::Key"):
                if key.attributes.get("DeletionPolicy") not in KEEP:
                    yield Broken(resource, "DeletionPolicy", f"is kept, but its key {key.logical_id} is not")


# A replacement creates the new resource before the old one is deleted, so these may not be named.
_NAMELESS: dict[str, str] = {
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::SecretsManager::Secret": "Name",
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


@guard(
    "CF-13",
    "Only what outsiders must find has a name",
    why="A named resource cannot be replaced: its successor is created first, under the same name (CloudFormation "
    "Template Reference, Name type).",
    remedy="drop the name",
)
def no_needless_names(env: ResolvedEnvironment) -> Iterator[Broken]:
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            # A bucket of the account's own namespace takes no name from others, and is replaced by nobody.
            own = resource.get("BucketNamespace") == "account-regional"
            key = _NAMELESS.get(resource.type)
            if key and resource.get(key) is not None and not own:
                yield Broken(resource, f"Properties.{key}", f"{resource.type} is named {resource.get(key)}")


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
    "AWS::WAFv2::WebACL": "Name",
}


@guard(
    "CF-14",
    "Names carry project and environment, and are unique",
    why="These names are unique in the account or region, so a second environment, or another stack of this one, "
    "would fail to create them (CloudFormation Template Reference, Name type).",
    remedy="begin the name with the prefix of project and environment",
)
def names_are_unique(env: ResolvedEnvironment) -> Iterator[Broken]:
    prefix = f"{env.environment.parameters.get('Project', '')}-{env.environment.parameters.get('Environment', '')}"
    seen: dict[tuple[str, str, str], Resource] = {}
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            key = _ACCOUNT_WIDE.get(resource.type)
            name = str(resource.get(key)) if key and resource.get(key) is not None else ""
            if not name or not key:
                continue
            if prefix not in name:
                yield Broken(resource, f"Properties.{key}", f"{name} does not carry {prefix}")
            place = "" if "CloudFront" in resource.type else stack.region
            if seen.setdefault((resource.type, place, name), resource) != resource:
                yield Broken(resource, f"Properties.{key}", f"{name} is also the name of another {resource.type}")


_GROUP_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


@template_guard(
    "CF-15",
    "Templates are printable ASCII",
    why="Descriptions of security groups, subnet groups, parameter groups and IAM refuse other characters, tags of "
    "some services too (Amazon EC2 API Reference, CreateSecurityGroup).",
    remedy="write it in plain English letters",
)
def ascii_only(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        for section, content in template.body.items():
            entries = content.items() if isinstance(content, dict) else [("", content)]
            for name, entry in entries:
                bad = [text for text in strings(entry) if not re.fullmatch(r"[\x20-\x7e\n]*", text)]
                if bad:
                    place = Place(template.name, name if section == "Resources" else "")
                    yield Broken(place, f"{section}.{name}".rstrip("."), f"not printable ASCII: {bad[0]!r}")


@guard(
    "CF-26",
    "Descriptions of security groups use EC2's characters",
    why="EC2 allows a small set of characters, without > and ' (Amazon EC2 API Reference, CreateSecurityGroup); after "
    "Fn::Sub cfn-lint sees no text to check.",
    remedy="use letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*",
)
def group_descriptions(env: ResolvedEnvironment) -> Iterator[Broken]:
    types = ("AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
    for resource in env.of_type(*types):
        texts = {path: resource.get(path) for path in ("GroupDescription", "Description")}
        for direction in ("SecurityGroupIngress", "SecurityGroupEgress"):
            for index, rule in enumerate(listed(resource.get(direction))):
                texts[f"{direction}.{index}.Description"] = rule.get("Description")
        for path, text in texts.items():
            if text is not None and not _GROUP_TEXT.fullmatch(str(text)):
                yield Broken(resource, f"Properties.{path}", f"EC2 refuses {text!r}")


@guard(
    "CF-16",
    "Secrets do not pass through custom resources",
    why="Secure dynamic references are not resolved in custom resources (CloudFormation User Guide, Get values stored "
    "in other services using dynamic references).",
    remedy="give the function the secret's ARN and let it read the secret",
)
def no_secret_in_custom_resource(env: ResolvedEnvironment) -> Iterator[Broken]:
    for resource in custom_resources(env):
        for text in strings(dict(resource.properties)):
            if re.search(r"\{\{resolve:(secretsmanager|ssm-secure)", text):
                yield Broken(resource, "Properties", "dynamic reference to a secret")


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


@guard(
    "CF-17",
    "Who uses a role waits for its policies",
    why="A policy that is a resource of its own may come after the role's user, and go before it on deletion: the "
    "user then fails with access denied (CloudFormation Template Reference, DependsOn attribute).",
    remedy="add the policy to the DependsOn of its user",
)
def role_users_wait(env: ResolvedEnvironment) -> Iterator[Broken]:
    for user in env.of_type(*_ROLE_USERS):
        values: Json = dict(user.properties)
        if task := behind(env, user.get("TaskDefinition"), "AWS::ECS::TaskDefinition"):
            values = [values, dict(task.properties)]
        stack = env.stacks[user.stack]
        # A function does nothing until it is called: it is enough that those wait who call it from a template.
        callers = [item for item in custom_resources(env) if behind(env, item.get("ServiceToken")) == user]
        for role in all_behind(env, values, ROLE):
            for policy in attached_policies(env, role):
                waiting = [depends(stack, item, policy.logical_id) for item in (callers or [user])]
                if policy.stack == user.stack and not all(waiting):
                    yield Broken(user, "DependsOn", f"does not wait for {policy.logical_id} of its role")


@template_guard(
    "CF-18",
    "No output or default carries a secret",
    why="Outputs and parameters can be read by everyone who may describe the stack (CloudFormation User Guide, "
    "Security best practices).",
    remedy="give the ARN of the secret",
)
def outputs_without_secrets(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        hidden = {
            key for key, item in template.section("Parameters").items() if str(item.get("NoEcho")).lower() == "true"
        }
        for name in sorted(hidden):
            if template.section("Parameters")[name].get("Default"):
                yield Broken(Place(template.name), f"Parameters.{name}.Default", "default of a NoEcho parameter")
        for name, output in template.section("Outputs").items():
            value = output.get("Value")
            if any("{{resolve:" in text for text in strings(value)) or reads_parameter(value) & hidden:
                yield Broken(Place(template.name), f"Outputs.{name}", "output shows a secret")


@template_guard(
    "CF-19",
    "Zones are chosen by name, by the user",
    why="Which zones GetAZs lists, and in which order, differs between accounts (CloudFormation Template Reference, "
    "Fn::GetAZs), so a subnet may move and be replaced.",
    remedy="take the zone from a root parameter",
)
def no_listed_zones(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        for logical_id, path, name, _ in in_resources(template):
            if name == "Fn::GetAZs":
                yield Broken(Place(template.name, logical_id), path, "zones are listed by CloudFormation")


@guard(
    "CF-27",
    "Zones belong to the stack's region",
    why="A zone of another region, or a zone's id in place of its name, is refused only when the subnet is created "
    "(Amazon EC2 User Guide, Availability Zones).",
    remedy="correct the zone in the parameter file",
)
def zones_of_region(env: ResolvedEnvironment) -> Iterator[Broken]:
    for stack in env.stacks.values():
        for resource in stack.of_type("AWS::EC2::Subnet", "AWS::RDS::DBInstance"):
            zone = resource.get("AvailabilityZone")
            if zone is not None and not re.fullmatch(rf"{stack.region}[a-z]", str(zone)):
                yield Broken(resource, "Properties.AvailabilityZone", f"{zone} is no zone of {stack.region}")


@template_guard(
    "CF-20",
    "Outputs that another stack reads are always there",
    why="Reading an output whose condition is false fails the creation, in that environment only (CloudFormation User "
    "Guide, Outputs).",
    remedy="drop the condition and give a sentinel such as none",
)
def read_outputs_are_unconditional(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        nested = {key: nested_template(item) for key, item in template.resources.items()}
        for logical_id, path, name, argument in in_resources(template):
            if name != "Fn::GetAtt" or not isinstance(argument, list) or nested.get(argument[0]) not in templates:
                continue
            child, output = templates[str(nested[argument[0]])], str(argument[1]).removeprefix("Outputs.")
            if "Condition" in child.section("Outputs").get(output, {}):
                yield Broken(Place(template.name, logical_id), path, f"{output} of {argument[0]} is conditional")


@guard(
    "CF-28",
    "Every output that is read exists in this environment",
    why="A missing output fails the creation of the stack that reads it (CloudFormation User Guide, Outputs).",
    remedy="add the output, or mend its name",
)
def read_outputs_exist(env: ResolvedEnvironment) -> Iterator[Broken]:
    yield from _violations(env, "CF-20")


@guard(
    "CF-21",
    "Values keep the rules of their parameters, in nested stacks too",
    why="A value against its pattern, its list or a rule is refused when the change set is created, and cfn-lint does "
    "not see what is passed down (CloudFormation User Guide, Parameters).",
    remedy="correct the value in the parameter file, or what the root passes",
)
def values_keep_rules(env: ResolvedEnvironment) -> Iterator[Broken]:
    yield from _violations(env, "CF-21")


def _violations(env: ResolvedEnvironment, rule: str) -> Iterator[Broken]:
    for stack in env.stacks.values():
        for violation in stack.violations:
            if violation.rule == rule:
                yield Broken(_violated(stack, violation.path), violation.path, violation.message)


def _violated(stack: Stack, path: str) -> Place:
    section, _, name = path.partition(".")
    return Place(stack.template.name, name if section == "Resources" else "")


@guard(
    "CF-22",
    "A distribution's comment has at most 128 characters",
    why="CloudFront refuses a longer one (Amazon CloudFront API Reference, DistributionConfig).",
    remedy="shorten it",
)
def short_comment(env: ResolvedEnvironment) -> Iterator[Broken]:
    for resource in env.of_type("AWS::CloudFront::Distribution"):
        if len(str(resource.get("DistributionConfig.Comment", ""))) > 128:
            yield Broken(resource, "Properties.DistributionConfig.Comment", "comment above 128 characters")


@guard(
    "CF-23",
    "A dashboard's body is JSON",
    why="CloudWatch refuses a body that does not parse (Amazon CloudWatch API Reference, Dashboard body structure); "
    "behind Fn::Sub nobody else looks.",
    remedy="build the body as data, and substitute only inside its strings",
)
def dashboards_parse(env: ResolvedEnvironment) -> Iterator[Broken]:
    for resource in env.of_type("AWS::CloudWatch::Dashboard"):
        try:
            body = json.loads(str(resource.get("DashboardBody")))
            if not body.get("widgets"):
                yield Broken(resource, "Properties.DashboardBody", "no widgets")
        except (ValueError, AttributeError) as problem:
            yield Broken(resource, "Properties.DashboardBody", f"not JSON: {problem}")


@guard(
    "CF-24",
    "Event patterns match against lists",
    why="A bare value in a pattern is refused when the rule is created (Amazon EventBridge User Guide, Creating event "
    "patterns).",
    remedy="put the value into a list",
)
def patterns_hold_lists(env: ResolvedEnvironment) -> Iterator[Broken]:
    def bare(value: Json, path: str) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from bare(item, f"{path}.{key}")
        elif not isinstance(value, list):
            yield path

    for resource in env.of_type("AWS::Events::Rule"):
        for path in bare(resource.get("EventPattern", {}), "Properties.EventPattern"):
            yield Broken(resource, path, "a bare value instead of a list")


@guard(
    "CF-25",
    "Names of buckets and of the database cluster are lower case and short enough",
    why="S3 takes 3 to 63 small letters, digits and hyphens (Amazon S3 User Guide, Bucket naming rules), RDS puts an "
    "identifier in small letters, so that a log group named otherwise is never found.",
    remedy="shorten Project or the name",
)
def physical_names(env: ResolvedEnvironment) -> Iterator[Broken]:
    keys = {"AWS::S3::Bucket": "BucketName", "AWS::RDS::DBCluster": "DBClusterIdentifier"}
    for resource in env.of_type(*keys):
        name = resource.get(keys[resource.type])
        if name is not None and not any(origins(name)) and not re.fullmatch(r"[a-z][a-z0-9-]{1,61}[a-z0-9]", str(name)):
            yield Broken(resource, f"Properties.{keys[resource.type]}", f"{name} is refused")


@template_guard(
    "CF-29",
    "The root only nests, and every companion stands alone",
    why="A resource in the root is in no layer, and a companion that nests needs its templates in another region's "
    "bucket (CloudFormation User Guide, Nested stacks).",
    remedy="move the resource into the layer that owns it",
)
def root_only_nests(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for name in (ROOT, *COMPANIONS):
        for logical_id, resource in templates[name].resources.items():
            if (resource["Type"] == NESTED_STACK) != (name == ROOT):
                yield Broken(Place(name, logical_id), "Type", f"{resource['Type']} in {name}")


@template_guard(
    "CF-30",
    "A nested stack has time to finish",
    why="A database takes ten minutes and a distribution five; a shorter limit fails and rolls back what would have "
    "come (CloudFormation Template Reference, AWS::CloudFormation::Stack, TimeoutInMinutes).",
    remedy="drop TimeoutInMinutes, or give at least 60",
)
def time_to_finish(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        for logical_id, resource in template.resources.items():
            if resource["Type"] != NESTED_STACK:
                continue
            minutes = number(resource.get("Properties", {}).get("TimeoutInMinutes"))
            if minutes is not None and minutes < 60:
                yield Broken(Place(template.name, logical_id), "Properties.TimeoutInMinutes", f"{minutes:g} minutes")
