"""Queue of events and notifications whose delivery failed."""

from awacs import kms as kms_actions
from awacs import sqs as sqs_actions
from awacs.aws import Statement
from troposphere import Template
from troposphere.sns import Topic
from troposphere.sqs import Queue, QueuePolicy

from generator.layers.operations.interface import Config, Inputs
from generator.resources import iam
from generator.resources.deletion_policies import deletion_policy


def add_failure_queue(t: Template, config: Config, inputs: Inputs) -> Queue:
    """Add the queue of failed deliveries. It keeps messages for two weeks, and an alarm reports them."""
    return t.add_resource(
        Queue(
            "FailureQueue",
            KmsMasterKeyId=inputs.logs.telemetry_key_arn,
            MessageRetentionPeriod=config.failures_kept_seconds,
            **deletion_policy("queue"),
        )
    )


def failure_queue_policy(queue: Queue, notices: Topic) -> QueuePolicy:
    """Return the queue policy: SNS and EventBridge of this account may send failed deliveries."""
    return QueuePolicy(
        "FailureQueuePolicy",
        Queues=[queue.ref()],
        PolicyDocument=iam.policy_document(
            iam.deny_insecure_transport([sqs_actions.Action("*")], queue.get_att("Arn")),
            iam.allow(
                "KeepUndeliveredNotices",
                [sqs_actions.SendMessage],
                [queue.get_att("Arn")],
                iam.source_arn_condition(notices.ref()),
                principal=iam.service_principal("sns"),
            ),
            iam.allow(
                "KeepUndeliveredEvents",
                [sqs_actions.SendMessage],
                [queue.get_att("Arn")],
                iam.source_arn_condition("arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*"),
                principal=iam.service_principal("events"),
            ),
        ),
    )


def send_failures(queue: Queue, inputs: Inputs) -> list[Statement]:
    """Allow a function's role to send to the queue. Lambda uses the role when all retries have failed."""
    return [
        iam.allow("SendFailures", [sqs_actions.SendMessage], [queue.get_att("Arn")]),
        iam.allow(
            "EncryptMessages", [kms_actions.Decrypt, kms_actions.GenerateDataKey], [inputs.logs.telemetry_key_arn]
        ),
    ]
