"""`status`, `logs` and `events` of a deployed environment."""

from __future__ import annotations

import io
import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from rich.console import Console

from hosting.cli.commands import status as status_command
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import logs, status, tasks
from hosting.deployer.operate.platform import find_platform
from hosting.model.errors import InputError
from hosting.model.templates import Template
from tests.deployer.operate import parts
from tests.support.waiting import PATIENCE

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CLUSTER = "atlas-lab"


def write(deployed: parts.Deployed, group: str, stream: str, *lines: str, ago: float = 0) -> None:
    client = deployed.client("logs")
    known = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
    if not known:
        client.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int((time.time() - ago) * 1000)
    events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines)]
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


# --- status


def test_status_shows_every_part(deploy_py: Run) -> None:
    done = deploy_py("status", "-e", "lab", "--output", "json")
    document = json.loads(done.stdout)
    assert document["schema"] == "hosting-platform/status/1"
    assert {part["area"] for part in document["parts"]} == {
        "stacks",
        "services",
        "targets",
        "database",
        "distribution",
        "alarms",
    }
    assert not [part for part in document["parts"] if part["health"] == "unknown"], done.stdout
    portal = next(part for part in document["parts"] if (part["area"], part["name"]) == ("services", "portal"))
    assert portal["data"]["running"] == 2
    assert document["events"], "a deployment was just made"

    text = deploy_py("status", "-e", "lab")
    assert "atlas-lab" in text.stdout
    assert "2 of 2 tasks run" in text.stdout
    assert "\x1b" not in text.stdout


def test_an_alarm_is_bad(deploy_py: Run, deployed: parts.Deployed) -> None:
    client = deployed.client("cloudwatch")
    name = f"{CLUSTER}-portal-5xx"
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    try:
        done = deploy_py("status", "-e", "lab", "--output", "json")
        assert done.returncode == 1
        bad = [part for part in json.loads(done.stdout)["parts"] if part["health"] == "bad"]
        assert [part["name"] for part in bad] == ["portal-5xx"]
        assert "!!" in deploy_py("status", "-e", "lab").stdout
        said = deploy_py("events", "-e", "lab", "--output", "json").stdout.splitlines()
        alarms = [one for one in map(json.loads, said) if one["source"] == "alarm"]
        assert any(one["subject"] == "portal-5xx" and one["bad"] for one in alarms), alarms
    finally:
        client.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")


def test_a_service_that_was_scaled_away_is_bad(deploy_py: Run, deployed: parts.Deployed) -> None:
    ecs, service = deployed.client("ecs"), deployed.platform.service("orders")
    ecs.update_service(cluster=CLUSTER, service=service.ecs_name, desiredCount=0)
    try:
        done = deploy_py("status", "-e", "lab", "--output", "json")
        bad = [part for part in json.loads(done.stdout)["parts"] if part["health"] == "bad"]
        assert [(part["area"], part["name"]) for part in bad] == [("services", "orders")]
        assert "the desired count is 0" in bad[0]["text"]
        assert done.returncode == 1
    finally:
        ecs.update_service(cluster=CLUSTER, service=service.ecs_name, desiredCount=2)
        deployed.restore_tasks()


def test_watch_continues_until_it_is_interrupted(deployed: parts.Deployed) -> None:
    process = subprocess.Popen(
        parts.command_line("status", "-e", "lab", "--watch", "--output", "json", "--interval", "1"),
        env=deployed.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    screens = [json.loads(process.stdout.readline()) for _ in range(2)]
    process.terminate()
    process.wait(PATIENCE)
    assert screens[0]["environment"] == screens[1]["environment"] == CLUSTER
    assert screens[0]["time"] < screens[1]["time"]


def test_watch_continues_after_a_network_failure(deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    look = status.collect_status
    trouble = [EndpointConnectionError(endpoint_url="https://ecs.example")]

    def sometimes(context: Any) -> status.Status:
        if trouble:
            raise trouble.pop()
        return look(context)

    monkeypatch.setattr(status, "collect_status", sometimes)
    looks = status.poll_status(deployed.platform.context, 0)
    said, seen = next(looks), next(looks)
    assert isinstance(said, str)
    assert said.startswith("the status cannot be read: AWS cannot be reached")
    assert isinstance(seen, status.Status)
    areas = [part.area for part in seen.parts]
    assert areas == sorted(areas, key=["stacks", "services", "targets", "database", "distribution", "alarms"].index)


@pytest.mark.parametrize("height", [12, 30, 60])
def test_a_small_terminal_keeps_the_last_events(deployed: parts.Deployed, height: int) -> None:
    found = status.collect_status(deployed.platform.context)
    console = Console(width=200, height=height, file=io.StringIO())
    lines = console.render_lines(
        status_command._render_screen(found, console, "the status cannot be read: no network"), pad=False
    )
    text = "\n".join("".join(segment.text for segment in line) for line in lines)
    assert "the status cannot be read: no network" in text
    if height > 12:
        assert len(lines) <= height
        newest = found.events[-1]
        assert f"{newest.subject}  {newest.text}" in text.splitlines()[-1]


def test_an_environment_that_is_not_deployed_is_reported(deploy_py: Run) -> None:
    done = deploy_py("status", "-e", "lab", AWS_ACCESS_KEY_ID="999999999999")
    assert done.returncode == 3, "another account than the file's"
    assert "belongs to account" in done.stderr


# --- logs


def test_lines_of_several_services_in_order(deploy_py: Run, deployed: parts.Deployed) -> None:
    write(deployed, f"/{CLUSTER}/portal/app", "app/app/one", "first", ago=20)
    write(deployed, f"/{CLUSTER}/orders/app", "app/app/two", "second", ago=10)
    write(deployed, f"/{CLUSTER}/portal/app", "app/app/one", "third")
    out = deploy_py("logs", "-e", "lab", "--since", "1m").stdout
    lines = [line.split("  ")[1:] for line in out.splitlines()]
    written = [line for line in lines if line[1] in {"first", "second", "third"}]
    assert written == [["portal", "first"], ["orders", "second"], ["portal", "third"]]
    alone = deploy_py("logs", "app", "-e", "lab", "--service", "orders", "--grep", "sec").stdout
    assert [line.split("  ")[1:] for line in alone.splitlines()] == [["second"]]


@pytest.mark.parametrize(
    ("arguments", "group"),
    [
        (["db"], f"/aws/rds/cluster/{CLUSTER}/slowquery"),
        (["exec"], f"/{CLUSTER}/exec"),
        (["lambda", "slack-notifier"], f"/aws/lambda/{CLUSTER}-slack-notifier"),
        (["lambda", "slack_notifier"], f"/aws/lambda/{CLUSTER}-slack-notifier"),
    ],
)
def test_every_kind_has_its_group(deploy_py: Run, deployed: parts.Deployed, arguments: list[str], group: str) -> None:
    mark = f"here {time.time()}"
    write(deployed, group, "stream", mark)
    done = deploy_py("logs", *arguments, "-e", "lab")
    assert mark in done.stdout, done.stderr


def test_the_bastions_share_a_group_and_each_service_has_its_streams(deploy_py: Run, deployed: parts.Deployed) -> None:
    write(deployed, f"/{CLUSTER}/bastion", "portal/bastion/one", "relay of the portal", ago=5)
    write(deployed, f"/{CLUSTER}/bastion", "orders/bastion/two", "relay of the orders")
    alone = deploy_py("logs", "bastion", "-e", "lab", "--service", "portal").stdout
    assert [line.split("  ")[1:] for line in alone.splitlines()] == [["relay of the portal"]]
    both = deploy_py("logs", "bastion", "-e", "lab").stdout
    assert [line.split("  ")[1] for line in both.splitlines()] == ["portal", "orders"]


def test_the_firewall_logs_in_its_own_region(deploy_py: Run, deployed: parts.Deployed) -> None:
    client = deployed.client("logs", "us-east-1")
    group = "aws-waf-logs-atlas-lab"
    client.create_log_stream(logGroupName=group, logStreamName="cloudfront")
    now = int(time.time() * 1000)
    client.put_log_events(
        logGroupName=group, logStreamName="cloudfront", logEvents=[{"timestamp": now, "message": "blocked"}]
    )
    assert "blocked" in deploy_py("logs", "waf", "-e", "lab").stdout


def test_following_shows_what_comes(deployed: parts.Deployed) -> None:
    write(deployed, f"/{CLUSTER}/exec", "new", "was there before")
    process = subprocess.Popen(
        parts.command_line("logs", "exec", "-f", "-e", "lab", "--since", "1h"),
        env=deployed.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while not process.stdout.readline().rstrip().endswith("was there before"):
        pass
    write(deployed, f"/{CLUSTER}/exec", "new", "came later")
    assert process.stdout.readline().rstrip().endswith("came later")
    write(deployed, f"/{CLUSTER}/exec", "new", "and once more")
    assert process.stdout.readline().rstrip().endswith("and once more"), "nothing twice"
    process.terminate()
    process.wait(PATIENCE)


def test_the_last_words_of_a_stopped_task(deploy_py: Run, deployed: parts.Deployed) -> None:
    ecs = deployed.client("ecs")
    service = deployed.platform.service("orders")
    arns = ecs.list_tasks(cluster=CLUSTER, serviceName=service.ecs_name)["taskArns"]
    identifier = arns[0].rpartition("/")[2]
    write(deployed, f"/{CLUSTER}/orders/app", f"app/app/{identifier}", "long ago", ago=900)
    write(deployed, f"/{CLUSTER}/orders/app", f"app/app/{identifier}", "out of memory")
    write(deployed, f"/{CLUSTER}/orders/app", "app/app/alive", "all is well")
    ecs.stop_task(cluster=CLUSTER, task=arns[0], reason="the node is drained")
    done = deploy_py("logs", "app", "--previous", "--service", "orders", "-e", "lab")
    assert [line.split("Z  ")[1] for line in done.stdout.splitlines()] == ["out of memory"], done.stderr
    assert f"task {identifier[:8]} of orders, " in done.stderr
    assert "the node is drained" in done.stderr
    assert deploy_py("logs", "app", "--previous", "-f", "-e", "lab").returncode == 64
    deployed.restore_tasks()


def test_the_last_run_of_a_job_has_logs_too(
    deploy_py: Run, deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job has no ECS service: its tasks are found by the family of its task definition."""
    kind_of = Template.kind_of
    monkeypatch.setattr(Template, "kind_of", lambda self, name: "job" if name == "Search" else kind_of(self, name))
    platform = find_platform(deployed.platform.context)
    (job,) = platform.jobs
    ecs, run = deployed.client("ecs"), {"cluster": CLUSTER, "launchType": "FARGATE"}
    network = {"awsvpcConfiguration": {"subnets": [subnet(deployed)]}}
    (task,) = ecs.run_task(**run, taskDefinition=job.family, networkConfiguration=network)["tasks"]
    ecs.stop_task(cluster=CLUSTER, task=task["taskArn"], reason="the job failed")
    write(
        deployed, f"/{CLUSTER}/search/app", f"app/app/{task['taskArn'].rpartition('/')[2]}", "cannot write the report"
    )
    last, source = logs.find_last_stopped_task(platform, job, "app")
    assert (last.arn, source.label) == (task["taskArn"], "search")
    assert [one.label for one in logs.find_log_sources(platform, "app", service="search")] == ["search"]
    with pytest.raises(DeployerError, match='service or job "reprot" does not exist'):
        platform.workload("reprot")


def subnet(deployed: parts.Deployed) -> str:
    """Return a subnet of the environment."""
    return str(deployed.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"])


def stopped(identifier: str, *, started: str, ended: str) -> dict[str, Any]:
    return {
        "taskArn": f"arn:aws:ecs:ap-northeast-1:111122223333:task/{CLUSTER}/{identifier}",
        "taskDefinitionArn": "arn:aws:ecs:ap-northeast-1:111122223333:task-definition/app:1",
        "lastStatus": "STOPPED",
        "startedAt": datetime.fromisoformat(started),
        "stoppedAt": datetime.fromisoformat(ended),
        "stoppedReason": "Essential container in task exited",
        "containers": [
            {"name": "app", "exitCode": 137, "reason": "OutOfMemoryError: killed"},
            {"name": "bastion"},
        ],
    }


def test_the_task_that_stopped_last_is_not_the_one_that_started_last(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And "the last ten minutes" are those before its end, not before now: ECS remembers it for an hour."""
    first = tasks.parse_task(stopped("aaaa", started="2026-11-22T09:00Z", ended="2026-11-22T11:00Z"), CLUSTER)
    second = tasks.parse_task(stopped("bbbb", started="2026-11-22T10:00Z", ended="2026-11-22T10:30Z"), CLUSTER)
    monkeypatch.setattr(tasks, "list_stopped_tasks", lambda *_: iter([first, second]))
    definition = {"containerDefinitions": [{"name": "app"}]}
    monkeypatch.setattr(tasks, "read_task_definition", lambda *_: definition)
    last, source = logs.find_last_stopped_task(deployed.platform, deployed.platform.service("orders"), "app")
    assert source.streams == ("/app/aaaa",)
    assert logs.parse_since("10m", last.stopped) == datetime(2026, 11, 22, 10, 50, tzinfo=UTC)
    assert last.why_stopped() == "Essential container in task exited; app exited with 137 (OutOfMemoryError: killed)"


def test_a_misspelt_function_is_an_error(deploy_py: Run) -> None:
    done = deploy_py("logs", "lambda", "slck", "-e", "lab")
    assert done.returncode == 1
    assert "slack-notifier" in done.stderr
    assert deploy_py("logs", "lambda", "-e", "lab").returncode == 64


# --- events


def test_events_come_in_order(deploy_py: Run) -> None:
    said = deploy_py("events", "-e", "lab", "--since", "1h", "--output", "json").stdout.splitlines()
    found: list[dict[str, Any]] = [json.loads(line) for line in said]
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    subjects = {one["subject"] for one in found}
    assert "NetworkStack/Vpc" in subjects


# --- times


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("30s", timedelta(seconds=30)),
        ("10m", timedelta(minutes=10)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("2026-11-22T11:30", timedelta(minutes=30)),
        ("2026-11-22T20:00+09:00", timedelta(hours=1)),
    ],
)
def test_times_are_parsed(text: str, ago: timedelta) -> None:
    assert logs.parse_since(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yesterday", "invalid time"),
        ("9" * 30 + "d", "invalid time"),
        ("99x", "invalid time"),
        ("2026-11-22T12:01", "is in the future"),
    ],
)
def test_an_invalid_time_is_an_error(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        logs.parse_since(text, NOW)


def test_a_filter_means_its_text() -> None:
    assert logs.create_filter_pattern('say "hi" \\o/') == '"say \\"hi\\" \\\\o/"'
