"""Slack channel and budget."""

from awacs import cloudwatch as cloudwatch_actions
from troposphere import Sub, Template
from troposphere.budgets import (
    Budget,
    BudgetData,
    Notification,
    NotificationWithSubscribers,
    Spend,
    Subscriber,
)
from troposphere.chatbot import SlackChannelConfiguration
from troposphere.sns import Topic

from generator.layers.operations.interface import Config, Inputs
from generator.resources import iam


def add_slack(t: Template, inputs: Inputs, *topics: Topic) -> None:
    """Add the Slack channel with its role, if there is a workspace and a channel.

    The service is Amazon Q Developer in chat applications, whose resource types keep the name AWS Chatbot. Users may
    read alarms and metrics. The guardrail policy is required: without it they get every permission of the role.
    """
    role = t.add_resource(
        iam.service_role("SlackRole", "chatbot", description="Permissions of Slack users.", Condition="HasSlack")
    )
    policy = t.add_resource(
        iam.attach_policy(
            "SlackPolicy",
            role,
            iam.allow(
                "ShowAlarms",
                [cloudwatch_actions.DescribeAlarms, cloudwatch_actions.DescribeAlarmHistory],
                [
                    Sub(f"arn:${{AWS::Partition}}:cloudwatch:{region}:${{AWS::AccountId}}:alarm:*")
                    # The alarms on CloudFront and the web ACL are in us-east-1.
                    for region in ("${AWS::Region}", "us-east-1")
                ],
            ),
            # The actions support no resource (Service Authorization Reference, Amazon CloudWatch).
            iam.allow(
                "ShowMetrics",
                [
                    cloudwatch_actions.GetMetricData,
                    cloudwatch_actions.GetMetricStatistics,
                    cloudwatch_actions.ListMetrics,
                ],
                ["*"],
            ),
            description="Look at alarms and their metrics.",
            Condition="HasSlack",
        )
    )
    t.add_resource(
        SlackChannelConfiguration(
            "SlackChannel",
            Condition="HasSlack",
            ConfigurationName=Sub("${Prefix}"),
            SlackWorkspaceId=inputs.slack_workspace_id,
            SlackChannelId=inputs.slack_channel_id,
            IamRoleArn=role.get_att("Arn"),
            GuardrailPolicies=[policy.ref()],
            LoggingLevel="ERROR",
            SnsTopicArns=[topic.ref() for topic in topics],
        )
    )


def budget(config: Config, inputs: Inputs, notices: Topic) -> Budget:
    """Return the monthly cost budget of the whole account.

    A filter by tag would report nothing in an account where the tag is not activated for billing. The name contains the
    thresholds: a new threshold replaces the budget, and AWS rejects a second budget of the same name (CloudFormation
    Template Reference, "AWS::Budgets::Budget").
    """
    name = f"${{Prefix}}-{config.budget_actual_percent}-{config.budget_forecast_percent}"
    return Budget(
        "Budget",
        Condition="HasBudget",
        Budget=BudgetData(
            BudgetName=Sub(name),
            BudgetType="COST",
            TimeUnit="MONTHLY",
            BudgetLimit=Spend(Amount=inputs.monthly_budget, Unit="USD"),
        ),
        NotificationsWithSubscribers=[
            NotificationWithSubscribers(
                Notification=Notification(
                    NotificationType=kind,
                    ComparisonOperator="GREATER_THAN",
                    Threshold=percent,
                    ThresholdType="PERCENTAGE",
                ),
                Subscribers=[Subscriber(SubscriptionType="SNS", Address=notices.ref())],
            )
            for kind, percent in (
                ("ACTUAL", config.budget_actual_percent),
                ("FORECASTED", config.budget_forecast_percent),
            )
        ],
    )
