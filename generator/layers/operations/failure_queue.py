"""Permissions of functions whose events go to the failure queue."""

from awacs import kms as kms_actions
from awacs import sqs as sqs_actions
from awacs.aws import Statement
from troposphere.sqs import Queue

from generator.layers.operations.interface import Inputs
from generator.resources import iam


def send_failures(queue: Queue, inputs: Inputs) -> list[Statement]:
    """Allow a function's role to send to the queue. Lambda uses the role when all retries have failed."""
    return [iam.allow("SendFailures", [sqs_actions.SendMessage], [queue.get_att("Arn")]), encrypt_messages(inputs)]


def encrypt_messages(inputs: Inputs) -> Statement:
    """Allow a function's role to publish to the topics and to send to the queue, which are encrypted."""
    return iam.allow(
        "EncryptMessages", [kms_actions.Decrypt, kms_actions.GenerateDataKey], [inputs.logs.telemetry_key_arn]
    )
