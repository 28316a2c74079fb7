"""SNS topics: encrypted, with a policy that names who publishes."""

from __future__ import annotations

from collections.abc import Callable

from awacs import sns as sns_actions
from awacs.aws import Principal, Statement
from troposphere import AWSHelperFn, Sub, Template
from troposphere.sns import Topic, TopicPolicy

from generator import iam


def add_topic(
    t: Template,
    title: str,
    what: str,
    key: AWSHelperFn,
    *publishers: Callable[[Topic], Statement],
    prefix: str = "${Prefix}",
) -> Topic:
    """A topic and its policy. A key of ours: with the AWS-managed one CloudWatch cannot publish, and says nothing
    (Amazon SNS Developer Guide, "Encryption at rest")."""
    topic = t.add_resource(Topic(title, KmsMasterKeyId=key, DisplayName=Sub(f"{prefix} {what}")))
    statements = [publisher(topic) for publisher in publishers]
    t.add_resource(
        TopicPolicy(
            f"{title}Policy",
            Topics=[topic.ref()],
            PolicyDocument=iam.document(
                manage_by_account(topic), iam.deny_plain_http([sns_actions.Publish], topic.ref()), *statements
            ),
        )
    )
    return topic


def manage_by_account(topic: Topic) -> Statement:
    """What the default policy of a topic gives, and a policy of ours would else take away."""
    return iam.allow(
        "ManageByAccount",
        [
            sns_actions.GetTopicAttributes,
            sns_actions.SetTopicAttributes,
            sns_actions.ListSubscriptionsByTopic,
            sns_actions.Subscribe,
            sns_actions.Publish,
        ],
        [topic.ref()],
        principal=Principal("AWS", Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")),
    )


def publish_alarms(topic: Topic) -> Statement:
    return _publish("PublishAlarms", "cloudwatch", "cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*", topic)


def publish_budgets(topic: Topic) -> Statement:
    return _publish("PublishBudgets", "budgets", "budgets::${AWS::AccountId}:*", topic)


def _publish(sid: str, service: str, source: str, topic: Topic) -> Statement:
    return iam.allow(
        sid,
        [sns_actions.Publish],
        [topic.ref()],
        iam.from_this_account(),
        iam.from_source(f"arn:${{AWS::Partition}}:{source}"),
        principal=iam.service(service),
    )
