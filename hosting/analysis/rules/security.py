"""Keys, topics, queues, security groups and the web ACL: who may, and who must not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.database import CLUSTER, MYSQL
from hosting.analysis.rules.network import ANYWHERE, GROUP, covers, egress, ingress
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.roles import bound_to_account
from hosting.analysis.rules.services import listener_ports, starters, target_ports
from hosting.analysis.rules.values import (
    Statement,
    flag,
    follow,
    follow_all,
    is_attribute,
    listed,
    matches,
    number,
    statements,
    waits_for,
)
from hosting.model.stack_order import EDGE_REGION
from hosting.model.tokens import strings

KEY = "AWS::KMS::Key"


def key_allows(key: Resource, service: str, *actions: str) -> list[Statement]:
    """Return the statements of a key's policy that together allow a service all the actions."""
    allowing = [item for item in statements(key.get("KeyPolicy")) if item.service(service)]
    if all(any(item.allows(action) for item in allowing) for action in actions):
        return allowing
    return []


@environment_rule(
    "SEC-01",
    "The account administers every key, and every key rotates",
    why="Without the account's root in the policy no principal can change the key, and KMS refuses to create it (AWS "
    "KMS Developer Guide, Default key policy).",
    hint="allow kms:* to arn:aws:iam::<account>:root and set EnableKeyRotation",
)
def account_owns_keys(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for key in env.of_type(KEY):
        root = f"arn:aws:iam::{env.stacks[key.stack].account}:root"
        if not any(
            item.allows("kms:PutKeyPolicy") and root in item.principals.get("AWS", []) and not item.conditions
            for item in statements(key.get("KeyPolicy"))
        ):
            yield RuleMatch(key, "Properties.KeyPolicy", "the account cannot administer the key")
        if not flag(key.get("EnableKeyRotation")):
            yield RuleMatch(key, "Properties.EnableKeyRotation", "does not rotate")


@environment_rule(
    "SEC-02",
    "Log groups are encrypted with a key that CloudWatch Logs may use",
    why="CloudWatch Logs needs the key's ARN and a statement for its regional principal with the group as encryption "
    "context; else the group is refused (Amazon CloudWatch Logs User Guide, Encrypt log data using AWS KMS).",
    hint="take KmsKeyId from GetAtt Arn; allow logs.<region>.amazonaws.com Encrypt, Decrypt, ReEncrypt, "
    "GenerateDataKey and DescribeKey with kms:EncryptionContext:aws:logs:arn",
)
def logs_key(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type("AWS::Logs::LogGroup"):
        given = group.get("KmsKeyId")
        key = follow(env, given, KEY)
        if given is None or key is None:
            if given is not None:
                yield RuleMatch(group, "Properties.KmsKeyId", "is not a key of ours")
            continue
        if not is_attribute(given, "Arn"):
            yield RuleMatch(group, "Properties.KmsKeyId", "is the key's id; CloudWatch Logs wants its ARN")
        stack = env.stacks[group.stack]
        principal = f"logs.{stack.region}.amazonaws.com"
        granted = [item for item in statements(key.get("KeyPolicy")) if principal in item.principals.get("Service", [])]
        needed = (
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "kms:GenerateDataKey",
            "kms:DescribeKey",
        )
        missing = [action for action in needed if not any(item.allows(action) for item in granted)]
        if missing:
            yield RuleMatch(key, "Properties.KeyPolicy", f"{principal} lacks {', '.join(missing)}")
            continue
        name = str(group.get("LogGroupName", "x"))
        arn = f"arn:aws:logs:{stack.region}:{stack.account}:log-group:{name}"
        for item in granted:
            contexts = item.condition("kms:EncryptionContext:aws:logs:arn")
            if contexts and not any(matches(context, arn) for context in contexts):
                yield RuleMatch(key, "Properties.KeyPolicy", f"does not cover log group {name}")


def topic_users(env: ResolvedEnvironment) -> Iterator[tuple[Resource, str, Resource, str]]:
    """Yield the resources that publish to a topic: sender, property, topic, and publishing service."""
    topic_type = "AWS::SNS::Topic"
    for alarm in env.of_type("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        for path in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            for topic in follow_all(env, alarm.get(path), topic_type):
                yield alarm, path, topic, "cloudwatch"
    for rule in env.of_type("AWS::Events::Rule"):
        for topic in follow_all(env, rule.get("Targets"), topic_type):
            yield rule, "Targets", topic, "events"
    for budget in env.of_type("AWS::Budgets::Budget"):
        for topic in follow_all(env, budget.get("NotificationsWithSubscribers"), topic_type):
            yield budget, "NotificationsWithSubscribers", topic, "budgets"
    for subscription in env.of_type("AWS::RDS::EventSubscription"):
        for topic in follow_all(env, subscription.get("SnsTopicArn"), topic_type):
            yield subscription, "SnsTopicArn", topic, "rds"


@environment_rule(
    "SEC-03",
    "Senders may use the key of the topic they send to",
    why="An alarm whose service may not use the topic's key fires, and its message vanishes; the key of AWS, "
    "alias/aws/sns, can be used by no service (Amazon SNS Developer Guide, Key management).",
    hint="encrypt the topic with a key of ours that allows the service kms:Decrypt and kms:GenerateDataKey",
)
def topic_keys(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for sender, path, topic, service in topic_users(env):
        given = topic.get("KmsMasterKeyId")
        key = follow(env, given, KEY)
        if given is None:
            continue
        if key is None:
            yield RuleMatch(topic, "Properties.KmsMasterKeyId", f"{given} cannot be used by {service}.amazonaws.com")
        elif not key_allows(key, service, "kms:Decrypt", "kms:GenerateDataKey"):
            yield RuleMatch(sender, f"Properties.{path}", f"{service}.amazonaws.com may not use the topic's key")


@environment_rule(
    "SEC-04",
    "Senders may publish to their topic, and only for this account",
    why="A topic's own policy replaces the default one, so each service must be named; without a condition any "
    "account's resources could publish through it (Amazon SNS Developer Guide, Example cases for access control).",
    hint="allow sns:Publish to the service with aws:SourceAccount or aws:SourceArn",
)
def topic_policies(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    policies = env.of_type("AWS::SNS::TopicPolicy")

    def read_policy(topic: Resource) -> list[Statement]:
        return [
            item
            for policy in policies
            if topic in follow_all(env, policy.get("Topics"))
            for item in statements(policy.get("PolicyDocument"))
        ]

    for sender, path, topic, service in topic_users(env):
        if not any(item.service(service) and item.allows("sns:Publish") for item in read_policy(topic)):
            yield RuleMatch(
                sender, f"Properties.{path}", f"{service}.amazonaws.com may not publish to {topic.logical_id}"
            )
    for policy in policies:
        for item in statements(policy.get("PolicyDocument")):
            if item.effect == "Allow" and not bound_to_account(item) and _foreign(item):
                yield RuleMatch(policy, f"Properties.PolicyDocument.Statement.{item.index}", "open to other accounts")


def _foreign(item: Statement) -> bool:
    # EventBridge sends no source conditions for a rule's topic.
    services = [name for name in item.principals.get("Service", []) if name != "events.amazonaws.com"]
    return bool(services) or "*" in item.principals.get("AWS", [])


@environment_rule(
    "SEC-05",
    "No two groups depend on each other",
    why="A rule inside a group makes the group wait for whom the rule names; when that group waits for this one as "
    "well, CloudFormation refuses the circle, often not before a second rule is added (CloudFormation Template "
    "Reference, AWS::EC2::SecurityGroup).",
    hint="write one of the two rules as an AWS::EC2::SecurityGroupIngress or Egress",
)
def no_circles_of_groups(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type(GROUP):
        for direction in ("SecurityGroupIngress", "SecurityGroupEgress"):
            for other in follow_all(env, group.get(direction), GROUP):
                if other == group:
                    yield RuleMatch(group, f"Properties.{direction}", "inline rule names its own group")
                elif waits_for(env, other, group):
                    yield RuleMatch(
                        group, f"Properties.{direction}", f"inline rule names {other.logical_id}, which waits for it"
                    )


@environment_rule(
    "SEC-06",
    "A group with CloudFront's prefix list has room for it",
    why="The list counts as 55 of the 60 rules that a group may have (Amazon CloudFront Developer Guide, Use the "
    "CloudFront managed prefix list).",
    hint="one port per group, and at most five other rules",
)
def prefix_list_weight(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type(GROUP):
        rules = ingress(env, group)
        lists = [rule for rule in rules if "SourcePrefixListId" in rule]
        if len(lists) > 1 or (lists and len(rules) > 6):
            yield RuleMatch(
                group, "Properties.SecurityGroupIngress", f"{len(lists)} prefix lists among {len(rules)} rules"
            )


@environment_rule(
    "SEC-07",
    "The path from load balancer to task to database is open on both sides",
    why="Groups that restrict egress need a rule at both ends; a missing one shows as unhealthy targets or "
    "hanging connections (Amazon EC2 User Guide, Security group rules).",
    hint="add the missing egress or ingress rule",
)
def open_paths(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for service, settings in starters(env):
        network = f"{settings}NetworkConfiguration"
        groups = follow_all(env, service.get(f"{network}.AwsvpcConfiguration.SecurityGroups"), GROUP)
        path = f"Properties.{network}"
        for port in target_ports(service):
            for balancer in env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
                fronts = follow_all(env, balancer.get("SecurityGroups"), GROUP)
                if not _open(env, fronts, groups, port):
                    yield RuleMatch(service, path, f"no way from the load balancer to port {port}")
        for cluster in env.of_type(CLUSTER):
            backs = follow_all(env, cluster.get("VpcSecurityGroupIds"), GROUP)
            if not _open(env, groups, backs, int(number(cluster.get("Port")) or MYSQL)):
                yield RuleMatch(service, path, "no way to the database")
        out = [rule for group in groups for rule in egress(env, group)]
        if groups and out and not any(covers(rule, 443) and rule.get("CidrIp") in ANYWHERE for rule in out):
            # The gateway endpoint of S3 has public addresses, as have registries.
            yield RuleMatch(service, path, "no way out for HTTPS")


def _open(env: ResolvedEnvironment, senders: list[Resource], receivers: list[Resource], port: int) -> bool:
    def leaves(sender: Resource, receiver: Resource) -> bool:
        rules = egress(env, sender)
        return not rules or any(
            covers(rule, port)
            and (rule.get("CidrIp") in ANYWHERE or follow(env, rule.get("DestinationSecurityGroupId")) == receiver)
            for rule in rules
        )

    def enters(sender: Resource, receiver: Resource) -> bool:
        rules = ingress(env, receiver)
        return any(covers(rule, port) and follow(env, rule.get("SourceSecurityGroupId")) == sender for rule in rules)

    return any(leaves(sender, receiver) and enters(sender, receiver) for sender in senders for receiver in receivers)


@environment_rule(
    "SEC-23",
    "No group is open to the internet; only CloudFront reaches the load balancer",
    why="Requests that bypass CloudFront also bypass the web ACL (Amazon CloudFront Developer Guide, Restrict "
    "access to Application Load Balancers).",
    hint="allow the prefix list of CloudFront, a group, or a private block",
)
def no_open_ingress(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type(GROUP):
        for rule in ingress(env, group):
            if rule.get("CidrIp") in ANYWHERE or rule.get("CidrIpv6") in ANYWHERE:
                yield RuleMatch(
                    group, "Properties.SecurityGroupIngress", f"open to the internet on {rule.get('FromPort')}"
                )
    for balancer in env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        for port in listener_ports(env, balancer):
            rules = [
                rule for group in follow_all(env, balancer.get("SecurityGroups"), GROUP) for rule in ingress(env, group)
            ]
            if not any(covers(rule, port) for rule in rules):
                yield RuleMatch(balancer, "Properties.SecurityGroups", f"no ingress rule for port {port}")


@environment_rule(
    "SEC-09",
    "The distribution is protected by a web ACL of scope CLOUDFRONT, given as its ARN",
    why="Such an ACL exists in us-east-1 only, and WebACLId takes the ARN in spite of its name (AWS WAF Developer "
    "Guide, Resources that you can protect).",
    hint="make the ACL in the edge stack and pass its Arn",
)
def web_acl(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        if acl.get("Scope") == "CLOUDFRONT" and env.stacks[acl.stack].region != EDGE_REGION:
            yield RuleMatch(acl, "Properties.Scope", f"CLOUDFRONT in {env.stacks[acl.stack].region}")
    pattern = re.compile(rf"arn:aws:wafv2:{EDGE_REGION}:\d{{12}}:global/webacl/\S+")
    for distribution in env.of_type("AWS::CloudFront::Distribution"):
        given = distribution.get("DistributionConfig.WebACLId")
        ours = follow(env, given, "AWS::WAFv2::WebACL")
        good = (
            ours.get("Scope") == "CLOUDFRONT" and is_attribute(given, "Arn") if ours else pattern.fullmatch(str(given))
        )
        if not good:
            yield RuleMatch(distribution, "Properties.DistributionConfig.WebACLId", "no ARN of a CLOUDFRONT web ACL")


# AWS WAF Developer Guide, AWS Managed Rules rule groups list: the capacity that each costs.
_CAPACITY = {
    "AWSManagedRulesCommonRuleSet": 700,
    "AWSManagedRulesAdminProtectionRuleSet": 100,
    "AWSManagedRulesKnownBadInputsRuleSet": 200,
    "AWSManagedRulesSQLiRuleSet": 200,
    "AWSManagedRulesLinuxRuleSet": 200,
    "AWSManagedRulesUnixRuleSet": 100,
    "AWSManagedRulesPHPRuleSet": 100,
    "AWSManagedRulesWordPressRuleSet": 100,
    "AWSManagedRulesAmazonIpReputationList": 25,
    "AWSManagedRulesAnonymousIpList": 50,
    "AWSManagedRulesBotControlRuleSet": 50,
}


_CAPACITY_LIMIT = 1500


# AWS WAF Developer Guide, Using rule statements. A text transformation other than NONE costs 10.
_STATEMENT_CAPACITY = {
    "RateBasedStatement": 2,
    "IPSetReferenceStatement": 1,
    "RegexMatchStatement": 3,
    "ByteMatchStatement": 2,
}


def _capacity(statement: Mapping[str, Any]) -> int:
    """Return the capacity of a statement with the statements in it."""
    capacity = 0
    for kind, body in statement.items():
        inner = [*listed(body.get("Statements")), body.get("Statement", {}), body.get("ScopeDownStatement", {})]
        transformed = [one for one in listed(body.get("TextTransformations")) if one.get("Type") != "NONE"]
        own = _CAPACITY.get(body.get("Name"), 0) if kind == "ManagedRuleGroupStatement" else 0
        capacity += own + _STATEMENT_CAPACITY.get(kind, 0) + 10 * len(transformed) + sum(map(_capacity, inner))
    return capacity


@environment_rule(
    "SEC-10",
    "The rules of the web ACL are well-formed and within its capacity",
    why="A managed group takes OverrideAction, a rule of our own Action; priorities are unique; the ACL is refused "
    "above 1,500 units (AWS WAF Developer Guide, AWS WAF web ACL capacity units).",
    hint="correct the rule; AWS's groups are named AWSManagedRules...",
)
def web_acl_rules(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        priorities: set[str] = set()
        capacity = 0
        if "Allow" not in acl.get("DefaultAction", {}):
            yield RuleMatch(acl, "Properties.DefaultAction", "refuses what no rule speaks of, so every visitor")
        for index, rule in enumerate(listed(acl.get("Rules"))):
            path = f"Properties.Rules.{index}"
            managed = rule.get("Statement", {}).get("ManagedRuleGroupStatement")
            if ("OverrideAction" in rule) != bool(managed) or ("Action" in rule) == bool(managed):
                yield RuleMatch(acl, path, f"{rule.get('Name')} has the wrong kind of action")
            if str(rule.get("Priority")) in priorities:
                yield RuleMatch(acl, f"{path}.Priority", f"priority {rule.get('Priority')} is taken")
            priorities.add(str(rule.get("Priority")))
            if managed and (managed.get("VendorName") != "AWS" or managed.get("Name") not in _CAPACITY):
                yield RuleMatch(acl, path, f"no rule group {managed.get('VendorName')} {managed.get('Name')}")
            capacity += _capacity(rule.get("Statement", {}))
        if capacity > _CAPACITY_LIMIT:
            yield RuleMatch(acl, "Properties.Rules", f"{capacity} capacity units")


@environment_rule(
    "SEC-40",
    "Each statement of a web ACL's rules is one statement",
    why="A statement with two kinds of conditions is refused: exactly one value is required (AWS WAF API Reference, "
    "Statement).",
    hint="combine the statements in an AndStatement or OrStatement",
)
def single_statements(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for acl in env.of_type("AWS::WAFv2::WebACL", "AWS::WAFv2::RuleGroup"):
        for index, rule in enumerate(listed(acl.get("Rules"))):
            path = f"Properties.Rules.{index}.Statement"
            for place, kinds in _find_compound_statements(rule.get("Statement", {}), path):
                yield RuleMatch(acl, place, f"{rule.get('Name')} has {' and '.join(kinds) or 'no statement'}")


def _find_compound_statements(statement: Mapping[str, Any], path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each statement that has not exactly one kind, with its kinds."""
    if len(statement) != 1:
        yield path, sorted(statement)
    for kind, body in statement.items():
        for index, inner in enumerate(listed(body.get("Statements"))):
            yield from _find_compound_statements(inner, f"{path}.{kind}.Statements.{index}")
        for key in ("Statement", "ScopeDownStatement"):
            if key in body:
                yield from _find_compound_statements(body[key], f"{path}.{kind}.{key}")


# AWS IAM User Guide, IAM and AWS STS quotas. IAM does not count white space.
_POLICY_LIMITS = {"AWS::IAM::ManagedPolicy": 6144, "AWS::IAM::Role": 2048}


@environment_rule(
    "SEC-41",
    "Managed policies and trust policies are within the limits of IAM",
    why="A managed policy above 6,144 characters is refused, and so is a trust policy above 2,048 (AWS IAM User Guide, "
    "IAM and AWS STS quotas).",
    hint="divide the policy: a role can have ten managed policies",
)
def policy_sizes(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource in env.of_type(*_POLICY_LIMITS):
        key = "AssumeRolePolicyDocument" if resource.type == "AWS::IAM::Role" else "PolicyDocument"
        size = len(json.dumps(resource.get(key), separators=(",", ":"), default=str))
        if size > _POLICY_LIMITS[resource.type]:
            yield RuleMatch(resource, f"Properties.{key}", f"{size:,} of {_POLICY_LIMITS[resource.type]:,} characters")


@environment_rule(
    "SEC-11",
    "Large request bodies are a decision, not an accident",
    why="The common rule set blocks bodies above 8 KB, so uploads get 403 (AWS WAF Developer Guide, Baseline rule "
    "groups, SizeRestrictions_BODY).",
    hint="add a RuleActionOverride for SizeRestrictions_BODY",
)
def body_size(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        for index, rule in enumerate(listed(acl.get("Rules"))):
            managed = rule.get("Statement", {}).get("ManagedRuleGroupStatement", {})
            overrides = [item.get("Name") for item in listed(managed.get("RuleActionOverrides"))]
            if managed.get("Name") == "AWSManagedRulesCommonRuleSet" and "SizeRestrictions_BODY" not in overrides:
                yield RuleMatch(acl, f"Properties.Rules.{index}", "SizeRestrictions_BODY blocks uploads")


@environment_rule(
    "SEC-12",
    "The web ACL logs to a group that WAF accepts",
    why="WAF wants a group named aws-waf-logs-..., in the ACL's region, and its ARN without the :* that GetAtt gives "
    "(AWS WAF Developer Guide, Sending web ACL traffic logs to CloudWatch Logs).",
    hint="name the group aws-waf-logs-..., and build the ARN with Sub",
)
def web_acl_log(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    logged = []
    for log in env.of_type("AWS::WAFv2::LoggingConfiguration"):
        logged.append(follow(env, log.get("ResourceArn")))
        for value in listed(log.get("LogDestinationConfigs")):
            names = [str(group.get("LogGroupName")) for group in follow_all(env, value, "AWS::Logs::LogGroup")]
            text = next(iter(names), str(value).rsplit(":log-group:", maxsplit=1)[-1])
            bad_arn = is_attribute(value, "Arn") or str(value).endswith(":*")
            if bad_arn or not text.startswith("aws-waf-logs-"):
                yield RuleMatch(log, "Properties.LogDestinationConfigs", f"WAF refuses {text}{':*' if bad_arn else ''}")
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        if acl not in logged:
            yield RuleMatch(acl, "", "is not logged")


@environment_rule(
    "SEC-26",
    "Generated secrets fit where they are used",
    why="The value is used in a listener condition, where * and ? are wildcards and 128 characters the limit (Elastic "
    "Load Balancing User Guide, Listener rules for your Application Load Balancer).",
    hint="set ExcludePunctuation and a PasswordLength from 32 to 128",
)
def generated_secrets(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    rules = [
        text
        for rule in env.of_type("AWS::ElasticLoadBalancingV2::ListenerRule")
        for text in strings(dict(rule.properties))
    ]
    for secret in env.of_type("AWS::SecretsManager::Secret"):
        used = any("{{resolve:secretsmanager:" in text and secret in follow_all(env, text) for text in rules)
        length = number(secret.get("GenerateSecretString.PasswordLength")) or 32
        if used and not (flag(secret.get("GenerateSecretString.ExcludePunctuation")) and 32 <= length <= 128):
            yield RuleMatch(secret, "Properties.GenerateSecretString", "may hold a wildcard or be too long or short")


@environment_rule(
    "SEC-27",
    "The tasks' groups and the database's belong to the VPC they work in",
    why="A group of another VPC is refused when the task or the cluster is created (Amazon VPC User Guide, Security "
    "groups).",
    hint="pass the same VPC to every group",
)
def one_vpc(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type(GROUP):
        if not follow(env, group.get("VpcId"), "AWS::EC2::VPC"):
            yield RuleMatch(group, "Properties.VpcId", "is in no VPC of ours")
    for starter, path in starters(env):
        network = f"{path}NetworkConfiguration"
        if not follow_all(env, starter.get(f"{network}.AwsvpcConfiguration.SecurityGroups"), GROUP):
            yield RuleMatch(starter, f"Properties.{network}", "tasks without a group of ours")


@environment_rule(
    "SEC-29",
    "Senders may use the key of the queue they send to",
    why="A message that cannot be encrypted is dropped: a dead-letter queue then stays empty when it is needed (Amazon "
    "SQS Developer Guide, Key management, Enable compatibility between event sources and encrypted queues).",
    hint="allow each service of the queue's policy kms:Decrypt and kms:GenerateDataKey in the key's policy",
)
def queue_keys(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for policy in env.of_type("AWS::SQS::QueuePolicy"):
        for queue in follow_all(env, policy.get("Queues"), "AWS::SQS::Queue"):
            key = follow(env, queue.get("KmsMasterKeyId"), KEY)
            if queue.get("KmsMasterKeyId") is None:
                continue
            for item in statements(policy.get("PolicyDocument")):
                for principal in item.principals.get("Service", []):
                    service = str(principal).removesuffix(".amazonaws.com")
                    if key is None or not key_allows(key, service, "kms:Decrypt", "kms:GenerateDataKey"):
                        yield RuleMatch(queue, "Properties.KmsMasterKeyId", f"{principal} may not use the queue's key")
