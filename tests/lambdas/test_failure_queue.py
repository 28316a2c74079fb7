"""Retries of slack_notifier, its fallback and the failure queue, for a message that it cannot publish.

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

from generator.resources.lambda_functions import RUNTIME
from hosting.deployer.packaging.lambda_packages import Archive
from tests.lambdas.test_slack_notifier import alarm, records, sns
from tests.support.waiting import PATIENCE, eventually

Client = Callable[..., Any]
OPERATIONS = Path(__file__).resolve().parent.parent.parent / "templates" / "operations.json"
ROLE = "arn:aws:iam::123456789012:role/any"


class Notices:
    """The functions, the topics of the chat, and the failure queue."""

    def __init__(self, aws: Client, account: str, packaged: Mapping[str, Archive]) -> None:
        self._sns, self._sqs, self._lambda = aws("sns"), aws("sqs"), aws("lambda")
        self._logs = aws("logs")
        # Only the ARN of the topic. The tests decide whether the topic exists.
        self._chat = f"arn:aws:sns:ap-northeast-1:{account}:chat"
        self._failures, failures_arn = self._queue("failures")
        self._read, self._read_arn = self._queue("read-by-slack")
        self._fallback = aws("sns").create_topic(Name="fallback")["TopicArn"]
        url, arn = self._queue("read-by-chatbot")
        self._unchanged = url
        raw = {"RawMessageDelivery": "true"}
        aws("sns").subscribe(TopicArn=self._fallback, Protocol="sqs", Endpoint=arn, Attributes=raw)
        fallback = self._function("alarm_fallback", packaged, failures_arn, FALLBACK_TOPIC_ARN=self._fallback)
        names = {"OUTPUT_TOPIC_ARN": self._chat, "NAME_PREFIX": "shop-prod", "ENVIRONMENT_NAME": "prod"}
        self._function("slack_notifier", packaged, fallback, **names)

    def _function(self, name: str, packaged: Mapping[str, Archive], destination: str, **variables: str) -> str:
        """Create a function with the retries of the committed template."""
        made = self._lambda.create_function(
            FunctionName=name.replace("_", "-"),
            Runtime=RUNTIME,
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": packaged[name].data},
            Timeout=30,
            Environment={"Variables": variables},
        )
        subject = name.title().replace("_", "")
        retries = json.loads(OPERATIONS.read_text(encoding="utf-8"))["Resources"][f"{subject}Retries"]["Properties"]
        assert "Destination" in retries["DestinationConfig"]["OnFailure"]
        self._lambda.put_function_event_invoke_config(
            FunctionName=name.replace("_", "-"),
            MaximumRetryAttempts=retries["MaximumRetryAttempts"],
            MaximumEventAgeInSeconds=retries["MaximumEventAgeInSeconds"],
            DestinationConfig={"OnFailure": {"Destination": destination}},
        )
        return str(made["FunctionArn"])

    def _queue(self, name: str) -> tuple[str, str]:
        url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def open_chat(self) -> None:
        topic = self._sns.create_topic(Name="chat")["TopicArn"]
        assert topic == self._chat
        raw = {"RawMessageDelivery": "true"}
        self._sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self._read_arn, Attributes=raw)

    def send(self, text: object) -> None:
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

    def unchanged(self) -> list[dict[str, Any]]:
        return self._messages(self._unchanged, PATIENCE)

    def published(self, seconds: float = PATIENCE) -> list[dict[str, Any]]:
        return self._messages(self._read, seconds)


@pytest.fixture
def notices(aws: Client, account: str, packaged: Mapping[str, Archive]) -> Notices:
    return Notices(aws, account, packaged)


def test_an_alarm_reaches_chatbot_unchanged_if_the_notifier_fails(notices: Notices) -> None:
    notices.send(alarm())
    assert notices.unchanged() == [alarm()]
    assert notices.failed(seconds=1) == []


def test_the_failure_queue_keeps_the_whole_notice_that_chatbot_cannot_read(notices: Notices) -> None:
    notices.send("予算の80%を超えました")
    (failed,) = notices.failed()
    assert "AWS Chatbot cannot read this event" in json.dumps(failed["responsePayload"])
    notifier = failed["requestPayload"]
    assert notifier["requestContext"]["condition"] == "RetriesExhausted"
    (record,) = notifier["requestPayload"]["Records"]
    assert record["Sns"]["Message"] == "予算の80%を超えました"
    assert record["Sns"]["Subject"] == "Notice"
    assert "NotFound" in json.dumps(notifier["responsePayload"]), "the message contains the cause"


def test_a_retry_publishes_the_notice_after_the_topic_was_created(notices: Notices) -> None:
    notices.send("refused once, then published")
    notices.wait_for_a_refusal()
    notices.open_chat()
    (message,) = notices.published()
    assert message["content"]["description"] == "refused once, then published"
    assert notices.failed(seconds=1) == []
    assert "NotFound" in json.dumps(notices.logged()), "the first attempt was refused"
