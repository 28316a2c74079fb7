"""Queues of events and notifications whose delivery failed."""

from __future__ import annotations

from typing import Any

from awacs import sqs as sqs_actions
from troposphere import AWSHelperFn, Template
from troposphere.sqs import Queue, QueuePolicy

from generator.resources import iam
from generator.resources.deletion_policies import deletion_policy

RULES = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*"
# The longest time that SQS allows.
_KEPT_SECONDS = 1209600


def add_failure_queue(t: Template, title: str, key: AWSHelperFn) -> Queue:
    """Add a queue of failed deliveries. It keeps messages for two weeks."""
    return t.add_resource(
        Queue(title, KmsMasterKeyId=key, MessageRetentionPeriod=_KEPT_SECONDS, **deletion_policy("queue"))
    )


def failure_queue_policy(queue: Queue, **topics: Any) -> QueuePolicy:
    """Return the queue policy: EventBridge and the named topics of this account may send failed deliveries."""
    senders = [("KeepUndeliveredEvents", "events", RULES)]
    senders += [(f"KeepUndelivered{what}", "sns", topic) for what, topic in topics.items()]
    return QueuePolicy(
        f"{queue.title}Policy",
        Queues=[queue.ref()],
        PolicyDocument=iam.policy_document(
            iam.deny_insecure_transport([sqs_actions.Action("*")], queue.get_att("Arn")),
            *(
                iam.allow(
                    sid,
                    [sqs_actions.SendMessage],
                    [queue.get_att("Arn")],
                    iam.source_arn_condition(source),
                    principal=iam.service_principal(service),
                )
                for sid, service, source in senders
            ),
        ),
    )
