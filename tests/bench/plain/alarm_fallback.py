"""Publish the message of a failed invocation unchanged."""

import os
from typing import Any

import boto3

sns = boto3.client("sns")


def handler(event: dict[str, Any], _context: object) -> None:
    """Publish each message of the event."""
    for record in event["requestPayload"]["Records"]:
        sns.publish(TopicArn=os.environ["FALLBACK_TOPIC_ARN"], Message=record["Sns"]["Message"])
