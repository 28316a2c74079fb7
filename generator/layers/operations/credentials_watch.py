"""Function that restarts services after a secret that they read got a new value, such as a rotated password."""

from awacs import ecs as ecs_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs.aws import ArnEquals, Statement
from troposphere import Sub, Template
from troposphere.awslambda import Function
from troposphere.events import Rule
from troposphere.sqs import Queue

from generator.layers.operations.failure_queue import send_failures
from generator.layers.operations.interface import Config, Inputs
from generator.resources import iam
from generator.resources.lambda_functions import add_function, event_target, invoke_permission


def add_credentials_watch(t: Template, config: Config, inputs: Inputs, failures: Queue) -> Function:
    """Add the function that restarts services, with the event that invokes it and a schedule for lost events.

    RDS rotates the password, but ECS reads a secret only when it starts a task.
    """
    added = add_function(
        t,
        "CredentialsWatch",
        inputs,
        does="restarts services after a secret that they read got a new value",
        code=inputs.credentials_watch_code_key,
        size=config.watch,
        statements=[*credentials_watch_statements(inputs), *send_failures(failures, inputs)],
        environment={"CLUSTER_NAME": inputs.cluster.cluster_name},
        retries=0,
        failures=failures,
    )
    schedule = t.add_resource(
        Rule(
            "CredentialsWatchRule",
            Description="Check for secrets with new values, whose events were lost",
            State="ENABLED",
            ScheduleExpression=config.watch_schedule,
            Targets=[event_target(added.function, failures)],
        )
    )
    t.add_resource(invoke_permission("CredentialsWatchPermission", added.function, "events", schedule))
    changed = t.add_resource(
        Rule(
            "SecretChangedRule",
            Description="A secret got a new value",
            State="ENABLED",
            # Secrets Manager sends this event for every secret of the account, those that RDS manages included, whose
            # names have no prefix of ours. The function compares the secret with those of the services (AWS Secrets
            # Manager User Guide, "Secret event notifications").
            EventPattern={
                "source": ["aws.secretsmanager"],
                "detail-type": ["Secret Label Updated"],
                "detail": {"labelUpdated": ["AWSCURRENT"]},
            },
            Targets=[event_target(added.function, failures)],
        )
    )
    t.add_resource(invoke_permission("SecretChangedPermission", added.function, "events", changed))
    return added.function


def credentials_watch_statements(inputs: Inputs) -> list[Statement]:
    """Return the permissions to detect new values of secrets and to restart the services of the cluster."""
    in_cluster = Sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:service/${ClusterName}/*")
    return [
        # A workload may read any secret of the account. Both actions return dates, never values.
        iam.allow(
            "SeeChanges",
            [secretsmanager_actions.DescribeSecret, secretsmanager_actions.ListSecretVersionIds],
            [Sub("arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:*")],
        ),
        # The action supports no resource, but a condition on the cluster (Service Authorization Reference, Amazon ECS).
        iam.allow(
            "ListServices", [ecs_actions.ListServices], ["*"], ArnEquals("ecs:cluster", inputs.cluster.cluster_arn)
        ),
        # The action supports neither a resource nor a condition.
        iam.allow("ReadTaskDefinitions", [ecs_actions.DescribeTaskDefinition], ["*"]),
        iam.allow("RestartServices", [ecs_actions.DescribeServices, ecs_actions.UpdateService], [in_cluster]),
    ]
