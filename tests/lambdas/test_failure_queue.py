"""Retries and the failure queue of slack_notifier for a notice that it cannot publish.

The number of retries is the one of the committed template. The invocations are asynchronous, as those of SNS and
EventBridge. The emulator waits seconds between the attempts, Lambda waits minutes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer.packaging.lambda_packages import Archive
from tests.lambdas.test_slack_notifier import records, sns
from tests.support.waiting import PATIENCE, eventually

Client = Callable[..., Any]
OPERATIONS = Path(__file__).resolve().parent.parent.parent / "templates" / "operations.json"
ROLE = "arn:aws:iam::123456789012:role/any"


class Notices:
    """The function and its two destinations: the chat's topic and the failure queue."""

    def __init__(self, aws: Client, account: str, package: bytes) -> None:
        self._sns, self._sqs, self._lambda = aws("sns"), aws("sqs"), aws("lambda")
        self._logs = aws("logs")
        # Only the ARN of the topic. The tests decide whether the topic exists.
        self._chat = f"arn:aws:sns:ap-northeast-1:{account}:chat"
        self._failures, failures_arn = self._queue("failures")
        self._read, self._read_arn = self._queue("read-by-slack")
        self._lambda.create_function(
            FunctionName="slack-notifier",
            Runtime="python3.13",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": package},
            Timeout=30,
            Environment={"Variables": {"OUTPUT_TOPIC_ARN": self._chat, "ENVIRONMENT_NAME": "shop-prod"}},
        )
        retries = json.loads(OPERATIONS.read_text(encoding="utf-8"))["Resources"]["SlackNotifierRetries"]["Properties"]
        self._lambda.put_function_event_invoke_config(
            FunctionName="slack-notifier",
            MaximumRetryAttempts=retries["MaximumRetryAttempts"],
            MaximumEventAgeInSeconds=retries["MaximumEventAgeInSeconds"],
            DestinationConfig={"OnFailure": {"Destination": failures_arn}},
        )

    def _queue(self, name: str) -> tuple[str, str]:
        url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def open_chat(self) -> None:
        topic = self._sns.create_topic(Name="chat")["TopicArn"]
        assert topic == self._chat
        raw = {"RawMessageDelivery": "true"}
        self._sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._read_arn, Attributes=raw)

    def send(self, text: str) -> None:
        event = json.dumps(records(sns(text, "Notice")))
        self._lambda.invoke(FunctionName="slack-notifier", InvocationType="Event", Payload=event.encode())

    def _messages(self, url: str, seconds: float) -> list[dict[str, Any]]:
        deadline = time.monotonic() + seconds
        while True:
            found = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if found or time.monotonic() > deadline:
                return [json.loads(message["Body"]) for message in found]
            time.sleep(0.1)

    def wait_for_a_refusal(self) -> None:
        eventually(lambda: "NotFound" in json.dumps(self.logged()), self.logged)

    def logged(self) -> list[str]:
        try:
            found = self._logs.filter_log_events(logGroupName="/aws/lambda/slack-notifier")
        except self._logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in found["events"]]

    def failed(self, seconds: float = PATIENCE) -> list[dict[str, Any]]:
        return self._messages(self._failures, seconds)

    def published(self, seconds: float = PATIENCE) -> list[dict[str, Any]]:
        return self._messages(self._read, seconds)


@pytest.fixture
def notices(aws: Client, account: str, packaged: Mapping[str, Archive]) -> Notices:
    return Notices(aws, account, packaged["slack_notifier"].data)


def test_the_failure_queue_holds_the_whole_notice_that_cannot_be_published(notices: Notices) -> None:
    notices.send("予算の80%を超えました")
    (failed,) = notices.failed()
    assert failed["requestContext"]["condition"] == "RetriesExhausted"
    (record,) = failed["requestPayload"]["Records"]
    assert record["Sns"]["Message"] == "予算の80%を超えました"
    assert record["Sns"]["Subject"] == "Notice"
    assert "NotFound" in json.dumps(failed["responsePayload"]), "the message contains the cause"


def test_a_retry_publishes_the_notice_after_the_topic_was_created(notices: Notices) -> None:
    notices.send("refused once, then published")
    notices.wait_for_a_refusal()
    notices.open_chat()
    (message,) = notices.published()
    assert message["content"]["description"] == "refused once, then published"
    assert notices.failed(seconds=1) == []
    assert "NotFound" in json.dumps(notices.logged()), "the first attempt was refused"
