"""Checks of the stores: buckets, queues and volumes keep what is written, for those that the project allows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("stores")

STACK = "StoresStack/"
# Objects and messages that the checks write.
MARKER = "rehearsal"
_ATTEMPTS, _PAUSE_SECONDS = 100, 0.1


def own(deployed: Deployed, kind: str) -> dict[str, str]:
    """Return the physical ids of the stores of a type, by logical id."""
    found = deployed.ids(kind)
    return {path.removeprefix(STACK): id for path, id in found.items() if path.startswith(STACK)}


def buckets_keep_objects(deployed: Deployed) -> Iterator[Proof]:
    """Write an object to each bucket, overwrite it, and read both versions."""
    s3 = deployed.client("s3")
    for name, bucket in own(deployed, "AWS::S3::Bucket").items():
        for body in ("first", "second"):
            s3.put_object(Bucket=bucket, Key=MARKER, Body=body)
        versions = s3.list_object_versions(Bucket=bucket, Prefix=MARKER)["Versions"]
        contents = [
            s3.get_object(Bucket=bucket, Key=MARKER, VersionId=version["VersionId"])["Body"].read().decode()
            for version in versions
        ]
        yield proof(f"{name} keeps an object and its version of before", set(contents) == {"first", "second"}, bucket)
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        yield proof(f"{name} is private", all(blocked.values()), blocked)


def queues_move_failed_messages(deployed: Deployed) -> Iterator[Proof]:
    """Receive a message as often as the queue allows without a deletion: SQS then moves it."""
    sqs = deployed.client("sqs")
    queues = own(deployed, "AWS::SQS::Queue")
    for name, url in queues.items():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        if "RedrivePolicy" not in attributes:
            continue  # the queue of failed messages
        attempts = int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
        failed = queues[f"{name.removesuffix('Queue')}FailedQueue"]
        sqs.send_message(QueueUrl=url, MessageBody=MARKER)
        for _ in range(attempts + 1):
            sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=0)
        moved = sqs.receive_message(QueueUrl=failed).get("Messages", [])
        for message in moved:
            sqs.delete_message(QueueUrl=failed, ReceiptHandle=message["ReceiptHandle"])
        bodies = [message["Body"] for message in moved]
        yield proof(f"a message that fails {attempts} times leaves {name}", bodies == [MARKER], f"{bodies} in {failed}")


def volumes_keep_files(deployed: Deployed) -> Iterator[Proof]:
    """Write a file in a task of each workload that mounts a volume, and read it in another task."""
    for name in deployed.images:
        definition = deployed.client("ecs").describe_task_definition(
            taskDefinition=deployed.id(f"{name}ServiceStack/TaskDefinition")
        )["taskDefinition"]
        app = next(one for one in definition["containerDefinitions"] if one["name"] == "app")
        volumes = [one["name"] for one in definition["volumes"] if "efsVolumeConfiguration" in one]
        for mount in app["mountPoints"]:
            if mount["sourceVolume"] in volumes:
                yield from volume_of(deployed, name, definition, mount)


def volume_of(deployed: Deployed, workload: str, definition: dict[str, Any], mount: dict[str, Any]) -> Iterator[Proof]:
    """Check that a task finds what an earlier task wrote; or that it cannot write, if the mount is read-only."""
    file = f"{mount['containerPath']}/{MARKER}-{workload.lower()}"
    write = ["sh", "-c", f"echo {workload} > {file}"]
    if mount.get("readOnly"):
        code, text = run(deployed, workload, definition, write)
        yield proof(f"{workload} cannot write to {mount['containerPath']}", code != 0, text)
        return
    code, text = run(deployed, workload, definition, write)
    read, text = (code, text) if code else run(deployed, workload, definition, ["cat", file])
    kept = read == 0 and text.strip() == workload
    yield proof(f"a task of {workload} finds the file of an earlier one in {mount['containerPath']}", kept, text)


def run(deployed: Deployed, workload: str, definition: dict[str, Any], command: list[str]) -> tuple[int, str]:
    """Run a command in a task of a workload. Returns the exit code of the app, and its last log line or the reason."""
    ecs = deployed.client("ecs")
    (task,) = ecs.run_task(
        cluster=deployed.family,
        taskDefinition=definition["taskDefinitionArn"],
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network(deployed, workload)},
        overrides={"containerOverrides": [{"name": "app", "command": command}]},
        startedBy=MARKER,
    )["tasks"]
    for _ in range(_ATTEMPTS):
        (task,) = ecs.describe_tasks(cluster=deployed.family, tasks=[task["taskArn"]])["tasks"]
        if task["lastStatus"] == "STOPPED":
            break
        time.sleep(_PAUSE_SECONDS)
    app = next(one for one in task["containers"] if one["name"] == "app")
    if app.get("exitCode") is None:
        return 1, task.get("stoppedReason", task["lastStatus"])
    options = next(one for one in definition["containerDefinitions"] if one["name"] == "app")["logConfiguration"]
    stream = f"{options['options']['awslogs-stream-prefix']}/app/{task['taskArn'].rpartition('/')[2]}"
    events = deployed.client("logs").filter_log_events(
        logGroupName=options["options"]["awslogs-group"], logStreamNamePrefix=stream
    )["events"]
    return app["exitCode"], events[-1]["message"] if events else ""


def network(deployed: Deployed, workload: str) -> dict[str, Any]:
    """Return the network of the tasks of a workload."""
    subnets = [deployed.id(f"NetworkStack/AppSubnet{number}") for number in (1, 2)]
    return {"subnets": subnets, "securityGroups": [deployed.id(f"{workload}AccessStack/ServiceSecurityGroup")]}


CHECKS = (buckets_keep_objects, queues_move_failed_messages, volumes_keep_files)
