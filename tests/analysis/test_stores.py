"""Stores pass the rules and the proof of network paths, and a workload reaches no store, secret or file of another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from generator.config import Config
from generator.render import render_all
from generator.workloads import (
    Bucket,
    BucketName,
    DatabasePassword,
    Generated,
    Job,
    Mount,
    Queue,
    QueueUrl,
    Read,
    ReadWrite,
    Receive,
    Send,
    Text,
    Volume,
    WebService,
    Worker,
)
from hosting.analysis.cost.estimate import estimate_costs
from hosting.analysis.graph import pictures
from hosting.analysis.graph.read import read
from hosting.analysis.iam_policies.actions import required_actions
from hosting.analysis.iam_policies.evaluate import ApiCall, is_allowed
from hosting.analysis.iam_policies.grants import deploy_statements
from hosting.analysis.reachability.proof import prove
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.analysis.rules import check_rules
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import Template
from tests.support.project import PARAMS

STORES = (Bucket("Uploads", browser_uploads=True), Bucket("Exports", expire_days=30), Queue("Orders"), Volume("Files"))
WORKLOADS = (
    WebService(
        "Shop",
        paths=("/*",),
        priority=900,
        uses=(ReadWrite("Uploads"), Send("Orders"), Mount("Files", "/data")),
        variables={"BUCKET": BucketName("Uploads"), "QUEUE": Text("sqs+", QueueUrl("Orders"))},
        secrets={"KEY": Generated(), "DB_PASSWORD": DatabasePassword()},
        schema="shop",
        own_size=False,
    ),
    Worker(
        "Packer",
        like="Shop",
        uses=(Receive("Orders"), Read("Uploads"), Mount("Files", "/data", read_only=True)),
        secrets={"TOKEN": Generated()},
        own_size=False,
    ),
    Job("Export", schedule="rate(1 hour)", uses=(ReadWrite("Exports"),), variables={}, secrets={}, own_size=False),
)
SIZE = {"ServiceCpu": "256", "ServiceMemory": "512", "ServiceMinTasks": "2", "ServiceMaxTasks": "4"}
Bodies = dict[str, Any]


def bodies() -> Bodies:
    config = Config(workloads=WORKLOADS, own_stores=STORES)
    return {name: json.loads(text) for name, text in render_all(config).items()}


def resolved(changed: Bodies) -> tuple[dict[str, Template], ResolvedEnvironment]:
    templates = {name: Template.from_body(name, body) for name, body in changed.items()}
    lab = load_environment(PARAMS / "lab.json")
    image = lab.parameters["PortalImage"]
    images = {"ShopImage": image.replace("/portal@", "/shop@"), "ExportImage": image.replace("/portal@", "/export@")}
    known = {name for body in changed.values() for name in body.get("Parameters", {})}
    values = {name: value for name, value in {**lab.parameters, **SIZE, **images}.items() if name in known}
    return templates, resolve(templates, Environment("lab", values, lab.account))


def rules(changed: Bodies) -> set[str]:
    templates, environment = resolved(changed)
    return {finding.rule for finding in check_rules(templates, [environment])}


def resource(body: Bodies, file: str, logical_id: str) -> Any:
    return body[f"{file}.json"]["Resources"][logical_id]["Properties"]


def volume(body: Bodies) -> Any:
    return resource(body, "stores", "FilesVolume")


def mounted(body: Bodies) -> Any:
    volumes = resource(body, "workload-shop", "TaskDefinition")["Volumes"]
    return next(item["EFSVolumeConfiguration"] for item in volumes if "EFSVolumeConfiguration" in item)


def statement(body: Bodies, slug: str, sid: str) -> Any:
    document = resource(body, f"workload-{slug}", "TaskGrants")["PolicyDocument"]
    return next(item for item in document["Statement"] if item["Sid"] == sid)


def execution(body: Bodies, slug: str) -> Any:
    document = resource(body, f"workload-{slug}", "ExecutionGrants")["PolicyDocument"]
    return next(item for item in document["Statement"] if item["Sid"] == "ReadOwnSecrets")


def remove(body: Bodies, file: str, logical_id: str) -> None:
    del body[f"{file}.json"]["Resources"][logical_id]


def admit_all(body: Bodies) -> None:
    volume(body)["FileSystemPolicy"]["Statement"].append({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*"})


def test_stores_and_their_uses_pass_every_rule() -> None:
    assert rules(bodies()) == set()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda b: volume(b).update(Encrypted=False), {"STO-01"}),
        (lambda b: volume(b).pop("KmsKeyId"), {"STO-01"}),
        (lambda b: volume(b).update(BackupPolicy={"Status": "DISABLED"}), {"STO-01"}),
        (lambda b: volume(b).pop("FileSystemPolicy"), {"STO-01"}),
        (admit_all, {"STO-01", "SEC-36"}),
        (lambda b: b["stores.json"]["Resources"]["FilesVolume"].update(DeletionPolicy="Delete"), {"CF-11"}),
        (lambda b: mounted(b).update(TransitEncryption="DISABLED"), {"STO-02"}),
        (lambda b: mounted(b)["AuthorizationConfig"].pop("IAM"), {"STO-02"}),
        (lambda b: mounted(b)["AuthorizationConfig"].pop("AccessPointId"), {"STO-02"}),
        (lambda b: mounted(b).update(RootDirectory="/other"), {"STO-02"}),
        (
            lambda b: resource(b, "stores", "ShopFilesAccessPoint").update(
                PosixUser={"Uid": "0", "Gid": "0"},
                RootDirectory={"CreationInfo": {"OwnerUid": "0", "OwnerGid": "0", "Permissions": "0750"}},
            ),
            {"STO-02"},
        ),
        (
            lambda b: resource(b, "stores", "ShopFilesAccessPoint")["PosixUser"].update(Uid="0"),
            {"STO-02"},
        ),
        (
            lambda b: resource(b, "stores", "FilesVolumeMountTarget2").update(SubnetId={"Ref": "AppSubnet1Id"}),
            {"STO-03"},
        ),
        (lambda b: resource(b, "stores", "OrdersQueue").pop("RedrivePolicy"), {"STO-04"}),
        (lambda b: remove(b, "stores", "OrdersFailedQueueAlarm"), {"STO-04"}),
        (lambda b: remove(b, "stores", "OrdersQueuePolicy"), {"SEC-33"}),
        (lambda b: remove(b, "stores", "ExportsBucketPolicy"), {"SEC-19"}),
        (lambda b: statement(b, "packer", "ReadUploadsObjects")["Action"].append("s3:PutObject"), {"STO-05"}),
        (lambda b: statement(b, "packer", "ReadUploadsObjects").update(Resource=["arn:aws:s3:::*"]), {"STO-05"}),
        (lambda b: statement(b, "packer", "ReceiveFromOrders")["Action"].append("sqs:SendMessage"), {"STO-05"}),
        (lambda b: statement(b, "shop", "SendToOrders")["Action"].append("sqs:PurgeQueue"), {"STO-05"}),
        (
            lambda b: statement(b, "shop", "MountFiles")["Action"].append("elasticfilesystem:ClientRootAccess"),
            {"STO-05"},
        ),
        (lambda b: b["root.json"]["Metadata"]["Workloads"]["Export"].pop("Uses"), {"STO-05"}),
        (lambda b: execution(b, "packer")["Resource"].append("*"), {"STO-06"}),
        (lambda b: remove(b, "database-users", "ShopRotationPermission"), {"STO-07"}),
        (lambda b: b["database-users.json"]["Resources"]["ShopRotation"].update(DependsOn=["ShopUser"]), {"STO-07"}),
        (
            lambda b: resource(b, "database-users", "ShopRotationPermission").update(Principal="events.amazonaws.com"),
            {"STO-07"},
        ),
    ],
)
def test_a_store_that_is_less_safe_is_found(damage: Callable[[Bodies], object], found: set[str]) -> None:
    changed = bodies()
    damage(changed)
    assert found <= rules(changed)


def widened(sid: str) -> Bodies:
    changed = bodies()
    if sid:
        changed["workload-packer.json"]["Resources"]["TaskGrants"]["Properties"]["PolicyDocument"]["Statement"].append(
            {"Sid": sid, "Effect": "Allow", "Action": [f"{sid}:*"], "Resource": ["*"]}
        )
    return changed


def calls(environment: ResolvedEnvironment) -> Iterator[tuple[str, ApiCall]]:
    """Yield what an app could do to each store and secret, with the store's name."""
    for bucket in environment.of_type("AWS::S3::Bucket"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            yield bucket.logical_id, ApiCall(action, f"{bucket.att('Arn')}/invoice.pdf")
    for queue in environment.of_type("AWS::SQS::Queue"):
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"):
            yield queue.logical_id, ApiCall(action, queue.att("Arn"))
    for system in environment.of_type("AWS::EFS::FileSystem"):
        for point in environment.of_type("AWS::EFS::AccessPoint"):
            arn = f"arn:aws:elasticfilesystem:ap-northeast-1:222233334444:access-point/{point.ref}"
            for action in ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"):
                yield point.logical_id, ApiCall(action, system.att("Arn"), {"elasticfilesystem:AccessPointArn": arn})
    for secret in environment.of_type("AWS::SecretsManager::Secret"):
        yield secret.logical_id, ApiCall("secretsmanager:GetSecretValue", secret.ref)


def reached(changed: Bodies, workload: str, role: str) -> set[str]:
    """Return what a role of a workload may do, as "action store"."""
    environment = resolved(changed)[1]
    stack = environment.stacks[f"root/{workload}ServiceStack"]
    grants = [stack.resources[f"{role}Grants"].get("PolicyDocument")] if f"{role}Grants" in stack.resources else []
    return {f"{call.action} {store}" for store, call in calls(environment) if is_allowed(grants, call)}


def test_a_role_of_a_task_reaches_what_its_workload_declares_and_nothing_else() -> None:
    assert reached(bodies(), "Packer", "Task") == {
        "s3:GetObject UploadsBucket",
        "sqs:ReceiveMessage OrdersQueue",
        "sqs:DeleteMessage OrdersQueue",
        "elasticfilesystem:ClientMount PackerFilesAccessPoint",
    }
    assert reached(bodies(), "Export", "Task") == {
        f"s3:{action}Object ExportsBucket" for action in ("Get", "Put", "Delete")
    }
    assert reached(bodies(), "Packer", "Execution") == {
        "secretsmanager:GetSecretValue ShopKeySecret",
        "secretsmanager:GetSecretValue PackerTokenSecret",
        "secretsmanager:GetSecretValue ShopUserSecret",
    }
    assert reached(bodies(), "Export", "Execution") == set()


@pytest.mark.parametrize("service", ["s3", "sqs", "elasticfilesystem", "secretsmanager"])
def test_one_statement_that_is_too_wide_reaches_the_stores_of_others(service: str) -> None:
    more = reached(widened(service), "Packer", "Task") - reached(bodies(), "Packer", "Task")
    assert more
    assert all(entry.startswith(f"{service}:") for entry in more)


def test_exactly_the_workloads_that_mount_a_volume_reach_it() -> None:
    proof = prove(resolved(bodies())[1], {})
    assert [claim.text for claim in proof.claims if not claim.holds] == []
    texts = {claim.id: claim.text for claim in proof.claims if claim.id.endswith("volume:files")}
    assert {id for id, text in texts.items() if "does not reach" not in text} == {
        "shop -> volume:files",
        "packer -> volume:files",
    }
    assert {"internet -> volume:files", "export -> volume:files", "alb -> volume:files"} <= texts.keys()


@pytest.mark.parametrize(
    ("damage", "failing"),
    [
        (lambda b: remove(b, "workload-shop", "ToFilesVolumeIngress"), {"shop -> volume:files"}),
        (lambda b: remove(b, "workload-shop", "ToFilesVolumeEgress"), {"shop -> volume:files"}),
        (
            lambda b: resource(b, "workload-shop", "ToFilesVolumeIngress").update(FromPort=1),
            {"shop -> volume:files"},
        ),
        (lambda b: b["root.json"]["Metadata"]["Workloads"]["Shop"]["Uses"].pop(), {"shop -> volume:files"}),
        (
            lambda b: resource(b, "stores", "FilesVolumeMountTarget1").update(SecurityGroups=["sg-0123456789abcdef0"]),
            {"network -> known"},
        ),
    ],
)
def test_a_volume_that_is_closed_or_wider_than_declared_fails_the_proof(
    damage: Callable[[Bodies], object], failing: set[str]
) -> None:
    changed = bodies()
    damage(changed)
    proof = prove(resolved(changed)[1], {})
    assert {claim.id for claim in proof.claims if not claim.holds} == failing


def test_stores_cost_by_their_use_and_nothing_by_the_month_but_alarms() -> None:
    estimate = estimate_costs(resolved(bodies())[1])
    assert [line.item for line in estimate.lines if line.layer == "Stores"] == ["alarm, by its metrics", "secret"]
    assert not estimate.unknown


def test_the_policy_of_a_deployment_covers_every_type_of_the_stores() -> None:
    environment = resolved(bodies())[1]
    granted = {action: item.resources for item in deploy_statements(environment) for action in item.actions}
    assert granted["elasticfilesystem:CreateMountTarget"] == (
        "arn:aws:elasticfilesystem:ap-northeast-1:222233334444:file-system/*",
    )
    assert {"elasticfilesystem:CreateAccessPoint", "ec2:CreateNetworkInterface", "sqs:CreateQueue"} <= granted.keys()
    assert "elasticfilesystem:CreateReplicationConfiguration" not in granted


def test_no_resource_type_loses_the_actions_of_its_own_service() -> None:
    """Actions of features that a resource does not use are left out, and must never be those that create it."""
    environment = resolved(bodies())[1]
    services = {"EFS": "elasticfilesystem", "SQS": "sqs", "S3": "s3"}
    for one in environment.resources:
        service = services.get(one.type.split("::")[1])
        if service and not one.type.endswith("Policy"):
            made = {action for action in required_actions(one, "ap-northeast-1") if ":Create" in action}
            assert any(action.startswith(f"{service}:") for action in made), one.type


def test_the_picture_shows_each_store_with_the_workloads_that_use_it() -> None:
    templates, environment = resolved(bodies())
    architecture = read(environment, templates)
    assert [(store.name, store.purpose) for store in architecture.stores] == [
        ("Bucket Exports", "written by Export"),
        ("Volume Files", "mounted by Shop, Packer"),
        ("Queue Orders", "filled by Shop; emptied by Packer"),
        ("Bucket Uploads", "read by Packer; written by Shop"),
    ]
    assert "Queue Orders" in pictures.as_mermaid(architecture)
    assert "mounted by Shop, Packer" in pictures.as_svg(architecture)
