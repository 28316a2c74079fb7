"""Log groups with retention, alarms with topics, and the delivery of messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("observation")

GROUP = "AWS::Logs::LogGroup"
ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")


def log_groups(deployed: Deployed) -> Iterator[Proof]:
    """Check that every log group has a retention period and belongs to a stack."""
    for region, roles in ((deployed.home, ("root",)), (deployed.edge, ("edge", "edge-monitoring"))):
        found = {
            one["logGroupName"]: one
            for one in deployed.pages("logs", "describe_log_groups", "logGroups", region=region)
        }
        own = [identifier for role in roles for identifier in deployed.ids(GROUP, role).values()]
        wanted = int(deployed.parameter("LogRetentionDays"))
        kept = {found[name].get("retentionInDays") for name in own}
        yield proof(f"every log group in {region} ends", kept == {wanted}, f"{len(own)} groups, {wanted} days")
        strangers = set(found) - set(own)
        yield proof(f"no log group in {region} came up by itself", not strangers, strangers or "none")


def alarms(deployed: Deployed) -> Iterator[Proof]:
    """Check that every alarm has an existing topic and enabled actions."""
    for region, roles in ((deployed.home, ("root",)), (deployed.edge, ("edge", "edge-monitoring"))):
        cloudwatch = deployed.client("cloudwatch", region)
        names = [identifier for role in roles for kind in ALARMS for identifier in deployed.ids(kind, role).values()]
        found: list[dict[str, Any]] = []
        for start in range(0, len(names), 50):
            reply = cloudwatch.describe_alarms(
                AlarmNames=names[start : start + 50], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
            found += reply["MetricAlarms"] + reply["CompositeAlarms"]
        topics = {topic["TopicArn"] for topic in deployed.pages("sns", "list_topics", "Topics", region=region)}
        silent = [
            one["AlarmName"] for one in found if not set(one["AlarmActions"]) & topics or not one["ActionsEnabled"]
        ]
        yield proof(
            f"every alarm in {region} reaches a topic that exists",
            names and len(found) == len(names) and not silent,
            silent or f"{len(found)} alarms",
        )


def dashboard(deployed: Deployed) -> Iterator[Proof]:
    name = deployed.id("OperationsStack/Dashboard")
    body = json.loads(deployed.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    yield proof("the dashboard can be read", body.get("widgets"), f"{name}, {len(body.get('widgets', []))} widgets")


def slack(deployed: Deployed) -> Iterator[Proof]:
    """Check the Slack channel and its topics, or that there is none without Slack ids."""
    wanted = deployed.parameter("SlackChannelId")
    found = deployed.client("chatbot", "us-east-2").describe_slack_channel_configurations()[
        "SlackChannelConfigurations"
    ]
    if not wanted:
        yield proof("without Slack ids no channel is configured", not found, "none")
        return
    channels = {one["SlackChannelId"]: one for one in found}
    yield proof("the Slack channel of the parameters is configured", wanted in channels, list(channels))
    topics = set(channels[wanted]["SnsTopicArns"]) if wanted in channels else set()
    read = {deployed.id("OperationsStack/ChatTopic"), deployed.id("OperationsStack/FallbackTopic")}
    yield proof("it reads the topics of the notifier and of its fallback", read == topics, len(topics))


def budget(deployed: Deployed) -> Iterator[Proof]:
    """Check amount and notifications of the budget."""
    limit = deployed.parameter("MonthlyBudget")
    if limit in ("", "0"):
        return
    client = deployed.client("budgets", "us-east-1")
    (name,) = deployed.ids("AWS::Budgets::Budget").values()
    found = client.describe_budget(AccountId=deployed.account, BudgetName=name)["Budget"]
    amount = found["BudgetLimit"]
    yield proof("the budget is what the parameters say", float(amount["Amount"]) == float(limit), amount)
    notices = client.describe_notifications_for_budget(AccountId=deployed.account, BudgetName=name)
    kinds = [notice["NotificationType"] for notice in notices["Notifications"]]
    yield proof("it notifies before the amount is spent", {"ACTUAL", "FORECASTED"} <= set(kinds), kinds)


def rules(deployed: Deployed) -> Iterator[Proof]:
    events = deployed.client("events")
    names = [rule.rpartition("/")[2] for rule in deployed.ids("AWS::Events::Rule").values()]
    aimless = [name for name in names if not events.list_targets_by_rule(Rule=name)["Targets"]]
    yield proof("every event rule has a target", names and not aimless, aimless or f"{len(names)} rules")


def access_logs(deployed: Deployed) -> Iterator[Proof]:
    logs = deployed.client("logs", deployed.edge)
    sources = {source["name"]: source for source in logs.describe_delivery_sources()["deliverySources"]}
    deliveries = logs.describe_deliveries()["deliveries"]
    arn = deployed.outputs["root"]["DistributionArn"]
    served = [one for one in deliveries if arn in sources[one["deliverySourceName"]]["resourceArns"]]
    yield proof("CloudFront's access logs are delivered", served, [one["deliveryDestinationArn"] for one in served])


CHECKS = (log_groups, alarms, dashboard, slack, budget, rules, access_logs)
