"""One-off tasks: started like the service's own, followed by their log, ended with their exit status."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hosting.cli.commands import run as run_command
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import standalone_task, tasks
from hosting.rehearsal.prerequisites import Prerequisites
from tests.deployer.operate import parts
from tests.support.waiting import PATIENCE, eventually

CLUSTER = "atlas-lab"


def one_off_tasks(deployed: parts.Deployed) -> list[dict[str, Any]]:
    ecs = deployed.client("ecs")
    arns = ecs.list_tasks(cluster=CLUSTER, startedBy=standalone_task.STARTED_BY)["taskArns"]
    found: list[dict[str, Any]] = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
    return found


@pytest.fixture
def start(deployed: parts.Deployed) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    made: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            parts.command_line(*arguments),
            env=deployed.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        made.append(process)
        return process

    yield run
    for process in made:
        process.kill()
        process.wait()


def running(deployed: parts.Deployed) -> dict[str, Any]:
    eventually(lambda: one_off_tasks(deployed))
    (task,) = one_off_tasks(deployed)
    return task


def say(deployed: parts.Deployed, task: dict[str, Any], service: str, *lines: str) -> None:
    """What the command writes to its standard output."""
    logs = deployed.client("logs")
    group, stream = f"/{CLUSTER}/{service}/app", f"app/app/{task['taskArn'].rpartition('/')[2]}"
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_output_and_exit_status(deployed: parts.Deployed, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("run", "-e", "lab", "--service", "orders", "--", "./manage", "migrate", "--fake")
    task = running(deployed)
    say(deployed, task, "orders", "applying 0001", "applying 0002")
    Prerequisites(deployed.emulator, deployed.account, deployed.platform.home).end_task(task["taskArn"], 3)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == "applying 0001\napplying 0002\n"
    assert process.returncode == 3, err

    (override,) = task["overrides"]["containerOverrides"]
    assert override["command"] == ["./manage", "migrate", "--fake"]
    service = deployed.platform.service("orders")
    (live,) = deployed.client("ecs").describe_services(cluster=CLUSTER, services=[service.ecs_name])["services"]
    assert task["taskDefinitionArn"] == live["taskDefinition"], "same image, secrets and roles"
    subnet = next(one["value"] for one in task["attachments"][0]["details"] if one["name"] == "subnetId")
    assert subnet in live["networkConfiguration"]["awsvpcConfiguration"]["subnets"]
    assert task["group"] != f"service:{service.ecs_name}", "the service does not count it as its own"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_stops_the_task(
    deployed: parts.Deployed, start: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    """A cancelled build sends SIGTERM. Without a stop the task would run on, unknown to any process."""
    process = start("run", "-e", "lab", "--", "sleep", "1000")
    task = running(deployed)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert one_off_tasks(deployed) == []
    assert f"stopped task {task['taskArn'].rpartition('/')[2]}" in err


def test_started_by_has_only_characters_that_ecs_accepts() -> None:
    """AWS refuses a dot or a space in it; the emulator takes anything."""
    assert re.fullmatch(r"[A-Za-z0-9/_-]{1,128}", standalone_task.STARTED_BY)


def test_a_task_that_ecs_does_not_show_yet(deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """RunTask answers before DescribeTasks knows: that is no reason to lose sight of a migration."""
    show = tasks.describe_tasks
    monkeypatch.setattr(tasks, "describe_tasks", lambda *_: [])
    run = standalone_task.start_task(deployed.platform, deployed.platform.service(None), ["true"], sleep=lambda _: None)
    assert not run._has_stopped()
    run.started -= timedelta(minutes=5)
    with pytest.raises(DeployerError, match="the task does not exist in ECS"):
        run._has_stopped()
    monkeypatch.setattr(tasks, "describe_tasks", show)
    Prerequisites(deployed.emulator, deployed.account, deployed.platform.home).end_task(run.task.arn, 4)
    assert list(run.lines()) == []
    assert run.exit_code() == 4


def test_another_image_leaves_no_task_definition_behind(
    deployed: parts.Deployed, start: Callable[..., subprocess.Popen[str]]
) -> None:
    image = "public.ecr.aws/nginx/nginx@sha256:" + "1" * 64
    process = start("run", "-e", "lab", "--image", image, "--detach", "--", "true")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    ecs = deployed.client("ecs")
    (task,) = ecs.describe_tasks(cluster=CLUSTER, tasks=[out.strip()])["tasks"]
    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    assert definition["status"] == "INACTIVE"
    assert {one["name"]: one["image"] for one in definition["containerDefinitions"]}["app"] == image
    assert [one["name"] for one in definition["containerDefinitions"]] == ["app", "bastion"]
    Prerequisites(deployed.emulator, deployed.account, deployed.platform.home).end_task(task["taskArn"], 0)


def test_a_command_is_needed(deployed: parts.Deployed, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("run", "-e", "lab")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 64
    assert "COMMAND" in err


def before_arguments(deployed: parts.Deployed, value: str, *more: str) -> list[str]:
    return ["deploy", "-e", "lab", "--yes", "--set", f"LogRetentionDays={value}", *more]


def test_a_migration_runs_before_anything_is_deployed(
    deployed: parts.Deployed, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """A failing one stops the deployment; the parameter it would have changed is as before."""
    process = start(*before_arguments(deployed, "1", "--pre-deploy", "run --service orders -- ./manage migrate"))
    task = running(deployed)
    say(deployed, task, "orders", "no such column")
    Prerequisites(deployed.emulator, deployed.account, deployed.platform.home).end_task(task["taskArn"], 1)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert "no such column" in err
    assert "ended with exit code 1; nothing was deployed" in err
    assert out == ""
    root = deployed.client("cloudformation").describe_stacks(StackName=CLUSTER)["Stacks"][0]
    assert {one["ParameterKey"]: one["ParameterValue"] for one in root["Parameters"]}["LogRetentionDays"] == "3"


@pytest.mark.parametrize("state", ["none", "never finished"])
def test_a_first_deployment_prints_the_command_to_run_after_it(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], state: str
) -> None:
    context = deployed.platform.context
    failed = replace(deployed.platform.root, outputs={}, status="ROLLBACK_COMPLETE")
    monkeypatch.setattr("hosting.deployer.aws.stacks.describe_stack", lambda *_: None if state == "none" else failed)
    run_command.prepare_pre_deploy("run --service orders -- ./manage migrate --name 'a b'", context)()
    said = capfd.readouterr().err
    assert "has no database yet" in said
    assert (
        "Run it after the deployment: deploy.py run -e lab --service orders -- ./manage migrate --name 'a b'\n" in said
    )
    assert one_off_tasks(deployed) == []


def test_only_run_may_come_before(deployed: parts.Deployed, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(*before_arguments(deployed, "1", "--pre-deploy", "destroy --yes"))
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 64, err
    assert 'requires a "run ..." command' in err


def test_an_interruption_before_the_reply_stops_the_task(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task runs on AWS although the command has not received its ARN."""
    client = deployed.platform.context.clients.ecs(deployed.platform.home)
    run_task = client.run_task
    replies: list[Any] = []

    def lose_the_first_reply(**request: Any) -> Any:
        replies.append(run_task(**request))
        if len(replies) == 1:
            raise KeyboardInterrupt
        return replies[-1]

    monkeypatch.setattr(client, "run_task", lose_the_first_reply)
    with pytest.raises(KeyboardInterrupt):
        standalone_task.start_task(deployed.platform, deployed.platform.service(None), ["sleep", "1000"])
    first, second = replies
    assert first["tasks"][0]["taskArn"] == second["tasks"][0]["taskArn"]
    assert one_off_tasks(deployed) == []
