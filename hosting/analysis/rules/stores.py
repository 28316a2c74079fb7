"""Stores: volumes and queues of workloads that keep what they hold, and roles that use exactly what is declared."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.security import KEY
from hosting.analysis.rules.services import TASK, containers, started_tasks
from hosting.analysis.rules.tasks import find_role
from hosting.analysis.rules.values import (
    flag,
    follow,
    follow_all,
    listed,
    matches,
    permissions,
    statements,
    waits_for,
)
from hosting.model.tokens import Json

BUCKET, QUEUE, FILE_SYSTEM = "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::EFS::FileSystem"
ACCESS_POINT, MOUNT_TARGET = "AWS::EFS::AccessPoint", "AWS::EFS::MountTarget"
SUBNET = "AWS::EC2::Subnet"
# The nested stack of what the project declares.
STORES_STACK = "root/StoresStack"


@environment_rule(
    "STO-01",
    "Volumes are encrypted with a key of ours, backed up, and closed to clients without TLS",
    why="Encryption of a file system cannot be added later. A file system without a policy admits every client that "
    "reaches it, without permissions (Amazon EFS User Guide, Using IAM to control file system data access).",
    hint="set Encrypted, KmsKeyId, BackupPolicy ENABLED, and a FileSystemPolicy that denies aws:SecureTransport false",
)
def volumes(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for volume in env.of_type(FILE_SYSTEM):
        if not flag(volume.get("Encrypted")) or follow(env, volume.get("KmsKeyId"), KEY) is None:
            yield RuleMatch(volume, "Properties.KmsKeyId", "is not encrypted with a key of ours")
        if volume.get("BackupPolicy.Status") != "ENABLED":
            yield RuleMatch(volume, "Properties.BackupPolicy", "has no backups")
        policy = statements(volume.get("FileSystemPolicy"))
        if not any(item.effect == "Deny" and item.condition("aws:SecureTransport") == ["false"] for item in policy):
            yield RuleMatch(volume, "Properties.FileSystemPolicy", "clients without TLS are not denied")
        for item in policy:
            if item.effect == "Allow" and "*" in item.principals.get("AWS", []):
                yield RuleMatch(
                    volume, f"Properties.FileSystemPolicy.Statement.{item.index}", "admits clients without a role"
                )


@environment_rule(
    "STO-02",
    "Tasks mount volumes with TLS, through an access point, with the permissions of the task role",
    why="ECS refuses an access point without TLS or with another root folder. EFS acts as the user of the access "
    "point, and as an unknown user in place of root (AWS::ECS::TaskDefinition EFSVolumeConfiguration; Amazon EFS User "
    "Guide, Working with access points).",
    hint="set TransitEncryption and IAM to ENABLED, and an AccessPointId of this volume whose user owns its folder",
)
def mounts(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        for index, volume in _mounted(task):
            path = f"Properties.Volumes.{index}.EFSVolumeConfiguration"
            settings = volume["EFSVolumeConfiguration"]
            if settings.get("TransitEncryption") != "ENABLED":
                yield RuleMatch(task, f"{path}.TransitEncryption", "mounts without TLS")
            if settings.get("AuthorizationConfig", {}).get("IAM") != "ENABLED":
                yield RuleMatch(task, f"{path}.AuthorizationConfig", "mounts without the permissions of the task role")
            if settings.get("RootDirectory", "/") != "/":
                yield RuleMatch(task, f"{path}.RootDirectory", "an access point has its own root folder")
            point = follow(env, settings.get("AuthorizationConfig", {}).get("AccessPointId"), ACCESS_POINT)
            system = follow(env, settings.get("FilesystemId"), FILE_SYSTEM)
            if point is None or system is None or follow(env, point.get("FileSystemId")) != system:
                yield RuleMatch(task, f"{path}.AuthorizationConfig", "mounts without an access point of this volume")
                continue
            acting, owner = str(point.get("PosixUser.Uid")), str(point.get("RootDirectory.CreationInfo.OwnerUid"))
            if acting != owner or acting == "0":
                yield RuleMatch(point, "Properties.PosixUser", f"acts as {acting} in a folder of {owner}")


def _mounted(task: Resource) -> list[tuple[int, dict[str, Json]]]:
    """Return the volumes of a task on file systems, each with its position."""
    return [(index, item) for index, item in enumerate(listed(task.get("Volumes"))) if "EFSVolumeConfiguration" in item]


@environment_rule(
    "STO-03",
    "A volume has a mount target in the zone of every subnet in which a task mounts it",
    why="A task in a zone without one does not find the file system, and does not start (Amazon EFS User Guide, "
    "Managing mount targets).",
    hint="add a mount target in a subnet of the zone, and let the access points wait for it",
)
def mount_targets(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for starter, settings, task in started_tasks(env):
        subnets = follow_all(env, starter.get(f"{settings}NetworkConfiguration.AwsvpcConfiguration.Subnets"), SUBNET)
        needed = {str(subnet.get("AvailabilityZone")) for subnet in subnets}
        for index, volume in _mounted(task):
            system = follow(env, volume["EFSVolumeConfiguration"].get("FilesystemId"), FILE_SYSTEM)
            targets = [one for one in env.of_type(MOUNT_TARGET) if follow(env, one.get("FileSystemId")) == system]
            found = [follow(env, one.get("SubnetId"), SUBNET) for one in targets]
            for zone in sorted(needed - {str(subnet.get("AvailabilityZone")) for subnet in found if subnet}):
                yield RuleMatch(task, f"Properties.Volumes.{index}", f"has no mount target in {zone}")


@environment_rule(
    "STO-04",
    "Messages that a workload cannot process go to a queue with an alarm",
    why="Without it SQS returns a message that fails again and again, until it is deleted with its age (Amazon SQS "
    "Developer Guide, Using dead-letter queues in Amazon SQS).",
    hint="give the queue a RedrivePolicy to a second queue, and that one an alarm",
)
def failed_messages(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    watched = {
        str(dimension.get("Value"))
        for alarm in env.of_type("AWS::CloudWatch::Alarm")
        for dimension in listed(alarm.get("Dimensions"))
    }
    received = [
        resource
        for task in env.of_type(TASK)
        for item in permissions(env, find_role(env, task, "Task"))
        if item.allows("sqs:ReceiveMessage")
        for resource in follow_all(env, item.resources, QUEUE)
    ]
    for queue in {resource.ref: resource for resource in received}.values():
        failed = follow(env, queue.get("RedrivePolicy.deadLetterTargetArn"), QUEUE)
        if failed is None:
            yield RuleMatch(queue, "Properties.RedrivePolicy", "has no queue of failed messages")
        elif failed.att("QueueName") not in watched:
            yield RuleMatch(failed, "", "has no alarm")


# What a role may do to a store, and the declared uses that need it. Objects of a bucket are below its ARN.
_ACTIONS: dict[str, dict[str, set[str]]] = {
    BUCKET: {
        "s3:GetObject": {"Read", "ReadWrite"},
        "s3:PutObject": {"ReadWrite"},
        "s3:DeleteObject": {"ReadWrite"},
    },
    QUEUE: {
        "sqs:SendMessage": {"Send"},
        "sqs:ReceiveMessage": {"Receive"},
        "sqs:DeleteMessage": {"Receive"},
        "sqs:PurgeQueue": set(),
    },
    FILE_SYSTEM: {
        "elasticfilesystem:ClientMount": {"Mount"},
        "elasticfilesystem:ClientRootAccess": set(),
    },
}
_SUFFIXES = {BUCKET: "Bucket", QUEUE: "Queue", FILE_SYSTEM: "Volume"}


@environment_rule(
    "STO-05",
    "A workload may use the stores that it declares, and no other store of the environment",
    why="The role of a task is all that separates the data of one app from another app (IAM User Guide, Grant least "
    "privilege).",
    hint="declare the use in `uses` of the workload, or remove the statement",
)
def declared_uses(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    root = env.stacks["root"].template
    for name in root.services:
        for task in (one for one in env.of_type(TASK) if one.stack == f"root/{name}ServiceStack"):
            granted = permissions(env, find_role(env, task, "Task"))
            uses = {(use.store, use.use) for use in root.uses_of(name)}
            for kind, actions in _ACTIONS.items():
                for store in env.of_type(kind):
                    arn = store.att("Arn") + ("/x" if kind == BUCKET else "")
                    title = store.logical_id.removesuffix(_SUFFIXES[kind])
                    ours = store.stack == STORES_STACK
                    for action, needing in actions.items():
                        allowed = any(
                            item.allows(action) and any(matches(pattern, arn) for pattern in item.resources)
                            for item in granted
                        )
                        declared = ours and any((title, use) in uses for use in needing)
                        if allowed != declared:
                            text = "is not declared" if allowed else "is declared, but not allowed"
                            yield RuleMatch(task, "Properties.TaskRoleArn", f"{action} on {store.logical_id} {text}")


@environment_rule(
    "STO-06",
    "A role of a task reads the secrets of its own containers, and no others",
    why="A secret that another app can read is not the secret of one app (AWS Secrets Manager User Guide, Grant "
    "least privilege).",
    hint="name only the secrets of the task's containers in the statement",
)
def own_secrets(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        given = [str(one.get("ValueFrom")) for _, item in containers(task) for one in listed(item.get("Secrets"))]
        own = [resource.ref for resource in follow_all(env, given)]
        for kind, secrets in (("Execution", own), ("Task", [])):
            for item in permissions(env, find_role(env, task, kind)):
                if not item.allows("secretsmanager:GetSecretValue"):
                    continue
                read = follow_all(env, item.resources)
                others = [one.logical_id for one in read if one.ref not in secrets]
                if "*" in item.resources or others:
                    what = ", ".join(others) or "every secret"
                    yield RuleMatch(task, f"Properties.{kind}RoleArn", f"may also read {what}")


@environment_rule(
    "STO-07",
    "Secrets Manager may call the function of a rotation, before the rotation is set up",
    why="It calls the function when the rotation is set up, and the resource fails without the permission (AWS Secrets "
    "Manager User Guide, Permissions for rotation).",
    hint="add a permission for secretsmanager.amazonaws.com with the secret as SourceArn, and name it in DependsOn",
)
def rotation_permissions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for rotation in env.of_type("AWS::SecretsManager::RotationSchedule"):
        function = follow(env, rotation.get("RotationLambdaARN"), "AWS::Lambda::Function")
        secret = follow(env, rotation.get("SecretId"))
        admitted = [
            permission
            for permission in env.of_type("AWS::Lambda::Permission")
            if permission.get("Principal") == "secretsmanager.amazonaws.com"
            and follow(env, permission.get("FunctionName")) == function
            and follow(env, permission.get("SourceArn")) == secret
        ]
        if not any(waits_for(env, rotation, permission) for permission in admitted):
            yield RuleMatch(rotation, "DependsOn", "does not wait for the permission to call its function")
