"""The schedule of a job: EventBridge Scheduler starts its tasks with a role of their own."""

from __future__ import annotations

from typing import Any

from awacs import ecs as ecs_actions
from awacs import iam as iam_actions
from awacs import kms as kms_actions
from awacs import sqs as sqs_actions
from awacs.aws import ArnEquals, StringEquals
from troposphere import Equals, If, Sub, Template
from troposphere.ecs import TaskDefinition
from troposphere.iam import ManagedPolicy, Role
from troposphere.scheduler import (
    AwsVpcConfiguration,
    CapacityProviderStrategyItem,
    DeadLetterConfig,
    EcsParameters,
    FlexibleTimeWindow,
    NetworkConfiguration,
    RetryPolicy,
    Schedule,
    Target,
)
from troposphere.sqs import Queue, QueuePolicy

from generator.layers.service.interface import Inputs, is_enabled
from generator.layers.service.task import family
from generator.resources import iam
from generator.resources.alarms import alarm
from generator.resources.queues import add_failure_queue
from generator.resources.suppressions import PASSES_ROLES, suppress
from generator.workloads import Job


def add_schedule(t: Template, entry: Job, inputs: Inputs, task: TaskDefinition, prerequisites: list[Any]) -> Schedule:
    """Add the schedule with its role, and a queue with an alarm for starts that ECS refused.

    ``prerequisites`` are resources that a task needs.
    """
    t.add_condition("IsEnabled", Equals(is_enabled(inputs), "true"))
    queue = add_failure_queue(t, "RefusedStartsQueue", inputs.logs.telemetry_key_arn)
    t.add_resource(
        QueuePolicy(
            "RefusedStartsQueuePolicy",
            Queues=[queue.ref()],
            PolicyDocument=iam.policy_document(
                iam.deny_insecure_transport([sqs_actions.Action("*")], queue.get_att("Arn"))
            ),
        )
    )
    role = t.add_resource(
        iam.service_role(
            "ScheduleRole",
            "scheduler",
            iam.source_account_condition(),
            description=f"Starts the tasks of {entry.name}.",
        )
    )
    grants = t.add_resource(schedule_grants(entry, inputs, role, queue))
    t.add_resource(
        alarm(
            "RefusedStartsAlarm",
            f"{entry.slug}-refused-starts",
            inputs.alarm_topic_arn,
            description="ECS refused to start the job. Messages in the queue RefusedStartsQueue contain the reason.",
            command="events --since 3h",
            section="refused-starts",
            workload=entry.slug,
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": queue.get_att("QueueName")},
            statistic="Maximum",
            threshold=1,
            period=300,
            periods=1,
        )
    )
    return t.add_resource(job_schedule(entry, inputs, task, role, queue, [*prerequisites, grants]))


def job_schedule(
    entry: Job, inputs: Inputs, task: TaskDefinition, role: Role, queue: Queue, prerequisites: list[Any]
) -> Schedule:
    """Return the schedule. It starts the newest task definition."""
    launch = (
        {"CapacityProviderStrategy": [CapacityProviderStrategyItem(CapacityProvider="FARGATE_SPOT", Weight=1)]}
        if entry.spot
        else {"LaunchType": "FARGATE"}
    )
    return Schedule(
        "Schedule",
        Description=f"Runs {entry.name}.",
        ScheduleExpression=entry.schedule,
        ScheduleExpressionTimezone=entry.timezone,
        State=If("IsEnabled", "ENABLED", "DISABLED"),
        FlexibleTimeWindow=FlexibleTimeWindow(Mode="OFF"),
        Target=Target(
            Arn=inputs.cluster.cluster_arn,
            RoleArn=role.get_att("Arn"),
            EcsParameters=EcsParameters(
                TaskDefinitionArn=task.ref(),
                TaskCount=1,
                PlatformVersion="LATEST",
                EnableExecuteCommand=True,
                EnableECSManagedTags=True,
                PropagateTags="TASK_DEFINITION",
                Group=entry.slug,
                NetworkConfiguration=NetworkConfiguration(
                    AwsvpcConfiguration=AwsVpcConfiguration(
                        AssignPublicIp="DISABLED",
                        Subnets=inputs.app_subnets.ids,
                        SecurityGroups=[inputs.access.service_security_group_id],
                    )
                ),
                **launch,
            ),
            RetryPolicy=RetryPolicy(MaximumRetryAttempts=entry.retries, MaximumEventAgeInSeconds=3600),
            DeadLetterConfig=DeadLetterConfig(Arn=queue.get_att("Arn")),
        ),
        DependsOn=prerequisites,
    )


def schedule_grants(entry: Job, inputs: Inputs, role: Role, queue: Queue) -> ManagedPolicy:
    """Return the permissions to run the job in the cluster, and to keep starts that ECS refused.

    RunTask is allowed on every revision: during an update the schedule still starts the previous one.
    """
    in_cluster = ArnEquals("ecs:cluster", inputs.cluster.cluster_arn)
    return iam.attach_policy(
        "ScheduleGrants",
        role,
        iam.allow(
            "RunJob",
            [ecs_actions.RunTask],
            [
                Sub(
                    f"arn:${{AWS::Partition}}:ecs:${{AWS::Region}}:${{AWS::AccountId}}:task-definition/{family(entry)}:*"
                )
            ],
            in_cluster,
        ),
        iam.allow(
            "TagTasks",
            [ecs_actions.TagResource],
            [Sub("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/${ClusterName}/*")],
            StringEquals("ecs:CreateAction", "RunTask"),
        ),
        iam.allow(
            "PassTaskRoles",
            [iam_actions.PassRole],
            [inputs.access.task_role_arn, inputs.access.execution_role_arn],
            StringEquals("iam:PassedToService", "ecs-tasks.amazonaws.com"),
        ),
        iam.allow("KeepRefusedStarts", [sqs_actions.SendMessage], [queue.get_att("Arn")]),
        iam.allow(
            "EncryptMessages", [kms_actions.Decrypt, kms_actions.GenerateDataKey], [inputs.logs.telemetry_key_arn]
        ),
        description=f"Run {entry.name}, and keep starts that ECS refused.",
        **suppress(PERMISSIONS_MANAGEMENT_ACTIONS=PASSES_ROLES),
    )
