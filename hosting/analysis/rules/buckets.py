"""Buckets: private, encrypted, TLS only, cleaned up, and written to by whom they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.security import KEY
from hosting.analysis.rules.values import (
    Statement,
    flag,
    follow,
    follow_all,
    listed,
    matches,
    number,
    policy_documents,
    statements,
)
from hosting.model.tokens import Json, origin

BUCKET = "AWS::S3::Bucket"


def bucket_statements(env: ResolvedEnvironment, bucket: Resource) -> list[Statement]:
    return [
        item
        for policy in env.of_type("AWS::S3::BucketPolicy")
        if follow(env, policy.get("Bucket")) == bucket
        for item in statements(policy.get("PolicyDocument"))
    ]


def algorithm(bucket: Resource) -> str:
    path = "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.SSEAlgorithm"
    return str(bucket.get(path, ""))


@environment_rule(
    "SEC-14",
    "The load balancer can write its access log",
    why="It writes only to buckets with SSE-S3, through the delivery principal, below <prefix>/AWSLogs/<account>/ "
    "(Elastic Load Balancing User Guide, Access logs for your Application Load Balancer).",
    hint="encrypt with AES256 and allow logdelivery.elasticloadbalancing.amazonaws.com s3:PutObject there",
)
def balancer_log(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for balancer in env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        attributes = {item.get("Key"): item.get("Value") for item in listed(balancer.get("LoadBalancerAttributes"))}
        path = "Properties.LoadBalancerAttributes"
        if not flag(attributes.get("access_logs.s3.enabled")):
            yield RuleMatch(balancer, path, "no access log")
            continue
        bucket = follow(env, attributes.get("access_logs.s3.bucket"), BUCKET)
        if bucket is None:
            yield RuleMatch(balancer, path, "the bucket is not ours")
            continue
        if algorithm(bucket) != "AES256":
            yield RuleMatch(
                bucket, "Properties.BucketEncryption", f"{algorithm(bucket)}: the load balancer cannot write"
            )
        prefix = str(attributes.get("access_logs.s3.prefix", ""))
        folder = f"{prefix}/" if prefix else ""
        place = f"/{folder}AWSLogs/{env.stacks[balancer.stack].account}/x"
        if "AWSLogs" in prefix or not any(
            item.allows("s3:PutObject")
            and item.service("logdelivery.elasticloadbalancing")
            and any(matches(resource, f"{bucket.att('Arn')}{place}") for resource in item.resources)
            for item in bucket_statements(env, bucket)
        ):
            yield RuleMatch(balancer, path, f"its service may not write to {place.removesuffix('x')}")


_BUCKET_ACTIONS = ("s3:ListBucket", "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucketVersions")


_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion", "s3:DeleteObjectVersion")


@environment_rule(
    "SEC-15",
    "Permissions for S3 name objects for object actions, and buckets for bucket actions",
    why="s3:GetObject on a bucket's own ARN matches no request, without an error; so does s3:ListBucket on its "
    "objects (Service Authorization Reference, Actions, resources, and condition keys for Amazon S3).",
    hint="use <arn>/* for objects, <arn> for the bucket",
)
def s3_resources(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource, path, document in policy_documents(env):
        if resource.type == KEY:
            continue
        for item in statements(document):
            ours = [text for text in item.resources if follow_all(env, text, BUCKET)]
            wholes = [text for text in ours if ">>/" not in text]
            parts = [text for text in ours if ">>/" in text]
            named = [action for action in item.actions if action.lower().startswith("s3:") and "*" not in action]
            for action in named if ours else []:
                if (action in _OBJECT_ACTIONS and not parts) or (action in _BUCKET_ACTIONS and not wholes):
                    yield RuleMatch(
                        resource, f"{path}.Statement.{item.index}", f"{action} matches none of its resources"
                    )


@environment_rule(
    "SEC-19",
    "Every bucket denies plain HTTP",
    why="A client without TLS sends data and signature unencrypted (Amazon S3 User Guide, Security best practices).",
    hint="deny s3:* on the bucket and its objects where aws:SecureTransport is false",
)
def tls_only(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for bucket in env.of_type(BUCKET):
        denied = [
            resource
            for item in bucket_statements(env, bucket)
            if item.effect == "Deny" and item.condition("aws:SecureTransport") and "*" in item.principals.get("AWS", [])
            for resource in item.resources
        ]
        if not any(origin(text) for text in denied) or not any(text.endswith("/*") for text in denied):
            yield RuleMatch(bucket, "", "plain HTTP is not denied on the bucket and its objects")


@environment_rule(
    "SEC-20",
    "Every bucket is private, encrypted and owned by us",
    why="A bucket is as public as its policies and access lists allow, unless that is blocked (Amazon S3 User Guide, "
    "Blocking public access to your Amazon S3 storage).",
    hint="set all four of PublicAccessBlockConfiguration, BucketOwnerEnforced, and BucketEncryption",
)
def private_buckets(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    blocks = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    for bucket in env.of_type(BUCKET):
        off = [key for key in blocks if not flag(bucket.get(f"PublicAccessBlockConfiguration.{key}"))]
        if off:
            yield RuleMatch(bucket, "Properties.PublicAccessBlockConfiguration", f"not set: {', '.join(off)}")
        if bucket.get("OwnershipControls.Rules.0.ObjectOwnership") != "BucketOwnerEnforced":
            yield RuleMatch(bucket, "Properties.OwnershipControls", "access lists are in force")
        if algorithm(bucket) not in ("AES256", "aws:kms", "aws:kms:dsse"):
            yield RuleMatch(bucket, "Properties.BucketEncryption", "not encrypted by default")


@environment_rule(
    "SEC-16",
    "Lifecycle rules have an effect",
    why="S3 refuses an expiration before a transition, keeps small objects out of colder classes by default, and "
    "never ends old versions or abandoned uploads by itself (Amazon S3 User Guide, Lifecycle configuration elements).",
    hint="order the days; add AbortIncompleteMultipartUpload, NoncurrentVersionExpiration, and "
    "TransitionDefaultMinimumObjectSize varies_by_storage_class",
)
def lifecycles(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for bucket in env.of_type(BUCKET):
        rules = [item for item in listed(bucket.get("LifecycleConfiguration.Rules")) if item.get("Status") == "Enabled"]
        path = "Properties.LifecycleConfiguration"
        for index, rule in enumerate(rules):
            yield from _lifecycle_order(bucket, f"{path}.Rules.{index}", rule)
        if not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
            yield RuleMatch(bucket, path, "abandoned uploads stay for ever")
        versioned = bucket.get("VersioningConfiguration.Status") == "Enabled"
        if versioned and not any(
            "NoncurrentVersionExpiration" in rule or "NoncurrentVersionExpirationInDays" in rule for rule in rules
        ):
            yield RuleMatch(bucket, path, "old versions stay for ever")
        moves = any(listed(rule.get("Transitions")) for rule in rules)
        size = bucket.get("LifecycleConfiguration.TransitionDefaultMinimumObjectSize")
        if moves and size != "varies_by_storage_class":
            yield RuleMatch(bucket, f"{path}.TransitionDefaultMinimumObjectSize", "objects below 128 KB never move")


def _lifecycle_order(bucket: Resource, path: str, rule: Mapping[str, Json]) -> Iterator[RuleMatch]:
    expires = number(rule.get("ExpirationInDays"))
    for transition in listed(rule.get("Transitions")):
        days = number(transition.get("TransitionInDays"))
        if days is not None and expires is not None and days >= expires:
            yield RuleMatch(bucket, path, f"moves after {days:g} days, expires after {expires:g}")
        if days is not None and days < 30 and transition.get("StorageClass") in ("STANDARD_IA", "ONEZONE_IA"):
            yield RuleMatch(bucket, path, f"moves to {transition['StorageClass']} before 30 days")


@environment_rule(
    "SEC-30",
    "Access logs of buckets can be written",
    why="Server access logs go only to a bucket with SSE-S3 whose policy admits logging.s3.amazonaws.com; S3 does not "
    "report a delivery that fails (Amazon S3 User Guide, Enabling Amazon S3 server access logging).",
    hint="allow logging.s3.amazonaws.com s3:PutObject on the destination's objects; encrypt it with AES256",
)
def server_access_logs(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for bucket in env.of_type(BUCKET):
        given = bucket.get("LoggingConfiguration.DestinationBucketName")
        target = follow(env, given, BUCKET)
        path = "Properties.LoggingConfiguration"
        if given is None:
            continue
        if target is None or target == bucket:
            yield RuleMatch(bucket, path, "logs into itself, or into a bucket that is not ours")
            continue
        place = f"{target.att('Arn')}/{bucket.get('LoggingConfiguration.LogFilePrefix', '')}x"
        if algorithm(target) != "AES256" or not any(
            item.service("logging.s3")
            and item.allows("s3:PutObject")
            and any(matches(pattern, place) for pattern in item.resources)
            for item in bucket_statements(env, target)
        ):
            yield RuleMatch(bucket, path, f"cannot be written to {target.logical_id}")
