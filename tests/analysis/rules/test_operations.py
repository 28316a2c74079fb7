"""Each rule of logs, alarms, functions and Slack is shown to fail."""

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.rules import alarms, functions, logs, operations

GROUP, ALARM, FUNCTION, FILTER, ROLE, POLICY, STREAM, RULE, PERMISSION = (
    "Logs::LogGroup",
    "CloudWatch::Alarm",
    "Lambda::Function",
    "Logs::SubscriptionFilter",
    "IAM::Role",
    "IAM::ManagedPolicy",
    "KinesisFirehose::DeliveryStream",
    "Events::Rule",
    "Lambda::Permission",
)
SLACK, BUDGET, CONTENT = "Chatbot::SlackChannelConfiguration", "Budgets::Budget", "Custom::SiteContent"
# The alarm on the queue of the home region.
FAILURES = "event failed. The failure queue contains it."
BASE = "ExtendedS3DestinationConfiguration"


def same_log_name(b: Any) -> None:
    b.put(GROUP, "LogGroupName", {"Fn::Sub": "/${Prefix}/search/app"}, has="orders/app")


def cloudfront_alarm_at_home(b: Any) -> None:
    b.put(
        ALARM,
        "Dimensions",
        [{"Name": "DistributionId", "Value": "E1"}, {"Name": "Region", "Value": "Global"}],
        has=FAILURES,
    )
    b.put(ALARM, "MetricName", "5xxErrorRate", has=FAILURES)
    b.put(ALARM, "Namespace", "AWS/CloudFront", has=FAILURES)


def topic_of_other_region(b: Any) -> None:
    b.put(ALARM, "AlarmActions", [{"Ref": "EdgeTopicArn"}], has=FAILURES)
    b.put(ALARM, "OKActions", [{"Ref": "EdgeTopicArn"}], has=FAILURES)


def loop(b: Any) -> None:
    b.statement(POLICY, "PublishToChat")["Resource"].append({"Ref": "NoticeTopic"})


def filter_on_own_log(b: Any) -> None:
    b.put(FILTER, "LogGroupName", {"Ref": b.name_of(GROUP, "slack-notifier")}, has="NotifierFunction")


def trust_with_group(b: Any) -> None:
    text = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*:*"
    b.put(
        ROLE,
        "AssumeRolePolicyDocument.Statement.0.Condition",
        {"ArnLike": {"aws:SourceArn": {"Fn::Sub": text}}},
        has="logs.amazonaws",
    )


def migration_that_no_service_awaits(b: Any) -> None:
    properties = {"ServiceTimeout": 300, "TimeoutSeconds": "240", "TaskDefinition": {"Ref": "TaskDefinition"}}
    b.bodies["workload-orders.json"]["Resources"]["Migration"] = {
        "Type": "Custom::Migration",
        "Properties": properties,
    }


def one_kind(b: Any) -> None:
    b.one(BUDGET)["Properties"]["NotificationsWithSubscribers"].pop()


def infrequent(b: Any) -> None:
    for group in b.every(GROUP):
        group["Properties"]["LogGroupClass"] = "INFREQUENT_ACCESS"


def deaf(b: Any) -> None:
    b.one(SLACK)["Properties"]["SnsTopicArns"].remove({"Ref": "FallbackTopic"})


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("OPS-01", "lab", lambda b: b.drop(GROUP, "RetentionInDays"), set()),
    ("OPS-01", "lab", lambda b: b.parameters.update(LogRetentionDays="60"), set()),
    ("OPS-02", "lab", cloudfront_alarm_at_home, set()),
    ("OPS-03", "lab", lambda b: b.replace(ALARM, "TargetGroupFullName", "TargetGroupArn"), {"CF-31"}),
    ("OPS-03", "lab", lambda b: b.replace(ALARM, '"Name": "QueueName"', '"Name": "Queue"'), set()),
    ("OPS-03", "lab", lambda b: b.replace(ALARM, "HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_5xx"), set()),
    ("OPS-04", "lab", topic_of_other_region, set()),
    ("OPS-05", "lab", lambda b: b.put(SLACK, "SlackWorkspaceId", "our-team"), set()),
    ("OPS-06", "lab", lambda b: b.drop(SLACK, "GuardrailPolicies"), {"CF-17"}),
    ("OPS-06", "lab", lambda b: b.statement(POLICY, "ShowMetrics")["Action"].append("ecs:UpdateService"), {"SEC-22"}),
    ("OPS-07", "lab", loop, set()),
    ("OPS-08", "live", trust_with_group, set()),
    ("OPS-25", "live", lambda b: b.statement(POLICY, "EncryptRecords").update(Action=["kms:Decrypt"]), set()),
    ("OPS-25", "live", lambda b: b.statement(POLICY, "EncryptRecords").update(Resource=["arn:aws:kms:::key/1"]), set()),
    ("OPS-08", "live", lambda b: b.drop(FILTER, "RoleArn", has="ArchiveStreamArn"), set()),
    ("OPS-09", "lab", filter_on_own_log, set()),
    ("OPS-09", "lab", lambda b: b.drop(FILTER, "/DependsOn", has="NotifierFunction"), set()),
    ("OPS-09", "live", infrequent, set()),
    ("OPS-10", "lab", lambda b: b.put(STREAM, f"{BASE}.CompressionFormat", "GZIP"), set()),
    ("OPS-10", "lab", lambda b: b.drop(STREAM, f"{BASE}.FileExtension"), set()),
    ("OPS-10", "lab", lambda b: b.drop(STREAM, f"{BASE}.ErrorOutputPrefix"), set()),
    ("OPS-10", "lab", lambda b: b.drop(STREAM, f"{BASE}.ProcessingConfiguration"), set()),
    ("OPS-11", "lab", lambda b: b.drop(FUNCTION, "LoggingConfig"), set()),
    ("OPS-26", "lab", lambda b: b.put("Logs::MetricFilter", "LogGroupName", "another", has="RejectedRecords"), set()),
    ("OPS-26", "lab", lambda b: b.drop("CloudWatch::Alarm", "MetricName", has="RejectedRecords"), set()),
    ("OPS-26", "lab", lambda b: b.drop("S3::Bucket", "LifecycleConfiguration.Rules.1", has="ExpireErrors"), set()),
    ("OPS-11", "lab", lambda b: b.statement(POLICY, "WriteOwnLogs")["Action"].append("logs:CreateLogGroup"), set()),
    ("OPS-12", "lab", lambda b: b.put(FUNCTION, "ReservedConcurrentExecutions", 1), set()),
    ("OPS-13", "lab", lambda b: b.put(FUNCTION, "Runtime", "python3.9"), set()),
    ("OPS-13", "lab", lambda b: b.drop(FUNCTION, "Timeout"), set()),
    ("OPS-14", "lab", lambda b: b.drop(PERMISSION, "SourceArn"), set()),
    ("OPS-14", "lab", lambda b: b.put(PERMISSION, "SourceAccount", "111122223333", has="sns.amazonaws"), set()),
    ("OPS-15", "lab", lambda b: b.drop(CONTENT, "ServiceTimeout"), set()),
    ("OPS-15", "lab", lambda b: b.put(CONTENT, "EmptyOnDelete", True), set()),
    ("OPS-17", "lab", lambda b: b.replace(RULE, "ECS Deployment State Change", "ECS Service Action"), set()),
    ("OPS-17", "lab", lambda b: b.drop(RULE, "Targets.0.DeadLetterConfig"), set()),
    ("OPS-17", "lab", lambda b: b.remove(PERMISSION, has="TaskStoppedRule"), set()),
    ("OPS-17", "lab", lambda b: b.replace(RULE, "SERVICE_DEPLOYMENT_FAILED", "DEPLOYMENT_FAILED"), set()),
    ("OPS-18", "lab", one_kind, set()),
    ("OPS-24", "lab", lambda b: b.put(BUDGET, "Budget.BudgetName", {"Fn::Sub": "${Prefix}"}), set()),
    ("OPS-24", "lab", lambda b: b.put(BUDGET, "NotificationsWithSubscribers.0.Notification.Threshold", 90), set()),
    ("OPS-19", "lab", lambda b: b.drop(ALARM, "TreatMissingData"), set()),
    ("OPS-19", "lab", lambda b: b.drop(ALARM, "AlarmActions"), set()),
    ("OPS-19", "lab", lambda b: b.put(ALARM, "TreatMissingData", "notBreaching", has="HealthyHostCount"), set()),
    ("OPS-19", "lab", lambda b: b.put(ALARM, "ActionsEnabled", False), set()),
    ("OPS-21", "lab", same_log_name, set()),
    ("OPS-22", "lab", deaf, set()),
    ("OPS-23", "lab", lambda b: b.drop("Lambda::EventInvokeConfig", "DestinationConfig", has="OnFailure"), set()),
    ("OPS-23", "lab", lambda b: b.drop("SNS::Subscription", "RedrivePolicy"), set()),
    # It has no function either.
    ("OPS-27", "lab", migration_that_no_service_awaits, {"OPS-15"}),
    ("OPS-16", "lab", lambda b: b.put("S3::Bucket", "/DeletionPolicy", "Delete", has="alb-logs"), set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(alarms, functions, logs, operations)
