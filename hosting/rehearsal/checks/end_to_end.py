"""The deployed functions at work: each check triggers an event and waits for its effect."""

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
ADDRESS = "operator@example.com"


def poll(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Call `found` until it returns a true value, and return that value or the last one."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value


@contextmanager
def subscribed_queue(deployed: Deployed, topic: str = "ChatTopic") -> Iterator[Callable[[], dict[str, Any]]]:
    """Subscribe a temporary queue to a topic that the Slack channel reads.

    The yielded function waits for one message and returns its content. An alarm of CloudWatch is its own content.
    """
    sqs, sns = deployed.client("sqs"), deployed.client("sns")
    queue = sqs.create_queue(QueueName=f"{deployed.family}-rehearsal-{secrets.token_hex(4)}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    chat = deployed.id(f"OperationsStack/{topic}")
    subscription = sns.subscribe(TopicArn=chat, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)

    def receive_message() -> dict[str, Any]:
        """Wait for a message, and return its content or an empty document."""
        messages = poll(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))
        envelope = json.loads(messages[0]["Body"]) if messages else {}
        if messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=messages[0]["ReceiptHandle"])
        message = json.loads(envelope.get("Message", "{}"))
        if "AlarmName" in message:
            return dict(message)
        # Chatbot shows messages of this form and drops any other.
        content: dict[str, Any] = message.get("content", {}) if message.get("source") == "custom" else {}
        return content if content.get("description") else {}

    try:
        yield receive_message
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=queue)


def notification_reaches_chat_topic(deployed: Deployed) -> Iterator[Proof]:
    """Publish on the notice topic, and expect the notifier's message on the chat topic."""
    with subscribed_queue(deployed) as receive_message:
        deployed.client("sns").publish(
            TopicArn=deployed.id("OperationsStack/NoticeTopic"),
            Subject="AWS Budgets: rehearsal",
            Message="A notice of the rehearsal, as AWS Budgets would write it.",
        )
        content = receive_message()
    seen = content.get("title") or "nothing arrived"
    yield proof("a budget's notice arrives at the chat in Slack's form", content, seen)


def failed_delivery_reaches_chat_topic(deployed: Deployed) -> Iterator[Proof]:
    """Write an error to Firehose's error log, and expect the notifier's message on the chat topic."""
    if not deployed.has_archive:
        return
    logs = deployed.client("logs")
    group, stream = deployed.id("ArchiveStack/DeliveryLogGroup"), "rehearsal"
    with subscribed_queue(deployed) as receive_message:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": '{"errorCode": "S3.AccessDenied"}'}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
        content = receive_message()
    yield proof("an error in a log arrives at the chat", content, content.get("title") or "nothing arrived")


def alarms_reach_chat_topic(deployed: Deployed) -> Iterator[Proof]:
    """Set an alarm of each region to ALARM and back, and expect the notifier's messages on the chat topic."""
    for region, path, role in (
        (deployed.home, "OperationsStack/SlowAnswersAlarm", "root"),
        (deployed.edge, "EdgeErrorsAlarm", "edge-monitoring"),
    ):
        name, cloudwatch = deployed.id(path, role), deployed.client("cloudwatch", region)
        with subscribed_queue(deployed) as receive_message:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="rehearsal")
            begun = receive_message()
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="rehearsal")
            ended = receive_message()
        steps = begun.get("nextSteps", [])
        yield proof(
            f"an alarm in {region} arrives at the chat with its command and section of the runbook",
            "deploy.py" in str(steps[:1]) and "docs/incidents.md#" in str(steps[1:2]),
            begun.get("title") or "nothing arrived",
        )
        yield proof(
            f"the end of an alarm in {region} arrives too",
            "resolved" in ended.get("title", ""),
            ended.get("title") or "nothing arrived",
        )


def alarm_without_notifier_reaches_fallback_topic(deployed: Deployed) -> Iterator[Proof]:
    """Break the notifier, and expect an alarm unchanged on the topic that Chatbot reads without it."""
    functions, cloudwatch = deployed.client("lambda"), deployed.client("cloudwatch")
    notifier = deployed.id("OperationsStack/SlackNotifierFunction")
    working = functions.get_function_configuration(FunctionName=notifier)["Environment"]["Variables"]
    broken = working | {"OUTPUT_TOPIC_ARN": f"{working['OUTPUT_TOPIC_ARN']}-missing"}
    name = deployed.id("OperationsStack/SlowAnswersAlarm")
    try:
        functions.update_function_configuration(FunctionName=notifier, Environment={"Variables": broken})
        with subscribed_queue(deployed, "FallbackTopic") as receive_message:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="rehearsal")
            message = receive_message()
    finally:
        functions.update_function_configuration(FunctionName=notifier, Environment={"Variables": working})
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="rehearsal")
    yield proof(
        "an alarm arrives unchanged while the notifier fails",
        message.get("AlarmName") == name,
        message.get("AlarmName") or "nothing arrived",
    )


def rotated_password_reaches_services(deployed: Deployed) -> Iterator[Proof]:
    """Expect Secrets Manager's event to restart the services after a rotation of the password, and only then."""
    answer = watch(deployed)
    yield proof(
        "the credentials watch restarts nothing without need", answer.get("redeployed") == [], shortened(answer)
    )
    if not deployed.has_database:
        return
    secret = deployed.outputs["root"]["DatabaseSecretArn"]
    readers = [service for service in deployed.services if reads_secret(deployed, service, secret)]
    if not readers:
        return
    before = {service: newest_deployment(deployed, service) for service in readers}
    deployed.client("secretsmanager").rotate_secret(SecretId=secret)
    restarted = poll(lambda: all(newest_deployment(deployed, service) != before[service] for service in before))
    yield proof("after a rotation its event restarts every service that reads the password", restarted, len(before))
    running = []
    for service in deployed.services:
        arn = deployed.id(f"{service}ServiceStack/Service")
        (found,) = deployed.client("ecs").describe_services(cluster=deployed.family, services=[arn])["services"]
        running.append(f"{service} {found['runningCount']} of {found['desiredCount']}")
    yield proof("and the services keep their tasks", all(x.split()[1] == x.split()[3] for x in running), running)
    answer = watch(deployed)
    yield proof("and then it is content", answer.get("redeployed") == [] and answer.get("current"), shortened(answer))


def reads_secret(deployed: Deployed, service: str, arn: str) -> bool:
    """Return whether a container of a service reads a secret, or one value of it."""
    ecs = deployed.client("ecs")
    definition = ecs.describe_task_definition(taskDefinition=deployed.id(f"{service}ServiceStack/TaskDefinition"))
    sources = [
        secret["valueFrom"]
        for container in definition["taskDefinition"]["containerDefinitions"]
        for secret in container.get("secrets", [])
    ]
    return any(source == arn or source.startswith(f"{arn}:") for source in sources)


def newest_deployment(deployed: Deployed, service: str) -> str:
    """Return the id of the newest deployment of a service."""
    arn = deployed.id(f"{service}ServiceStack/Service")
    (found,) = deployed.client("ecs").describe_services(cluster=deployed.family, services=[arn])["services"]
    return str(max(found["deployments"], key=lambda deployment: deployment["createdAt"])["id"])


def shortened(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the function's answer with lists replaced by their lengths."""
    return {name: len(value) if isinstance(value, list) else value for name, value in answer.items()}


def watch(deployed: Deployed) -> dict[str, Any]:
    """Run the credentials watch, and return its answer."""
    name = deployed.id("OperationsStack/CredentialsWatchFunction")
    reply = deployed.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    answer = json.loads(reply["Payload"].read())
    return {"error": answer} if "FunctionError" in reply else dict(answer)


def log_line_is_archived_without_secrets(deployed: Deployed) -> Iterator[Proof]:
    """Write a log line with an e-mail address, and expect it in the archive without the address."""
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

    line = poll(archived)
    yield proof("a log line arrives in the archive", line, line[:160] or f"nothing in {bucket}")
    yield proof(
        "and without the address that was in it", line and ADDRESS not in line, "redacted" if line else "no line"
    )


CHECKS = (
    notification_reaches_chat_topic,
    alarms_reach_chat_topic,
    alarm_without_notifier_reaches_fallback_topic,
    failed_delivery_reaches_chat_topic,
    rotated_password_reaches_services,
    log_line_is_archived_without_secrets,
)
