"""Stores in the emulator: they keep what is written, survive the environment, and a volume refuses other tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hosting.deployer import context as contexts
from hosting.deployer import deployment, pipeline
from hosting.deployer import environment as environments
from hosting.deployer.context import Context
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import StackRole
from hosting.rehearsal import rehearse
from hosting.rehearsal.checks import after_destroy, stores
from hosting.rehearsal.checks.base import Deployed
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import copy_project, write_templates

pytestmark = pytest.mark.slow(reason="deploys an environment")

WORKLOADS = """
from generator.workloads import (
    Bucket, BucketName, Mount, Queue, Receive, ReadWrite, Send, Volume, WebService, Worker,
)

STORES = (Bucket("Uploads"), Queue("Parcels", attempts=2), Volume("Files"))
WORKLOADS = (
    WebService(
        "Portal", paths=("/*",), priority=900, uses=(ReadWrite("Uploads"), Send("Parcels"), Mount("Files", "/data"))
    ),
    Worker("Orders", uses=(Receive("Parcels"), Mount("Files", "/files", read_only=True))),
    WebService("Search", paths=("/search", "/search/*"), priority=200),
)
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Context, Deployed]]:
    with deploy(tmp_path_factory.mktemp("stores")) as made:
        yield made


@contextmanager
def deploy(folder: Path) -> Iterator[tuple[Context, Deployed]]:
    """Deploy the test project with stores to an emulator."""
    copy_project(folder)
    (folder / "workloads.py").write_text(WORKLOADS, encoding="utf-8")
    write_templates(folder)
    with Emulator() as emulator:
        environment = environments.prepare(folder, "lab")
        clients = emulator.clients(environment.file.account or "123456789012")
        context = contexts.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
        values = environment.file.values
        seeding = Prerequisites(emulator, context.identity.account, context.home)
        seeding.prepare(values)
        pipeline.deploy_stacks(context, SilentReporter(), through=StackRole.BOOTSTRAP)
        seeding.push_images(values)
        pipeline.deploy_stacks(context, SilentReporter())
        found = rehearse.collect_deployed_resources(context, deployment.describe_stacks(context))
        found.resources_of_stack("root")
        yield context, found


@pytest.mark.parametrize("check", stores.CHECKS, ids=lambda check: str(check.__name__))
def test_a_store_keeps_what_tasks_write(deployed: tuple[Context, Deployed], check: Any) -> None:
    proofs = list(check(deployed[1]))
    assert proofs
    assert [proof for proof in proofs if not proof.holds] == []


def definition(found: Deployed, workload: str) -> dict[str, Any]:
    arn = found.id(f"{workload}ServiceStack/TaskDefinition")
    answer = found.client("ecs").describe_task_definition(taskDefinition=arn)
    made: dict[str, Any] = answer["taskDefinition"]
    return made


def registered(found: Deployed, workload: str, **settings: Any) -> dict[str, Any]:
    """Register the task definition of a workload again, with other settings of its volume."""
    body = json.loads(json.dumps(definition(found, workload), default=str))
    kept = {"family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes"}
    kept |= {"requiresCompatibilities", "cpu", "memory"}
    body = {name: value for name, value in body.items() if name in kept}
    for volume in body["volumes"]:
        if "efsVolumeConfiguration" in volume:
            volume["efsVolumeConfiguration"].update(settings)
    made: dict[str, Any] = found.client("ecs").register_task_definition(**body)["taskDefinition"]
    return made


def test_a_file_outside_a_volume_ends_with_its_task(deployed: tuple[Context, Deployed]) -> None:
    found = deployed[1]
    assert stores.run(found, "Portal", definition(found, "Portal"), ["sh", "-c", "echo x > /tmp/x"])[0] == 0
    assert stores.run(found, "Portal", definition(found, "Portal"), ["cat", "/tmp/x"])[0] == 1


def test_workloads_see_the_same_files(deployed: tuple[Context, Deployed]) -> None:
    found = deployed[1]
    write = ["sh", "-c", "echo together > /data/shared"]
    assert stores.run(found, "Portal", definition(found, "Portal"), write) == (0, "")
    assert stores.run(found, "Orders", definition(found, "Orders"), ["cat", "/files/shared"]) == (0, "together")


def test_a_task_of_another_workload_cannot_mount_the_volume(deployed: tuple[Context, Deployed]) -> None:
    """The group of the volume admits only the tasks that mount it, and the role of another one may not."""
    found = deployed[1]
    task = definition(found, "Portal")
    assert "Connection timed out" in stores.run(found, "Search", task, ["cat", "/data/shared"])[1]
    foreign = definition(found, "Search")["taskRoleArn"]
    body = {name: task[name] for name in ("family", "networkMode", "containerDefinitions", "volumes", "cpu", "memory")}
    made = found.client("ecs").register_task_definition(
        **body, taskRoleArn=foreign, executionRoleArn=task["executionRoleArn"], requiresCompatibilities=["FARGATE"]
    )["taskDefinition"]
    assert "access denied by server" in stores.run(found, "Portal", made, ["cat", "/data/shared"])[1]


def test_a_mount_without_the_role_is_denied_by_the_policy_of_the_volume(deployed: tuple[Context, Deployed]) -> None:
    found = deployed[1]
    made = registered(found, "Portal", authorizationConfig={"iam": "DISABLED"})
    assert "access denied by server" in stores.run(found, "Portal", made, ["cat", "/data/shared"])[1]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"transitEncryption": "DISABLED"}, "Transit encryption must be enabled"),
        ({"rootDirectory": "/other"}, "When using an EFS access point, the root directory"),
    ],
)
def test_a_volume_that_ecs_refuses_is_not_registered(
    deployed: tuple[Context, Deployed], settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(ClientError, match=text):
        registered(deployed[1], "Portal", **settings)


def test_a_zone_without_a_mount_target_starts_no_task(
    deployed: tuple[Context, Deployed], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = deployed[1]
    ec2, vpc = found.client("ec2"), found.id("NetworkStack/Vpc")
    block = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"].replace(".0.0/16", ".200.0/24")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=f"{found.home}a")["Subnet"]["SubnetId"]
    network = stores.network(found, "Portal")
    monkeypatch.setattr(stores, "network", lambda *_: network | {"subnets": [subnet]})
    code, reason = stores.run(found, "Portal", definition(found, "Portal"), ["cat", "/data/shared"])
    assert (code, f'Failed to resolve "{found.id("StoresStack/FilesVolume")}.efs.' in reason) == (1, True)


def test_stores_remain_when_the_environment_is_destroyed(tmp_path: Path) -> None:
    with deploy(tmp_path) as (context, found):
        found.client("s3").put_object(Bucket=found.id("StoresStack/UploadsBucket"), Key="kept", Body=b"x")
        rehearse.empty(found, found.outputs["root"]["StaticBucketName"])
        pipeline.destroy_stacks(context, SilentReporter(), unprotect=True)
        proofs = list(after_destroy.stores_are_kept(found))
    assert [proof.name for proof in proofs if not proof.holds] == []
    assert len(proofs) == 4
