"""Volumes of workloads: EFS file systems in both zones, with an access point for each workload that mounts one."""

from __future__ import annotations

from collections.abc import Iterable

from awacs.aws import Action
from troposphere import Sub, Tags, Template
from troposphere.ec2 import SecurityGroup
from troposphere.efs import (
    AccessPoint,
    BackupPolicy,
    CreationInfo,
    FileSystem,
    MountTarget,
    PosixUser,
    RootDirectory,
)

from generator import value_types as v
from generator.layers.stores.interface import Inputs
from generator.resources import iam
from generator.resources.deletion_policies import deletion_policy
from generator.resources.security_groups import no_egress
from generator.wiring import StackValue
from generator.workloads import Volume, Workload
from generator.workloads.stores import access_point_output

# The folder of the file system that the app sees. EFS creates it for the user of the first access point.
FOLDER = "/files"


def add_volume(t: Template, store: Volume, inputs: Inputs, workloads: Iterable[Workload]) -> dict[str, StackValue]:
    """Add a file system with its mount targets and access points. Returns its outputs by name."""
    group = t.add_resource(
        SecurityGroup(
            f"{store.logical_id}SecurityGroup",
            GroupDescription=f"Volume {store.name}: in only from workloads that mount it, by rules made with each",
            VpcId=inputs.vpc_id,
            SecurityGroupEgress=[no_egress()],
            Tags=Tags(Name=Sub(f"${{Prefix}}-{store.slug}")),
        )
    )
    system = t.add_resource(file_system(store, inputs))
    targets = [
        t.add_resource(
            MountTarget(
                f"{store.logical_id}MountTarget{number}",
                FileSystemId=system.ref(),
                SubnetId=subnet,
                SecurityGroups=[group.get_att("GroupId")],
            )
        )
        for number, subnet in enumerate(inputs.app_subnets.ids, start=1)
    ]
    outputs: dict[str, StackValue] = {
        f"{store.logical_id}Id": v.StoreAddress(system.ref()),
        f"{store.logical_id}Arn": v.StoreArn(system.get_att("Arn")),
        f"{store.logical_id}SecurityGroupId": v.VolumeSecurityGroupId(group.get_att("GroupId")),
    }
    for entry in workloads:
        if any(use.store == store.name for use in entry.mounts):
            point = t.add_resource(access_point(store, entry, system, targets))
            outputs[access_point_output(entry.name, store.name)] = v.StoreAddress(point.ref())
    return outputs


def file_system(store: Volume, inputs: Inputs) -> FileSystem:
    """Return an encrypted file system with daily backups.

    Its policy denies connections without TLS. A file system without a policy admits every client that reaches it;
    with this one a client needs permissions of its role (Amazon EFS User Guide, "Using IAM to control file system data
    access").
    """
    return FileSystem(
        store.logical_id,
        Encrypted=True,
        KmsKeyId=inputs.data_key_arn,
        ThroughputMode="elastic",
        BackupPolicy=BackupPolicy(Status="ENABLED"),
        FileSystemPolicy=iam.policy_document(iam.deny_insecure_transport([Action("*")])).JSONrepr(),
        FileSystemTags=Tags(Name=Sub(f"${{Prefix}}-{store.slug}")),
        **deletion_policy("volume"),
    )


def access_point(store: Volume, entry: Workload, system: FileSystem, targets: list[MountTarget]) -> AccessPoint:
    """Return the access point with which a workload mounts a volume. Files belong to the owner of the volume.

    A task can mount the volume once the targets in its zones exist.
    """
    user, group = (store.owner or entry.user).split(":")
    return AccessPoint(
        f"{entry.name}{store.name}AccessPoint",
        FileSystemId=system.ref(),
        PosixUser=PosixUser(Uid=user, Gid=group),
        RootDirectory=RootDirectory(
            Path=FOLDER, CreationInfo=CreationInfo(OwnerUid=user, OwnerGid=group, Permissions="0750")
        ),
        AccessPointTags=Tags(Name=Sub(f"${{Prefix}}-{entry.slug}-{store.slug}")),
        DependsOn=[target.title for target in targets],
    )
