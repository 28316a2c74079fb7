"""Slack and budgets: how people hear of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment
from hosting.analysis.rules.alarms import SLACK, TOPIC
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.values import ROLE, follow, follow_all, listed, statements
from hosting.model.tokens import Json


@environment_rule(
    "OPS-05",
    "The Slack channel is given by ids",
    why="Names are refused; the workspace must be authorised by hand first (Amazon Q Developer in chat applications "
    "Administrator Guide, Get started with Slack).",
    hint="use T... for the workspace and C... or G... for the channel, both or none",
)
def slack_ids(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    patterns = {"SlackWorkspaceId": r"T[0-9A-Z]{1,254}", "SlackChannelId": r"[A-Za-z0-9]{1,254}"}
    for channel in env.of_type(SLACK):
        for key, pattern in patterns.items():
            if not re.fullmatch(pattern, str(channel.get(key, ""))):
                yield RuleMatch(channel, f"Properties.{key}", f"{channel.get(key)!r} is no id")


@environment_rule(
    "OPS-06",
    "Slack users can do no more than look",
    why="Without guardrails the channel has AdministratorAccess as its limit (CloudFormation Template Reference, "
    "AWS::Chatbot::SlackChannelConfiguration).",
    hint="set GuardrailPolicies to a policy that only reads",
)
def slack_guardrails(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for channel in env.of_type(SLACK):
        rails = listed(channel.get("GuardrailPolicies"))
        for rail in rails:
            policy = follow(env, rail, "AWS::IAM::ManagedPolicy")
            actions = (
                [action for item in statements(policy.get("PolicyDocument")) for action in item.actions]
                if policy
                else []
            )
            writing = [
                action for action in actions if not re.match(r"[a-z0-9-]+:(Describe|Get|List|Batch?Get)", action)
            ]
            if writing or (policy is None and not str(rail).endswith(("/ReadOnlyAccess", "/CloudWatchReadOnlyAccess"))):
                yield RuleMatch(channel, "Properties.GuardrailPolicies", f"allow {', '.join(writing) or rail}")
        if not rails:
            yield RuleMatch(channel, "Properties.GuardrailPolicies", "Slack users are limited by nothing")
        role = follow(env, channel.get("IamRoleArn"), ROLE)
        if role is None or not any(
            item.service("chatbot") for item in statements(role.get("AssumeRolePolicyDocument"))
        ):
            yield RuleMatch(channel, "Properties.IamRoleArn", "chatbot.amazonaws.com may not assume the role")


@environment_rule(
    "OPS-18",
    "A budget notifies before the amount is spent",
    why="A budget without notifications, or filtered by an inactive cost allocation tag, never notifies (AWS Cost "
    "Management User Guide, Best practices for AWS Budgets).",
    hint="notify a topic on the actual and the forecast cost, without a filter by tag",
)
def budgets(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for budget in env.of_type("AWS::Budgets::Budget"):
        kinds = set()
        for item in listed(budget.get("NotificationsWithSubscribers")):
            if follow_all(env, item.get("Subscribers"), TOPIC):
                kinds.add(item.get("Notification", {}).get("NotificationType"))
        if kinds != {"ACTUAL", "FORECASTED"}:
            yield RuleMatch(
                budget, "Properties.NotificationsWithSubscribers", f"notifies of {sorted(kinds) or 'nothing'}"
            )
        filters: Mapping[str, Json] = budget.get("Budget.CostFilters") or {}
        if "TagKeyValue" in filters:
            yield RuleMatch(budget, "Properties.Budget.CostFilters", "counts only what carries an activated tag")


@environment_rule(
    "OPS-24",
    "A budget's name contains its thresholds",
    why="Notifications are changed by replacing their budget, and its successor is refused under the same name: the "
    "budget already exists (CloudFormation Template Reference, AWS::Budgets::Budget).",
    hint="put every threshold into BudgetName, or leave BudgetName out",
)
def budget_can_be_replaced(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for budget in env.of_type("AWS::Budgets::Budget"):
        name = budget.get("Budget.BudgetName")
        for index, item in enumerate(listed(budget.get("NotificationsWithSubscribers"))):
            threshold = str(item.get("Notification", {}).get("Threshold"))
            if name is not None and threshold not in str(name).split("-"):
                path = f"Properties.NotificationsWithSubscribers.{index}.Notification.Threshold"
                yield RuleMatch(budget, path, f"{name} would not change with {threshold}")
