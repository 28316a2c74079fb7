"""SNS topics: encrypted, with a policy that names the publishing services."""

from __future__ import annotations

from collections.abc import Callable

from awacs import sns as sns_actions
from awacs.aws import Statement
from troposphere import Sub, Template
from troposphere.sns import Topic, TopicPolicy

from generator import value_types as v
from generator.resources import iam


def add_topic(
    t: Template,
    title: str,
    what: str,
    key: v.TelemetryKeyArn | v.TelemetryKeyId,
    *publishers: Callable[[Topic], Statement],
    prefix: str = "${Prefix}",
) -> Topic:
    """Add a topic and its policy.

    The policy names services only. Principals of the account have the permissions of their own policies (IAM User
    Guide, "Policy evaluation for requests within a single account"). The key is a customer managed one: CloudWatch
    cannot publish with the AWS managed key, and reports no error (Amazon SNS Developer Guide, "Encryption at rest").
    """
    topic = t.add_resource(Topic(title, KmsMasterKeyId=key, DisplayName=Sub(f"{prefix} {what}")))
    statements = [publisher(topic) for publisher in publishers]
    t.add_resource(
        TopicPolicy(
            f"{title}Policy",
            Topics=[topic.ref()],
            PolicyDocument=iam.policy_document(
                iam.deny_insecure_transport([sns_actions.Publish], topic.ref()), *statements
            ),
        )
    )
    return topic


def allow_alarm_publishing(topic: Topic) -> Statement:
    """Allow the account's CloudWatch alarms to publish to a topic."""
    return _publish("PublishAlarms", "cloudwatch", "cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*", topic)


def allow_budget_publishing(topic: Topic) -> Statement:
    """Allow the account's budgets to publish to a topic."""
    return _publish("PublishBudgets", "budgets", "budgets::${AWS::AccountId}:*", topic)


def allow_event_publishing(topic: Topic) -> Statement:
    """Allow the account's EventBridge rules to publish to a topic. EventBridge sends no source account."""
    return iam.allow(
        "PublishEvents",
        [sns_actions.Publish],
        [topic.ref()],
        iam.source_arn_condition("arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*"),
        principal=iam.service_principal("events"),
    )


def _publish(sid: str, service: str, source: str, topic: Topic) -> Statement:
    return iam.allow(
        sid,
        [sns_actions.Publish],
        [topic.ref()],
        iam.source_account_condition(),
        iam.source_arn_condition(f"arn:${{AWS::Partition}}:{source}"),
        principal=iam.service_principal(service),
    )
