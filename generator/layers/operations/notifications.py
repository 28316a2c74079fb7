"""Functions that notify, and the topics, events and logs that invoke them."""

from collections.abc import Mapping
from typing import Any

from awacs import awslambda as lambda_actions
from awacs import cloudwatch as cloudwatch_actions
from awacs import sns as sns_actions
from troposphere import Sub, Template
from troposphere.awslambda import Function
from troposphere.events import Rule
from troposphere.sns import SubscriptionResource, Topic
from troposphere.sqs import Queue

from generator import value_types as v
from generator.layers.operations.failure_queue import encrypt_messages, send_failures
from generator.layers.operations.interface import Config, Inputs
from generator.resources import iam
from generator.resources.events import ACCOUNT_HEALTH_EVENTS, certificate_events
from generator.resources.lambda_functions import add_function, event_target, invoke_permission

_EDGE_REGION = "us-east-1"


def add_fallback(t: Template, config: Config, inputs: Inputs, fallback: Topic, failures: Queue) -> Function:
    """Add the function that publishes an alarm unchanged after the notifier failed. Its own failures are kept."""
    return add_function(
        t,
        "AlarmFallback",
        inputs,
        does="sends alarms to the chat that the notifier could not process",
        code=inputs.alarm_fallback_code_key,
        size=config.fallback,
        statements=[
            iam.allow("PublishToFallback", [sns_actions.Publish], [fallback.ref()]),
            *send_failures(failures, inputs),
        ],
        environment={"FALLBACK_TOPIC_ARN": fallback.ref()},
        # A message that AWS Chatbot cannot read stays so.
        retries=0,
        failures=failures,
    ).function


def add_notifier(t: Template, config: Config, inputs: Inputs, chat: Topic, fallback: Function) -> Function:
    """Add the notifier function. After its last retry an event is sent to the fallback."""
    regions = ("${AWS::Region}", _EDGE_REGION)
    added = add_function(
        t,
        "SlackNotifier",
        inputs,
        does="writes alarms and events in the form that Slack understands",
        code=inputs.slack_notifier_code_key,
        size=config.notifier,
        statements=[
            iam.allow("PublishToChat", [sns_actions.Publish], [chat.ref()]),
            encrypt_messages(inputs),
            # The number of alarms of an incident, and the time of its first one.
            iam.allow(
                "ReadAlarms",
                [cloudwatch_actions.DescribeAlarms, cloudwatch_actions.DescribeAlarmHistory],
                [Sub(f"arn:${{AWS::Partition}}:cloudwatch:{region}:${{AWS::AccountId}}:alarm:*") for region in regions],
            ),
            iam.allow("SendFailures", [lambda_actions.InvokeFunction], [fallback.get_att("Arn")]),
        ],
        environment={
            "OUTPUT_TOPIC_ARN": chat.ref(),
            "NAME_PREFIX": inputs.prefix,
            "ENVIRONMENT_NAME": inputs.environment,
        },
        retries=2,
        failures=fallback,
    )
    return added.function


def add_subscriptions(t: Template, inputs: Inputs, notifier: Function, notices: Topic, failures: Queue) -> None:
    """Subscribe the notifier to the topics of notices and alarms, and to the alarm topic of the edge.

    A message that SNS cannot deliver is kept, except one of the edge: the queue would have to be in the topic's region
    (Amazon SNS Developer Guide, "Amazon SNS dead-letter queues").
    """
    redrive = {"RedrivePolicy": {"deadLetterTargetArn": failures.get_att("Arn")}}
    topics: tuple[tuple[str, Topic | v.TopicArn, Mapping[str, Any]], ...] = (
        ("Notice", notices, redrive),
        ("Alarm", inputs.alarm_topic_arn, redrive),
        ("EdgeAlarm", inputs.edge_topic_arn, {"Region": _EDGE_REGION}),
    )
    for subject, topic, attributes in topics:
        permission = t.add_resource(invoke_permission(f"{subject}Permission", notifier, "sns", topic))
        t.add_resource(
            SubscriptionResource(
                f"{subject}Subscription",
                TopicArn=topic.ref() if isinstance(topic, Topic) else topic,
                Protocol="lambda",
                Endpoint=notifier.get_att("Arn"),
                DependsOn=[permission],
                **attributes,
            )
        )


def add_event_rules(t: Template, config: Config, inputs: Inputs, notifier: Function, failures: Queue) -> None:
    """Add the rules for events of AWS services, and the schedule that asks for alarms that became stable."""
    for title, description, pattern in event_rules(inputs, config):
        add_rule(t, title, description, notifier, failures, EventPattern=pattern)
    add_rule(
        t,
        "StableAlarmsRule",
        "Report alarms that flapped and are stable now",
        notifier,
        failures,
        ScheduleExpression=config.stable_alarms_schedule,
    )


def event_rules(inputs: Inputs, config: Config) -> list[tuple[str, str, dict[str, Any]]]:
    """Return logical id, description and pattern of each rule."""
    account = "${AWS::Region}:${AWS::AccountId}"
    # The slash ends the name of the root stack: nested stacks fail with it.
    root_stack = Sub(f"arn:${{AWS::Partition}}:cloudformation:{account}:stack/${{Prefix}}/")
    return [
        (
            "DeploymentFailedRule",
            "An ECS deployment failed and is rolled back",
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Deployment State Change"],
                "resources": [{"prefix": Sub(f"arn:${{AWS::Partition}}:ecs:{account}:service/${{ClusterName}}/")}],
                "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            },
        ),
        (
            "TaskStoppedRule",
            "An ECS task stopped by itself",
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {
                    "clusterArn": [inputs.cluster.cluster_arn],
                    "lastStatus": ["STOPPED"],
                    # Deployments and scaling stop tasks too. These need no notification.
                    "stopCode": [
                        "TaskFailedToStart",
                        "EssentialContainerExited",
                        "SpotInterruption",
                        "TerminationNotice",
                    ],
                },
            },
        ),
        *(database_event_rules(account) if config.parts.database else []),
        (
            "StackRolledBackRule",
            "A deployment failed and was rolled back, or its rollback failed",
            {
                "source": ["aws.cloudformation"],
                "detail-type": ["CloudFormation Stack Status Change"],
                "detail": {
                    "stack-id": [{"prefix": root_stack}],
                    "status-details": {
                        "status": ["ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"]
                    },
                },
            },
        ),
        (
            "CertificateRule",
            "The certificate of the load balancer expires",
            certificate_events(inputs.listener_certificate_arn),
        ),
        ("HealthRule", "AWS Health has an event for this account", ACCOUNT_HEALTH_EVENTS),
    ]


def database_event_rules(account: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return logical id, description and pattern of each rule for events of RDS. ``account`` is a part of an ARN."""
    return [
        (
            "DatabaseEventRule",
            "RDS event of the database cluster, such as a failover",
            {
                "source": ["aws.rds"],
                "detail-type": ["RDS DB Cluster Event"],
                "detail": {
                    "SourceArn": [Sub(f"arn:${{AWS::Partition}}:rds:{account}:cluster:${{DbClusterId}}")],
                    "EventCategories": ["deletion", "failover", "failure", "low storage", "maintenance", "recovery"],
                },
            },
        ),
        (
            "InstanceEventRule",
            "RDS event of a database instance, such as a restart",
            {
                "source": ["aws.rds"],
                "detail-type": ["RDS DB Instance Event"],
                "detail": {
                    # RDS writes names in lower case, and CloudFormation begins them with the name of the root stack.
                    "SourceArn": [{"prefix": Sub(f"arn:${{AWS::Partition}}:rds:{account}:db:${{Prefix}}-")}],
                    "EventCategories": [
                        "availability",
                        "deletion",
                        "failover",
                        "failure",
                        "low storage",
                        "maintenance",
                        "recovery",
                    ],
                },
            },
        ),
    ]


def add_rule(t: Template, title: str, description: str, function: Function, failures: Queue, **trigger: Any) -> None:
    """Add a rule that invokes a function, with the permission to do so."""
    rule = t.add_resource(
        Rule(
            title,
            Description=description,
            State="ENABLED",
            Targets=[event_target(function, failures)],
            **trigger,
        )
    )
    t.add_resource(invoke_permission(title.removesuffix("Rule") + "Permission", function, "events", rule))
