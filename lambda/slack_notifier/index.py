"""Function that publishes alarms and events as notifications for the chat channel.

All invocations are asynchronous. After an exception Lambda retries twice, then it sends the event to the function
alarm_fallback. So this function catches no exception of a publication: a caught one could hide a lost message.
"""

import json
import logging
import os
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from events import notifications
from notification import document
from settings import Settings

logger = logging.getLogger()
logger.setLevel(logging.INFO)

_sns = boto3.client("sns")


# The history of an alarm is only an addition to its message, which must not wait for it.
_QUICK = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})


@cache
def _cloudwatch(region: str) -> Any:
    return boto3.client("cloudwatch", region_name=region, config=_QUICK)


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Publish the notifications of an event, and return their number."""
    topic = os.environ["OUTPUT_TOPIC_ARN"]
    prefix = os.environ["NAME_PREFIX"]
    settings = Settings(
        output_topic=topic,
        prefix=prefix,
        environment=os.environ["ENVIRONMENT_NAME"],
        request_id=context.aws_request_id,
        cloudwatch=_cloudwatch,
    )
    # All notifications are created before the first one is published, so that a retry repeats as few as possible.
    messages = [
        json.dumps(document(notification, prefix), ensure_ascii=False)
        for notification in notifications(event, settings)
    ]
    for message in messages:
        _sns.publish(TopicArn=topic, Message=message)
    logger.info("%d notifications published", len(messages))
    return {"published": len(messages)}
