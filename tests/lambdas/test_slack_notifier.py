"""Events of SNS, EventBridge and CloudWatch Logs, and the notifications that a queue of the output topic receives."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lambdas.proxy import Proxy, Reply, Request
from tests.lambdas.runtime import Function, FunctionError
from tests.support.project import TEMPLATES

Start = Callable[..., Function]
Client = Callable[..., Any]
Notify = Callable[[Any], list[dict[str, Any]]]

NAMES = {"NAME_PREFIX": "shop-prod", "ENVIRONMENT_NAME": "prod"}
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
    own = {"OUTPUT_TOPIC_ARN": channel.topic, **NAMES}
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
        "AlarmDescription": "The app returns server errors & more.\nWorkload: backend\n"
        "Next: deploy.py logs --service backend --since 1h -e prod\nRunbook: docs/incidents.md#server-errors",
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


class Alarm:
    """An alarm in CloudWatch, whose messages reach a queue as SNS delivers them."""

    def __init__(self, aws: Client) -> None:
        self._cloudwatch, self._sqs = aws("cloudwatch"), aws("sqs")
        topic = aws("sns").create_topic(Name="alarms")["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName="alarms")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        raw = {"RawMessageDelivery": "true"}
        aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"], Attributes=raw)
        self._cloudwatch.put_metric_alarm(
            AlarmName="shop-prod-backend-5xx",
            AlarmDescription=alarm()["AlarmDescription"],
            AlarmActions=[topic],
            OKActions=[topic],
            Namespace="AWS/ApplicationELB",
            MetricName="HTTPCode_Target_5XX_Count",
            Dimensions=[{"Name": "LoadBalancer", "Value": "app/shop/50dc6c495c0c9188"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=3,
            Threshold=10,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",  # the emulator evaluates alarms, and there is no data
        )

    def change(self, state: str, later: timedelta = timedelta(0)) -> dict[str, Any]:
        """Change the state, and return the event. Real time between two changes is simulated by a later message."""
        self._cloudwatch.set_alarm_state(
            AlarmName="shop-prod-backend-5xx", StateValue=state, StateReason=alarm()["NewStateReason"]
        )
        messages = self._sqs.receive_message(QueueUrl=self._queue).get("Messages", [])
        body = json.loads(messages[0]["Body"])
        self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=messages[0]["ReceiptHandle"])
        changed = datetime.strptime(body["StateChangeTime"], "%Y-%m-%dT%H:%M:%S.%f%z") + later
        body["StateChangeTime"] = changed.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        return records(sns(body))


@pytest.fixture
def watched(aws: Client) -> Alarm:
    return Alarm(aws)


def stable_check(after: timedelta) -> dict[str, Any]:
    """Return the event of the schedule that looks for stable alarms."""
    now = datetime.now(UTC) + after
    return eventbridge("Scheduled Event", "aws.events", [], {}) | {"time": f"{now:%Y-%m-%dT%H:%M:%SZ}"}


def test_an_alarm_names_what_since_when_value_workload_command_link_and_section(notify: Notify, watched: Alarm) -> None:
    (message,) = notify(watched.change("ALARM"))
    content = message["content"]
    assert content["title"] == ":red_circle: backend-5xx: ALARM [shop-prod]"
    meaning, workload, since, condition, measured = content["description"].splitlines()
    assert (meaning, workload) == ("The app returns server errors &amp; more.", "*Workload* backend")
    assert re.fullmatch(r"\*Since\* \d{4}-\d\d-\d\d \d\d:\d\d UTC", since)
    assert condition.endswith("Target_5XX_Count (LoadBalancer=app/shop/50dc6c495c0c9188) &gt; 10.0, 3 x 60 s")
    assert measured == "*Measured* 12.0 (22/11/26 11:30:00)"
    assert content["nextSteps"][:2] == [
        "Run `deploy.py logs --service backend --since 1h -e prod`",
        "Read the runbook: docs/incidents.md#server-errors",
    ]
    assert "#alarmsV2:alarm/shop-prod-backend-5xx|alarm>" in content["nextSteps"][2]


def test_the_end_of_an_alarm_closes_its_thread_and_a_later_alarm_opens_another(notify: Notify, watched: Alarm) -> None:
    (first,) = notify(watched.change("ALARM"))
    (end,) = notify(watched.change("OK", timedelta(minutes=7)))
    assert end["content"]["title"] == ":white_check_mark: backend-5xx: resolved after 7 min [shop-prod]"
    assert end["content"]["nextSteps"][0].startswith("No action is necessary.")
    assert end["metadata"]["threadId"] == first["metadata"]["threadId"]
    (later,) = notify(watched.change("ALARM", timedelta(minutes=40)))
    assert later["content"]["title"] == ":red_circle: backend-5xx: ALARM [shop-prod]"
    assert later["metadata"]["threadId"] != first["metadata"]["threadId"]


def test_a_flapping_alarm_is_reported_once_and_again_when_it_is_stable(notify: Notify, watched: Alarm) -> None:
    changes = ("ALARM", "OK", "ALARM", "OK", "ALARM", "OK", "ALARM", "OK")
    messages = [message for state in changes for message in notify(watched.change(state))]
    titles = [message["content"]["title"].partition("backend-5xx: ")[2] for message in messages]
    assert titles[0] == "ALARM [shop-prod]"
    assert titles[2] == "ALARM again (number 2) [shop-prod]"
    assert titles[4] == "flapping, 3 alarms in 0 min [shop-prod]"
    assert len(titles) == 5, "no message about the other changes"
    assert "The next message follows when it has been stable for 30 min." in messages[4]["content"]["description"]
    assert notify(stable_check(timedelta(minutes=20))) == []
    (stable,) = notify(stable_check(timedelta(minutes=40)))
    assert stable["content"]["title"] == ":white_check_mark: backend-5xx: resolved, stable again [shop-prod]"
    assert "It was in ALARM 4 times" in stable["content"]["description"]
    assert notify(stable_check(timedelta(minutes=55))) == [], "the next run repeats nothing"
    assert len({message["metadata"]["threadId"] for message in (*messages, stable)}) == 1


def test_the_first_evaluation_of_a_new_alarm_is_not_reported(notify: Notify, watched: Alarm) -> None:
    assert notify(watched.change("OK")) == []


def test_an_alarm_is_reported_although_its_history_cannot_be_read(
    function: Start, endpoint: Mapping[str, str], channel: Channel, proxied: Proxy, watched: Alarm
) -> None:
    def refuse(request: Request, forward: Callable[[], Reply]) -> Reply:
        refusal = Reply(403, b'{"__type": "AccessDenied", "message": "no"}', "application/x-amz-json-1.0")
        return refusal if request.operation == "DescribeAlarmHistory" else forward()

    proxied.answer = refuse
    own = {"AWS_ENDPOINT_URL": proxied.endpoint, "OUTPUT_TOPIC_ARN": channel.topic, **NAMES}
    notifier = function("slack_notifier", {**endpoint, **own})
    answer = notifier.invoke(watched.change("OK"))
    assert "the history of shop-prod-backend-5xx cannot be read" in answer.logs
    (message,) = channel.read()
    assert message["content"]["title"] == ":white_check_mark: backend-5xx: resolved [shop-prod]"


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
    assert "m1 GreaterThanUpperThreshold the expected band, 2 x 300 s" in anomaly["content"]["description"]
    assert "*Because of* shop-prod-backend-5xx" in composed["content"]["description"]
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
    (condition,) = [line for line in message["content"]["description"].splitlines() if "*Condition*" in line]
    assert expected in condition


def test_repeated_messages_have_the_same_id(notify: Notify) -> None:
    first, second = notify(records(sns(alarm(), number=1), sns(alarm(), number=2)))
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
    assert "billing/home#/budgets|budgets>" in budget["content"]["nextSteps"][2]
    assert budget["content"]["nextSteps"][0] == "Run `deploy.py cost -e prod`"
    assert budget["content"]["nextSteps"][1] == "Read the runbook: docs/incidents.md#budget"
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


# CloudFormation creates such names.
SERVICE_NAME = "shop-prod-BackendServiceStack-1ABC-Service-x1"
FAMILY = "shop-prod-BackendServiceStack-1ABC-TaskDefinition-y2"
SERVICE = f"arn:aws:ecs:ap-northeast-1:123456789012:service/shop-prod/{SERVICE_NAME}"


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
        "group": f"service:{SERVICE_NAME}",
        "lastStatus": "STOPPED",
        "launchType": "FARGATE",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "taskArn": task,
        "taskDefinitionArn": f"arn:aws:ecs:ap-northeast-1:123456789012:task-definition/{FAMILY}:7",
    } | other
    return eventbridge("ECS Task State Change", "aws.ecs", [task], detail)


def test_a_failed_deployment_and_its_stopped_tasks_share_a_thread(notify: Notify) -> None:
    (failed,) = notify(deployment("SERVICE_DEPLOYMENT_FAILED"))
    assert failed["content"]["title"] == ":red_circle: Deployment of backend failed and is rolled back [shop-prod]"
    assert "circuit breaker" in failed["content"]["description"]
    command, section, link = failed["content"]["nextSteps"]
    assert command == "Run `deploy.py diagnose -e prod`"
    assert section == "Read the runbook: docs/incidents.md#deployment-failed"
    assert f"clusters/shop-prod/services/{SERVICE_NAME}/deployments" in link
    assert failed["metadata"]["relatedResources"] == [SERVICE]
    (task,) = notify(stopped())
    assert task["metadata"]["threadId"] == failed["metadata"]["threadId"] == f"shop-prod/ecs/shop-prod/{SERVICE_NAME}"
    assert task["content"]["title"] == ":octagonal_sign: A task of backend stopped: exit code 137 [shop-prod]"
    assert task["content"]["nextSteps"][0] == "Run `deploy.py logs --service backend --previous -e prod`"
    assert "`app` exit code 137: OutOfMemoryError" in task["content"]["description"]
    assert "`bastion` never started" in task["content"]["description"]
    assert any("memory limit" in step for step in task["content"]["nextSteps"])
    (done,) = notify(deployment("SERVICE_DEPLOYMENT_COMPLETED"))
    assert done["content"]["title"] == ":white_check_mark: Deployment of backend completed [shop-prod]"


def container(name: str, code: int | None) -> dict[str, Any]:
    return {"name": name, "lastStatus": "STOPPED"} | ({} if code is None else {"exitCode": code})


@pytest.mark.parametrize("bastion", [137, 143, None])
def test_only_the_exit_code_of_the_app_decides_whether_a_job_failed(notify: Notify, bastion: int | None) -> None:
    """ECS ends the bastion of a task after its app, so the code of the bastion is never 0."""
    job = {"group": "family:shop-prod-report", "startedBy": "chronos-schedule/report"}
    job["taskDefinitionArn"] = "arn:aws:ecs:ap-northeast-1:123456789012:task-definition/shop-prod-report:3"
    succeeded = stopped(**job, containers=[container("bastion", bastion), container("app", 0)])
    assert notify(succeeded) == []
    (failed,) = notify(stopped(**job, containers=[container("bastion", bastion), container("app", 3)]))
    assert failed["content"]["title"] == ":octagonal_sign: Job report failed: exit code 3 [shop-prod]"
    assert failed["content"]["nextSteps"][0] == "Run `deploy.py logs --service report --previous -e prod`"
    assert "docs/incidents.md#job-failed" in failed["content"]["nextSteps"][1]
    (unstarted,) = notify(stopped(**job, stopCode="TaskFailedToStart", containers=[container("app", None)]))
    assert unstarted["content"]["title"] == ":octagonal_sign: Job report failed: it did not start [shop-prod]"


@pytest.mark.parametrize(
    ("started_by", "title"),
    [("migration", "Migration of backend failed"), ("deploy-py/run", "Command of deploy.py run for backend failed")],
)
def test_a_migration_and_a_command_of_run_have_their_own_titles(notify: Notify, started_by: str, title: str) -> None:
    task = {"group": "family:shop-prod-BackendServiceStack-1ABC-TaskDefinition-x1", "startedBy": started_by}
    task["taskDefinitionArn"] = f"arn:aws:ecs:ap-northeast-1:123456789012:task-definition/{task['group'][7:]}:3"
    assert notify(stopped(**task, containers=[container("app", 0), container("bastion", 137)])) == []
    (failed,) = notify(stopped(**task, containers=[container("app", 3), container("bastion", 137)]))
    assert failed["content"]["title"] == f":octagonal_sign: {title}: exit code 3 [shop-prod]"
    assert failed["content"]["nextSteps"][0] == "Run `deploy.py logs --service backend --since 1h -e prod`"


def test_a_task_of_a_service_is_reported_also_after_exit_code_0(notify: Notify) -> None:
    """A service runs without an end, so an app that ends is never intended."""
    (task,) = notify(stopped(containers=[container("app", 0)]))
    assert task["content"]["title"] == ":octagonal_sign: A task of backend stopped: exit code 0 [shop-prod]"


RDS_RULES = ("DatabaseEventRule", "InstanceEventRule")


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
    assert f"#database:id={name};is-cluster={str(kind == 'Cluster').lower()}|" in message["content"]["nextSteps"][2]
    assert message["content"]["nextSteps"][1] == "Read the runbook: docs/incidents.md#database-events"
    assert message["metadata"]["additionalContext"]["event"] == "RDS-EVENT-0071"


def test_the_next_step_after_a_database_event_fits_its_category(notify: Notify) -> None:
    resources = json.loads((TEMPLATES / "operations.json").read_text(encoding="utf-8"))["Resources"]
    rules = [resources[name]["Properties"]["EventPattern"]["detail"] for name in RDS_RULES]
    categories = {category for rule in rules for category in rule["EventCategories"]}
    seen = set()
    for category in categories:
        detail = {
            "EventCategories": [category],
            "Message": "any",
            "SourceIdentifier": "db",
            "EventID": "RDS-EVENT-0001",
        }
        (message,) = notify(eventbridge("RDS DB Cluster Event", "aws.rds", [], detail))
        _, _, link, step = message["content"]["nextSteps"]
        assert "|database>" in link
        seen.add(step)
    assert len(seen) == len(categories) > 1


STACK_ARN = "arn:aws:cloudformation:ap-northeast-1:123456789012:stack/shop-prod/51af3dc0-da77-11e4"
STACK = eventbridge(
    "CloudFormation Stack Status Change",
    "aws.cloudformation",
    [STACK_ARN],
    {
        "stack-id": STACK_ARN,
        "status-details": {"status": "UPDATE_ROLLBACK_COMPLETE", "status-reason": ""},
        "client-request-token": "",
    },
)
CERTIFICATE_ARN = "arn:aws:acm:ap-northeast-1:123456789012:certificate/61f50cd4-45b9-4259-b049-d0a53682fa4b"
CERTIFICATE = eventbridge(
    "ACM Certificate Approaching Expiration",
    "aws.acm",
    [CERTIFICATE_ARN],
    {"DaysToExpiry": 31, "CommonName": "origin.shop.example.com"},
)
HEALTH = eventbridge(
    "AWS Health Event",
    "aws.health",
    ["shop-prod"],
    {
        "eventArn": "arn:aws:health:ap-northeast-1::event/ECS/AWS_ECS_TASK_PATCHING_RETIREMENT/1",
        "service": "ECS",
        "eventTypeCode": "AWS_ECS_TASK_PATCHING_RETIREMENT",
        "eventTypeCategory": "scheduledChange",
        "eventScopeCode": "ACCOUNT_SPECIFIC",
        "startTime": "Sat, 05 Dec 2026 15:05:00 GMT",
        "eventDescription": [{"language": "en_US", "latestDescription": "Tasks are retired <soon>."}],
        "affectedEntities": [{"entityValue": "shop-prod"}],
    },
)


def test_stacks_certificates_and_health_have_texts_of_their_own(notify: Notify) -> None:
    (stack,) = notify(STACK)
    assert "Stack shop-prod: the last deployment failed and was rolled back" in stack["content"]["title"]
    assert stack["content"]["nextSteps"][0] == "Run `deploy.py diagnose -e prod`"
    stuck = {**STACK["detail"], "status-details": {"status": "UPDATE_ROLLBACK_FAILED", "status-reason": "x"}}
    (failed,) = notify(STACK | {"detail": stuck})
    assert "Stack shop-prod: the rollback failed" in failed["content"]["title"]
    assert failed["content"]["nextSteps"][0] == "Run `deploy.py recover -e prod`"
    (certificate,) = notify(CERTIFICATE)
    title = ":lock: The certificate of origin.shop.example.com expires in 31 days [shop-prod]"
    assert certificate["content"]["title"] == title
    (expired,) = notify(CERTIFICATE | {"detail-type": "ACM Certificate Expired", "detail": {"CommonName": "x.example"}})
    assert "The certificate of x.example has expired" in expired["content"]["title"]
    (health,) = notify(HEALTH)
    assert health["content"]["title"] == ":hospital: AWS Health: ECS, AWS_ECS_TASK_PATCHING_RETIREMENT [shop-prod]"
    assert health["content"]["description"] == "Tasks are retired &lt;soon&gt;.\n*Affected* shop-prod"
    sections = [
        message["content"]["nextSteps"][1].partition("#")[2] for message in (stack, failed, certificate, health)
    ]
    assert sections == ["deployment-failed", "rollback-failed", "certificate-expires", "aws-health"]
    commands = [message["content"]["nextSteps"][0] for message in (certificate, health)]
    assert commands == ["Run `deploy.py preflight -e prod`", "Run `deploy.py status -e prod`"]


def test_an_event_of_another_type_is_shown_as_json_also_through_sns(notify: Notify) -> None:
    event = eventbridge("Backup Job State Change", "aws.backup", [], {"service": "ECS", "text": "<x> " * 3000})
    (direct,) = notify(event)
    (relayed,) = notify(records(sns(event)))
    assert direct == relayed
    assert direct["content"]["title"] == ":information_source: Backup Job State Change [shop-prod]"
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
    assert content["title"] == ":warning: Firehose could not deliver logs to the archive: 16 errors [shop-prod]"
    assert "7 x ERROR 注文 failed for [redacted:email]" in content["description"]
    assert "5 other messages are not shown." in content["description"]
    assert "taro@" not in json.dumps(message)
    assert "log-group/$252Fecs$252Fshop-prod$252Fbackend/log-events/app$252Fapp$252F0123456789abcdef" in str(content)
    assert message["metadata"]["threadId"] == "shop-prod/logs//ecs/shop-prod/backend"
    (one,) = notify(logs("ERROR alone"))
    assert "to the archive: 1 error [" in one["content"]["title"]


def test_an_error_of_firehose_shows_its_code_and_text(notify: Notify) -> None:
    logged = {
        "deliveryStreamARN": "arn:aws:firehose:x",
        "errorCode": "S3.AccessDenied",
        "errorMessage": "Access was denied.",
    }
    (message,) = notify(logs(json.dumps(logged)))
    assert message["content"]["description"] == "```S3.AccessDenied: Access was denied.```"
    assert message["content"]["nextSteps"][:2] == [
        "Run `deploy.py status -e prod`",
        "Read the runbook: docs/incidents.md#archive-delay",
    ]


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
    ],
    ids=["empty", "other", "sqs"],
)
def test_an_unknown_event_fails_the_invocation_and_so_reaches_the_failure_queue(
    notifier: Function, channel: Channel, event: dict[str, Any]
) -> None:
    with pytest.raises(FunctionError):
        notifier.invoke(event)
    assert channel.read() == []


@pytest.mark.parametrize(
    "event",
    [
        {"awslogs": {"data": "bm90IGd6aXA="}},
        deployment("SERVICE_DEPLOYMENT_FAILED") | {"resources": []},
        stopped(containers=None),
        records(sns({"AlarmName": "without the rest"})),
        records(sns(alarm(StateChangeTime="yesterday"))),
        records({"Sns": {"Message": "no topic"}}),
        {"detail-type": "RDS DB Cluster Event"},
        {"detail-type": "AWS Health Event", "detail": {"eventDescription": "text"}, "id": "1"},
        {"detail-type": "CloudFormation Stack Status Change", "id": "1", "detail": {}},
        {"detail-type": "ACM Certificate Expired", "id": "1", "detail": {}, "resources": []},
        {"detail-type": "Backup", "id": "1"},
    ],
    ids=["logs", "deployment", "task", "alarm", "time", "sns", "rds", "health", "stack", "certificate", "other"],
)
def test_an_event_with_a_missing_field_becomes_a_generic_message(notify: Notify, event: dict[str, Any]) -> None:
    (message,) = notify(event)
    assert "this event has an unknown form" in message["content"]["title"]
    assert message["content"]["nextSteps"][1] == "Read the runbook: docs/incidents.md#notices"


def test_every_field_of_an_event_may_be_missing(notify: Notify) -> None:
    for event in (deployment("SERVICE_DEPLOYMENT_FAILED"), stopped(), STACK, CERTIFICATE, HEALTH):
        for field in event["detail"]:
            detail = {name: value for name, value in event["detail"].items() if name != field}
            assert len(notify(event | {"detail": detail})) == 1, (event["detail-type"], field)
    for field in alarm():
        body = {name: value for name, value in alarm().items() if name != field}
        assert len(notify(records(sns(body)))) == 1, field


def test_no_message_is_published_if_one_of_several_is_refused(notifier: Function, channel: Channel) -> None:
    """The two retries would publish the other ones again."""
    with pytest.raises(FunctionError):
        notifier.invoke(records(sns(alarm()), sns("anything", topic=channel.topic)))
    assert channel.read() == []


def test_a_missing_topic_fails_the_invocation(function: Start, endpoint: Mapping[str, str], account: str) -> None:
    missing = f"arn:aws:sns:ap-northeast-1:{account}:nowhere"
    own = {"OUTPUT_TOPIC_ARN": missing, **NAMES}
    with pytest.raises(FunctionError) as failed:
        function("slack_notifier", {**endpoint, **own}).invoke(records(sns(alarm())))
    assert "NotFound" in failed.value.kind or "NotFound" in failed.value.message
