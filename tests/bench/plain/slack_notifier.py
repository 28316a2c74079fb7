"""Publish a line of text about an alarm."""

import json
import os
from typing import Any

import boto3

sns = boto3.client("sns")


def handler(event: dict[str, Any], _context: object) -> None:
    """Publish a custom notification of AWS Chatbot for each message."""
    for record in event["Records"]:
        alarm = json.loads(record["Sns"]["Message"])
        text = f"{alarm['AlarmName']} is {alarm['NewStateValue']}: {alarm['NewStateReason']}"
        message = {
            "version": "1.0",
            "source": "custom",
            "content": {"textType": "client-markdown", "description": text},
        }
        sns.publish(TopicArn=os.environ["OUTPUT_TOPIC_ARN"], Message=json.dumps(message))
