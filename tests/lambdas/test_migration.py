"""Custom::Migration with CloudFormation's requests, ECS of the emulator and a server for the responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from hosting.rehearsal.emulator import DEFAULT_REGION, Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.lambdas.proxy import Proxy, Reply, Request
from tests.lambdas.proxy import stack as described
from tests.lambdas.runtime import Function
from tests.lambdas.sink import Sink

Start = Callable[..., Function]
Client = Callable[..., Any]

REQUEST = "5f5c7d8e-0000-4000-8000-000000000000"


@dataclass
class World:
    """An account with a cluster and a task definition, and the requests about its migration."""

    aws: Client
    seeding: Prerequisites
    sink: Sink

    def __post_init__(self) -> None:
        ec2, self.ecs = self.aws("ec2"), self.aws("ecs")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        self.group = ec2.create_security_group(GroupName="app", Description="app", VpcId=vpc)["GroupId"]
        self.ecs.create_cluster(clusterName="shop")
        self.definition = self.register()

    def register(self, **app: Any) -> str:
        made = self.ecs.register_task_definition(
            family="shop-backend",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[
                {"name": "app", "image": "app", **app},
                {"name": "bastion", "image": "bastion", "essential": False},
            ],
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def request(self, kind: str, **properties: Any) -> dict[str, Any]:
        """Return a request (CloudFormation User Guide, Custom resource request objects). All values are strings."""
        given = {
            "ServiceToken": f"arn:aws:lambda:{DEFAULT_REGION}:123456789012:function:tested",
            "ServiceTimeout": "960",
            "Workload": "Backend",
            "Cluster": "shop",
            "TaskDefinition": self.definition,
            "Container": "app",
            "Command": ["./manage", "migrate"],
            "Subnets": [self.subnet],
            "SecurityGroups": [self.group],
            "TimeoutSeconds": "900",
            "LogGroup": "/shop/backend/app",
            "StreamPrefix": "backend",
        }
        event = {
            "RequestType": kind,
            "RequestId": REQUEST,
            "ResponseURL": self.sink.url,
            "ResourceType": "Custom::Migration",
            "LogicalResourceId": "Migration",
            "StackId": f"arn:aws:cloudformation:{DEFAULT_REGION}:123456789012:stack/shop-Backend/0a1b",
            "ResourceProperties": given | properties,
        }
        return event if kind == "Create" else event | {"PhysicalResourceId": "migration:Backend"}

    def tasks(self) -> list[dict[str, Any]]:
        arns = [
            arn
            for status in ("RUNNING", "STOPPED")
            for arn in self.ecs.list_tasks(cluster="shop", desiredStatus=status)["taskArns"]
        ]
        tasks: list[dict[str, Any]] = self.ecs.describe_tasks(cluster="shop", tasks=arns)["tasks"] if arns else []
        return tasks

    def answer(self) -> dict[str, Any]:
        assert len(self.sink.received) == 1, "exactly one response"
        return dict(self.sink.answers[0])


@pytest.fixture
def world(aws: Client, emulator: Emulator, account: str, sink: Sink) -> World:
    return World(aws, Prerequisites(emulator, account, DEFAULT_REGION), sink)


@pytest.fixture
def stack(emulator: Emulator) -> Iterator[Proxy]:
    """CloudFormation. The stack is being updated unless a test sets another status."""
    with Proxy(emulator.endpoint) as proxy:
        proxy.always(described("UPDATE_IN_PROGRESS"))
        yield proxy


@pytest.fixture
def environment(endpoint: Mapping[str, str], stack: Proxy) -> Mapping[str, str]:
    return {**endpoint, "AWS_ENDPOINT_URL_CLOUDFORMATION": stack.endpoint}


@pytest.fixture
def migration(function: Start, environment: Mapping[str, str]) -> Function:
    return function("migration", environment, pace=0.1)


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_command_runs_with_the_given_task_definition(migration: Function, world: World, kind: str) -> None:
    migration.invoke(world.request(kind))
    (task,) = world.tasks()
    assert task["taskDefinitionArn"] == world.definition
    assert task["overrides"]["containerOverrides"] == [{"name": "app", "command": ["./manage", "migrate"]}]
    stream = f"backend/app/{task['taskArn'].rpartition('/')[2]}"
    answer = world.answer()
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "migration:Backend")
    assert answer["Data"] == {"ExitCode": "0", "TaskArn": task["taskArn"], "LogStream": stream}


def test_a_repeated_request_starts_no_second_task(migration: Function, world: World) -> None:
    """Lambda repeats an event whose response was lost."""
    for _ in range(2):
        migration.invoke(world.request("Update"))
    assert len(world.tasks()) == 1
    assert [answer["Status"] for answer in world.sink.answers] == ["SUCCESS", "SUCCESS"]


def test_a_failed_command_reports_exit_code_and_log_stream(migration: Function, world: World) -> None:
    world.seeding.declare_command("migrate", exit_code=3)
    migration.invoke(world.request("Update"))
    (task,) = world.tasks()
    answer = world.answer()
    assert answer["Status"] == "FAILED"
    assert "migration of Backend `./manage migrate` ended with exit code 3." in answer["Reason"]
    assert f"stream backend/app/{task['taskArn'].rpartition('/')[2]} in /shop/backend/app" in answer["Reason"]


def test_a_task_that_cannot_start_fails_with_the_reason_of_ecs(migration: Function, world: World) -> None:
    secret = world.aws("secretsmanager").create_secret(Name="mail")["ARN"]
    definition = world.register(secrets=[{"name": "KEY", "valueFrom": secret}])
    migration.invoke(world.request("Update", TaskDefinition=definition))
    assert "did not start: ResourceInitializationError" in world.answer()["Reason"]


def test_a_stopped_migration_has_not_succeeded_although_its_exit_code_is_zero(
    migration: Function, world: World, emulator: Emulator, environment: Mapping[str, str], function: Start
) -> None:
    world.seeding.declare_command("migrate", exit_code=None)
    with Proxy(emulator.endpoint) as ecs:

        def stop_first(request: Request, forward: Callable[[], Reply]) -> Reply:
            if request.operation == "DescribeTasks":
                arn = json.loads(request.body)["tasks"][0]
                world.ecs.stop_task(cluster="shop", task=arn, reason="stopped by an operator")
            return forward()

        ecs.answer = stop_first
        stopped = function("migration", {**environment, "AWS_ENDPOINT_URL_ECS": ecs.endpoint}, pace=0.1)
        stopped.invoke(world.request("Update"))
    assert world.answer()["Status"] == "FAILED"
    assert "was stopped: stopped by an operator" in world.answer()["Reason"]


def test_a_migration_that_takes_too_long_is_stopped(migration: Function, world: World) -> None:
    world.seeding.declare_command("migrate", exit_code=None)
    migration.invoke(world.request("Update", TimeoutSeconds="0"))
    (task,) = world.tasks()
    assert task["lastStatus"] == "STOPPED"
    assert "is stopped: it ran longer than 0 s" in world.answer()["Reason"]


def test_a_long_migration_is_followed_by_the_next_invocation(
    world: World, emulator: Emulator, environment: Mapping[str, str], function: Start
) -> None:
    world.seeding.declare_command("migrate", exit_code=None)
    received: list[Request] = []
    with Proxy(emulator.endpoint) as invocations:

        def record(request: Request, _forward: Callable[[], Reply]) -> Reply:
            received.append(request)
            return Reply(202, b"")

        invocations.answer = record
        addresses = {**environment, "AWS_ENDPOINT_URL_LAMBDA": invocations.endpoint}
        # The function has less time than its reserve.
        migration = function("migration", addresses, pace=0.1, timeout=30)
        migration.invoke(world.request("Update"))
    (request,) = received
    assert request.headers["X-Amz-Invocation-Type"] == "Event"
    (task,) = world.tasks()
    following = json.loads(request.body)
    assert following == world.request("Update") | {"TaskArn": task["taskArn"]}
    assert world.sink.received == [], "the next invocation responds"
    world.seeding.end_task(task["taskArn"], 0)
    function("migration", environment, pace=0.1).invoke(following)
    assert world.answer()["Status"] == "SUCCESS"
    assert len(world.tasks()) == 1


def test_a_migration_that_no_invocation_can_follow_is_stopped(
    world: World, emulator: Emulator, environment: Mapping[str, str], function: Start
) -> None:
    world.seeding.declare_command("migrate", exit_code=None)
    with Proxy(emulator.endpoint) as invocations:
        invocations.always(Reply(403, b'{"Message": "denied"}', "application/json"))
        addresses = {**environment, "AWS_ENDPOINT_URL_LAMBDA": invocations.endpoint}
        function("migration", addresses, pace=0.1, timeout=30).invoke(world.request("Update"))
    assert world.answer()["Status"] == "FAILED"
    assert [task["lastStatus"] for task in world.tasks()] == ["STOPPED"]


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_a_rollback_runs_no_migration(migration: Function, world: World, stack: Proxy, status: str) -> None:
    stack.always(described(status))
    migration.invoke(world.request("Update"))
    assert world.answer()["Status"] == "SUCCESS"
    assert world.tasks() == []


def test_a_deletion_runs_no_migration(migration: Function, world: World) -> None:
    migration.invoke(world.request("Delete", TaskDefinition="gone"))
    assert world.answer()["Status"] == "SUCCESS"
    assert world.tasks() == []


NO_CAPACITY = Reply(
    200,
    json.dumps({"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time."}]}).encode(),
    "application/x-amz-json-1.1",
)
NO_PERMISSION = Reply(
    400,
    json.dumps({"__type": "AccessDeniedException", "message": "not authorized to perform: ecs:RunTask"}).encode(),
    "application/x-amz-json-1.1",
)


@pytest.mark.parametrize("first", [NO_CAPACITY, NO_PERMISSION], ids=["no capacity", "a policy that is too new"])
def test_a_start_is_tried_again_after_a_temporary_refusal(
    world: World, emulator: Emulator, environment: Mapping[str, str], function: Start, first: Reply
) -> None:
    tokens: list[str] = []
    with Proxy(emulator.endpoint) as ecs:

        def refuse_at_first(request: Request, forward: Callable[[], Reply]) -> Reply:
            if request.operation != "RunTask":
                return forward()
            tokens.append(json.loads(request.body)["clientToken"])
            return forward() if len(tokens) > 1 else first

        ecs.answer = refuse_at_first
        function("migration", {**environment, "AWS_ENDPOINT_URL_ECS": ecs.endpoint}, pace=0.01).invoke(
            world.request("Update")
        )
    assert world.answer()["Status"] == "SUCCESS"
    assert tokens == [f"{REQUEST}-0", f"{REQUEST}-1"]


def test_a_missing_property_is_named(migration: Function, world: World) -> None:
    event = world.request("Create")
    del event["ResourceProperties"]["Command"]
    migration.invoke(event)
    assert "the property 'Command' is missing" in world.answer()["Reason"]
    assert world.answer()["PhysicalResourceId"] == "migration:none"
