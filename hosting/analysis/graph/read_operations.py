"""Reads operations: secrets, keys, functions, logs, alarms, notifications."""

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
    is_true,
    key,
    to_words,
)
from hosting.analysis.resolve import Resource
from hosting.analysis.rules.stores import STORES_STACK
from hosting.model.stack_order import EDGE_REGION
from hosting.model.templates import Template

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


def secrets(lookup: Lookup) -> tuple[model.NamedResource, ...]:
    """Return the secrets with their purposes."""
    managed = [
        model.NamedResource(
            "Database user",
            "Made and rotated by RDS"
            + (
                ", given to the tasks"
                if any(
                    lookup.follow_one(container.get("Secrets"), cluster.type) == cluster
                    for task in lookup.all("AWS::ECS::TaskDefinition")
                    for container in task.get("ContainerDefinitions", [])
                )
                else ""
            ),
        )
        for cluster in lookup.all("AWS::RDS::DBCluster")
        if is_true(cluster.get("ManageMasterUserPassword"))
    ]
    made = [
        model.NamedResource(to_words(item.logical_id), str(item.get("Description", "")))
        for item in lookup.all("AWS::SecretsManager::Secret")
    ]
    return tuple(managed + made)


# Kinds of store by type, and what workloads do with them by their declared use.
_STORES = {"AWS::S3::Bucket": "Bucket", "AWS::SQS::Queue": "Queue", "AWS::EFS::FileSystem": "Volume"}
_USES = {
    "Read": "read by",
    "ReadWrite": "written by",
    "Send": "filled by",
    "Receive": "emptied by",
    "Mount": "mounted by",
}


def stores(lookup: Lookup, root: Template) -> tuple[model.NamedResource, ...]:
    """Return the stores of the project with the workloads that use them."""
    found = []
    for item in lookup.all(*_STORES):
        kind = _STORES[item.type]
        name = item.logical_id.removesuffix(kind)
        if item.stack != STORES_STACK or (kind == "Queue" and item.get("RedrivePolicy") is None):
            continue  # of the platform, or the queue of failed messages
        users = {
            words: [one for one in root.services if any((u.use, u.store) == (use, name) for u in root.uses_of(one))]
            for use, words in _USES.items()
        }
        purpose = "; ".join(f"{words} {', '.join(names)}" for words, names in users.items() if names)
        found.append(model.NamedResource(f"{kind} {name}", purpose or "used by no workload"))
    return tuple(found)


def keys(lookup: Lookup) -> tuple[model.NamedResource, ...]:
    return tuple(
        model.NamedResource(
            to_words(item.logical_id).removesuffix(" key"),
            str(item.get("Description", "")).removeprefix(f"{lookup.name}: ")
            + ("" if is_true(item.get("EnableKeyRotation")) else " (not rotated)"),
        )
        for item in lookup.all("AWS::KMS::Key", edge=False)
    )


def repositories(lookup: Lookup) -> tuple[str, ...]:
    found = lookup.all("AWS::ECR::Repository")
    return tuple(sorted(str(item.get("RepositoryName", item.logical_id)) for item in found))


def access_logs(lookup: Lookup) -> tuple[str, ...]:
    """Return the resources that write access logs to a bucket."""
    found = []
    for balancer in lookup.all("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        attributes = {item.get("Key"): item.get("Value") for item in balancer.get("LoadBalancerAttributes", [])}
        if attributes.get("access_logs.s3.enabled") == "true":
            found.append("load balancer")
    if any(item.get("LoggingConfiguration") for item in lookup.all(BUCKET)):
        found.append("S3 buckets")
    found += [
        "CloudFront" + (f" ({EDGE_REGION})" if lookup.at_edge(source) else "")
        for source in lookup.all("AWS::Logs::DeliverySource")
        if lookup.follow_one(source.get("ResourceArn"), "AWS::CloudFront::Distribution")
    ]
    return tuple(found)


def functions(lookup: Lookup) -> tuple[model.Function, ...]:
    return tuple(sorted((lookup.function(item) for item in lookup.all(FUNCTION)), key=lambda item: item.name))


def logs(lookup: Lookup) -> model.Logs | None:
    """Return number, retention and sources of the log groups."""
    groups = lookup.all(LOG_GROUP, edge=False)
    if not groups:
        return None
    retention = sorted({int(item.get("RetentionInDays", 0)) for item in groups})
    kept = " or ".join(str(days) if days else "unlimited" for days in retention)
    archived = {
        key(group)
        for item in lookup.all("AWS::Logs::SubscriptionFilter")
        if lookup.follow_one(item.get("DestinationArn"), STREAM)
        for group in lookup.follow(item.get("LogGroupName"), LOG_GROUP)
    }
    sources = sorted({log_source(lookup, item) for item in groups})
    return model.Logs(len(groups), f"{kept} days", tuple(sources), len(archived))


def log_source(lookup: Lookup, group: Resource) -> str:
    """Return the source of a group's logs, from the resource that refers to it, otherwise from its name."""
    for kind, path, title in (
        ("AWS::EC2::FlowLog", "LogGroupName", "VPC flow logs"),
        ("AWS::ECS::TaskDefinition", "ContainerDefinitions", "ECS tasks"),
        ("AWS::ECS::Cluster", "Configuration", "ECS Exec sessions"),
        (FUNCTION, "LoggingConfig", "Lambda functions"),
        (STREAM, "ExtendedS3DestinationConfiguration", "Firehose delivery"),
    ):
        if any(is_in(group, lookup.follow(item.get(path), LOG_GROUP)) for item in lookup.all(kind)):
            return title
    name = str(group.get("LogGroupName", group.logical_id))
    if "/rds/" in name:
        return f"Aurora {name.rsplit('/', 1)[-1]}"
    if "/containerinsights/" in name:
        return "Container Insights"
    return lookup.plain(name)


def archive(lookup: Lookup) -> model.Archive | None:
    """Return the log archive, or None."""
    stream = lookup.first(STREAM)
    if stream is None:
        return None
    target = stream.get("ExtendedS3DestinationConfiguration", {})
    processor = lookup.follow_one(target.get("ProcessingConfiguration"), FUNCTION)
    bucket = lookup.follow_one(target.get("BucketARN"), BUCKET)
    lifecycle = []
    for rule in bucket.get("LifecycleConfiguration.Rules", []) if bucket else []:
        for transition in rule.get("Transitions", []):
            storage = str(transition.get("StorageClass", "")).replace("_", " ").capitalize()
            lifecycle.append(f"{storage} after {days(transition.get('TransitionInDays'))}")
        if "ExpirationInDays" in rule:
            lifecycle.append(f"deleted after {days(rule['ExpirationInDays'])}")
    return model.Archive(
        lookup.function(processor) if processor else None,
        bool(target.get("EncryptionConfiguration")),
        tuple(lifecycle),
    )


def alarms(lookup: Lookup, *, edge: bool) -> model.Alarms | None:
    found = lookup.all("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm", edge=edge)
    if not found:
        return None
    subjects = sorted({subject(lookup, space) for item in found for space in _namespaces(item)}, key=str.casefold)
    topics = {key(topic): topic for item in found for topic in lookup.follow(item.get("AlarmActions"), TOPIC)}
    return model.Alarms(len(found), tuple(subjects), tuple(lookup.topic(item) for item in topics.values()))


def subject(lookup: Lookup, namespace: str) -> str:
    return _SUBJECTS.get(namespace, lookup.plain(namespace.removeprefix("AWS/")))


def notices(lookup: Lookup) -> model.Notices | None:
    """Return the function that publishes to a chat topic, and its callers."""
    heard = [topic for item in channels(lookup) for topic in lookup.follow(item.get("SnsTopicArns"), TOPIC)]
    for function in lookup.all(FUNCTION):
        written = lookup.follow(function.get("Environment.Variables"), TOPIC)
        if written and (not heard or any(is_in(item, heard) for item in written)):
            return model.Notices(tuple(callers(lookup, function)), lookup.function(function), lookup.topic(written[0]))
    return None


def callers(lookup: Lookup, function: Resource) -> Iterator[str]:
    """Return the sources that invoke a function."""
    for rule in lookup.all("AWS::Events::Rule"):
        if is_in(function, lookup.follow(rule.get("Targets"), FUNCTION)) and rule.get("EventPattern"):
            yield from rule.get("EventPattern.detail-type", [rule.logical_id])
    for item in lookup.all("AWS::Logs::SubscriptionFilter"):
        if lookup.follow_one(item.get("DestinationArn"), FUNCTION) == function:
            groups = lookup.follow(item.get("LogGroupName"), LOG_GROUP)
            yield f"{', '.join(log_source(lookup, group) for group in groups)} log"
    topics = [
        topic
        for item in lookup.all("AWS::SNS::Subscription")
        if lookup.follow_one(item.get("Endpoint"), FUNCTION) == function
        for topic in lookup.follow(item.get("TopicArn"), TOPIC)
    ]
    for budget in lookup.all("AWS::Budgets::Budget"):
        if any(is_in(item, topics) for item in lookup.follow(budget.get("NotificationsWithSubscribers"), TOPIC)):
            limit = budget.get("Budget.BudgetLimit", {})
            yield f"Budget of {limit.get('Amount')} {limit.get('Unit')} a month"


def channels(lookup: Lookup) -> list[Resource]:
    return lookup.all("AWS::Chatbot::SlackChannelConfiguration")


def chat(lookup: Lookup) -> model.Chat | None:
    channel = next(iter(channels(lookup)), None)
    if channel is None:
        return None
    topics = lookup.follow(channel.get("SnsTopicArns"), TOPIC)
    return model.Chat(str(channel.get("SlackChannelId", "")), tuple(lookup.topic(item) for item in topics))


def _namespaces(alarm: Resource) -> Iterator[str]:
    if namespace := alarm.get("Namespace"):
        yield str(namespace)
    for metric in alarm.get("Metrics", []):
        if namespace := metric.get("MetricStat", {}).get("Metric", {}).get("Namespace"):
            yield str(namespace)
