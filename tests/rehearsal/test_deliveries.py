"""Deliveries in the emulator: messages of alarms, retries and destinations of functions, other regions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.waiting import eventually

Client = Callable[..., Any]
ROLE = "arn:aws:iam::123456789012:role/any"
NOTHING_PUBLISHED = "import boto3\n\ndef handler(event, context):\n    raise RuntimeError('broken')\n"


def package(code: str) -> bytes:
    with zipfile.ZipFile(data := io.BytesIO(), "w") as archive:
        archive.writestr("index.py", code)
    return data.getvalue()


@pytest.fixture
def queue(aws: Client) -> str:
    """The ARN of a queue. `read` returns its messages."""
    url = aws("sqs").create_queue(QueueName="read")["QueueUrl"]
    attributes = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return str(attributes["QueueArn"])


def read(aws: Client) -> list[dict[str, Any]]:
    sqs = aws("sqs")
    url = sqs.get_queue_url(QueueName="read")["QueueUrl"]
    messages = eventually(lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"))
    return [json.loads(message["Body"]) for message in messages]


def function(aws: Client, name: str, on_failure: str = "") -> str:
    code = {"ZipFile": package(NOTHING_PUBLISHED)}
    made = aws("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Role=ROLE, Handler="index.handler", Code=code, Timeout=30
    )
    destination = {"DestinationConfig": {"OnFailure": {"Destination": on_failure}}} if on_failure else {}
    aws("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, **destination)
    return str(made["FunctionArn"])


def test_the_message_of_an_alarm_has_the_names_of_cloudwatchs_document(aws: Client, queue: str) -> None:
    topic = aws("sns").create_topic(Name="alarms")["TopicArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    aws("cloudwatch").put_metric_alarm(
        AlarmName="errors",
        AlarmActions=[topic],
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "ClusterName", "Value": "shop"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=5,
        Threshold=90,
        ComparisonOperator="GreaterThanThreshold",
    )
    aws("cloudwatch").set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    (message,) = read(aws)
    assert message["AlarmArn"].endswith(":alarm:errors")
    assert message["Trigger"]["Dimensions"] == [{"value": "shop", "name": "ClusterName"}]
    assert message["Trigger"]["Statistic"] == "AVERAGE"


def test_a_failed_delivery_passes_through_a_function_to_its_queue(aws: Client, queue: str) -> None:
    second = function(aws, "second", on_failure=queue)
    first = function(aws, "first", on_failure=second)
    topic = aws("sns").create_topic(Name="alarms")["TopicArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=first)
    aws("sns").publish(TopicArn=topic, Message="lost?")
    (record,) = read(aws)
    inner = record["requestPayload"]
    assert inner["requestContext"]["condition"] == "RetriesExhausted"
    assert inner["requestPayload"]["Records"][0]["Sns"]["Message"] == "lost?"


def test_the_message_for_a_missing_function_goes_to_the_redrive_queue(aws: Client, queue: str) -> None:
    topic = aws("sns").create_topic(Name="alarms")["TopicArn"]
    aws("sns").subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint="arn:aws:lambda:ap-northeast-1:123456789012:function:none",
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": queue})},
    )
    aws("sns").publish(TopicArn=topic, Message="lost?")
    (envelope,) = read(aws)
    assert envelope["Message"] == "lost?"


def test_a_subscription_needs_the_region_of_its_topic(cloud: Any, aws: Client, queue: str) -> None:
    topic = aws("sns", region="us-east-1").create_topic(Name="edge")["TopicArn"]
    properties = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue, "RawMessageDelivery": True}
    there = {"Resources": {"It": {"Type": "AWS::SNS::Subscription", "Properties": properties}}}
    assert cloud.create("without", there)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Topic does not exist" in cloud.reasons("without")["It"]
    properties["Region"] = "us-east-1"
    assert cloud.create("with", there)["StackStatus"] == "CREATE_COMPLETE"
    aws("sns", region="us-east-1").publish(TopicArn=topic, Message='{"crossed": true}')
    assert read(aws) == [{"crossed": True}]
    cloud.delete("with")
    assert aws("sns", region="us-east-1").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
