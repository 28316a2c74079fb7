"""Operations: what watches over the other layers: alarms, dashboard, Slack, and the functions that act on events.

No layer reads anything from here. Services' own alarms are in ``service``, those on CloudFront and WAF in the
``edge-monitoring`` stack, because their metrics exist only in us-east-1.

The way of a message: alarms go to the alarm topic, which Slack reads as it is. What Slack cannot read (ECS and RDS
events, budgets, errors in logs) goes to the notifier, which writes it in Slack's form to the chat topic.
"""

from typing import Annotated, Any

from awacs import cloudwatch as cloudwatch_actions
from awacs import ecs as ecs_actions
from awacs import kms as kms_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs import sns as sns_actions
from awacs import sqs as sqs_actions
from awacs.aws import ArnEquals, Statement
from troposphere import And, AWSHelperFn, Equals, Not, Ref, Sub, Template
from troposphere.awslambda import Function, Permission
from troposphere.budgets import (
    Budget,
    BudgetData,
    Notification,
    NotificationWithSubscribers,
    Spend,
    Subscriber,
)
from troposphere.chatbot import SlackChannelConfiguration
from troposphere.events import DeadLetterConfig, Rule, Target
from troposphere.logs import SubscriptionFilter
from troposphere.sns import SubscriptionResource, Topic
from troposphere.sqs import Queue, QueuePolicy

from generator import value_types as v
from generator.layers.operations.alarms import add_alarms
from generator.layers.operations.dashboard import dashboard
from generator.resources import iam
from generator.resources.deletion_policies import deletion_policy
from generator.resources.lambda_functions import FunctionInputs, Size, add_function
from generator.resources.logs import ArchivedLogInputs, add_archive_filter
from generator.resources.sns import add_topic, allow_budget_publishing
from generator.wiring import FrozenConfig, Layer, StackInterface


class Config(FrozenConfig):
    """Sizes of the functions and thresholds of the alarms."""

    notifier: Size = Size(memory=256, timeout=30)
    watch: Size = Size(memory=256, timeout=60)
    watch_schedule: str = "rate(15 minutes)"
    failures_kept_seconds: int = 1209600
    alb_errors_per_minute: int = 10
    slow_seconds: float = 3.0
    database_cpu_percent: int = 80
    archive_delay_seconds: int = 3600
    relay_ends_per_5_minutes: int = 3
    budget_actual_percent: int = 80
    budget_forecast_percent: int = 100


class Inputs(FunctionInputs, ArchivedLogInputs):
    slack_notifier_code_key: Annotated[v.ArtifactKey, "S3 key of the function that writes to Slack."]
    credentials_watch_code_key: Annotated[v.ArtifactKey, "S3 key of the function that answers a password rotation."]
    slack_workspace_id: v.WorkspaceId
    slack_channel_id: v.ChannelId
    monthly_budget: v.Money
    db_reader: Annotated[v.Flag, "Whether the database has a reader."]
    edge_topic_arn: v.EdgeTopicArn
    alarm_topic_arn: v.AlarmTopicArn
    nat_gateway_1_id: v.NatGatewayId
    nat_gateway_2_id: Annotated[v.NatGatewayId, "NAT gateway of the second zone."]
    archive_stream_name: v.ArchiveStreamName
    log_processor_name: v.LogProcessorName
    delivery_log_group_name: Annotated[v.LogGroupName, "Log group of what Firehose could not deliver."]
    flow_log_group_name: v.FlowLogGroupName
    exec_log_group_name: v.ExecLogGroupName
    bastion_log_group_name: v.BastionLogGroupName
    audit_log_group_name: Annotated[v.LogGroupName, "Log group of who did what in the database."]
    error_log_group_name: Annotated[v.LogGroupName, "Log group of the database's errors."]
    slow_query_log_group_name: Annotated[v.LogGroupName, "Log group of slow queries."]
    instance_log_group_name: Annotated[v.LogGroupName, "Log group of why an instance did not pause."]
    iam_error_log_group_name: Annotated[v.LogGroupName, "Log group of refused sign-ins by IAM."]
    db_cluster_id: v.DbClusterId
    database_secret_arn: v.DatabaseSecretArn
    cluster_name: v.ClusterName
    cluster_arn: v.ClusterArn
    alb_full_name: v.AlbFullName
    site_content_function_name: Annotated[v.FunctionName, "Function that writes the first pages."]


class Outputs(StackInterface):
    dashboard_name: v.DashboardName


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    add_conditions(t, inputs)
    failures = add_failure_queue(t, config, inputs)
    notices = add_topic(t, "NoticeTopic", "notices", inputs.telemetry_key_arn, allow_budget_publishing)
    chat = add_topic(t, "ChatTopic", "chat", inputs.telemetry_key_arn)
    t.add_resource(failure_queue_policy(failures, notices))
    notifier = add_notifier(t, config, inputs, notices, chat, failures)
    add_event_rules(t, inputs, notifier, failures)
    add_error_filters(t, inputs, notifier)
    add_archive_filters(t, inputs)
    watch = add_credentials_watch(t, config, inputs, failures)
    add_slack(t, inputs, chat)
    t.add_resource(budget(config, inputs, notices))
    add_alarms(t, config, inputs, notifier, watch, failures)
    board = t.add_resource(dashboard())
    return Outputs(dashboard_name=v.DashboardName(board.ref()))


def add_conditions(t: Template, inputs: Inputs) -> None:
    t.add_condition(
        "HasSlack", And(Not(Equals(inputs.slack_workspace_id, "")), Not(Equals(inputs.slack_channel_id, "")))
    )
    t.add_condition("HasBudget", Not(Equals(inputs.monthly_budget, "0")))
    t.add_condition("HasReader", Equals(inputs.db_reader, "true"))


# --- Queue of failures ----------------------------------------------------------------------------


def add_failure_queue(t: Template, config: Config, inputs: Inputs) -> Queue:
    """What could not be told to anybody: kept for two weeks, and an alarm says so."""
    return t.add_resource(
        Queue(
            "FailureQueue",
            KmsMasterKeyId=inputs.telemetry_key_arn,
            MessageRetentionPeriod=config.failures_kept_seconds,
            **deletion_policy("queue"),
        )
    )


def failure_queue_policy(queue: Queue, notices: Topic) -> QueuePolicy:
    return QueuePolicy(
        "FailureQueuePolicy",
        Queues=[queue.ref()],
        PolicyDocument=iam.policy_document(
            iam.deny_insecure_transport([sqs_actions.SendMessage, sqs_actions.ReceiveMessage], queue.get_att("Arn")),
            iam.allow(
                "KeepUndeliveredNotices",
                [sqs_actions.SendMessage],
                [queue.get_att("Arn")],
                iam.source_arn_condition(notices.ref()),
                principal=iam.service_principal("sns"),
            ),
            iam.allow(
                "KeepUndeliveredEvents",
                [sqs_actions.SendMessage],
                [queue.get_att("Arn")],
                iam.source_arn_condition("arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*"),
                principal=iam.service_principal("events"),
            ),
        ),
    )


def send_failures(queue: Queue, inputs: Inputs) -> list[Statement]:
    """What Lambda does in the function's name when all retries failed."""
    return [
        iam.allow("SendFailures", [sqs_actions.SendMessage], [queue.get_att("Arn")]),
        iam.allow("EncryptMessages", [kms_actions.Decrypt, kms_actions.GenerateDataKey], [inputs.telemetry_key_arn]),
    ]


# --- Notifier ----------------------------------------------------------------------------------------------------


def add_notifier(t: Template, config: Config, inputs: Inputs, notices: Topic, chat: Topic, failures: Queue) -> Function:
    added = add_function(
        t,
        "SlackNotifier",
        inputs,
        does="writes events in the form that Slack understands",
        code=inputs.slack_notifier_code_key,
        size=config.notifier,
        statements=[
            iam.allow("PublishToChat", [sns_actions.Publish], [chat.ref()]),
            *send_failures(failures, inputs),
        ],
        environment={"OUTPUT_TOPIC_ARN": chat.ref(), "ENVIRONMENT_NAME": inputs.prefix},
        retries=2,
        failures=failures.get_att("Arn"),
    )
    permission = t.add_resource(invoke_permission("NoticePermission", added.function, "sns", notices.ref()))
    t.add_resource(
        SubscriptionResource(
            "NoticeSubscription",
            TopicArn=notices.ref(),
            Protocol="lambda",
            Endpoint=added.function.get_att("Arn"),
            RedrivePolicy={"deadLetterTargetArn": failures.get_att("Arn")},
            DependsOn=[permission],
        )
    )
    return added.function


def invoke_permission(
    title: str, function: Function, principal: str, source: AWSHelperFn, **attributes: Any
) -> Permission:
    """``source`` names our account already. EventBridge sends no SourceAccount: with that condition a rule's calls
    are refused, and nothing says so (Amazon EventBridge User Guide, "Troubleshooting")."""
    return Permission(
        title,
        FunctionName=function.get_att("Arn"),
        Action="lambda:InvokeFunction",
        Principal=f"{principal}.amazonaws.com",
        SourceArn=source,
        **attributes,
    )


def add_event_rules(t: Template, inputs: Inputs, notifier: Function, failures: Queue) -> None:
    add_rule(
        t,
        "DeploymentFailedRule",
        "An ECS deployment failed and is rolled back",
        {
            "source": ["aws.ecs"],
            "detail-type": ["ECS Deployment State Change"],
            "resources": [
                {"prefix": Sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:service/${ClusterName}/")}
            ],
            "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
        },
        notifier,
        failures,
    )
    add_rule(
        t,
        "TaskStoppedRule",
        "An ECS task stopped by itself",
        {
            "source": ["aws.ecs"],
            "detail-type": ["ECS Task State Change"],
            "detail": {
                "clusterArn": [inputs.cluster_arn],
                "lastStatus": ["STOPPED"],
                # Deployments and scaling stop tasks too; those are no news.
                "stopCode": [
                    "TaskFailedToStart",
                    "EssentialContainerExited",
                    "SpotInterruption",
                    "TerminationNotice",
                ],
            },
        },
        notifier,
        failures,
    )
    add_rule(
        t,
        "DatabaseEventRule",
        "RDS reports on the database cluster, failovers among it",
        {
            "source": ["aws.rds"],
            "detail-type": ["RDS DB Cluster Event"],
            "detail": {
                "SourceArn": [Sub("arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:cluster:${DbClusterId}")],
                "EventCategories": ["failover", "failure", "low storage", "maintenance", "recovery"],
            },
        },
        notifier,
        failures,
    )


def add_rule(
    t: Template, title: str, description: str, pattern: dict[str, Any], function: Function, failures: Queue
) -> None:
    rule = t.add_resource(
        Rule(
            title,
            Description=description,
            State="ENABLED",
            EventPattern=pattern,
            Targets=[event_target(function, failures)],
        )
    )
    t.add_resource(
        invoke_permission(title.removesuffix("Rule") + "Permission", function, "events", rule.get_att("Arn"))
    )


def event_target(function: Function, failures: Queue) -> Target:
    return Target(
        Id="function",
        Arn=function.get_att("Arn"),
        DeadLetterConfig=DeadLetterConfig(Arn=failures.get_att("Arn")),
    )


def add_error_filters(t: Template, inputs: Inputs, notifier: Function) -> None:
    """Every line of Firehose's own log is a failure: rare, and nobody would look there."""
    permission = t.add_resource(
        invoke_permission(
            "ErrorLogPermission",
            notifier,
            "logs",
            Sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${DeliveryLogGroupName}:*"),
            # Which CloudWatch Logs does send (CloudWatch Logs User Guide, "Log group-level subscription filters").
            SourceAccount=Ref("AWS::AccountId"),
        )
    )
    t.add_resource(
        SubscriptionFilter(
            "DeliveryErrorFilter",
            LogGroupName=inputs.delivery_log_group_name,
            DestinationArn=notifier.get_att("Arn"),
            FilterPattern="",
            DependsOn=[permission],
        )
    )


def add_archive_filters(t: Template, inputs: Inputs) -> None:
    """Here and not with the groups' owners, which would wait for the archive: a subscription need only be there
    before the first line that matters. Until the services run, nobody talks to the database or through the VPC."""
    for log, group in (
        ("FlowLog", inputs.flow_log_group_name),
        ("Exec", inputs.exec_log_group_name),
        ("Bastion", inputs.bastion_log_group_name),
        ("DatabaseAudit", inputs.audit_log_group_name),
        ("DatabaseError", inputs.error_log_group_name),
        ("DatabaseSlowQuery", inputs.slow_query_log_group_name),
        ("DatabaseInstance", inputs.instance_log_group_name),
        ("DatabaseIamError", inputs.iam_error_log_group_name),
    ):
        add_archive_filter(t, log, group, inputs)


# --- Password rotation -------------------------------------------------------------------------------------------


def add_credentials_watch(t: Template, config: Config, inputs: Inputs, failures: Queue) -> Function:
    """RDS rotates the password, but ECS hands secrets out only when a task starts."""
    added = add_function(
        t,
        "CredentialsWatch",
        inputs,
        does="restarts services after the database's password was rotated",
        code=inputs.credentials_watch_code_key,
        size=config.watch,
        statements=[*credentials_watch_statements(inputs), *send_failures(failures, inputs)],
        environment={"CLUSTER_NAME": inputs.cluster_name, "SECRET_ARN": inputs.database_secret_arn},
        retries=0,
        failures=failures.get_att("Arn"),
    )
    schedule = t.add_resource(
        Rule(
            "CredentialsWatchRule",
            Description="Looks for a rotated password",
            State="ENABLED",
            ScheduleExpression=config.watch_schedule,
            Targets=[event_target(added.function, failures)],
        )
    )
    t.add_resource(invoke_permission("CredentialsWatchPermission", added.function, "events", schedule.get_att("Arn")))
    return added.function


def credentials_watch_statements(inputs: Inputs) -> list[Statement]:
    in_cluster = Sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:service/${ClusterName}/*")
    return [
        iam.allow("SeeRotation", [secretsmanager_actions.DescribeSecret], [inputs.database_secret_arn]),
        # The action takes no resource, but a condition on the cluster (Service Authorization Reference, Amazon ECS).
        iam.allow("ListServices", [ecs_actions.ListServices], ["*"], ArnEquals("ecs:cluster", inputs.cluster_arn)),
        # The action takes neither a resource nor a condition.
        iam.allow("ReadTaskDefinitions", [ecs_actions.DescribeTaskDefinition], ["*"]),
        iam.allow("RestartServices", [ecs_actions.DescribeServices, ecs_actions.UpdateService], [in_cluster]),
    ]


# --- Slack and budget --------------------------------------------------------------------------------------------


def add_slack(t: Template, inputs: Inputs, chat: Topic) -> None:
    """The service is Amazon Q Developer in chat applications, whose types keep the name of AWS Chatbot. Its role may
    look at what an alarm shows, and nothing else; without guardrails it could do whatever its role can."""
    role = t.add_resource(
        iam.service_role("SlackRole", "chatbot", description="What Slack users may see.", Condition="HasSlack")
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
                    # Those on CloudFront and the web ACL are in us-east-1.
                    for region in ("${AWS::Region}", "us-east-1")
                ],
            ),
            # Metrics are no resources (Service Authorization Reference, Amazon CloudWatch).
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
            SnsTopicArns=[inputs.alarm_topic_arn, chat.ref(), inputs.edge_topic_arn],
        )
    )


def budget(config: Config, inputs: Inputs, notices: Topic) -> Budget:
    """Of the whole account: a filter by tag stays silent for ever where nobody activated the tag for billing.

    Its name tells the thresholds: another one replaces the budget, whose successor is made first and would be refused
    under the same name (CloudFormation Template Reference, "AWS::Budgets::Budget").
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


LAYER = Layer("Operations", "Operations: alarms, dashboard, Slack, functions on events.", Inputs, Outputs, build)
