"""Things set in motion, and what comes out at the other end: the functions at work where they are deployed."""

from __future__ import annotations

import gzip
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("effects")

PATIENCE = 20.0
ADDRESS = "somebody@example.com"


def until(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `found` answers as soon as it answers something."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


@contextmanager
def listening(deployed: Deployed) -> Iterator[Callable[[], dict[str, Any]]]:
    """Stand where the chat stands: a queue on its topic. Calling the value waits for one message's content."""
    sqs, sns = deployed.client("sqs"), deployed.client("sns")
    queue = sqs.create_queue(QueueName=f"{deployed.family}-rehearsal-{secrets.token_hex(4)}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    chat = deployed.id("OperationsStack/ChatTopic")
    subscription = sns.subscribe(TopicArn=chat, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)

    def heard() -> dict[str, Any]:
        messages = until(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))
        envelope = json.loads(messages[0]["Body"]) if messages else {}
        message = json.loads(envelope.get("Message", "{}"))
        # Chatbot shows messages of this form and drops any other.
        content: dict[str, Any] = message.get("content", {}) if message.get("source") == "custom" else {}
        return content if content.get("description") else {}

    try:
        yield heard
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=queue)


def a_notice_reaches_the_chat(deployed: Deployed) -> Iterator[Proof]:
    """Publish on the notice topic and listen where the chat listens: the notifier stands in between."""
    with listening(deployed) as heard:
        deployed.client("sns").publish(
            TopicArn=deployed.id("OperationsStack/NoticeTopic"),
            Subject="AWS Budgets: rehearsal",
            Message="A notice of the rehearsal, as AWS Budgets would write it.",
        )
        content = heard()
    seen = content.get("title") or "nothing arrived"
    yield proof("a budget's notice arrives at the chat in Slack's form", content, seen)


def a_failed_delivery_reaches_the_chat(deployed: Deployed) -> Iterator[Proof]:
    """What Firehose writes into its error log is told to the chat, by a subscription to the same function."""
    logs = deployed.client("logs")
    group, stream = deployed.id("ArchiveStack/DeliveryLogGroup"), "rehearsal"
    with listening(deployed) as heard:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": '{"errorCode": "S3.AccessDenied"}'}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
        content = heard()
    yield proof("an error in a log arrives at the chat", content, content.get("title") or "nothing arrived")


def a_rotated_password_reaches_the_services(deployed: Deployed) -> Iterator[Proof]:
    """The scheduled function leaves services alone that have the password, and restarts them once it is rotated."""
    manager = deployed.client("secretsmanager")
    answer = watch(deployed)
    yield proof(
        "the credentials watch restarts nothing without need", answer.get("redeployed") == [], shortened(answer)
    )
    manager.rotate_secret(SecretId=deployed.outputs["root"]["DatabaseSecretArn"])
    answer = watch(deployed)
    yield proof(
        "after a rotation it restarts every service that reads the password",
        len(answer.get("redeployed", [])) == len(deployed.services),
        shortened(answer),
    )
    running = []
    for service in deployed.services:
        arn = deployed.id(f"{service}ServiceStack/Service")
        (found,) = deployed.client("ecs").describe_services(cluster=deployed.family, services=[arn])["services"]
        running.append(f"{service} {found['runningCount']} of {found['desiredCount']}")
    yield proof("and the services keep their tasks", all(x.split()[1] == x.split()[3] for x in running), running)
    answer = watch(deployed)
    yield proof("and then it is content", answer.get("redeployed") == [] and answer.get("current"), shortened(answer))


def shortened(answer: dict[str, Any]) -> dict[str, Any]:
    """The watch's answer with numbers for names."""
    return {name: len(value) if isinstance(value, list) else value for name, value in answer.items()}


def watch(deployed: Deployed) -> dict[str, Any]:
    """Run the credentials watch; what it answers."""
    name = deployed.id("OperationsStack/CredentialsWatchFunction")
    reply = deployed.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    answer = json.loads(reply["Payload"].read())
    return {"error": answer} if "FunctionError" in reply else dict(answer)


def a_log_line_is_archived_without_secrets(deployed: Deployed) -> Iterator[Proof]:
    """Write a line with an address to an application's log and look for it in the archive."""
    if deployed.parameter("ArchiveLogs") != "true":
        return
    logs, s3 = deployed.client("logs"), deployed.client("s3")
    group = deployed.id(f"{deployed.services[0]}ServiceStack/AppLogGroup")
    logs.create_log_stream(logGroupName=group, logStreamName="rehearsal")
    event = {"timestamp": int(time.time() * 1000), "message": f"rehearsal: mail to {ADDRESS}"}
    logs.put_log_events(logGroupName=group, logStreamName="rehearsal", logEvents=[event])
    bucket = deployed.outputs["root"]["ArchiveBucketName"]

    def archived() -> str:
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            text = gzip.decompress(body).decode() if body.startswith(b"\x1f\x8b") else body.decode()
            if "rehearsal: mail to" in text:
                return next(line for line in text.splitlines() if "rehearsal: mail to" in line)
        return ""

    line = until(archived)
    yield proof("a log line arrives in the archive", line, line[:160] or f"nothing in {bucket}")
    yield proof(
        "and without the address that was in it", line and ADDRESS not in line, "redacted" if line else "no line"
    )


CHECKS = (
    a_notice_reaches_the_chat,
    a_failed_delivery_reaches_the_chat,
    a_rotated_password_reaches_the_services,
    a_log_line_is_archived_without_secrets,
)
