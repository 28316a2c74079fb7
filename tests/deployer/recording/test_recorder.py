"""The flight recorder on a scripted deployment: what ECS said is kept although the rollback takes it away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.events import Event
from hosting.deployer.operations import Operation
from hosting.deployer.recording import durations, evidence, runs
from hosting.deployer.recording.recorder import Recorder
from hosting.model.stack_order import Stack, StackRole

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
STACK = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")
SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/shop-dev/frontend"
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/shop-dev/0a1b2c"
PASSWORD = "hunter2-very-secret"


def denied(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)


class Ecs:
    """A service whose tasks stop. ECS does not know it any longer once `removed` is set."""

    def __init__(self) -> None:
        self.removed = False
        self.stopped: list[dict[str, Any]] = [
            {
                "taskArn": TASK,
                "lastStatus": "STOPPED",
                "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/frontend:7",
                "stopCode": "EssentialContainerExited",
                "stoppedReason": "Essential container in task exited",
                "startedAt": START + timedelta(seconds=20),
                "stoppedAt": START + timedelta(seconds=25),
                "containers": [{"name": "app", "exitCode": 1}, {"name": "bastion", "exitCode": 143}],
            }
        ]
        self.calls = 0

    def describe_services(self, **_: Any) -> Any:
        self.calls += 1
        if self.removed:
            return {"services": []}
        event = {"id": "1", "createdAt": START + timedelta(seconds=26), "message": "(service frontend) task stopped"}
        before = {"id": "0", "createdAt": START - timedelta(days=1), "message": "yesterday"}
        balancer = {"targetGroupArn": "arn:tg"}
        return {"services": [{"deployments": [], "events": [event, before], "loadBalancers": [balancer]}]}

    def list_tasks(self, **_: Any) -> Any:
        return {"taskArns": [] if self.removed else [task["taskArn"] for task in self.stopped]}

    def describe_tasks(self, **_: Any) -> Any:
        return {"tasks": self.stopped}

    def describe_task_definition(self, **_: Any) -> Any:
        options = {"awslogs-group": "/shop-dev/frontend", "awslogs-stream-prefix": "task"}
        secret = {"name": "DB_PASSWORD", "value": PASSWORD}
        app = {"name": "app", "environment": [secret], "logConfiguration": {"options": options}}
        return {"taskDefinition": {"containerDefinitions": [app, {"name": "bastion"}]}}


class Logs:
    def get_log_events(self, *, logStreamName: str, **_: Any) -> Any:  # noqa: N803 - boto3's names
        assert logStreamName == "task/app/0a1b2c"
        lines = ["starting", f"connecting with password={PASSWORD}", "FATAL: no database"]
        return {"events": [{"message": f"{line}\n"} for line in lines]}


class Elb:
    def describe_target_health(self, **_: Any) -> Any:
        health = {"State": "unhealthy", "Reason": "Target.FailedHealthChecks", "Description": "Health checks failed"}
        sick = {"Target": {"Id": "10.0.10.7", "Port": 8080}, "TargetHealth": health}
        return {"TargetHealthDescriptions": [sick, {"Target": {"Id": "x"}, "TargetHealth": {"State": "healthy"}}]}


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.ecs, self.logs, self.elb = Ecs(), Logs(), Elb()
        self.seconds = 0.0
        clients: Any = SimpleNamespace(ecs=lambda _: self.ecs, logs=lambda _: self.logs, elbv2=lambda _: self.elb)
        environment = SimpleNamespace(name="dev", project="shop")
        context: Any = SimpleNamespace(environment=environment, clients=clients, home="eu-west-1")
        self.recorder = Recorder(
            context, root, "deploy", clock=lambda: self.seconds, now=lambda: START + timedelta(seconds=self.seconds)
        )
        self.operation = Operation(STACK, "arn:root", "create", ())

    def see(self, second: float, name: str, status: str, *path: str, type: str = STACK_TYPE, reason: str = "") -> None:
        self.seconds = second
        physical = {"shop-dev": "arn:root", "Service": SERVICE}.get(name, f"id-{name}")
        time = START + timedelta(seconds=second)
        event = Event(f"{second}{name}", "arn:root", "shop-dev", path, name, physical, type, status, reason, time)
        self.operation.events.append(event)
        self.recorder.note(self.operation, [event])

    def pass_time(self, second: float) -> None:
        self.seconds = second
        self.recorder.note(self.operation, [])

    @property
    def record(self) -> runs.Record:
        assert self.recorder.directory is not None
        return runs.read_record(self.recorder.directory)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def deployed_badly(world: World) -> None:
    world.see(0, "shop-dev", "CREATE_IN_PROGRESS")
    world.see(1, "FrontendServiceStack", "CREATE_IN_PROGRESS")
    world.see(2, "Service", "CREATE_IN_PROGRESS", "FrontendServiceStack", type="AWS::ECS::Service")
    world.pass_time(30)
    reason = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."
    world.see(40, "Service", "CREATE_FAILED", "FrontendServiceStack", type="AWS::ECS::Service", reason=reason)
    world.ecs.removed = True
    world.see(41, "FrontendServiceStack", "CREATE_FAILED")
    world.see(42, "shop-dev", "CREATE_FAILED")
    world.recorder.end(world.operation, "CREATE_FAILED")
    world.recorder.close("failed")


def test_data_that_the_rollback_deletes_is_recorded(world: World) -> None:
    deployed_badly(world)
    (found,) = evidence.collect_evidence(world.record.services)
    assert found.name == "FrontendServiceStack/Service"
    assert list(found.lines) == [
        "1 stopped task, the last: 0a1b2c",
        "  EssentialContainerExited: Essential container in task exited",
        "  app: exit code 1",
        "    last lines of /shop-dev/frontend:",
        "    | starting",
        "    | connecting with password=[redacted:password]",
        "    | FATAL: no database",
        "  bastion: exit code 143",
        "target 10.0.10.7:8080 is unhealthy: Target.FailedHealthChecks Health checks failed",
    ]
    assert found.match is not None


def test_the_last_lines_of_a_failed_migration_are_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollback of a first deployment deletes its log group."""
    task = "0123456789abcdef0123456789abcdef"
    world.ecs.stopped[0]["taskArn"] = f"{TASK.rpartition('/')[0]}/{task}"
    read = world.logs.get_log_events

    def lines(*, logStreamName: str, **more: Any) -> Any:  # noqa: N803 - boto3's names
        assert logStreamName == f"task/app/{task}"
        return read(logStreamName="task/app/0a1b2c", **more)

    monkeypatch.setattr(world.logs, "get_log_events", lines)
    reason = (
        "Received response status [FAILED] from custom resource. Message returned: migration of Frontend `./manage "
        f"migrate` ended with exit code 1. Read its log: stream task/app/{task} in /shop-dev/frontend. The service was "
        "not changed."
    )
    world.see(0, "shop-dev", "CREATE_IN_PROGRESS")
    world.see(5, "Migration", "CREATE_FAILED", "FrontendServiceStack", type="Custom::Migration", reason=reason)
    world.see(6, "shop-dev", "CREATE_FAILED")
    world.recorder.end(world.operation, "CREATE_FAILED")
    (found,) = evidence.collect_evidence(world.record.services)
    assert found.name == "FrontendServiceStack/Migration"
    assert "  app: exit code 1" in found.lines
    assert "    | FATAL: no database" in found.lines
    first = world.record.operations[0]["diagnosis"]["first"]["match"]
    assert first["signature"] == "migration-failed"
    assert "`./manage migrate`, failed: it ended with exit code 1" in first["meaning"]


def test_a_second_update_of_a_stack_does_not_hide_the_failure_of_the_first(world: World) -> None:
    """A first deployment continues without the service that failed."""
    world.operation = Operation(STACK, "arn:root", "update", ())
    world.see(0, "shop-dev", "UPDATE_IN_PROGRESS")
    world.see(1, "Queue", "CREATE_FAILED", type="AWS::SQS::Queue", reason="Access denied")
    world.see(2, "shop-dev", "UPDATE_ROLLBACK_COMPLETE")
    world.recorder.end(world.operation, "UPDATE_ROLLBACK_COMPLETE")
    world.operation = Operation(STACK, "arn:root", "update", ())
    world.see(3, "shop-dev", "UPDATE_COMPLETE")
    world.recorder.end(world.operation, "UPDATE_COMPLETE")
    first, second = world.record.operations
    assert (first["status"], first["diagnosis"]["first"]["resource"]) == ("UPDATE_ROLLBACK_COMPLETE", "Queue")
    assert (second["status"], second["diagnosis"]) == ("UPDATE_COMPLETE", None)


def test_nothing_secret_is_written(world: World) -> None:
    deployed_badly(world)
    written = "".join(path.read_text() for path in world.record.directory.iterdir())
    assert PASSWORD not in written
    assert "DB_PASSWORD" not in written, "nothing of the environment of a task is looked at"


def test_the_summary_has_durations_and_the_diagnosis(world: World) -> None:
    deployed_badly(world)
    record = world.record
    assert record.summary["result"] == "failed"
    (operation,) = record.operations
    assert (operation["verb"], operation["status"], operation["seconds"]) == ("create", "CREATE_FAILED", 42.0)
    assert {one["name"]: one["seconds"] for one in operation["resources"]} == {
        "FrontendServiceStack": 40.0,
        "FrontendServiceStack/Service": 38.0,
    }
    assert operation["diagnosis"]["first"]["match"]["signature"] == "circuit-breaker"
    assert len(list(record.events())) == 6


def test_files_are_their_owners_only(world: World) -> None:
    deployed_badly(world)
    directory = world.record.directory
    assert directory.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.iterdir())


def test_a_service_is_not_looked_at_more_often_than_needed(world: World) -> None:
    world.see(2, "Service", "CREATE_IN_PROGRESS", type="AWS::ECS::Service")
    for second in range(3, 33):
        world.pass_time(second)
    assert world.ecs.calls == 4
    world.see(33, "Service", "CREATE_COMPLETE", type="AWS::ECS::Service")
    world.pass_time(60)
    assert world.ecs.calls == 4, "what is complete is left alone"


def test_a_denied_call_is_recorded_and_the_others_continue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Any:
        raise denied("GetLogEvents")

    monkeypatch.setattr(world.logs, "get_log_events", refuse)
    monkeypatch.setattr(world.elb, "describe_target_health", refuse)
    deployed_badly(world)
    sample = world.record.services["FrontendServiceStack/Service"]
    assert set(sample["trouble"]) == {
        "GetLogEvents: AccessDeniedException",
        "DescribeTargetHealth: AccessDeniedException",
    }
    assert sample["tasks"][0]["containers"][0]["exit"] == 1


def test_events_of_another_day_stay_out(world: World) -> None:
    deployed_badly(world)
    messages = [one["message"] for one in world.record.services["FrontendServiceStack/Service"]["events"]]
    assert messages == ["(service frontend) task stopped"]


def test_a_secret_in_a_log_line_is_not_shown_either(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is explained in build logs, which more people read than the record."""
    lines = {"events": [{"message": "no database, password=hunter2"}]}
    monkeypatch.setattr(world.logs, "get_log_events", lambda **_: lines)
    deployed_badly(world)
    shown = json.dumps(world.recorder.services)
    assert "no database" in shown
    assert "hunter2" not in shown


def test_a_disk_that_is_full_stops_the_record_and_nothing_else(world: World, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    deployed_badly(world)
    assert "recording has stopped" in world.recorder.trouble
    assert evidence.collect_evidence(world.recorder.services), "what was seen can still be shown"


def test_a_run_that_was_killed_leaves_what_it_saw(world: World) -> None:
    world.see(0, "shop-dev", "CREATE_IN_PROGRESS")
    world.see(1, "NetworkStack", "CREATE_IN_PROGRESS")
    with (world.record.directory / "events.ndjson").open("a") as file:
        file.write('{"half": ')
    assert world.record.summary["result"] == "running"
    assert [one["resource"] for one in world.record.events()] == ["", "NetworkStack"]


def test_nothing_is_written_for_a_deployment_without_a_change(world: World, tmp_path: Path) -> None:
    world.recorder.close("succeeded")
    assert not (tmp_path / "runs").exists()


def successful(world: World, environment: str = "dev") -> None:
    world.recorder._context.environment.name = environment  # type: ignore[misc] # a namespace here
    world.see(0, "shop-dev", "CREATE_IN_PROGRESS")
    world.see(1, "Cluster", "CREATE_IN_PROGRESS", "DatabaseStack", type="AWS::RDS::DBCluster")
    world.see(301, "Cluster", "CREATE_COMPLETE", "DatabaseStack", type="AWS::RDS::DBCluster")
    world.see(301, "Service", "CREATE_IN_PROGRESS", "FrontendServiceStack", type="AWS::ECS::Service")
    world.see(401, "Service", "CREATE_COMPLETE", "FrontendServiceStack", type="AWS::ECS::Service")
    world.see(402, "shop-dev", "CREATE_COMPLETE")
    world.recorder.end(world.operation, "CREATE_COMPLETE")
    world.recorder.close("succeeded")


def moments(*lines: tuple[float, str, str, str]) -> Iterator[Event]:
    for second, path, name, status in lines:
        time = START + timedelta(days=9, seconds=second)
        yield Event(f"{second}{name}", "arn", "shop", (path,), name, f"id-{name}", "AWS::X::Y", status, "", time)


@pytest.mark.parametrize(
    ("lines", "now", "left"),
    [
        ([(0, "DatabaseStack", "Cluster", "CREATE_IN_PROGRESS")], 100, 301),
        # Slower than last time: what comes after it still takes as long.
        ([(0, "DatabaseStack", "Cluster", "CREATE_IN_PROGRESS")], 500, 101),
        (
            [
                (0, "DatabaseStack", "Cluster", "CREATE_IN_PROGRESS"),
                (300, "DatabaseStack", "Cluster", "CREATE_COMPLETE"),
            ],
            310,
            91,
        ),
        ([(0, "OtherStack", "Unknown", "CREATE_IN_PROGRESS")], 10, None),
        ([], 0, None),
    ],
)
def test_the_estimate(world: World, lines: list[Any], now: float, left: float | None) -> None:
    successful(world)
    history = durations.find_history(world.root, "root", "create", "dev")
    assert history is not None
    found = durations.estimate_remaining(history, list(moments(*lines)), START + timedelta(days=9, seconds=now))
    assert found == (None if left is None else pytest.approx(left, abs=1))


def test_only_successful_operations_are_used_for_estimates(world: World) -> None:
    deployed_badly(world)
    assert durations.find_history(world.root, "root", "create", "dev") is None


def test_another_environment_is_better_than_nothing(world: World) -> None:
    successful(world, "staging")
    assert durations.find_history(world.root, "root", "create", "dev") is not None
    assert durations.find_history(world.root, "root", "update", "dev") is None


def test_a_run_is_found_by_a_part_of_its_name(world: World) -> None:
    successful(world)
    assert runs.find_record(world.root, "dev-deploy").id == world.record.id
    assert runs.find_record(world.root, str(world.record.directory)).id == world.record.id
    with pytest.raises(Exception, match="run unknown does not exist"):
        runs.find_record(world.root, "unknown")


def test_a_format_of_the_future_is_left_alone(world: World) -> None:
    successful(world)
    path = world.record.directory / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2}))
    assert list(runs.list_records(world.root)) == []
