"""Function that restarts services after a rotation of the database password."""

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
    """Add the function that restarts services after a rotation, and its schedule.

    RDS rotates the password, but ECS reads a secret only when it starts a task.
    """
    added = add_function(
        t,
        "CredentialsWatch",
        inputs,
        does="restarts services after the database's password was rotated",
        code=inputs.credentials_watch_code_key,
        size=config.watch,
        statements=[*credentials_watch_statements(inputs), *send_failures(failures, inputs)],
        environment={"CLUSTER_NAME": inputs.cluster.cluster_name, "SECRET_ARN": inputs.database_secret_arn},
        retries=0,
        failures=failures,
    )
    schedule = t.add_resource(
        Rule(
            "CredentialsWatchRule",
            Description="Check for a rotated password",
            State="ENABLED",
            ScheduleExpression=config.watch_schedule,
            Targets=[event_target(added.function, failures)],
        )
    )
    t.add_resource(invoke_permission("CredentialsWatchPermission", added.function, "events", schedule))
    return added.function


def credentials_watch_statements(inputs: Inputs) -> list[Statement]:
    """Return the permissions to detect a rotation and to restart the services of the cluster."""
    in_cluster = Sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:service/${ClusterName}/*")
    return [
        iam.allow("SeeRotation", [secretsmanager_actions.DescribeSecret], [inputs.database_secret_arn]),
        # The action supports no resource, but a condition on the cluster (Service Authorization Reference, Amazon ECS).
        iam.allow(
            "ListServices", [ecs_actions.ListServices], ["*"], ArnEquals("ecs:cluster", inputs.cluster.cluster_arn)
        ),
        # The action supports neither a resource nor a condition.
        iam.allow("ReadTaskDefinitions", [ecs_actions.DescribeTaskDefinition], ["*"]),
        iam.allow("RestartServices", [ecs_actions.DescribeServices, ecs_actions.UpdateService], [in_cluster]),
    ]
