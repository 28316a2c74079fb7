"""Function that publishes alarms and events as notifications for the chat channel.

All invocations are asynchronous. After an exception Lambda retries twice, then it sends the event to the failure
queue. So this function catches no exception: a caught one could hide a lost message.
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
    """Publish the notifications of an event, and return their number."""
    topic = os.environ["OUTPUT_TOPIC_ARN"]
    environment = os.environ["ENVIRONMENT_NAME"]
    # All notifications are created before the first one is published, so that a retry repeats as few as possible.
    messages = [
        json.dumps(document(notification, environment), ensure_ascii=False)
        for notification in notifications(event, output_topic=topic, request_id=context.aws_request_id)
    ]
    for message in messages:
        _sns.publish(TopicArn=topic, Message=message)
    logger.info("%d notifications published", len(messages))
    return {"published": len(messages)}
