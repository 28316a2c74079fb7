"""Things set in motion, and what comes out at the other end: the functions at work where they are deployed."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from rehearsal.proofs.base import Area, Deployed, Proof

proof = Area("effects")

PATIENCE = 20.0
ADDRESS = "somebody@example.com"


def until(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `found` answers as soon as it answers something."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


def a_notice_reaches_the_chat(deployed: Deployed) -> Iterator[Proof]:
    """Publish on the notice topic and listen where the chat listens: the notifier stands in between."""
    sqs, sns = deployed.client("sqs"), deployed.client("sns")
    queue = sqs.create_queue(QueueName=f"{deployed.family}-rehearsal")["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        chat = deployed.id("OperationsStack/ChatTopic")
        subscription = sns.subscribe(TopicArn=chat, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        sns.publish(
            TopicArn=deployed.id("OperationsStack/NoticeTopic"),
            Subject="AWS Budgets: rehearsal",
            Message="A notice of the rehearsal, as AWS Budgets would write it.",
        )
        messages = until(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))
        envelope = json.loads(messages[0]["Body"]) if messages else {}
        message = json.loads(envelope.get("Message", "{}"))
        content = message.get("content", {})
        yield proof(
            "a budget's notice arrives at the chat in Slack's form",
            message.get("source") == "custom" and content.get("description"),
            content.get("title") or "nothing arrived",
        )
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    finally:
        sqs.delete_queue(QueueUrl=queue)


def the_watch_finds_current_credentials(deployed: Deployed) -> Iterator[Proof]:
    """The scheduled function runs with what it was given, and leaves services alone that have the password."""
    name = deployed.id("OperationsStack/CredentialsWatchFunction")
    reply = deployed.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    answer = reply["Payload"].read().decode()
    yield proof("the credentials watch runs", "FunctionError" not in reply, answer[:120])
    deployments = 0
    for service in deployed.services:
        arn = deployed.id(f"{service}ServiceStack/Service")
        (found,) = deployed.client("ecs").describe_services(cluster=deployed.family, services=[arn])["services"]
        deployments += len(found["deployments"])
    yield proof("it restarts nothing without need", deployments == len(deployed.services), f"{deployments} deployments")


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


CHECKS = (a_notice_reaches_the_chat, the_watch_finds_current_credentials, a_log_line_is_archived_without_secrets)
