"""Log groups, subscriptions and the archive: what stays empty, fills up, or feeds on itself."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.buckets import BUCKET, bucket_statements
from hosting.analysis.rules.cloudformation import KEEP
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.values import (
    ROLE,
    depends_on_resource,
    follow,
    follow_all,
    matches,
    number,
    permissions,
    statements,
)

LOG_GROUP = "AWS::Logs::LogGroup"
FUNCTION = "AWS::Lambda::Function"
PERMISSION = "AWS::Lambda::Permission"
STREAM = "AWS::KinesisFirehose::DeliveryStream"
FILTER = "AWS::Logs::SubscriptionFilter"
KEY = "AWS::KMS::Key"


@environment_rule(
    "OPS-01",
    "Every log group is named, expires, and soon enough",
    why="A log group without retention stores and charges all records for ever (Amazon CloudWatch Logs User Guide, "
    "Working with log groups and log streams).",
    hint="set RetentionInDays to at most 30; the archive stores records for longer",
)
def retention(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type(LOG_GROUP):
        days = number(group.get("RetentionInDays"))
        if days is None or not 1 <= days <= 30:
            yield RuleMatch(group, "Properties.RetentionInDays", f"kept for {days:g} days" if days else "never expires")
        if not group.get("LogGroupName"):
            yield RuleMatch(group, "Properties.LogGroupName", "its name is not known in advance")


@environment_rule(
    "OPS-21",
    "Two log groups never share a name",
    why="The second is refused: already exists (Amazon CloudWatch Logs API Reference, CreateLogGroup).",
    hint="make the names different",
)
def log_names(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    seen: dict[tuple[str, str], Resource] = {}
    for group in env.of_type(LOG_GROUP):
        name = (env.stacks[group.stack].region, str(group.get("LogGroupName")))
        if seen.setdefault(name, group) != group:
            yield RuleMatch(group, "Properties.LogGroupName", f"{name[1]} is also of {seen[name].stack}")


@environment_rule(
    "OPS-08",
    "CloudWatch Logs may write to the stream of a subscription",
    why="Logs names the bare group as the source, so a condition with :* behind the group's name never matches, and "
    "the error speaks of an inactive stream (Amazon CloudWatch Logs User Guide, Subscription filters with Amazon Data "
    "Firehose).",
    hint="give RoleArn a role that logs.amazonaws.com assumes with aws:SourceArn arn:aws:logs:<region>:<account>:*, "
    "allowing firehose:PutRecord and PutRecordBatch",
)
def filters_to_streams(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for item in env.of_type(FILTER):
        stream = follow(env, item.get("DestinationArn"), STREAM)
        if stream is None:
            continue
        role = follow(env, item.get("RoleArn"), ROLE)
        if role is None:
            yield RuleMatch(item, "Properties.RoleArn", "no role")
            continue
        stack = env.stacks[item.stack]
        source = f"arn:aws:logs:{stack.region}:{stack.account}:log-group:{_group_name(env, item)}"
        trust = [one for one in statements(role.get("AssumeRolePolicyDocument")) if one.service("logs")]
        if not any(_admits(one.condition("aws:SourceArn"), source) for one in trust):
            yield RuleMatch(role, "Properties.AssumeRolePolicyDocument", f"does not admit {source}")
        if not any(
            one.allows("firehose:PutRecordBatch") and stream in follow_all(env, one.resources)
            for one in permissions(env, role)
        ):
            yield RuleMatch(item, "Properties.RoleArn", "the role may not write to the stream")


@environment_rule(
    "OPS-25",
    "Who writes to a stream may use its key",
    why="For streams created since April 2026 under a customer-managed key, the caller of PutRecord needs it "
    "(AWS Health, Enhanced security controls for Amazon Data Firehose); a subscription is refused, as its test message "
    "is.",
    hint="allow the role of the subscription kms:GenerateDataKey and kms:Decrypt on the stream's key",
)
def writers_use_stream_key(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    roles: dict[str, tuple[Resource, Resource]] = {}
    for item in env.of_type(FILTER):
        stream, role = follow(env, item.get("DestinationArn"), STREAM), follow(env, item.get("RoleArn"), ROLE)
        if stream is not None and role is not None:
            roles[role.ref] = (role, stream)
    for role, stream in roles.values():
        key = follow(env, stream.get("DeliveryStreamEncryptionConfigurationInput.KeyARN"), KEY)
        if key is None:
            continue
        allowed = [one for one in permissions(env, role) if key in follow_all(env, one.resources)]
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            if not any(one.allows(action) for one in allowed):
                yield RuleMatch(role, "Properties", f"may not {action} with the key of the stream")


def _admits(patterns: list[str], value: str) -> bool:
    return not patterns or any(matches(pattern, value) for pattern in patterns)


def _group_name(env: ResolvedEnvironment, item: Resource) -> str:
    group = follow(env, item.get("LogGroupName"), LOG_GROUP)
    return str(group.get("LogGroupName")) if group else str(item.get("LogGroupName"))


@environment_rule(
    "OPS-09",
    "Log subscriptions do not feed on themselves, and may call their function",
    why="A consumer whose own log is subscribed logs about its own lines for ever; a group has at most two filters "
    "(Amazon CloudWatch Logs User Guide, Real-time processing of log data with subscriptions).",
    hint="subscribe no group of the consumer; make the Lambda permission first and name it in DependsOn",
)
def filter_consumers(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    counts: dict[str, int] = {}
    for item in env.of_type(FILTER):
        group = follow(env, item.get("LogGroupName"), LOG_GROUP)
        name = _group_name(env, item)
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 2:
            yield RuleMatch(item, "Properties.LogGroupName", f"third filter of {name}")
        if group and group.get("LogGroupClass", "STANDARD") != "STANDARD":
            yield RuleMatch(item, "Properties.LogGroupName", f"{name} is of a class without subscriptions")
        target = follow(env, item.get("DestinationArn"), FUNCTION, STREAM)
        if group and target and group in _subscribed_log_groups(env, target):
            yield RuleMatch(item, "Properties.LogGroupName", f"is the log of its own consumer {target.logical_id}")
        if target and target.type == FUNCTION:
            stack = env.stacks[item.stack]
            allowed = [
                permission
                for permission in stack.of_type(PERMISSION)
                if follow(env, permission.get("FunctionName")) == target
                and str(permission.get("Principal")).startswith("logs.")
            ]
            if not any(depends_on_resource(stack, item, permission.logical_id) for permission in allowed):
                yield RuleMatch(item, "DependsOn", "does not wait for the permission to call its function")


def _subscribed_log_groups(env: ResolvedEnvironment, consumer: Resource) -> list[Resource]:
    """The log groups that a consumer writes to, and those of the functions that it calls."""
    found = follow_all(env, consumer.get("LoggingConfig.LogGroup"), LOG_GROUP)
    found += follow_all(env, consumer.get("ExtendedS3DestinationConfiguration.CloudWatchLoggingOptions"), LOG_GROUP)
    for function in follow_all(
        env, consumer.get("ExtendedS3DestinationConfiguration.ProcessingConfiguration"), FUNCTION
    ):
        found += _subscribed_log_groups(env, function)
    return found


@environment_rule(
    "OPS-10",
    "The archive stream delivers, and reports failures",
    why="Records of CloudWatch Logs are compressed already, a transforming function has 5 minutes, and failures "
    "without an error prefix mix with the data (Amazon Data Firehose Developer Guide, Transform source data).",
    hint="add a Lambda processor, an ErrorOutputPrefix, error logging, encryption; a timeout up to 300 s",
)
def archive_stream(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stream in env.of_type(STREAM):
        base = "ExtendedS3DestinationConfiguration"
        path = f"Properties.{base}"
        functions = follow_all(env, stream.get(f"{base}.ProcessingConfiguration"), FUNCTION)
        if not functions:
            yield RuleMatch(stream, f"{path}.ProcessingConfiguration", "no function unpacks the records")
        for function in functions:
            if (number(function.get("Timeout")) or 3) > 300:
                yield RuleMatch(function, "Properties.Timeout", "Firehose waits 300 s")
            role = follow(env, stream.get(f"{base}.RoleARN"), ROLE)
            granted = permissions(env, role)
            if not any(
                item.allows("lambda:InvokeFunction") and function in follow_all(env, item.resources) for item in granted
            ):
                yield RuleMatch(stream, f"{path}.RoleARN", f"may not call {function.logical_id}")
        # Firehose compresses, or the function does (the extension shows it). Both would give gzip inside gzip.
        packs = stream.get(f"{base}.CompressionFormat", "UNCOMPRESSED") != "UNCOMPRESSED"
        if packs == str(stream.get(f"{base}.FileExtension")).endswith(".gz"):
            how = "twice" if packs else "by neither"
            yield RuleMatch(stream, f"{path}.CompressionFormat", f"the archive is compressed {how}")
        if not stream.get(f"{base}.ErrorOutputPrefix"):
            yield RuleMatch(stream, f"{path}.ErrorOutputPrefix", "failures mix with the data")
        logging = stream.get(f"{base}.CloudWatchLoggingOptions", {})
        if str(logging.get("Enabled")).lower() != "true" or not follow_all(env, logging, LOG_GROUP):
            yield RuleMatch(stream, f"{path}.CloudWatchLoggingOptions", "failures are not logged to a group of ours")
        if not follow(
            env, stream.get(f"{base}.EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN"), "AWS::KMS::Key"
        ):
            yield RuleMatch(stream, f"{path}.EncryptionConfiguration", "no key of ours")


@environment_rule(
    "OPS-26",
    "Records that the archive rejects raise an alarm, and expire soon",
    why="A record that the function marks ProcessingFailed is delivered unchanged to the error prefix. It counts as no "
    "error of Lambda or Firehose (Amazon Data Firehose Developer Guide, Data transformation failure handling), and no "
    "secret in it is redacted.",
    hint="add a metric filter on the function's log group with an alarm on its metric, and a lifecycle rule for the "
    "error prefix with ExpirationInDays up to 30",
)
def rejected_records(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    watched = {
        (str(alarm.get("Namespace")), str(alarm.get("MetricName"))) for alarm in env.of_type("AWS::CloudWatch::Alarm")
    }
    counted = [
        follow(env, item.get("LogGroupName"), LOG_GROUP)
        for item in env.of_type("AWS::Logs::MetricFilter")
        for metric in item.get("MetricTransformations", [])
        if (str(metric.get("MetricNamespace")), str(metric.get("MetricName"))) in watched
    ]
    for stream in env.of_type(STREAM):
        base = "ExtendedS3DestinationConfiguration"
        for function in follow_all(env, stream.get(f"{base}.ProcessingConfiguration"), FUNCTION):
            group = follow(env, function.get("LoggingConfig.LogGroup"), LOG_GROUP)
            if group is not None and group not in counted:
                yield RuleMatch(function, "Properties.LoggingConfig", "no alarm counts the records that it rejects")
        prefix = str(stream.get(f"{base}.ErrorOutputPrefix", "")).partition("!{")[0]
        for bucket in follow_all(env, stream.get(f"{base}.BucketARN"), BUCKET) if prefix else []:
            rules = bucket.get("LifecycleConfiguration.Rules", [])
            days = [number(rule.get("ExpirationInDays")) or 0 for rule in rules if rule.get("Prefix") == prefix]
            if not any(0 < one <= 30 for one in days):
                yield RuleMatch(bucket, "Properties.LifecycleConfiguration", f"rejected records under {prefix} stay")


@environment_rule(
    "OPS-16",
    "Buckets that services write to outlive the stack",
    why="Delivery continues while the stack is deleted, so the bucket is never empty and its deletion fails (Amazon "
    "S3 User Guide, Deleting a bucket).",
    hint="DeletionPolicy RetainExceptOnCreate or Retain",
)
def written_buckets_stay(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    streams = [item.get("ExtendedS3DestinationConfiguration.BucketARN") for item in env.of_type(STREAM)]
    for bucket in env.of_type(BUCKET):
        writers = [
            principal
            for item in bucket_statements(env, bucket)
            if item.allows("s3:PutObject")
            for principal in item.principals.get("Service", [])
        ]
        archive = any(bucket in follow_all(env, stream) for stream in streams)
        if (writers or archive) and bucket.attributes.get("DeletionPolicy") not in KEEP:
            yield RuleMatch(bucket, "DeletionPolicy", f"is written to by {', '.join(writers) or 'Firehose'}")
