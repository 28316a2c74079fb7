"""Keys, security groups, roles, buckets, web ACL: who may, and who must not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from analysis.guards.application import containers, listener_ports, target_ports, task_definition
from analysis.guards.database import CLUSTER, MYSQL, task_groups
from analysis.guards.network import ANYWHERE, GROUP, covers, egress, ingress
from analysis.guards.registry import Broken, guard
from analysis.guards.values import (
    ROLE,
    Statement,
    all_behind,
    behind,
    flag,
    is_attribute,
    listed,
    matches,
    number,
    policy_documents,
    statements,
)
from analysis.resolve import ResolvedEnvironment, Resource
from analysis.templates import EDGE_REGION
from analysis.tokens import Json, origin, origins, strings

KEY = "AWS::KMS::Key"
BUCKET = "AWS::S3::Bucket"


# --- Keys --------------------------------------------------------------------------------------------------------


def key_allows(key: Resource, service: str, *actions: str) -> list[Statement]:
    """The statements of a key's policy that give a service all the actions; together they may be several."""
    allowing = [item for item in statements(key.get("KeyPolicy")) if item.service(service)]
    if all(any(item.allows(action) for item in allowing) for action in actions):
        return allowing
    return []


@guard(
    "SEC-01",
    "The account administers every key, and every key rotates",
    why="Without the account's root in the policy nobody can change the key any more, and KMS refuses to make it (AWS "
    "KMS Developer Guide, Default key policy).",
    remedy="allow kms:* to arn:aws:iam::<account>:root and set EnableKeyRotation",
)
def account_owns_keys(env: ResolvedEnvironment) -> Iterator[Broken]:
    for key in env.of_type(KEY):
        root = f"arn:aws:iam::{env.stacks[key.stack].account}:root"
        if not any(
            item.allows("kms:PutKeyPolicy") and root in item.principals.get("AWS", []) and not item.conditions
            for item in statements(key.get("KeyPolicy"))
        ):
            yield Broken(key, "Properties.KeyPolicy", "the account cannot administer the key")
        if not flag(key.get("EnableKeyRotation")):
            yield Broken(key, "Properties.EnableKeyRotation", "does not rotate")


@guard(
    "SEC-02",
    "Log groups are encrypted with a key that CloudWatch Logs may use",
    why="CloudWatch Logs needs the key's ARN and a statement for its regional principal with the group as encryption "
    "context; else the group is refused (Amazon CloudWatch Logs User Guide, Encrypt log data using AWS KMS).",
    remedy="take KmsKeyId from GetAtt Arn; allow logs.<region>.amazonaws.com Encrypt, Decrypt, ReEncrypt, "
    "GenerateDataKey and DescribeKey with kms:EncryptionContext:aws:logs:arn",
)
def logs_key(env: ResolvedEnvironment) -> Iterator[Broken]:
    for group in env.of_type("AWS::Logs::LogGroup"):
        given = group.get("KmsKeyId")
        key = behind(env, given, KEY)
        if given is None or key is None:
            if given is not None:
                yield Broken(group, "Properties.KmsKeyId", "is not a key of ours")
            continue
        if not is_attribute(given, "Arn"):
            yield Broken(group, "Properties.KmsKeyId", "is the key's id; CloudWatch Logs wants its ARN")
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
            yield Broken(key, "Properties.KeyPolicy", f"{principal} lacks {', '.join(missing)}")
            continue
        name = str(group.get("LogGroupName", "x"))
        arn = f"arn:aws:logs:{stack.region}:{stack.account}:log-group:{name}"
        for item in granted:
            contexts = item.condition("kms:EncryptionContext:aws:logs:arn")
            if contexts and not any(matches(context, arn) for context in contexts):
                yield Broken(key, "Properties.KeyPolicy", f"does not cover log group {name}")


def topic_users(env: ResolvedEnvironment) -> Iterator[tuple[Resource, str, Resource, str]]:
    """Who sends to a topic by itself: the sender, the property, the topic, and the service that publishes."""
    topic_type = "AWS::SNS::Topic"
    for alarm in env.of_type("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        for path in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            for topic in all_behind(env, alarm.get(path), topic_type):
                yield alarm, path, topic, "cloudwatch"
    for rule in env.of_type("AWS::Events::Rule"):
        for topic in all_behind(env, rule.get("Targets"), topic_type):
            yield rule, "Targets", topic, "events"
    for budget in env.of_type("AWS::Budgets::Budget"):
        for topic in all_behind(env, budget.get("NotificationsWithSubscribers"), topic_type):
            yield budget, "NotificationsWithSubscribers", topic, "budgets"
    for subscription in env.of_type("AWS::RDS::EventSubscription"):
        for topic in all_behind(env, subscription.get("SnsTopicArn"), topic_type):
            yield subscription, "SnsTopicArn", topic, "rds"


@guard(
    "SEC-03",
    "Senders may use the key of the topic they send to",
    why="An alarm whose service may not use the topic's key fires, and its message vanishes; the key of AWS, "
    "alias/aws/sns, can be used by no service (Amazon SNS Developer Guide, Key management).",
    remedy="encrypt the topic with a key of ours that allows the service kms:Decrypt and kms:GenerateDataKey",
)
def topic_keys(env: ResolvedEnvironment) -> Iterator[Broken]:
    for sender, path, topic, service in topic_users(env):
        given = topic.get("KmsMasterKeyId")
        key = behind(env, given, KEY)
        if given is None:
            continue
        if key is None:
            yield Broken(topic, "Properties.KmsMasterKeyId", f"{given} cannot be used by {service}.amazonaws.com")
        elif not key_allows(key, service, "kms:Decrypt", "kms:GenerateDataKey"):
            yield Broken(sender, f"Properties.{path}", f"{service}.amazonaws.com may not use the topic's key")


@guard(
    "SEC-04",
    "Senders may publish to their topic, and only for this account",
    why="A topic's own policy replaces the default one, so each service must be named; without a condition any "
    "account's resources could publish through it (Amazon SNS Developer Guide, Example cases for access control).",
    remedy="allow sns:Publish to the service with aws:SourceAccount or aws:SourceArn",
)
def topic_policies(env: ResolvedEnvironment) -> Iterator[Broken]:
    policies = env.of_type("AWS::SNS::TopicPolicy")

    def policy_of(topic: Resource) -> list[Statement]:
        return [
            item
            for policy in policies
            if topic in all_behind(env, policy.get("Topics"))
            for item in statements(policy.get("PolicyDocument"))
        ]

    for sender, path, topic, service in topic_users(env):
        if not any(item.service(service) and item.allows("sns:Publish") for item in policy_of(topic)):
            yield Broken(sender, f"Properties.{path}", f"{service}.amazonaws.com may not publish to {topic.logical_id}")
    for policy in policies:
        for item in statements(policy.get("PolicyDocument")):
            if item.effect == "Allow" and not _bound(item) and _foreign(item):
                yield Broken(policy, f"Properties.PolicyDocument.Statement.{item.index}", "open to other accounts")


def _bound(item: Statement) -> bool:
    keys = ("aws:SourceAccount", "aws:SourceArn", "aws:SourceOwner", "aws:PrincipalAccount", "aws:PrincipalOrgID")
    return any(item.condition(key) for key in keys)


def _foreign(item: Statement) -> bool:
    # EventBridge sends no source conditions for a rule's topic.
    services = [name for name in item.principals.get("Service", []) if name != "events.amazonaws.com"]
    return bool(services) or "*" in item.principals.get("AWS", [])


# --- Security groups ---------------------------------------------------------------------------------------------


@guard(
    "SEC-05",
    "Rules between groups are resources of their own",
    why="Two groups whose inline rules name each other are a cycle that CloudFormation refuses, found when the second "
    "rule is added (CloudFormation Template Reference, AWS::EC2::SecurityGroup).",
    remedy="write an AWS::EC2::SecurityGroupIngress or Egress",
)
def no_inline_cross_rules(env: ResolvedEnvironment) -> Iterator[Broken]:
    for group in env.of_type(GROUP):
        for direction in ("SecurityGroupIngress", "SecurityGroupEgress"):
            if all_behind(env, group.get(direction), GROUP):
                yield Broken(group, f"Properties.{direction}", "inline rule names another group")


@guard(
    "SEC-06",
    "A group with CloudFront's prefix list has room for it",
    why="The list counts as 55 of the 60 rules that a group may have (Amazon CloudFront Developer Guide, Use the "
    "CloudFront managed prefix list).",
    remedy="one port per group, and at most five other rules",
)
def prefix_list_weight(env: ResolvedEnvironment) -> Iterator[Broken]:
    for group in env.of_type(GROUP):
        rules = ingress(env, group)
        lists = [rule for rule in rules if "SourcePrefixListId" in rule]
        if len(lists) > 1 or (lists and len(rules) > 6):
            yield Broken(
                group, "Properties.SecurityGroupIngress", f"{len(lists)} prefix lists among {len(rules)} rules"
            )


@guard(
    "SEC-07",
    "The way from load balancer to task to database is open on both sides",
    why="Groups that restrict what goes out need a rule at both ends; a missing one shows as unhealthy targets or "
    "hanging connections (Amazon EC2 User Guide, Security group rules).",
    remedy="add the missing egress or ingress rule",
)
def open_paths(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service in env.of_type("AWS::ECS::Service"):
        groups = all_behind(env, service.get("NetworkConfiguration.AwsvpcConfiguration.SecurityGroups"), GROUP)
        path = "Properties.NetworkConfiguration"
        for port in target_ports(service):
            for balancer in env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
                fronts = all_behind(env, balancer.get("SecurityGroups"), GROUP)
                if not _open(env, fronts, groups, port):
                    yield Broken(service, path, f"no way from the load balancer to port {port}")
        for cluster in env.of_type(CLUSTER):
            backs = all_behind(env, cluster.get("VpcSecurityGroupIds"), GROUP)
            if not _open(env, groups, backs, int(number(cluster.get("Port")) or MYSQL)):
                yield Broken(service, path, "no way to the database")
        out = [rule for group in groups for rule in egress(env, group)]
        if groups and out and not any(covers(rule, 443) and rule.get("CidrIp") in ANYWHERE for rule in out):
            # The gateway endpoint of S3 has public addresses, as have registries.
            yield Broken(service, path, "no way out for HTTPS")


def _open(env: ResolvedEnvironment, senders: list[Resource], receivers: list[Resource], port: int) -> bool:
    def leaves(sender: Resource, receiver: Resource) -> bool:
        rules = egress(env, sender)
        return not rules or any(
            covers(rule, port)
            and (rule.get("CidrIp") in ANYWHERE or behind(env, rule.get("DestinationSecurityGroupId")) == receiver)
            for rule in rules
        )

    def enters(sender: Resource, receiver: Resource) -> bool:
        rules = ingress(env, receiver)
        return any(covers(rule, port) and behind(env, rule.get("SourceSecurityGroupId")) == sender for rule in rules)

    return any(leaves(sender, receiver) and enters(sender, receiver) for sender in senders for receiver in receivers)


@guard(
    "SEC-23",
    "Nothing is open to the internet; the load balancer is reached through CloudFront only",
    why="Requests that come past CloudFront come past the web ACL too (Amazon CloudFront Developer Guide, Restrict "
    "access to Application Load Balancers).",
    remedy="allow the prefix list of CloudFront, a group, or a private block",
)
def no_open_ingress(env: ResolvedEnvironment) -> Iterator[Broken]:
    for group in env.of_type(GROUP):
        for rule in ingress(env, group):
            if rule.get("CidrIp") in ANYWHERE or rule.get("CidrIpv6") in ANYWHERE:
                yield Broken(
                    group, "Properties.SecurityGroupIngress", f"open to the internet on {rule.get('FromPort')}"
                )
    for balancer in env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        for port in listener_ports(env, balancer):
            rules = [
                rule for group in all_behind(env, balancer.get("SecurityGroups"), GROUP) for rule in ingress(env, group)
            ]
            if not any(covers(rule, port) for rule in rules):
                yield Broken(balancer, "Properties.SecurityGroups", f"nobody may reach port {port}")


# --- Web ACL -----------------------------------------------------------------------------------------------------


@guard(
    "SEC-09",
    "The distribution is protected by a web ACL of scope CLOUDFRONT, given as its ARN",
    why="Such an ACL exists in us-east-1 only, and WebACLId takes the ARN in spite of its name (AWS WAF Developer "
    "Guide, Resources that you can protect).",
    remedy="make the ACL in the edge stack and pass its Arn",
)
def web_acl(env: ResolvedEnvironment) -> Iterator[Broken]:
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        if acl.get("Scope") == "CLOUDFRONT" and env.stacks[acl.stack].region != EDGE_REGION:
            yield Broken(acl, "Properties.Scope", f"CLOUDFRONT in {env.stacks[acl.stack].region}")
    pattern = re.compile(rf"arn:aws:wafv2:{EDGE_REGION}:\d{{12}}:global/webacl/\S+")
    for distribution in env.of_type("AWS::CloudFront::Distribution"):
        given = distribution.get("DistributionConfig.WebACLId")
        ours = behind(env, given, "AWS::WAFv2::WebACL")
        good = (
            ours.get("Scope") == "CLOUDFRONT" and is_attribute(given, "Arn") if ours else pattern.fullmatch(str(given))
        )
        if not good:
            yield Broken(distribution, "Properties.DistributionConfig.WebACLId", "no ARN of a CLOUDFRONT web ACL")


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


@guard(
    "SEC-10",
    "The rules of the web ACL are well-formed and within its capacity",
    why="A managed group takes OverrideAction, a rule of our own Action; priorities are unique; the ACL is refused "
    "above 1,500 units (AWS WAF Developer Guide, AWS WAF web ACL capacity units).",
    remedy="correct the rule; AWS's groups are named AWSManagedRules...",
)
def web_acl_rules(env: ResolvedEnvironment) -> Iterator[Broken]:
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        priorities: set[str] = set()
        capacity = 0
        for index, rule in enumerate(listed(acl.get("Rules"))):
            path = f"Properties.Rules.{index}"
            managed = rule.get("Statement", {}).get("ManagedRuleGroupStatement")
            if ("OverrideAction" in rule) != bool(managed) or ("Action" in rule) == bool(managed):
                yield Broken(acl, path, f"{rule.get('Name')} has the wrong kind of action")
            if str(rule.get("Priority")) in priorities:
                yield Broken(acl, f"{path}.Priority", f"priority {rule.get('Priority')} is taken")
            priorities.add(str(rule.get("Priority")))
            if managed and (managed.get("VendorName") != "AWS" or managed.get("Name") not in _CAPACITY):
                yield Broken(acl, path, f"no rule group {managed.get('VendorName')} {managed.get('Name')}")
            capacity += _CAPACITY.get(managed.get("Name"), 0) if managed else 2
        if capacity > _CAPACITY_LIMIT:
            yield Broken(acl, "Properties.Rules", f"{capacity} capacity units")


@guard(
    "SEC-11",
    "Large request bodies are a decision, not an accident",
    why="The common rule set blocks bodies above 8 KB, so uploads get 403 (AWS WAF Developer Guide, Baseline rule "
    "groups, SizeRestrictions_BODY).",
    remedy="add a RuleActionOverride for SizeRestrictions_BODY",
)
def body_size(env: ResolvedEnvironment) -> Iterator[Broken]:
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        for index, rule in enumerate(listed(acl.get("Rules"))):
            managed = rule.get("Statement", {}).get("ManagedRuleGroupStatement", {})
            overrides = [item.get("Name") for item in listed(managed.get("RuleActionOverrides"))]
            if managed.get("Name") == "AWSManagedRulesCommonRuleSet" and "SizeRestrictions_BODY" not in overrides:
                yield Broken(acl, f"Properties.Rules.{index}", "SizeRestrictions_BODY blocks uploads")


@guard(
    "SEC-12",
    "The web ACL logs to a group that WAF accepts",
    why="WAF wants a group named aws-waf-logs-..., in the ACL's region, and its ARN without the :* that GetAtt gives "
    "(AWS WAF Developer Guide, Sending web ACL traffic logs to CloudWatch Logs).",
    remedy="name the group aws-waf-logs-..., and build the ARN with Sub",
)
def web_acl_log(env: ResolvedEnvironment) -> Iterator[Broken]:
    logged = []
    for log in env.of_type("AWS::WAFv2::LoggingConfiguration"):
        logged.append(behind(env, log.get("ResourceArn")))
        for value in listed(log.get("LogDestinationConfigs")):
            names = [str(group.get("LogGroupName")) for group in all_behind(env, value, "AWS::Logs::LogGroup")]
            text = next(iter(names), str(value).rsplit(":log-group:", maxsplit=1)[-1])
            bad_arn = is_attribute(value, "Arn") or str(value).endswith(":*")
            if bad_arn or not text.startswith("aws-waf-logs-"):
                yield Broken(log, "Properties.LogDestinationConfigs", f"WAF refuses {text}{':*' if bad_arn else ''}")
    for acl in env.of_type("AWS::WAFv2::WebACL"):
        if acl not in logged:
            yield Broken(acl, "", "is not logged")


# --- Buckets -----------------------------------------------------------------------------------------------------


def bucket_statements(env: ResolvedEnvironment, bucket: Resource) -> list[Statement]:
    return [
        item
        for policy in env.of_type("AWS::S3::BucketPolicy")
        if behind(env, policy.get("Bucket")) == bucket
        for item in statements(policy.get("PolicyDocument"))
    ]


def algorithm(bucket: Resource) -> str:
    path = "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.SSEAlgorithm"
    return str(bucket.get(path, ""))


@guard(
    "SEC-14",
    "The load balancer can write its access log",
    why="It writes only to buckets with SSE-S3, through the delivery principal, below <prefix>/AWSLogs/<account>/ "
    "(Elastic Load Balancing User Guide, Access logs for your Application Load Balancer).",
    remedy="encrypt with AES256 and allow logdelivery.elasticloadbalancing.amazonaws.com s3:PutObject there",
)
def balancer_log(env: ResolvedEnvironment) -> Iterator[Broken]:
    for balancer in env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        attributes = {item.get("Key"): item.get("Value") for item in listed(balancer.get("LoadBalancerAttributes"))}
        path = "Properties.LoadBalancerAttributes"
        if not flag(attributes.get("access_logs.s3.enabled")):
            yield Broken(balancer, path, "no access log")
            continue
        bucket = behind(env, attributes.get("access_logs.s3.bucket"), BUCKET)
        if bucket is None:
            yield Broken(balancer, path, "the bucket is not ours")
            continue
        if algorithm(bucket) != "AES256":
            yield Broken(bucket, "Properties.BucketEncryption", f"{algorithm(bucket)}: the load balancer cannot write")
        prefix = str(attributes.get("access_logs.s3.prefix", ""))
        folder = f"{prefix}/" if prefix else ""
        place = f"/{folder}AWSLogs/{env.stacks[balancer.stack].account}/x"
        if "AWSLogs" in prefix or not any(
            item.allows("s3:PutObject")
            and item.service("logdelivery.elasticloadbalancing")
            and any(matches(resource, f"{bucket.att('Arn')}{place}") for resource in item.resources)
            for item in bucket_statements(env, bucket)
        ):
            yield Broken(balancer, path, f"its service may not write to {place.removesuffix('x')}")


_BUCKET_ACTIONS = ("s3:ListBucket", "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucketVersions")
_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion", "s3:DeleteObjectVersion")


@guard(
    "SEC-15",
    "Permissions on S3 name objects for what is done to objects, buckets for what is done to buckets",
    why="s3:GetObject on a bucket's own ARN matches nothing, silently; so does s3:ListBucket on its objects (Service "
    "Authorization Reference, Actions, resources, and condition keys for Amazon S3).",
    remedy="use <arn>/* for objects, <arn> for the bucket",
)
def s3_resources(env: ResolvedEnvironment) -> Iterator[Broken]:
    for resource, path, document in policy_documents(env):
        if resource.type == KEY:
            continue
        for item in statements(document):
            ours = [text for text in item.resources if all_behind(env, text, BUCKET)]
            wholes = [text for text in ours if ">>/" not in text]
            parts = [text for text in ours if ">>/" in text]
            named = [action for action in item.actions if action.lower().startswith("s3:") and "*" not in action]
            for action in named if ours else []:
                if (action in _OBJECT_ACTIONS and not parts) or (action in _BUCKET_ACTIONS and not wholes):
                    yield Broken(resource, f"{path}.Statement.{item.index}", f"{action} matches none of its resources")


@guard(
    "SEC-19",
    "Every bucket refuses plain HTTP",
    why="Otherwise a client that forgets TLS sends data and signature in the clear (Amazon S3 User Guide, Security "
    "best practices).",
    remedy="deny s3:* on the bucket and its objects where aws:SecureTransport is false",
)
def tls_only(env: ResolvedEnvironment) -> Iterator[Broken]:
    for bucket in env.of_type(BUCKET):
        denied = [
            resource
            for item in bucket_statements(env, bucket)
            if item.effect == "Deny" and item.condition("aws:SecureTransport") and "*" in item.principals.get("AWS", [])
            for resource in item.resources
        ]
        if not any(origin(text) for text in denied) or not any(text.endswith("/*") for text in denied):
            yield Broken(bucket, "", "plain HTTP is not denied on the bucket and its objects")


@guard(
    "SEC-20",
    "Every bucket is private, encrypted and owned by us",
    why="A bucket is as public as its policies and access lists allow, unless that is blocked (Amazon S3 User Guide, "
    "Blocking public access to your Amazon S3 storage).",
    remedy="set all four of PublicAccessBlockConfiguration, BucketOwnerEnforced, and BucketEncryption",
)
def private_buckets(env: ResolvedEnvironment) -> Iterator[Broken]:
    blocks = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    for bucket in env.of_type(BUCKET):
        off = [key for key in blocks if not flag(bucket.get(f"PublicAccessBlockConfiguration.{key}"))]
        if off:
            yield Broken(bucket, "Properties.PublicAccessBlockConfiguration", f"not set: {', '.join(off)}")
        if bucket.get("OwnershipControls.Rules.0.ObjectOwnership") != "BucketOwnerEnforced":
            yield Broken(bucket, "Properties.OwnershipControls", "access lists are in force")
        if algorithm(bucket) not in ("AES256", "aws:kms", "aws:kms:dsse"):
            yield Broken(bucket, "Properties.BucketEncryption", "not encrypted by default")


@guard(
    "SEC-16",
    "Lifecycle rules do what they are meant to",
    why="S3 refuses an expiration before a transition, keeps small objects out of colder classes by default, and "
    "never ends old versions or abandoned uploads by itself (Amazon S3 User Guide, Lifecycle configuration elements).",
    remedy="order the days; add AbortIncompleteMultipartUpload, NoncurrentVersionExpiration, and "
    "TransitionDefaultMinimumObjectSize varies_by_storage_class",
)
def lifecycles(env: ResolvedEnvironment) -> Iterator[Broken]:
    for bucket in env.of_type(BUCKET):
        rules = [item for item in listed(bucket.get("LifecycleConfiguration.Rules")) if item.get("Status") == "Enabled"]
        path = "Properties.LifecycleConfiguration"
        for index, rule in enumerate(rules):
            yield from _lifecycle_order(bucket, f"{path}.Rules.{index}", rule)
        if not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
            yield Broken(bucket, path, "abandoned uploads stay for ever")
        versioned = bucket.get("VersioningConfiguration.Status") == "Enabled"
        if versioned and not any(
            "NoncurrentVersionExpiration" in rule or "NoncurrentVersionExpirationInDays" in rule for rule in rules
        ):
            yield Broken(bucket, path, "old versions stay for ever")
        moves = any(listed(rule.get("Transitions")) for rule in rules)
        size = bucket.get("LifecycleConfiguration.TransitionDefaultMinimumObjectSize")
        if moves and size != "varies_by_storage_class":
            yield Broken(bucket, f"{path}.TransitionDefaultMinimumObjectSize", "objects below 128 KB never move")


def _lifecycle_order(bucket: Resource, path: str, rule: Mapping[str, Json]) -> Iterator[Broken]:
    expires = number(rule.get("ExpirationInDays"))
    for transition in listed(rule.get("Transitions")):
        days = number(transition.get("TransitionInDays"))
        if days is not None and expires is not None and days >= expires:
            yield Broken(bucket, path, f"moves after {days:g} days, expires after {expires:g}")
        if days is not None and days < 30 and transition.get("StorageClass") in ("STANDARD_IA", "ONEZONE_IA"):
            yield Broken(bucket, path, f"moves to {transition['StorageClass']} before 30 days")


# --- Roles -------------------------------------------------------------------------------------------------------

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


@guard(
    "SEC-17",
    "Roles trust a service that exists, for this account only",
    why="A misspelt principal is refused late or never assumes the role; without a condition another account's "
    "resource could make the service use it (IAM User Guide, The confused deputy problem).",
    remedy="use the service's principal, and aws:SourceAccount or aws:SourceArn where the service sends them",
)
def trusts(env: ResolvedEnvironment) -> Iterator[Broken]:
    # These do not send the conditions, or are bound to the account already.
    unconditional = {"lambda", "monitoring.rds", "edgelambda", "chatbot"}
    for role in env.of_type(ROLE):
        for item in statements(role.get("AssumeRolePolicyDocument")):
            path = f"Properties.AssumeRolePolicyDocument.Statement.{item.index}"
            if set(item.principals) != {"Service"}:
                yield Broken(role, path, "trusts more than a service")
            for principal in item.principals.get("Service", []):
                name = re.sub(rf"^logs\.{env.stacks[role.stack].region}\.", "logs.", str(principal))
                service = name.removesuffix(".amazonaws.com")
                if service not in _TRUSTED:
                    yield Broken(role, path, f"{principal} is not a service that assumes roles here")
                elif service not in unconditional and not _bound(item):
                    yield Broken(role, path, f"any account may have {principal} use it")


# The source that a service names when it assumes a role, as far as it is known before the resource exists.
_SOURCES = {
    "ecs-tasks": "arn:aws:ecs:{region}:{account}:task/x",
    "firehose": "arn:aws:firehose:{region}:{account}:deliverystream/x",
    "logs": "arn:aws:logs:{region}:{account}:log-group:x",
    "monitoring.rds": "arn:aws:rds:{region}:{account}:db:x",
    "vpc-flow-logs": "arn:aws:ec2:{region}:{account}:vpc-flow-log/fl-1",
}


@guard(
    "SEC-28",
    "Conditions on a trust admit what the service sends",
    why="A condition that never matches locks the service out, and the error names neither it nor the role (IAM User "
    "Guide, The confused deputy problem).",
    remedy="compare aws:SourceArn by ArnLike with the kind of resource that assumes the role, not what it writes to",
)
def trusts_admit_service(env: ResolvedEnvironment) -> Iterator[Broken]:
    for role in env.of_type(ROLE):
        stack = env.stacks[role.stack]
        for item in statements(role.get("AssumeRolePolicyDocument")):
            path = f"Properties.AssumeRolePolicyDocument.Statement.{item.index}"
            accounts, patterns = item.condition("aws:SourceAccount"), item.condition("aws:SourceArn")
            if accounts and stack.account not in accounts:
                yield Broken(role, path, f"admits account {', '.join(accounts)} only")
            for principal in item.principals.get("Service", []):
                name = re.sub(r"^logs\.[a-z0-9-]+\.", "logs.", str(principal)).removesuffix(".amazonaws.com")
                sent = _SOURCES.get(name, "").format(region=stack.region, account=stack.account)
                if (
                    sent
                    and patterns
                    and not any(matches(pattern, sent) or pattern.startswith(sent[:-1]) for pattern in patterns)
                ):
                    yield Broken(role, path, f"{principal} names {sent}, not {', '.join(patterns)}")


_MANAGED = {
    "AmazonSSMManagedInstanceCore",
    "CloudWatchReadOnlyAccess",
    "ReadOnlyAccess",
    "service-role/AmazonECSTaskExecutionRolePolicy",
    "service-role/AmazonRDSEnhancedMonitoringRole",
}


@guard(
    "SEC-21",
    "Managed policies of AWS exist under the path that is written",
    why="A policy that is missed by its path is refused when the role is created, and a broad one is easily taken for "
    "a narrow one (AWS Managed Policy Reference Guide).",
    remedy="correct the name or the path, or grant exactly what is needed",
)
def managed_policies(env: ResolvedEnvironment) -> Iterator[Broken]:
    for role in env.of_type(ROLE):
        for arn in listed(role.get("ManagedPolicyArns")):
            if any(origins(arn)):
                continue
            name = str(arn).removeprefix("arn:aws:iam::aws:policy/")
            if name not in _MANAGED:
                yield Broken(role, "Properties.ManagedPolicyArns", f"{arn} is not among the policies used here")


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


@guard(
    "SEC-22",
    "Roles may do named actions on named resources",
    why="A wildcard gives what nobody asked for, today or when AWS adds an action (IAM User Guide, Security best "
    "practices).",
    remedy="name the actions, and the ARNs; permissions are AWS::IAM::ManagedPolicy resources",
)
def least_privilege(env: ResolvedEnvironment) -> Iterator[Broken]:
    for resource, path, document in policy_documents(env):
        if path.startswith("Properties.Policies"):
            yield Broken(resource, path, "inline policy")
        if resource.type not in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", ROLE) or path.endswith(
            "AssumeRolePolicyDocument"
        ):
            continue
        for item in statements(document):
            if item.effect != "Allow":
                continue
            here = f"{path}.Statement.{item.index}"
            for action in item.actions:
                if "*" in action:
                    yield Broken(resource, here, f"{action} is a wildcard")
                elif "*" in item.resources and action not in _UNBOUND:
                    yield Broken(resource, here, f"{action} on every resource")


@guard(
    "SEC-24",
    "Only tasks open sessions",
    why="Who may use ssmmessages can be reached by Session Manager (Amazon ECS Developer Guide, Monitor Amazon ECS "
    "containers with ECS Exec).",
    remedy="attach the session permissions to task roles only",
)
def sessions_for_tasks(env: ResolvedEnvironment) -> Iterator[Broken]:
    tasks = [
        behind(env, task.get("TaskRoleArn"), ROLE)
        for service in env.of_type("AWS::ECS::Service")
        if (task := task_definition(env, service))
    ]
    for role in env.of_type(ROLE):
        managed = [str(arn) for arn in listed(role.get("ManagedPolicyArns"))]
        if any(arn.endswith("AmazonSSMManagedInstanceCore") for arn in managed) and role not in tasks:
            yield Broken(role, "Properties.ManagedPolicyArns", "may open sessions, and is not a task's role")


@guard(
    "SEC-25",
    "No password or key is written in a container's environment",
    why="The environment of a task definition can be read by everyone who may describe it, and credentials there "
    "override the task's role and break ECS Exec (Amazon ECS Developer Guide, Pass sensitive data).",
    remedy="use Secrets with the ARN of a secret",
)
def no_secret_in_environment(env: ResolvedEnvironment) -> Iterator[Broken]:
    name_pattern = re.compile(r"(PASSWORD|SECRET|TOKEN|API_?KEY|ACCESS_KEY)", re.IGNORECASE)
    for task in env.of_type("AWS::ECS::TaskDefinition"):
        for index, container in containers(task):
            for variable in listed(container.get("Environment")):
                name, value = str(variable.get("Name")), str(variable.get("Value"))
                secret = name_pattern.search(name) and not name.upper().endswith(("_ARN", "_NAME"))
                if secret or any("{{resolve:" in text for text in strings(value)):
                    yield Broken(task, f"Properties.ContainerDefinitions.{index}.Environment", f"{name} in the clear")
    for function in env.of_type("AWS::Lambda::Function"):
        for name, value in (function.get("Environment.Variables") or {}).items():
            secret = name_pattern.search(name) and not name.upper().endswith(("_ARN", "_NAME"))
            if secret or "{{resolve:" in str(value):
                yield Broken(function, "Properties.Environment.Variables", f"{name} in the clear")


@guard(
    "SEC-26",
    "Generated secrets fit where they are used",
    why="The value stands in a listener condition, where * and ? are wildcards and 128 characters the limit (Elastic "
    "Load Balancing User Guide, Listener rules for your Application Load Balancer).",
    remedy="set ExcludePunctuation and a PasswordLength from 32 to 128",
)
def generated_secrets(env: ResolvedEnvironment) -> Iterator[Broken]:
    rules = [
        text
        for rule in env.of_type("AWS::ElasticLoadBalancingV2::ListenerRule")
        for text in strings(dict(rule.properties))
    ]
    for secret in env.of_type("AWS::SecretsManager::Secret"):
        used = any("{{resolve:secretsmanager:" in text and secret in all_behind(env, text) for text in rules)
        length = number(secret.get("GenerateSecretString.PasswordLength")) or 32
        if used and not (flag(secret.get("GenerateSecretString.ExcludePunctuation")) and 32 <= length <= 128):
            yield Broken(secret, "Properties.GenerateSecretString", "may hold a wildcard or be too long or short")


@guard(
    "SEC-27",
    "The tasks' groups and the database's belong to the VPC they work in",
    why="A group of another VPC is refused when the task or the cluster is created (Amazon VPC User Guide, Security "
    "groups).",
    remedy="pass the same VPC to every group",
)
def one_vpc(env: ResolvedEnvironment) -> Iterator[Broken]:
    for group in env.of_type(GROUP):
        if not behind(env, group.get("VpcId"), "AWS::EC2::VPC"):
            yield Broken(group, "Properties.VpcId", "is in no VPC of ours")
    if not task_groups(env) and env.of_type("AWS::ECS::Service"):
        for service in env.of_type("AWS::ECS::Service"):
            yield Broken(service, "Properties.NetworkConfiguration", "tasks without a group of ours")


@guard(
    "SEC-29",
    "Senders may use the key of the queue they send to",
    why="A message that cannot be encrypted is dropped: a dead-letter queue then stays empty when it is needed (Amazon "
    "SQS Developer Guide, Key management, Enable compatibility between event sources and encrypted queues).",
    remedy="allow each service of the queue's policy kms:Decrypt and kms:GenerateDataKey in the key's policy",
)
def queue_keys(env: ResolvedEnvironment) -> Iterator[Broken]:
    for policy in env.of_type("AWS::SQS::QueuePolicy"):
        for queue in all_behind(env, policy.get("Queues"), "AWS::SQS::Queue"):
            key = behind(env, queue.get("KmsMasterKeyId"), KEY)
            if queue.get("KmsMasterKeyId") is None:
                continue
            for item in statements(policy.get("PolicyDocument")):
                for principal in item.principals.get("Service", []):
                    service = str(principal).removesuffix(".amazonaws.com")
                    if key is None or not key_allows(key, service, "kms:Decrypt", "kms:GenerateDataKey"):
                        yield Broken(queue, "Properties.KmsMasterKeyId", f"{principal} may not use the queue's key")


@guard(
    "SEC-30",
    "Access logs of buckets can be written",
    why="Server access logs go only to a bucket with SSE-S3 whose policy admits logging.s3.amazonaws.com; where they "
    "cannot, nobody is told (Amazon S3 User Guide, Enabling Amazon S3 server access logging).",
    remedy="allow logging.s3.amazonaws.com s3:PutObject on the destination's objects; encrypt it with AES256",
)
def server_access_logs(env: ResolvedEnvironment) -> Iterator[Broken]:
    for bucket in env.of_type(BUCKET):
        given = bucket.get("LoggingConfiguration.DestinationBucketName")
        target = behind(env, given, BUCKET)
        path = "Properties.LoggingConfiguration"
        if given is None:
            continue
        if target is None or target == bucket:
            yield Broken(bucket, path, "logs into itself, or into a bucket that is not ours")
            continue
        place = f"{target.att('Arn')}/{bucket.get('LoggingConfiguration.LogFilePrefix', '')}x"
        if algorithm(target) != "AES256" or not any(
            item.service("logging.s3")
            and item.allows("s3:PutObject")
            and any(matches(pattern, place) for pattern in item.resources)
            for item in bucket_statements(env, target)
        ):
            yield Broken(bucket, path, f"cannot be written to {target.logical_id}")
