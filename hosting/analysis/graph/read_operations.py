"""Operations in the model: secrets, keys, functions, logs, alarms, notices."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.analysis.graph import model
from hosting.analysis.graph.lookup import (
    BUCKET,
    FUNCTION,
    LOG_GROUP,
    TOPIC,
    Lookup,
    days,
    is_in,
    key,
    true,
    words,
)
from hosting.analysis.resolve import Resource
from hosting.model.stack_order import EDGE_REGION

STREAM = "AWS::KinesisFirehose::DeliveryStream"

# What AWS calls these services in their metrics is not what readers call them.
_SUBJECTS = {
    "AWS/ApplicationELB": "load balancer",
    "AWS/RDS": "database",
    "AWS/NATGateway": "NAT",
    "AWS/CloudFront": "CloudFront",
    "AWS/WAFV2": "WAF",
    "AWS/Lambda": "functions",
    "AWS/ECS": "services",
    "ECS/ContainerInsights": "tasks",
    "AWS/SQS": "failure queue",
}


def secrets(look: Lookup) -> tuple[model.Named, ...]:
    managed = [
        model.Named(
            "Database user",
            "Made and rotated by RDS"
            + (
                ", given to the tasks"
                if any(
                    look.one(container.get("Secrets"), cluster.type) == cluster
                    for task in look.all("AWS::ECS::TaskDefinition")
                    for container in task.get("ContainerDefinitions", [])
                )
                else ""
            ),
        )
        for cluster in look.all("AWS::RDS::DBCluster")
        if true(cluster.get("ManageMasterUserPassword"))
    ]
    made = [
        model.Named(words(item.logical_id), str(item.get("Description", "")))
        for item in look.all("AWS::SecretsManager::Secret")
    ]
    return tuple(managed + made)


def keys(look: Lookup) -> tuple[model.Named, ...]:
    return tuple(
        model.Named(
            words(item.logical_id).removesuffix(" key"),
            str(item.get("Description", "")).removeprefix(f"{look.name}: ")
            + ("" if true(item.get("EnableKeyRotation")) else " (not rotated)"),
        )
        for item in look.all("AWS::KMS::Key", edge=False)
    )


def repositories(look: Lookup) -> tuple[str, ...]:
    found = look.all("AWS::ECR::Repository")
    return tuple(sorted(str(item.get("RepositoryName", item.logical_id)) for item in found))


def access_logs(look: Lookup) -> tuple[str, ...]:
    """Who writes access logs to a bucket."""
    found = []
    for balancer in look.all("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        attributes = {item.get("Key"): item.get("Value") for item in balancer.get("LoadBalancerAttributes", [])}
        if attributes.get("access_logs.s3.enabled") == "true":
            found.append("load balancer")
    if any(item.get("LoggingConfiguration") for item in look.all(BUCKET)):
        found.append("S3 buckets")
    found += [
        "CloudFront" + (f" ({EDGE_REGION})" if look.at_edge(source) else "")
        for source in look.all("AWS::Logs::DeliverySource")
        if look.one(source.get("ResourceArn"), "AWS::CloudFront::Distribution")
    ]
    return tuple(found)


def functions(look: Lookup) -> tuple[model.Function, ...]:
    return tuple(sorted((look.function(item) for item in look.all(FUNCTION)), key=lambda item: item.name))


def logs(look: Lookup) -> model.Logs | None:
    groups = look.all(LOG_GROUP, edge=False)
    if not groups:
        return None
    retention = sorted({int(item.get("RetentionInDays", 0)) for item in groups})
    kept = " or ".join(str(days) if days else "unlimited" for days in retention)
    archived = {
        key(group)
        for item in look.all("AWS::Logs::SubscriptionFilter")
        if look.one(item.get("DestinationArn"), STREAM)
        for group in look.behind(item.get("LogGroupName"), LOG_GROUP)
    }
    sources = sorted({log_source(look, item) for item in groups})
    return model.Logs(len(groups), f"{kept} days", tuple(sources), len(archived))


def log_source(look: Lookup, group: Resource) -> str:
    """Whose logs a group holds, as whoever refers to it says; by its name when nobody does."""
    for kind, path, title in (
        ("AWS::EC2::FlowLog", "LogGroupName", "VPC flow logs"),
        ("AWS::ECS::TaskDefinition", "ContainerDefinitions", "ECS tasks"),
        ("AWS::ECS::Cluster", "Configuration", "ECS Exec sessions"),
        (FUNCTION, "LoggingConfig", "Lambda functions"),
        (STREAM, "ExtendedS3DestinationConfiguration", "Firehose delivery"),
    ):
        if any(is_in(group, look.behind(item.get(path), LOG_GROUP)) for item in look.all(kind)):
            return title
    name = str(group.get("LogGroupName", group.logical_id))
    if "/rds/" in name:
        return f"Aurora {name.rsplit('/', 1)[-1]}"
    if "/containerinsights/" in name:
        return "Container Insights"
    return look.plain(name)


def archive(look: Lookup) -> model.Archive | None:
    stream = look.first(STREAM)
    if stream is None:
        return None
    target = stream.get("ExtendedS3DestinationConfiguration", {})
    processor = look.one(target.get("ProcessingConfiguration"), FUNCTION)
    bucket = look.one(target.get("BucketARN"), BUCKET)
    lifecycle = []
    for rule in bucket.get("LifecycleConfiguration.Rules", []) if bucket else []:
        for transition in rule.get("Transitions", []):
            storage = str(transition.get("StorageClass", "")).replace("_", " ").capitalize()
            lifecycle.append(f"{storage} after {days(transition.get('TransitionInDays'))}")
        if "ExpirationInDays" in rule:
            lifecycle.append(f"deleted after {days(rule['ExpirationInDays'])}")
    return model.Archive(
        look.function(processor) if processor else None,
        bool(target.get("EncryptionConfiguration")),
        tuple(lifecycle),
    )


def alarms(look: Lookup, *, edge: bool) -> model.Alarms | None:
    found = look.all("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", edge=edge)
    if not found:
        return None
    subjects = sorted({subject(look, space) for item in found for space in _namespaces(item)}, key=str.casefold)
    topics = {key(topic): topic for item in found for topic in look.behind(item.get("AlarmActions"), TOPIC)}
    return model.Alarms(len(found), tuple(subjects), tuple(look.topic(item) for item in topics.values()))


def subject(look: Lookup, namespace: str) -> str:
    return _SUBJECTS.get(namespace, look.plain(namespace.removeprefix("AWS/")))


def notices(look: Lookup) -> model.Notices | None:
    """The function that writes to a topic of the chat, and what calls it."""
    heard = [topic for item in channels(look) for topic in look.behind(item.get("SnsTopicArns"), TOPIC)]
    for function in look.all(FUNCTION):
        written = look.behind(function.get("Environment.Variables"), TOPIC)
        if written and (not heard or any(is_in(item, heard) for item in written)):
            return model.Notices(tuple(callers(look, function)), look.function(function), look.topic(written[0]))
    return None


def callers(look: Lookup, function: Resource) -> Iterator[str]:
    for rule in look.all("AWS::Events::Rule"):
        if is_in(function, look.behind(rule.get("Targets"), FUNCTION)) and rule.get("EventPattern"):
            yield from rule.get("EventPattern.detail-type", [rule.logical_id])
    for item in look.all("AWS::Logs::SubscriptionFilter"):
        if look.one(item.get("DestinationArn"), FUNCTION) == function:
            groups = look.behind(item.get("LogGroupName"), LOG_GROUP)
            yield f"{', '.join(log_source(look, group) for group in groups)} log"
    topics = [
        topic
        for item in look.all("AWS::SNS::Subscription")
        if look.one(item.get("Endpoint"), FUNCTION) == function
        for topic in look.behind(item.get("TopicArn"), TOPIC)
    ]
    for budget in look.all("AWS::Budgets::Budget"):
        if any(is_in(item, topics) for item in look.behind(budget.get("NotificationsWithSubscribers"), TOPIC)):
            limit = budget.get("Budget.BudgetLimit", {})
            yield f"Budget of {limit.get('Amount')} {limit.get('Unit')} a month"


def channels(look: Lookup) -> list[Resource]:
    return look.all("AWS::Chatbot::SlackChannelConfiguration")


def chat(look: Lookup) -> model.Chat | None:
    channel = next(iter(channels(look)), None)
    if channel is None:
        return None
    topics = look.behind(channel.get("SnsTopicArns"), TOPIC)
    return model.Chat(str(channel.get("SlackChannelId", "")), tuple(look.topic(item) for item in topics))


def _namespaces(alarm: Resource) -> Iterator[str]:
    if namespace := alarm.get("Namespace"):
        yield str(namespace)
    for metric in alarm.get("Metrics", []):
        if namespace := metric.get("MetricStat", {}).get("Metric", {}).get("Namespace"):
            yield str(namespace)
