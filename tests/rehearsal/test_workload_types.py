"""Jobs, internal services, deployment alarms and empty secrets in the emulator: as AWS runs and refuses them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hosting.rehearsal.emulator import DEFAULT_REGION, Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.rehearsal.test_resource_types import NETWORK, ROLE, att, ref, typed
from tests.support.waiting import eventually

Template = dict[str, Any]
Make = Callable[..., dict[str, str]]

EMPTY = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"


def allow(action: str, resource: Any, **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": {"StringEquals": condition}} if condition else {})


def trusted_by(service: str, *statements: dict[str, Any]) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
    properties = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    return typed("IAM::Role", properties | ({"Policies": [policy]} if statements else {}))


def definition(**app: Any) -> dict[str, Any]:
    logs = {"awslogs-group": ref("Log"), "awslogs-region": DEFAULT_REGION, "awslogs-stream-prefix": "app"}
    return typed(
        "ECS::TaskDefinition",
        {
            "Family": "jobs",
            "Cpu": "256",
            "Memory": "512",
            "NetworkMode": "awsvpc",
            "RequiresCompatibilities": ["FARGATE"],
            "TaskRoleArn": att("Role", "Arn"),
            "ContainerDefinitions": [
                {
                    "Name": "app",
                    "Image": "app@sha256:1",
                    "LogConfiguration": {"LogDriver": "awslogs", "Options": logs},
                    **app,
                },
                {"Name": "bastion", "Image": "bastion", "Essential": False},
            ],
        },
    )


CLUSTER: Template = NETWORK | {
    "Role": ROLE,
    "Log": typed("Logs::LogGroup", {"LogGroupName": "/jobs"}),
    "Group": typed("EC2::SecurityGroup", {"GroupDescription": "x", "VpcId": ref("Vpc")}),
    "Cluster": typed("ECS::Cluster", {"ClusterName": "jobs"}),
    "Tasks": definition(),
}
NETWORK_OF_A_TASK = {"AwsvpcConfiguration": {"Subnets": [ref("FirstSubnet")], "SecurityGroups": [ref("Group")]}}


def schedule(**more: Any) -> dict[str, Any]:
    target = {
        "Arn": att("Cluster", "Arn"),
        "RoleArn": att("SchedulerRole", "Arn"),
        "EcsParameters": {
            "TaskDefinitionArn": ref("Tasks"),
            "TaskCount": "1",
            "LaunchType": "FARGATE",
            "NetworkConfiguration": NETWORK_OF_A_TASK,
        },
        "Input": json.dumps({"containerOverrides": [{"name": "app", "command": ["clean", "up"], "image": "other"}]}),
        "RetryPolicy": {"MaximumRetryAttempts": "2"},
        "DeadLetterConfig": {"Arn": att("Dead", "Arn")},
    }
    properties = {
        "Name": "nightly",
        "ScheduleExpression": "cron(30 3 * * ? *)",
        "ScheduleExpressionTimezone": "Asia/Tokyo",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
    return typed("Scheduler::Schedule", properties | more)


def job(*statements: dict[str, Any], **more: Any) -> Template:
    send = allow("sqs:SendMessage", att("Dead", "Arn"))
    return CLUSTER | {
        "Dead": typed("SQS::Queue"),
        "SchedulerRole": trusted_by("scheduler.amazonaws.com", send, *statements),
        "Schedule": schedule(**more),
    }


RUN = allow("ecs:RunTask", ref("Tasks"), **{"ecs:cluster": att("Cluster", "Arn")})
PASS = allow("iam:PassRole", att("Role", "Arn"), **{"iam:PassedToService": "ecs-tasks.amazonaws.com"})


@pytest.fixture
def make(cloud: Any) -> Make:
    """Creates or updates a stack with these resources and returns its outputs."""

    def deploy(resources: Template, **outputs: Any) -> dict[str, str]:
        template = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
        exists = any(stack["StackName"] == "types" for stack in cloud.cloudformation.describe_stacks()["Stacks"])
        stack = cloud.update("types", template) if exists else cloud.create("types", template)
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), cloud.reasons("types")
        return dict(cloud.outputs("types"))

    return deploy


@pytest.fixture
def seeding(emulator: Emulator, account: str) -> Prerequisites:
    return Prerequisites(emulator, account, DEFAULT_REGION)


def night(day: int, hour: int) -> datetime:
    return datetime(2031, 1, day, hour, tzinfo=UTC)


def stopped(cloud: Any, arn: str) -> dict[str, Any]:
    ecs = cloud.aws("ecs")

    def found() -> dict[str, Any] | None:
        (task,) = ecs.describe_tasks(cluster="jobs", tasks=[arn])["tasks"]
        return task if task["lastStatus"] == "STOPPED" else None

    task: dict[str, Any] = eventually(found)
    return task


def test_a_schedule_runs_its_task_at_its_minute_in_its_time_zone(
    cloud: Any, make: Make, seeding: Prerequisites
) -> None:
    make(job(RUN, PASS))
    (stored,) = cloud.aws("scheduler").list_schedules()["Schedules"]
    found = cloud.aws("scheduler").get_schedule(Name=stored["Name"])
    assert found["ScheduleExpressionTimezone"] == "Asia/Tokyo"
    assert found["Target"]["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"]["Subnets"]
    seeding.declare_command("clean up", exit_code=0, log="cleaned")
    first, second = seeding.run_schedules(night(1, 0), night(3, 0))
    # 03:30 in Tokyo is 18:30 of the day before in UTC.
    assert [first["At"], second["At"]] == ["2031-01-01T18:30:00+00:00", "2031-01-02T18:30:00+00:00"]
    task = stopped(cloud, first["Tasks"][0])
    assert task["startedBy"] == "chronos-schedule/nightly"
    assert task["overrides"]["containerOverrides"][0]["command"] == ["clean", "up"]
    assert {one["name"]: (one["image"], one["exitCode"]) for one in task["containers"]} == {
        "app": ("app@sha256:1", 0),
        "bastion": ("bastion", 137),
    }
    stream = f"app/app/{first['Tasks'][0].rpartition('/')[2]}"
    events = cloud.aws("logs").get_log_events(logGroupName="/jobs", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["cleaned"]


@pytest.mark.parametrize(
    ("statements", "denied"),
    [((PASS,), "ecs:RunTask"), ((RUN,), "iam:PassRole")],
    ids=["without RunTask", "without PassRole"],
)
def test_a_job_that_its_role_may_not_run_reaches_the_dead_letter_queue(
    cloud: Any, make: Make, seeding: Prerequisites, statements: tuple[dict[str, Any], ...], denied: str
) -> None:
    queue = make(job(*statements), Url=ref("Dead"))["Url"]
    (run,) = seeding.run_schedules(night(1, 0), night(2, 0))
    assert run["Tasks"] == []
    assert f"not authorized to perform: {denied}" in run["Error"]
    received = cloud.aws("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    attributes = {name: value["StringValue"] for name, value in received[0]["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "AccessDeniedException"
    assert attributes["SCHEDULE_ARN"].endswith(":schedule/default/nightly")
    assert attributes["SCHEDULED_TIME"] == "2031-01-01T18:30:00Z"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"ScheduleExpression": "cron(30 3 * * * *)"}, "Invalid Schedule Expression cron(30 3 * * * *)."),
        ({"ScheduleExpression": "rate(0 hours)"}, "Invalid Schedule Expression rate(0 hours)."),
        ({"ScheduleExpressionTimezone": "Asia/Nowhere"}, "Invalid ScheduleExpressionTimezone Asia/Nowhere."),
        ({"Target": {"Arn": att("Cluster", "Arn"), "RoleArn": att("Role", "Arn")}}, "must allow AWS EventBridge"),
    ],
    ids=["cron without ?", "rate of nothing", "unknown zone", "role of another service"],
)
def test_an_invalid_schedule_is_refused(cloud: Any, change: dict[str, Any], text: str) -> None:
    cloud.create("types", {"Resources": job(RUN, PASS, **change)})
    assert text in cloud.reasons("types")["Schedule"]


def service(**more: Any) -> dict[str, Any]:
    properties = {
        "ServiceName": "api",
        "Cluster": ref("Cluster"),
        "TaskDefinition": ref("Tasks"),
        "DesiredCount": 2,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": NETWORK_OF_A_TASK,
    }
    return typed("ECS::Service", {name: value for name, value in (properties | more).items() if value is not None})


def registry(namespace: str = "Namespace") -> dict[str, Any]:
    records = {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": "10"}]}
    return typed(
        "ServiceDiscovery::Service",
        {"Name": "api", "NamespaceId": ref(namespace), "DnsConfig": records, "HealthCheckCustomConfig": {}},
    )


INTERNAL: Template = CLUSTER | {
    "Namespace": typed("ServiceDiscovery::PrivateDnsNamespace", {"Name": "atlas-lab.internal", "Vpc": ref("Vpc")}),
    "Registry": registry(),
    "Service": service(ServiceRegistries=[{"RegistryArn": att("Registry", "Arn")}]),
}


def test_the_tasks_of_an_internal_service_are_registered_under_its_name(
    cloud: Any, make: Make, seeding: Prerequisites
) -> None:
    outputs = make(INTERNAL, Zone=att("Namespace", "HostedZoneId"), Registry=ref("Registry"))
    ecs, discovery, route53 = (cloud.aws(name) for name in ("ecs", "servicediscovery", "route53"))

    def addresses_of_tasks() -> set[str]:
        arns = ecs.list_tasks(cluster="jobs", serviceName="api")["taskArns"]
        tasks = ecs.describe_tasks(cluster="jobs", tasks=arns)["tasks"]
        details = itertools.chain.from_iterable(task["attachments"][0]["details"] for task in tasks)
        return {one["value"] for one in details if one["name"] == "privateIPv4Address"}

    def addresses_of_the_name() -> set[str]:
        found = discovery.list_instances(ServiceId=outputs["Registry"])["Instances"]
        return {one["Attributes"]["AWS_INSTANCE_IPV4"] for one in found}

    def records() -> set[str]:
        sets = route53.list_resource_record_sets(HostedZoneId=outputs["Zone"])["ResourceRecordSets"]
        named = [one for one in sets if one["Name"] == "api.atlas-lab.internal."]
        return {record["Value"] for one in named for record in one["ResourceRecords"]}

    before = addresses_of_tasks()
    assert len(before) == 2
    assert addresses_of_the_name() == records() == before
    task = ecs.list_tasks(cluster="jobs", serviceName="api")["taskArns"][0]
    seeding.end_task(task, 1)
    assert addresses_of_the_name() == records() == addresses_of_tasks() != before


def test_a_name_with_instances_is_not_deleted(cloud: Any, make: Make) -> None:
    outputs = make(INTERNAL, Namespace=ref("Namespace"), Registry=ref("Registry"))
    discovery = cloud.aws("servicediscovery")
    with pytest.raises(ClientError, match="Service contains registered instances"):
        discovery.delete_service(Id=outputs["Registry"])
    with pytest.raises(ClientError, match="Namespace has associated services"):
        discovery.delete_namespace(Id=outputs["Namespace"])
    assert cloud.delete("types")["StackStatus"] == "DELETE_COMPLETE"
    assert discovery.list_namespaces()["Namespaces"] == []


def test_a_service_whose_registry_or_namespace_has_no_counterpart_is_refused(cloud: Any) -> None:
    missing = [{"RegistryArn": f"arn:aws:servicediscovery:{DEFAULT_REGION}:123456789012:service/srv-none"}]
    cloud.create("types", {"Resources": CLUSTER | {"Service": service(ServiceRegistries=missing)}})
    assert "srv-none does not exist" in cloud.reasons("types")["Service"]
    double = INTERNAL | {"Again": registry() | {"DependsOn": "Registry"}}
    cloud.create("second", {"Resources": double | {"Cluster": typed("ECS::Cluster", {"ClusterName": "second"})}})
    assert "Service already exists" in cloud.reasons("second")["Again"]


SPOT = [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]
ONE_AT_A_TIME = {"MinimumHealthyPercent": 0, "MaximumPercent": 100}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"DeploymentConfiguration": ONE_AT_A_TIME}, "does not support maximumPercent <= 100"),
        ({"CapacityProviderStrategy": SPOT}, "Specifying both a launch type and capacity provider strategy"),
        ({"CapacityProviderStrategy": SPOT, "LaunchType": None}, "not associated with the cluster"),
        ({"NetworkConfiguration": None}, "Network Configuration must be provided"),
        (
            {"NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"]}}},
            "The subnet ID 'subnet-1' does not exist",
        ),
    ],
    ids=["one task with rebalancing", "two capacities", "unknown capacity", "no network", "unknown subnet"],
)
def test_a_service_that_ecs_refuses_fails_its_stack(cloud: Any, change: dict[str, Any], text: str) -> None:
    cloud.create("types", {"Resources": CLUSTER | {"Service": service(**change)}})
    assert text in cloud.reasons("types")["Service"]


def test_one_task_at_a_time_is_deployed_without_rebalancing(cloud: Any, make: Make) -> None:
    change = {"DeploymentConfiguration": ONE_AT_A_TIME, "AvailabilityZoneRebalancing": "DISABLED"}
    make(CLUSTER | {"Service": service(**change)})
    (found,) = cloud.aws("ecs").describe_services(cluster="jobs", services=["api"])["services"]
    assert found["availabilityZoneRebalancing"] == "DISABLED"
    assert found["deploymentConfiguration"]["maximumPercent"] == 100


WAIT = "DependsOn"


@pytest.mark.parametrize(
    ("task", "app", "text"),
    [
        ({"EphemeralStorage": {"SizeInGiB": 20}}, {}, "EphemeralStorage size should be at least 21"),
        ({"Memory": "4096"}, {}, "No Fargate configuration exists for given values: 256 CPU, 4096 memory"),
        ({}, {"SystemControls": [{"Namespace": "kernel.shmmax", "Value": "1"}]}, "Fargate does not support"),
        ({}, {WAIT: [{"ContainerName": "app", "Condition": "SUCCESS"}]}, "cannot be an essential container"),
        ({}, {WAIT: [{"ContainerName": "bastion", "Condition": "HEALTHY"}]}, "has no health check"),
        ({}, {WAIT: [{"ContainerName": "other", "Condition": "START"}]}, "which the task definition does not have"),
        ({}, {WAIT: [{"ContainerName": "app", "Condition": "START"}]}, "depend on each other"),
    ],
)
def test_a_task_definition_that_ecs_refuses_fails_its_stack(
    cloud: Any, task: dict[str, Any], app: dict[str, Any], text: str
) -> None:
    made = definition(**app)
    made["Properties"] |= task
    cloud.create("types", {"Resources": CLUSTER | {"Tasks": made}})
    assert text in cloud.reasons("types")["Tasks"]


def test_a_task_definition_that_is_too_long_is_refused(cloud: Any) -> None:
    container = {"name": "app", "image": "app", "environment": [{"name": "X", "value": "x" * 66_000}]}
    with pytest.raises(ClientError, match="Max allowed length is '65536' bytes"):
        cloud.aws("ecs").register_task_definition(family="jobs", containerDefinitions=[container])


def alarm(name: str) -> dict[str, Any]:
    return typed(
        "CloudWatch::Alarm",
        {
            "AlarmName": name,
            "Namespace": "AWS/ECS",
            "MetricName": "CPUUtilization",
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 90,
            "ComparisonOperator": "GreaterThanThreshold",
        },
    )


def test_a_deployment_alarm_keeps_the_old_version(cloud: Any, make: Make, seeding: Prerequisites) -> None:
    """Names without an alarm are ignored: an alarm may be created after its service."""
    alarms = {"AlarmNames": ["errors", "not there"], "Enable": True, "Rollback": True}
    repository = cloud.aws("ecr").create_repository(repositoryName="app")["repository"]["repositoryUri"]
    images = [f"{repository}@sha256:{digit * 64}" for digit in "12"]
    seeding.push_alarming_image(images[1], "errors")

    def version(image: str) -> Template:
        deployed = service(DeploymentConfiguration={"Alarms": alarms})
        return CLUSTER | {"Alarm": alarm("errors"), "Tasks": definition(Image=image), "Service": deployed}

    make(version(images[0]), Tasks=ref("Tasks"))
    watch = cloud.aws("cloudwatch")
    watch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="test")
    assert cloud.update("types", {"Resources": version(images[1])})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "alarm detected: errors" in cloud.reasons("types")["Service"]
    ecs = cloud.aws("ecs")
    (live,) = ecs.describe_services(cluster="jobs", services=["api"])["services"]
    serving = ecs.describe_task_definition(taskDefinition=live["taskDefinition"])["taskDefinition"]
    assert serving["containerDefinitions"][0]["image"] == images[0]
    # An alarm that is in ALARM at the start is not watched: the next version may be the repair.
    watch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    make(version(images[1]))


def test_a_secret_without_a_value_stops_its_readers(cloud: Any, make: Make) -> None:
    readers = {"Tasks": definition(Secrets=[{"Name": "KEY", "ValueFrom": ref("Secret")}])}
    resources = CLUSTER | {"Secret": typed("SecretsManager::Secret", {"Name": "mail"})} | readers
    network = {"Subnet": ref("FirstSubnet"), "Group": ref("Group")}
    outputs = make(resources, Secret=ref("Secret"), Tasks=ref("Tasks"), **network)
    secrets, ecs = cloud.aws("secretsmanager"), cloud.aws("ecs")
    with pytest.raises(ClientError, match=EMPTY):
        secrets.get_secret_value(SecretId="mail")
    assert not secrets.describe_secret(SecretId="mail").get("VersionIdsToStages")

    def run() -> str:
        subnets, groups = [outputs["Subnet"]], [outputs["Group"]]
        (task,) = ecs.run_task(
            cluster="jobs",
            taskDefinition=outputs["Tasks"],
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups}},
        )["tasks"]
        return str(task["taskArn"])

    task = stopped(cloud, run())
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError: unable to pull secrets or registry auth")
    assert EMPTY in task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]

    cloud.update("types", {"Resources": resources | {"Service": service()}})
    assert "Circuit Breaker was triggered" in cloud.reasons("types")["Service"]
    value = {"Fn::Sub": "{{resolve:secretsmanager:${Secret}:SecretString}}"}
    cloud.update("types", {"Resources": resources | {"Topic": typed("SNS::Topic", {"DisplayName": value})}})
    assert "could not be resolved" in cloud.reasons("types")["Topic"]

    secrets.put_secret_value(SecretId="mail", SecretString="given")
    make(resources | {"Service": service()})
    assert stopped(cloud, run())["containers"][0]["exitCode"] == 0


def test_tasks_run_once_for_a_client_token_and_report_their_end(cloud: Any, make: Make, seeding: Prerequisites) -> None:
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": {"lastStatus": ["STOPPED"]}}
    rule = {"EventPattern": pattern, "State": "ENABLED", "Targets": [{"Id": "q", "Arn": att("Events", "Arn")}]}
    resources = CLUSTER | {"Events": typed("SQS::Queue"), "Rule": typed("Events::Rule", rule)}
    network = {"Subnet": ref("FirstSubnet"), "Group": ref("Group")}
    outputs = make(resources, Tasks=ref("Tasks"), Url=ref("Events"), **network)
    ecs = cloud.aws("ecs")

    def run(command: str, **more: Any) -> str:
        subnets, groups = [outputs["Subnet"]], [outputs["Group"]]
        given = {
            "cluster": "jobs",
            "taskDefinition": outputs["Tasks"],
            "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups}},
            "overrides": {"containerOverrides": [{"name": "app", "command": [command]}]},
        }
        (task,) = ecs.run_task(**(given | more))["tasks"]
        return str(task["taskArn"])

    seeding.declare_command("migrate", exit_code=3)
    arn = run("migrate", clientToken="one")
    assert run("migrate", clientToken="one") == arn
    with pytest.raises(ClientError, match="ConflictException"):
        run("another", clientToken="one")
    with pytest.raises(ClientError, match="Override for container named web is not a container"):
        run("x", overrides={"containerOverrides": [{"name": "web", "command": ["x"]}]})
    with pytest.raises(ClientError, match="Cluster not found"):
        run("x", cluster="none")
    with pytest.raises(ClientError, match="No Container Instances were found"):
        ecs.run_task(
            cluster="jobs",
            taskDefinition=outputs["Tasks"],
            networkConfiguration={"awsvpcConfiguration": {"subnets": [outputs["Subnet"]]}},
        )
    task = stopped(cloud, arn)
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited",
        "Essential container in task exited",
    )
    queue = cloud.aws("sqs")
    (message,) = eventually(lambda: queue.receive_message(QueueUrl=outputs["Url"]).get("Messages"))
    detail = json.loads(message["Body"])["detail"]
    assert detail["taskArn"] == arn
    assert detail["group"] == "family:jobs"
    assert {one["name"]: one["exitCode"] for one in detail["containers"]} == {"app": 3, "bastion": 137}
