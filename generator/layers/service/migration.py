"""The migration of a workload: the function that runs it, and the resource between task definition and service.

RunTask cannot replace an image, and the new task definition is created in the update of its service. So the migration
is a resource of the same template: CloudFormation creates the task definition, then updates this resource, whose
function runs the command with the new task definition, and only then updates the service. If the command fails, the
update is rolled back before the service has changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from awacs import aws as awacs
from awacs import awslambda as lambda_actions
from awacs import cloudformation as cloudformation_actions
from awacs import ecs as ecs_actions
from awacs import iam as iam_actions
from awacs.aws import Statement, StringEquals
from troposphere import AWSObject, Join, Ref, Sub, Template
from troposphere.ecs import TaskDefinition
from troposphere.logs import LogGroup
from troposphere.validators.cloudformation import AWSCustomObject

from generator.layers.service.interface import Config, Inputs
from generator.layers.service.task import APP, STREAM_PREFIX, family
from generator.resources import iam
from generator.resources.lambda_functions import add_function
from generator.resources.suppressions import PASSES_ROLES, suppress
from generator.workloads import EcsService

# The function stops the task after this time, and then needs some seconds to respond.
RESPONSE_SECONDS = 60


class Migration(AWSCustomObject):
    """Custom resource that runs the migration. lambda/migration handles it."""

    resource_type = "Custom::Migration"

    props = {  # noqa: RUF012 -- troposphere's way
        "ServiceToken": (str, True),
        "ServiceTimeout": (int, True),
        "Workload": (str, True),
        "Cluster": (str, True),
        "TaskDefinition": (str, True),
        "Container": (str, True),
        "Command": ([str], True),
        "Subnets": (list, True),
        "SecurityGroups": (list, True),
        "TimeoutSeconds": (str, True),
        "LogGroup": (str, True),
        "StreamPrefix": (str, True),
    }


def add_migration(
    t: Template,
    config: Config,
    entry: EcsService,
    inputs: Inputs,
    task: TaskDefinition,
    logs: LogGroup,
    prerequisites: Sequence[AWSObject],
) -> Migration:
    """Add the function of the migration and the resource for which the service has to wait."""
    added = add_function(
        t,
        "Migration",
        inputs,
        does=f"runs the migration of {entry.name} before its service changes",
        code=inputs.migration_code_key,
        size=config.migration,
        statements=run_migration(entry, inputs),
        log_group_name=f"{entry.slug}-migration",
        retries=2,
        without_queue="CloudFormation waits for the response of the function. Without one the deployment fails.",
    )
    added.policy.Metadata = suppress(PERMISSIONS_MANAGEMENT_ACTIONS=PASSES_ROLES)["Metadata"]
    # A policy of its own, because the other one has to exist before the function.
    continuation = t.add_resource(
        iam.attach_policy(
            "MigrationContinuation",
            added.role,
            iam.allow("ContinueInNextInvocation", [lambda_actions.InvokeFunction], [added.function.get_att("Arn")]),
            description="Invoke the function again, for a migration that is longer than one invocation.",
        )
    )
    seconds = entry.migrate_minutes * 60
    return t.add_resource(
        Migration(
            "Migration",
            ServiceToken=added.function.get_att("Arn"),
            ServiceTimeout=seconds + RESPONSE_SECONDS,
            Workload=entry.name,
            Cluster=inputs.cluster.cluster_arn,
            TaskDefinition=task.ref(),
            Container=APP,
            Command=list(entry.migrate),
            Subnets=inputs.app_subnets.ids,
            SecurityGroups=[inputs.access.service_security_group_id],
            TimeoutSeconds=str(seconds),
            LogGroup=logs.ref(),
            StreamPrefix=STREAM_PREFIX,
            DependsOn=[added.policy, continuation, *prerequisites],
        )
    )


def run_migration(entry: EcsService, inputs: Inputs) -> list[Statement]:
    """Return the permissions of the function: run, follow and stop tasks of this workload, and read its own stack."""
    in_cluster = awacs.ArnEquals("ecs:cluster", inputs.cluster.cluster_arn)
    tasks = Join(
        "/",
        [Sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task"), inputs.cluster.cluster_name, "*"],
    )
    return [
        # Every revision: a policy that named the new one would change in each deployment, seconds before its use.
        iam.allow(
            "RunOwnTask",
            [ecs_actions.RunTask],
            [
                Sub(
                    f"arn:${{AWS::Partition}}:ecs:${{AWS::Region}}:${{AWS::AccountId}}:task-definition/{family(entry)}:*"
                )
            ],
            in_cluster,
        ),
        iam.allow("TagOwnTask", [ecs_actions.TagResource], [tasks], StringEquals("ecs:CreateAction", "RunTask")),
        iam.allow("FollowTasks", [ecs_actions.DescribeTasks, ecs_actions.StopTask], [tasks], in_cluster),
        iam.allow(
            "PassTaskRoles",
            [iam_actions.PassRole],
            [inputs.access.task_role_arn, inputs.access.execution_role_arn],
            StringEquals("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        ),
        # In a rollback CloudFormation sends an update with the old properties. Then nothing runs.
        iam.allow("SeeOwnStack", [cloudformation_actions.DescribeStacks], [Ref("AWS::StackId")]),
    ]
