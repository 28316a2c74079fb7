"""Function that sends an alarm to the chat without a text of ours, after slack_notifier failed to process it.

Lambda invokes it with the record of the failed invocation. AWS Chatbot itself reads the message of an alarm and of
AWS Budgets. It drops any other message, so this function fails then, and Lambda sends the record to the failure queue.
"""

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import boto3

logger = logging.getLogger()
logger.setLevel(logging.INFO)

_sns = boto3.client("sns")


class UnknownMessageError(Exception):
    """The failed event contains a message that AWS Chatbot cannot read."""


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Publish the messages of a failed event unchanged, and return their number."""
    messages = list(_chatbot_messages(event["requestPayload"]))
    for subject, message in messages:
        _sns.publish(TopicArn=os.environ["FALLBACK_TOPIC_ARN"], Subject=subject, Message=message)
    logger.warning("slack_notifier failed, %d messages published unchanged", len(messages))
    return {"published": len(messages)}


def _chatbot_messages(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield subject and text of each message. Raises UnknownMessageError."""
    records: list[dict[str, Any]] = event.get("Records") or [{}]
    for record in records:
        message = record.get("Sns", {}).get("Message", "")
        if not (_is_alarm(message) or "Budget Name:" in message):
            raise UnknownMessageError(
                "AWS Chatbot cannot read this event. Read it in the failure queue: docs/incidents.md#notices"
            )
        yield record["Sns"].get("Subject") or "Alarm", message


def _is_alarm(message: str) -> bool:
    try:
        return "AlarmName" in json.loads(message)
    except (json.JSONDecodeError, TypeError):
        return False
