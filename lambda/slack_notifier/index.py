"""Turns messages that no AWS service formats into notifications for the chat channel.

The invocation is asynchronous: after an exception Lambda retries twice and then sends the event to the failure queue.
Nothing is caught here, because a caught exception could hide a lost message.
"""

import json
import logging
import os
from typing import Any

import boto3
from events import notifications
from notification import document

logger = logging.getLogger()
logger.setLevel(logging.INFO)

_sns = boto3.client("sns")


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Publish the notifications of one event."""
    topic = os.environ["OUTPUT_TOPIC_ARN"]
    environment = os.environ["ENVIRONMENT_NAME"]
    # All of them are understood before the first is sent, so that a retry repeats as little as possible.
    messages = [
        json.dumps(document(notification, environment), ensure_ascii=False)
        for notification in notifications(event, output_topic=topic, request_id=context.aws_request_id)
    ]
    for message in messages:
        _sns.publish(TopicArn=topic, Message=message)
    logger.info("%d notifications published", len(messages))
    return {"published": len(messages)}
