"""Jobs in the commands of operation: a job has tasks only while it runs, and the schedule has their settings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import activity, exec_checker, health_checks, standalone_task, tasks
from hosting.deployer.operate.checklist import CheckStatus
from hosting.deployer.operate.platform import Job, Platform
from hosting.deployer.operate.states import Health, Part
from hosting.model.schedule_times import find_next_time
from hosting.rehearsal.prerequisites import Prerequisites
from tests.deployer.operate import parts
from tests.support.waiting import eventually

CLUSTER = "atlas-lab"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "scheduler.amazonaws.com"}},
    ],
}


@pytest.fixture
def job(deployed: parts.Deployed) -> Iterator[Job]:
    """A job with a task definition like that of a service, and with a schedule."""
    platform, ecs = deployed.platform, deployed.client("ecs")
    like = tasks.describe_launch(platform, platform.service("search"))
    request = {
        name: value
        for name, value in tasks.read_task_definition(platform, like.definition).items()
        if name not in standalone_task._ANSWER_ONLY
    }
    definition = ecs.register_task_definition(**request | {"family": f"nightly-{uuid.uuid4().hex}"})["taskDefinition"][
        "taskDefinitionArn"
    ]
    role = deployed.client("iam").create_role(RoleName="nightly", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    network = like.network["awsvpcConfiguration"]
    target = {
        "Arn": ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["clusterArn"],
        "RoleArn": role["Arn"],
        "EcsParameters": {
            "TaskDefinitionArn": definition,
            "EnableExecuteCommand": True,
            "NetworkConfiguration": {
                "awsvpcConfiguration": {"Subnets": network["subnets"], "SecurityGroups": network["securityGroups"]}
            },
        },
    }
    schedule = deployed.client("scheduler")
    schedule.create_schedule(
        Name="nightly",
        ScheduleExpression="cron(30 3 * * ? *)",
        ScheduleExpressionTimezone="Asia/Tokyo",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    yield Job("Nightly", definition, "nightly", platform.service("search").stack)
    schedule.delete_schedule(Name="nightly")
    deployed.client("iam").delete_role(RoleName="nightly")
    for task in tasks.list_running_tasks(platform, Job("Nightly", definition, "nightly", "")):
        ecs.stop_task(cluster=CLUSTER, task=task.arn)


def look(platform: Platform, job: Job) -> Part:
    (part,) = health_checks.examine_job(platform, job)
    return part


def test_a_run_has_the_jobs_network_and_its_own_command_and_its_end_is_the_status(
    deployed: parts.Deployed, job: Job
) -> None:
    platform = deployed.platform
    seeding = Prerequisites(deployed.emulator, deployed.account, platform.home)
    before = look(platform, job)
    assert before.health is Health.GOOD
    assert before.text.startswith("no run within the last hour")

    started = standalone_task.start_task(platform, job, ())
    (raw,) = deployed.client("ecs").describe_tasks(cluster=CLUSTER, tasks=[started.task.arn])["tasks"]
    assert not [one for one in raw.get("overrides", {}).get("containerOverrides", ()) if one.get("command")]
    assert raw["taskDefinitionArn"] == job.definition
    eventually(lambda: tasks.list_running_tasks(platform, job))
    assert look(platform, job).text.startswith("no run") is False
    assert "running since" in look(platform, job).text
    assert tasks.select_task(platform, job, "bastion").arn == started.task.arn

    seeding.end_task(started.task.arn, 3)
    eventually(lambda: list(tasks.list_stopped_tasks(platform, job)))
    failed = look(platform, job)
    assert (failed.health, failed.data["exitCode"]) == (Health.BAD, 3)
    assert failed.next == "deploy.py logs --service nightly --previous -e lab"
    assert "exit code 3" in failed.text
    assert "next run" in failed.text
    assert str(failed.data["next"]).endswith("18:30:00+00:00")

    # Another command is no run of the job.
    other = standalone_task.start_task(platform, job, ("sh", "-c", "exit 0"))
    seeding.end_task(other.task.arn, 0)
    eventually(lambda: len(list(tasks.list_stopped_tasks(platform, job))) == 2)
    assert look(platform, job).data["exitCode"] == 3


def test_a_session_to_a_job_that_does_not_run_names_the_command_that_starts_it(
    deployed: parts.Deployed, job: Job
) -> None:
    with pytest.raises(DeployerError) as caught:
        tasks.select_task(deployed.platform, job, "app")
    assert "deploy.py run -e lab --service nightly" in caught.value.hint
    checks = {check.what: check for check in exec_checker.check_account(deployed.platform, job, "app")}
    assert checks["job nightly allows ECS Exec"].status is CheckStatus.OK
    assert checks["tasks are running"].status is CheckStatus.UNKNOWN


def test_a_disabled_schedule_is_shown(deployed: parts.Deployed, job: Job) -> None:
    client = deployed.client("scheduler")
    found: dict[str, Any] = client.get_schedule(Name="nightly")
    kept = {name: found[name] for name in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")}
    client.update_schedule(**kept, State="DISABLED")
    part = look(deployed.platform, job)
    assert part.text.endswith("disabled by the parameter NightlyEnabled")
    assert part.data["next"] is None


def test_a_tunnel_uses_any_workload_that_has_a_task(
    deployed: parts.Deployed, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = deployed.platform
    workload, task = tasks.select_any_task(platform, "bastion")
    assert (workload.slug, task.is_running) == (platform.services[0].slug, True)
    started = standalone_task.start_task(platform, job, ())
    eventually(lambda: tasks.list_running_tasks(platform, job))
    monkeypatch.setattr(Platform, "workloads", (Job("Idle", "arn:x:y/idle:1", "idle", ""), job))
    workload, task = tasks.select_any_task(platform, "bastion")
    assert (workload.slug, task.arn) == ("nightly", started.task.arn)


def test_the_reason_of_a_refused_start_is_an_event_and_stays_in_its_queue(deployed: parts.Deployed, job: Job) -> None:
    sqs = deployed.client("sqs")
    url = sqs.create_queue(QueueName="refused")["QueueUrl"]
    values = {
        "ERROR_CODE": "AccessDeniedException",
        "ERROR_MESSAGE": "not authorized to perform: ecs:RunTask",
        "SCHEDULED_TIME": "2031-01-01T18:30:00Z",
    }
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    sqs.send_message(QueueUrl=url, MessageBody="{}", MessageAttributes=attributes)
    refused = replace(job, queue=url)
    for _ in range(2):
        (event,) = activity._read_refused_starts(deployed.platform, refused, at("2031-01-01T00:00"))
        assert event.is_bad
        assert event.text == "ECS refused the start: AccessDeniedException: not authorized to perform: ecs:RunTask"
        assert (event.time, event.subject) == (at("2031-01-01T18:30"), "nightly")
    assert list(activity._read_refused_starts(deployed.platform, refused, at("2031-01-02T00:00"))) == []
    sqs.delete_queue(QueueUrl=url)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "found"),
    [
        ("cron(30 3 * * ? *)", "Asia/Tokyo", "2031-01-01T18:30", "2031-01-02T18:30"),
        ("cron(0/15 8-9 ? * MON-FRI *)", "UTC", "2031-01-03T09:45", "2031-01-06T08:00"),
        ("cron(0 0 29 2 ? *)", "UTC", "2029-01-01T00:00", "2032-02-29T00:00"),
        ("cron(5,10 12 1 JAN,JUL ? 2031)", "Europe/Berlin", "2031-01-01T11:05", "2031-01-01T11:10"),
        ("cron(0 12 1 1 ? 2030)", "UTC", "2031-01-01T00:00", None),
        ("cron(0 12 L * ? *)", "UTC", "2031-01-01T00:00", None),
        ("rate(1 hour)", "UTC", "2031-01-01T00:00", None),
    ],
)
def test_the_next_time_of_a_schedule(expression: str, zone: str, after: str, found: str | None) -> None:
    assert find_next_time(expression, zone, at(after)) == (at(found) if found else None)
