"""Notifier function, and the events and logs that invoke it."""

from typing import Any

from awacs import sns as sns_actions
from troposphere import Sub, Template
from troposphere.awslambda import Function
from troposphere.events import Rule
from troposphere.sns import SubscriptionResource, Topic
from troposphere.sqs import Queue

from generator.layers.operations.failure_queue import send_failures
from generator.layers.operations.interface import Config, Inputs
from generator.resources import iam
from generator.resources.lambda_functions import add_function, event_target, invoke_permission


def add_notifier(t: Template, config: Config, inputs: Inputs, notices: Topic, chat: Topic, failures: Queue) -> Function:
    """Add the notifier function and its subscription to the topic of notices."""
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
        failures=failures,
    )
    permission = t.add_resource(invoke_permission("NoticePermission", added.function, "sns", notices))
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


def add_event_rules(t: Template, inputs: Inputs, notifier: Function, failures: Queue) -> None:
    """Add the rules for failed deployments, stopped tasks and events of the database cluster."""
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
        notifier,
        failures,
    )
    add_rule(
        t,
        "DatabaseEventRule",
        "RDS event of the database cluster, such as a failover",
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
    """Add a rule that invokes a function, with the permission to do so."""
    rule = t.add_resource(
        Rule(
            title,
            Description=description,
            State="ENABLED",
            EventPattern=pattern,
            Targets=[event_target(function, failures)],
        )
    )
    t.add_resource(invoke_permission(title.removesuffix("Rule") + "Permission", function, "events", rule))
