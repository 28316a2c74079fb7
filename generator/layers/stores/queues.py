"""Queues of workloads, each with a queue of failed messages and alarms."""

from __future__ import annotations

from awacs import sqs as sqs_actions
from troposphere import Tags, Template
from troposphere.sqs import Queue, QueuePolicy, RedrivePolicy

from generator import value_types as v
from generator.layers.stores.interface import Inputs
from generator.resources import iam
from generator.resources.alarms import alarm
from generator.resources.deletion_policies import deletion_policy
from generator.wiring import StackValue
from generator.workloads import Queue as QueueStore

DAY = 86_400
# The longest time that SQS allows: people need days to correct what failed.
FAILED_SECONDS = 14 * DAY


def add_queue(t: Template, store: QueueStore, inputs: Inputs) -> dict[str, StackValue]:
    """Add a queue, its queue of failed messages, their policy and alarms. Returns the outputs by name."""
    failed = t.add_resource(
        Queue(
            store.failed_id,
            KmsMasterKeyId=inputs.data_key_arn,
            MessageRetentionPeriod=FAILED_SECONDS,
            Tags=Tags(Store=store.slug),
            **deletion_policy("app queue"),
        )
    )
    queue = t.add_resource(
        Queue(
            store.logical_id,
            KmsMasterKeyId=inputs.data_key_arn,
            MessageRetentionPeriod=store.retention_days * DAY,
            VisibilityTimeout=store.visibility_seconds,
            # A consumer waits for messages in one request, and not in many empty ones.
            ReceiveMessageWaitTimeSeconds=20,
            RedrivePolicy=RedrivePolicy(deadLetterTargetArn=failed.get_att("Arn"), maxReceiveCount=store.attempts),
            Tags=Tags(Store=store.slug),
            **deletion_policy("app queue"),
        )
    )
    for one in (queue, failed):
        t.add_resource(
            QueuePolicy(
                f"{one.title}Policy",
                Queues=[one.ref()],
                PolicyDocument=iam.policy_document(
                    iam.deny_insecure_transport([sqs_actions.Action("*")], one.get_att("Arn"))
                ),
            )
        )
    add_queue_alarms(t, store, inputs, queue, failed)
    return {
        f"{store.logical_id}Url": v.StoreAddress(queue.ref()),
        f"{store.logical_id}Arn": v.StoreArn(queue.get_att("Arn")),
    }


def add_queue_alarms(t: Template, store: QueueStore, inputs: Inputs, queue: Queue, failed: Queue) -> None:
    """Add the alarm on failed messages, and the alarm on the age of the oldest message."""
    t.add_resource(
        alarm(
            f"{failed.title}Alarm",
            f"queue-{store.slug}-failed",
            inputs.alarm_topic_arn,
            description=f"Messages of the queue {store.name} failed {store.attempts} times. The queue {failed.title} "
            "keeps them for two weeks.",
            command="events --since 3h",
            section="failed-messages",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": failed.get_att("QueueName")},
            statistic="Maximum",
            threshold=1,
            period=300,
            periods=1,
        )
    )
    if store.late_minutes:
        t.add_resource(
            alarm(
                f"{queue.title}Alarm",
                f"queue-{store.slug}-late",
                inputs.alarm_topic_arn,
                description=f"The oldest message of the queue {store.name} is {store.late_minutes} minutes old.",
                command="status",
                section="late-messages",
                namespace="AWS/SQS",
                metric="ApproximateAgeOfOldestMessage",
                dimensions={"QueueName": queue.get_att("QueueName")},
                statistic="Maximum",
                threshold=store.late_minutes * 60,
                period=60,
                periods=5,
            )
        )
