"""Events of SNS, EventBridge and CloudWatch Logs, and the notifications that a queue of the output topic receives."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.lambdas.runtime import Function, FunctionError
from tests.support.project import TEMPLATES

Start = Callable[..., Function]
Client = Callable[..., Any]
Notify = Callable[[Any], list[dict[str, Any]]]

NOTICES = "arn:aws:sns:ap-northeast-1:123456789012:shop-prod-notices"


class Channel:
    """The output topic with a queue as its subscriber, in place of the chat service."""

    def __init__(self, aws: Client) -> None:
        self.topic: str = aws("sns").create_topic(Name="chat")["TopicArn"]
        self._sqs = aws("sqs")
        self._queue = self._sqs.create_queue(QueueName="chat")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        aws("sns").subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
        )

    def read(self) -> list[dict[str, Any]]:
        found = []
        while batch := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def channel(aws: Client) -> Channel:
    return Channel(aws)


@pytest.fixture
def notifier(function: Start, endpoint: Mapping[str, str], channel: Channel) -> Function:
    own = {"OUTPUT_TOPIC_ARN": channel.topic, "ENVIRONMENT_NAME": "shop-prod"}
    return function("slack_notifier", {**endpoint, **own})


@pytest.fixture
def notify(notifier: Function, channel: Channel) -> Notify:
    def published(event: Any) -> list[dict[str, Any]]:
        count = notifier.invoke(event).payload["published"]
        messages = channel.read()
        assert len(messages) == count
        for message in messages:
            check(message)
        return messages

    return published


def check(message: dict[str, Any]) -> None:
    """Check a message: the chat service drops others silently (Amazon Q Developer in chat applications)."""
    assert set(message) == {"version", "source", "id", "content", "metadata"}
    assert (message["version"], message["source"]) == ("1.0", "custom")
    content, metadata = message["content"], message["metadata"]
    assert set(content) == {"textType", "title", "description", "nextSteps", "keywords"}
    assert content["textType"] == "client-markdown"
    assert set(metadata) == {"threadId", "summary", "eventType", "relatedResources", "additionalContext"}
    strings = [message["id"], content["title"], content["description"], metadata["threadId"], metadata["summary"]]
    strings += [metadata["eventType"], *content["nextSteps"], *content["keywords"], *metadata["relatedResources"]]
    assert all(isinstance(text, str) and text for text in strings)
    assert all(isinstance(text, str) for text in metadata["additionalContext"].values())
    assert len(content["title"]) <= 250
    assert len(content["description"]) <= 3000
    assert content["nextSteps"], "a notification has next steps"
    assert any("<https://" in step for step in content["nextSteps"]), "one step has a link"
    for text in [content["title"], content["description"], *content["nextSteps"]]:
        outside_links = re.sub(r"<https://[^<>|\s]+\|[^<>|]+>", "", text)
        assert not re.search(r"[<>]", outside_links), "Slack would show a link or a mention"
        assert not re.search(r"&(?!amp;|lt;|gt;)", outside_links)
    assert content["description"].count("```") % 2 == 0
    assert len(json.dumps(message).encode()) < 256 * 1024
    assert "[shop-prod]" in content["title"]


def sns(message: object, subject: str | None = None, topic: str = NOTICES, number: int = 1) -> dict[str, Any]:
    """Return a record of SNS (Lambda Developer Guide, Invoking Lambda functions with Amazon SNS notifications)."""
    return {
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{topic}:21be56ed-a058-49f5-8c98-aedd2564c486",
        "EventSource": "aws:sns",
        "Sns": {
            "SignatureVersion": "1",
            "Timestamp": "2026-11-22T11:31:15.123Z",
            "Signature": "tcc6faL2yUC6dgZdmrwh1Y4cGa/ebXEkAi6RibDsvpi+tE/1+82j==",
            "SigningCertUrl": "https://sns.ap-northeast-1.amazonaws.com/SimpleNotificationService-0.pem",
            "MessageId": f"95df01b4-ee98-5cb9-9903-{number:012d}",
            "Message": message if isinstance(message, str) else json.dumps(message),
            "MessageAttributes": {},
            "Type": "Notification",
            "UnsubscribeUrl": "https://sns.ap-northeast-1.amazonaws.com/?Action=Unsubscribe",
            "TopicArn": topic,
            "Subject": subject,
        },
    }


def records(*found: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(found)}


def alarm(**other: Any) -> dict[str, Any]:
    name = "shop-prod-backend-5xx"
    return {
        "AlarmName": name,
        "AlarmDescription": "Backend answers 5xx; see the service's log & the last deployment.",
        "AWSAccountId": "123456789012",
        "AlarmConfigurationUpdatedTimestamp": "2026-11-01T00:00:00.000+0000",
        "NewStateValue": "ALARM",
        "NewStateReason": "Threshold Crossed: 1 out of the last 1 datapoints [12.0 (22/11/26 11:30:00)] was greater "
        "than the threshold (10.0) (minimum 1 datapoint for OK -> ALARM transition).",
        "StateChangeTime": "2026-11-22T11:31:15.123+0000",
        "Region": "Asia Pacific (Tokyo)",
        "AlarmArn": f"arn:aws:cloudwatch:ap-northeast-1:123456789012:alarm:{name}",
        "OldStateValue": "OK",
        "OKActions": [],
        "AlarmActions": [NOTICES],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "HTTPCode_Target_5XX_Count",
            "Namespace": "AWS/ApplicationELB",
            "StatisticType": "Statistic",
            "Statistic": "SUM",
            "Unit": None,
            "Dimensions": [{"value": "app/shop/50dc6c495c0c9188", "name": "LoadBalancer"}],
            "Period": 60,
            "EvaluationPeriods": 3,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 10.0,
            "TreatMissingData": "notBreaching",
            "EvaluateLowSampleCountPercentile": "",
        },
    } | other


METRIC_MATH = {
    "Period": 300,
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Threshold": 5.0,
    "TreatMissingData": "missing",
    "Metrics": [
        {"Id": "e1", "Expression": "100*errors/requests", "Label": "Error rate <%>", "ReturnData": True},
        {
            "Id": "errors",
            "MetricStat": {
                "Metric": {"Dimensions": [], "MetricName": "HTTPCode_ELB_5XX_Count", "Namespace": "AWS/ApplicationELB"},
                "Period": 300,
                "Stat": "Sum",
            },
            "ReturnData": False,
        },
    ],
}
ANOMALY = {
    "Period": 300,
    "EvaluationPeriods": 2,
    "ComparisonOperator": "GreaterThanUpperThreshold",
    "ThresholdMetricId": "ad1",
    "Metrics": [
        {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "AWS/RDS", "MetricName": "CPU"}}, "ReturnData": True}
    ],
}


@pytest.mark.parametrize(
    ("state", "sign", "word"),
    [
        ("ALARM", ":red_circle:", "ALARM"),
        ("OK", ":white_check_mark:", "OK again"),
        ("INSUFFICIENT_DATA", ":grey_question:", "no data"),
    ],
)
def test_an_alarm_in_each_state_has_its_own_title_and_steps(notify: Notify, state: str, sign: str, word: str) -> None:
    (message,) = notify(records(sns(alarm(NewStateValue=state), "ALARM: ...")))
    content = message["content"]
    assert content["title"] == f"{sign} shop-prod-backend-5xx: {word} [shop-prod]"
    assert "see the service's log &amp; the last deployment" in content["description"]
    assert (
        "AWS/ApplicationELB HTTPCode_Target_5XX_Count (LoadBalancer=app/shop/50dc6c495c0c9188) &gt; 10.0, 3 x 60 s"
        in content["description"]
    )
    assert "OK -&gt; ALARM transition" in content["description"]
    assert "#alarmsV2:alarm/shop-prod-backend-5xx|alarm>" in content["nextSteps"][0]
    assert any("target's 5xx" in step for step in content["nextSteps"]) is (state == "ALARM")
    assert message["metadata"]["relatedResources"] == [alarm()["AlarmArn"]]
    assert message["metadata"]["additionalContext"]["from"] == "OK"


def test_metric_math_anomaly_and_composite_alarms_show_their_condition(notify: Notify) -> None:
    composite = alarm(
        AlarmName="shop-prod-down",
        AlarmDescription=None,
        AlarmRule='ALARM("shop-prod-backend-5xx") AND ALARM("shop-prod-hosts")',
        TriggeringChildren=[
            {"Arn": alarm()["AlarmArn"], "State": {"Value": "ALARM", "Timestamp": "2026-11-22T11:31:15.123+0000"}}
        ],
        NewStateReason="arn:...:alarm:shop-prod-backend-5xx transitioned to ALARM",
    )
    del composite["Trigger"]
    math, anomaly, composed = notify(
        records(
            sns(alarm(Trigger=METRIC_MATH), number=1),
            sns(alarm(Trigger=ANOMALY, AlarmDescription=None), number=2),
            sns(composite, number=3),
        )
    )
    assert "Error rate &lt;%&gt; &gt;= 5.0, 1 x 300 s" in math["content"]["description"]
    assert any("target's 5xx" in step for step in math["content"]["nextSteps"])
    assert "m1 GreaterThanUpperThreshold the expected band, 2 x 300 s" in anomaly["content"]["description"]
    assert "Because of shop-prod-backend-5xx" in composed["content"]["description"]
    assert "None" not in composed["content"]["description"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"DatapointsToAlarm": 2}, "&gt; 10.0, 2 of 3 x 60 s"),
        ({"DatapointsToAlarm": 3}, "&gt; 10.0, 3 x 60 s"),
        ({**METRIC_MATH, "MetricName": None, "Period": None}, "&gt;= 5.0, 1 x 300 s"),
        ({"Period": None}, "&gt; 10.0, 3 periods"),
    ],
    ids=["some", "all", "math without a period", "no period"],
)
def test_the_condition_of_an_alarm_contains_its_duration(notify: Notify, change: dict[str, Any], expected: str) -> None:
    (message,) = notify(records(sns(alarm(Trigger=alarm()["Trigger"] | change))))
    assert expected in message["content"]["description"].splitlines()[1]


def test_messages_of_one_subject_share_a_thread_and_repeated_ones_their_id(notify: Notify) -> None:
    first, second, other = notify(
        records(
            sns(alarm(), number=1),
            sns(alarm(NewStateValue="OK"), number=2),
            sns(alarm(AlarmName="shop-prod-frontend-5xx"), number=3),
        )
    )
    threads = [message["metadata"]["threadId"] for message in (first, second, other)]
    assert threads[0] == threads[1] == "shop-prod/alarm/shop-prod-backend-5xx"
    assert threads[2] != threads[0]
    (again,) = notify(records(sns(alarm(), number=1)))
    assert again["id"] == first["id"] != second["id"]


BUDGET = """AWS Budget Notification November 22, 2026
AWS Account 123456789012

Dear AWS Customer,

You requested that we alert you when the ACTUAL Cost associated with your shop-prod-monthly budget is greater than \
$400.00 for the current month. The ACTUAL Cost associated with this budget is $412.03.

Budget Name: shop-prod-monthly
Budget Type: Cost
Budgeted Amount: $500.00
Alert Type: ACTUAL
Alert Threshold: > $400.00
ACTUAL Amount: $412.03
"""


def test_a_text_becomes_a_notification_also_an_email_of_budgets(notify: Notify) -> None:
    budget, plain, number, unknown, nothing = notify(
        records(
            sns(BUDGET, "AWS Budgets: shop-prod-monthly has exceeded your alert threshold", number=1),
            sns("手動のお知らせ <!channel> & <https://evil.example|click>", "お知らせ", number=2),
            sns("42", number=3),
            sns({"Event Source": "db-cluster", "Event Message": "<b>"}, "RDS Notification Message", number=4),
            sns("-", number=5),
        )
    )
    assert budget["metadata"]["threadId"] == "shop-prod/budget/shop-prod-monthly"
    assert "Alert Threshold: &gt; $400.00" in budget["content"]["description"]
    assert "billing/home#/budgets|budgets>" in budget["content"]["nextSteps"][0]
    assert plain["content"]["title"] == ":envelope: お知らせ [shop-prod]"
    assert plain["content"]["description"].startswith("手動のお知らせ &lt;!channel&gt; &amp; &lt;https")
    assert number["content"]["description"] == "42"
    assert '"Event Message": "&lt;b&gt;"' in unknown["content"]["description"]
    assert nothing["content"]["title"] == ":envelope: Message [shop-prod]"


def test_texts_of_users_are_shown_without_secrets(notify: Notify) -> None:
    text = "backup of mysql://app:s3cr3t@db:3306 failed, ask taro@example.com"
    for event in (
        records(sns(text, "from taro@example.com")),
        records(sns({"text": text})),
        eventbridge("Backup Job", "shop.backup", [], {"text": text}),
        stopped(containers=[{"name": "app", "reason": text}]),
    ):
        (message,) = notify(event)
        assert "backup of mysql://app:[redacted:password]@db:3306 failed" in message["content"]["description"]
        assert "s3cr3t" not in json.dumps(message)
        assert "taro@" not in json.dumps(message)


def eventbridge(kind: str, source: str, resources: list[str], detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "ddca6449-b258-46c0-8653-e0e3a6d0468b",
        "detail-type": kind,
        "source": source,
        "account": "123456789012",
        "time": "2026-11-22T11:31:15Z",
        "region": "ap-northeast-1",
        "resources": resources,
        "detail": detail,
    }


SERVICE = "arn:aws:ecs:ap-northeast-1:123456789012:service/shop-prod/Backend-x1"


def deployment(name: str) -> dict[str, Any]:
    return eventbridge(
        "ECS Deployment State Change",
        "aws.ecs",
        [SERVICE],
        {
            "eventType": "ERROR",
            "eventName": name,
            "deploymentId": "ecs-svc/1234567890",
            "updatedAt": "2026-11-22T11:31:14Z",
            "reason": "ECS deployment circuit breaker: tasks failed to start.",
        },
    )


def stopped(**other: Any) -> dict[str, Any]:
    task = "arn:aws:ecs:ap-northeast-1:123456789012:task/shop-prod/0123456789abcdef0123456789abcdef"
    detail = {
        "clusterArn": "arn:aws:ecs:ap-northeast-1:123456789012:cluster/shop-prod",
        "containers": [
            {
                "containerArn": f"{task}/c1",
                "name": "app",
                "lastStatus": "STOPPED",
                "exitCode": 137,
                "taskArn": task,
                "reason": "OutOfMemoryError: Container killed due to memory usage",
            },
            {"containerArn": f"{task}/c2", "name": "bastion", "lastStatus": "STOPPED", "taskArn": task},
        ],
        "desiredStatus": "STOPPED",
        "group": "service:Backend-x1",
        "lastStatus": "STOPPED",
        "launchType": "FARGATE",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "taskArn": task,
        "taskDefinitionArn": "arn:aws:ecs:ap-northeast-1:123456789012:task-definition/backend:7",
    } | other
    return eventbridge("ECS Task State Change", "aws.ecs", [task], detail)


def test_a_failed_deployment_and_its_stopped_tasks_share_a_thread(notify: Notify) -> None:
    (failed,) = notify(deployment("SERVICE_DEPLOYMENT_FAILED"))
    assert failed["content"]["title"] == ":red_circle: Deployment of Backend-x1 failed [shop-prod]"
    assert "circuit breaker" in failed["content"]["description"]
    assert "clusters/shop-prod/services/Backend-x1/deployments" in failed["content"]["nextSteps"][0]
    assert len(failed["content"]["nextSteps"]) == 2
    assert failed["metadata"]["relatedResources"] == [SERVICE]
    (task,) = notify(stopped())
    assert task["metadata"]["threadId"] == failed["metadata"]["threadId"] == "shop-prod/ecs/shop-prod/Backend-x1"
    assert task["content"]["title"] == ":octagonal_sign: A task of Backend-x1 stopped [shop-prod]"
    assert "`app` exit code 137: OutOfMemoryError" in task["content"]["description"]
    assert "`bastion` never started" in task["content"]["description"]
    assert any("memory limit" in step for step in task["content"]["nextSteps"])
    (done,) = notify(deployment("SERVICE_DEPLOYMENT_COMPLETED"))
    assert done["content"]["title"] == ":white_check_mark: Deployment of Backend-x1 completed [shop-prod]"
    (alone,) = notify(stopped(group="family:one-off", stopCode="TaskFailedToStart", containers=[], stoppedReason=None))
    assert "family:one-off" in alone["content"]["title"]


@pytest.mark.parametrize("kind", ["Cluster", "Instance"])
def test_a_database_event_links_to_its_cluster_or_instance(notify: Notify, kind: str) -> None:
    name = "shop-prod-database"
    arn = f"arn:aws:rds:ap-northeast-1:123456789012:{kind.lower()}:{name}"
    detail = {
        "EventCategories": ["failover"],
        "SourceType": kind.upper(),
        "SourceArn": arn,
        "Date": "2026-11-22T11:31:14.595Z",
        "Message": "Started cross AZ failover to DB instance: reader",
        "SourceIdentifier": name,
        "EventID": "RDS-EVENT-0071",
    }
    (message,) = notify(eventbridge(f"RDS DB {kind} Event", "aws.rds", [arn], detail))
    assert message["content"]["title"] == f":floppy_disk: {name}: failover [shop-prod]"
    assert f"#database:id={name};is-cluster={str(kind == 'Cluster').lower()}|" in message["content"]["nextSteps"][0]
    assert message["metadata"]["additionalContext"]["event"] == "RDS-EVENT-0071"


def test_the_next_step_after_a_database_event_fits_its_category(notify: Notify) -> None:
    rule = json.loads((TEMPLATES / "operations.json").read_text(encoding="utf-8"))["Resources"]["DatabaseEventRule"]
    seen = set()
    for category in rule["Properties"]["EventPattern"]["detail"]["EventCategories"]:
        detail = {
            "EventCategories": [category],
            "Message": "any",
            "SourceIdentifier": "db",
            "EventID": "RDS-EVENT-0001",
        }
        (message,) = notify(eventbridge("RDS DB Cluster Event", "aws.rds", [], detail))
        link, step = message["content"]["nextSteps"]
        assert "|database>" in link
        seen.add(step)
    assert len(seen) == len(rule["Properties"]["EventPattern"]["detail"]["EventCategories"]) > 1


def test_an_event_of_another_type_is_shown_as_json_also_through_sns(notify: Notify) -> None:
    event = eventbridge("AWS Health Event", "aws.health", [], {"service": "ECS", "text": "<x> " * 3000})
    (direct,) = notify(event)
    (relayed,) = notify(records(sns(event)))
    assert direct == relayed
    assert direct["content"]["title"] == ":information_source: AWS Health Event [shop-prod]"
    assert '"service": "ECS"' in direct["content"]["description"]


def logs(*messages: str, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """Return an event of a subscription (Lambda Developer Guide, Using Lambda with CloudWatch Logs)."""
    batch = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "/ecs/shop-prod/backend",
        "logStream": "app/app/0123456789abcdef",
        "subscriptionFilters": ["errors"],
        "logEvents": [
            {"id": f"{number:056d}", "timestamp": 1_795_347_075_123 + number, "message": message}
            for number, message in enumerate(messages)
        ],
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(batch).encode())).decode()}}


def test_error_lines_are_counted_shown_without_secrets_and_linked(notify: Notify) -> None:
    lines = ["ERROR 注文 failed for taro@example.com\n"] * 7 + [
        f"ERROR <{number}> ``` & " + "x" * 900 for number in range(9)
    ]
    (message,) = notify(logs(*lines))
    content = message["content"]
    assert content["title"] == ":warning: 16 error lines in /ecs/shop-prod/backend [shop-prod]"
    assert "7 x ERROR 注文 failed for [redacted:email]" in content["description"]
    assert "5 other messages are not shown." in content["description"]
    assert "taro@" not in json.dumps(message)
    assert "log-group/$252Fecs$252Fshop-prod$252Fbackend/log-events/app$252Fapp$252F0123456789abcdef" in str(content)
    assert message["metadata"]["threadId"] == "shop-prod/logs//ecs/shop-prod/backend"
    (one,) = notify(logs("ERROR alone"))
    assert one["content"]["title"].startswith(":warning: 1 error line in")


def test_a_control_message_of_a_new_subscription_is_not_published(notify: Notify) -> None:
    assert notify(logs("CWL CONTROL MESSAGE: Checking health of destination", kind="CONTROL_MESSAGE")) == []


def test_long_texts_are_cut_to_the_limits_of_slack(notify: Notify) -> None:
    long = "<&> " * 4000
    for event in (
        records(sns(alarm(AlarmName="n" * 255, AlarmDescription=long, NewStateReason=long))),
        records(sns(long, "s" * 100)),
        records(sns({"long": long})),
        deployment("SERVICE_DEPLOYMENT_FAILED") | {"detail": {"eventName": "X", "reason": long}},
        logs(*[long + str(number) for number in range(20)]),
    ):
        (message,) = notify(event)
        assert "..." in message["content"]["description"]


def test_the_function_refuses_its_own_messages(notifier: Function, channel: Channel) -> None:
    with pytest.raises(FunctionError, match="subscribed to the topic that it publishes to") as own_topic:
        notifier.invoke(records(sns("anything", topic=channel.topic)))
    assert own_topic.value.kind == "LoopError"
    notifier.invoke(records(sns(alarm())))
    (published,) = channel.read()
    with pytest.raises(FunctionError, match="is a custom notification already"):
        notifier.invoke(records(sns(published)))
    assert channel.read() == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"key": "value"},
        {"Records": [{"eventSource": "aws:sqs", "body": "x"}]},
        {"awslogs": {"data": "bm90IGd6aXA="}},
        deployment("SERVICE_DEPLOYMENT_FAILED") | {"resources": []},
        records(sns({"AlarmName": "without the rest"})),
    ],
    ids=["empty", "other", "sqs", "damaged logs", "damaged event", "damaged alarm"],
)
def test_an_unknown_event_fails_the_invocation_and_so_reaches_the_failure_queue(
    notifier: Function, channel: Channel, event: dict[str, Any]
) -> None:
    with pytest.raises(FunctionError):
        notifier.invoke(event)
    assert channel.read() == []


def test_no_message_is_published_if_one_of_several_is_damaged(notifier: Function, channel: Channel) -> None:
    """The two retries would publish the other ones again."""
    with pytest.raises(FunctionError):
        notifier.invoke(records(sns(alarm()), sns({"AlarmName": "damaged"})))
    assert channel.read() == []


def test_a_missing_topic_fails_the_invocation(function: Start, endpoint: Mapping[str, str], account: str) -> None:
    missing = f"arn:aws:sns:ap-northeast-1:{account}:nowhere"
    own = {"OUTPUT_TOPIC_ARN": missing, "ENVIRONMENT_NAME": "shop-prod"}
    with pytest.raises(FunctionError) as failed:
        function("slack_notifier", {**endpoint, **own}).invoke(records(sns(alarm())))
    assert "NotFound" in failed.value.kind or "NotFound" in failed.value.message
