"""Mounts: the volumes of a workload's tasks, and the rules between its security group and that of each volume."""

from typing import Any

from troposphere import Template
from troposphere.ec2 import SecurityGroupEgress, SecurityGroupIngress
from troposphere.ecs import AuthorizationConfig, EFSVolumeConfiguration, MountPoint, Volume

from generator.layers.service.interface import Inputs, store_value
from generator.workloads import Mount, Workload
from generator.workloads.stores import access_point_output

NFS = 2049


def add_mount_rules(t: Template, entry: Workload, inputs: Inputs) -> list[SecurityGroupIngress | SecurityGroupEgress]:
    """Add and return a pair of rules for each volume that the workload mounts."""
    rules: list[SecurityGroupIngress | SecurityGroupEgress] = []
    for use in entry.mounts:
        volume = store_value(inputs, f"{use.logical_id}SecurityGroupId")
        tasks = inputs.access.service_security_group_id
        common: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": NFS, "ToPort": NFS}
        rules += [
            SecurityGroupIngress(
                f"To{use.logical_id}Ingress",
                GroupId=volume,
                SourceSecurityGroupId=tasks,
                Description=f"NFS from {entry.kind} {entry.slug}",
                **common,
            ),
            SecurityGroupEgress(
                f"To{use.logical_id}Egress",
                GroupId=tasks,
                DestinationSecurityGroupId=volume,
                Description=f"NFS to volume {use.store}",
                **common,
            ),
        ]
    for rule in rules:
        t.add_resource(rule)
    return rules


def volume_name(use: Mount) -> str:
    """Return the name of a volume in the task definition."""
    return f"volume-{use.store.lower()}"


def efs_volumes(entry: Workload, inputs: Inputs) -> list[Volume]:
    """Return the volumes of the task. They are mounted with TLS and with the permissions of the task role.

    An access point requires TLS and the root folder (AWS::ECS::TaskDefinition EFSVolumeConfiguration).
    """
    return [
        Volume(
            Name=volume_name(use),
            EFSVolumeConfiguration=EFSVolumeConfiguration(
                FilesystemId=store_value(inputs, f"{use.logical_id}Id"),
                TransitEncryption="ENABLED",
                AuthorizationConfig=AuthorizationConfig(
                    AccessPointId=store_value(inputs, access_point_output(entry.name, use.store)), IAM="ENABLED"
                ),
            ),
        )
        for use in entry.mounts
    ]


def efs_mounts(entry: Workload) -> list[MountPoint]:
    """Return the mount points of the volumes in the app container."""
    return [
        MountPoint(SourceVolume=volume_name(use), ContainerPath=use.path, ReadOnly=use.read_only)
        for use in entry.mounts
    ]
