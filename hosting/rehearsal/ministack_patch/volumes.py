"""Mounts EFS volumes of tasks: refuses what EFS refuses, and keeps the files that commands of tasks write.

No container runs in the emulator. A command `sh -c "echo TEXT > FILE"` writes a file, and `cat FILE` writes it to the
log. A file in a folder of a volume stays in the file system. Any other file ends with its task.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_region
from ministack.services import ec2, efs

Definition = dict[str, Any]
NFS = 2049
MOUNT, WRITE = "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"
ROOT_ACCESS, SQUASHED = "elasticfilesystem:ClientRootAccess", "65534"

# Contents of files by name, of each folder of a file system: (file system, folder of the access point).
_files = AccountRegionScopedDict()


@dataclass(frozen=True)
class Mounted:
    """A volume of a task definition on a file system."""

    name: str
    file_system: str
    access_point: str
    settings: dict[str, Any]


def volumes_of(definition: Definition) -> Iterator[Mounted]:
    """Yield the volumes of a task definition that are on file systems."""
    for volume in definition.get("volumes") or []:
        if settings := volume.get("efsVolumeConfiguration"):
            point = (settings.get("authorizationConfig") or {}).get("accessPointId", "")
            yield Mounted(volume.get("name", ""), settings.get("fileSystemId", ""), point, settings)


# --- Start ----------------------------------------------------------------------------------------------------


def mount_failure(definition: Definition, subnets: list[str], groups: list[str]) -> str:
    """Return why a task in one of the subnets cannot mount its volumes; empty if it can."""
    for volume in volumes_of(definition):
        for subnet in subnets:
            if reason := failure_in(volume, definition, subnet, groups):
                return (
                    "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: "
                    f"{reason} : unsuccessful EFS utils command execution"
                )
    return ""


def failure_in(volume: Mounted, definition: Definition, subnet: str, groups: list[str]) -> str:
    """Return the error of the mount helper in a subnet: the name, the network, or the permission."""
    zone = (ec2._subnets.get(subnet) or {}).get("AvailabilityZone")
    here = [one for one in efs._mount_targets.values() if one["FileSystemId"] == volume.file_system]
    target = next((one for one in here if one["AvailabilityZoneName"] == zone), None)
    if target is None:
        host = f"{volume.file_system}.efs.{get_region()}.amazonaws.com"
        return f'Failed to resolve "{host}" - check that your file system ID is correct'
    if not any(admits(group, groups) for group in target["SecurityGroups"]):
        return "mount.nfs4: Connection timed out"
    point = efs._access_points.get(volume.access_point)
    if volume.access_point and (point is None or point["FileSystemId"] != volume.file_system):
        return "mount.nfs4: access denied by server while mounting 127.0.0.1:/"
    if not is_permitted(volume, definition, MOUNT):
        return "mount.nfs4: access denied by server while mounting 127.0.0.1:/"
    return ""


def admits(group: str, sources: list[str]) -> bool:
    """Return whether a security group admits NFS from one of the groups of a task."""
    return any(
        rule.get("FromPort", 0) <= NFS <= rule.get("ToPort", 65_535) and pair["GroupId"] in sources
        for rule in (ec2._security_groups.get(group) or {}).get("IpPermissions", [])
        for pair in rule.get("UserIdGroupPairs", [])
    )


def is_permitted(volume: Mounted, definition: Definition, action: str) -> bool:
    """Return whether EFS allows an action to the task. Without a policy a file system admits every client."""
    from hosting.rehearsal.ministack_patch.schedules import is_allowed

    system = efs._file_systems[volume.file_system]
    if not system.get("FileSystemPolicy"):
        return True
    if (volume.settings.get("authorizationConfig") or {}).get("iam") != "ENABLED":
        return False
    point = efs._access_points.get(volume.access_point) or {}
    keys = {"elasticfilesystem:AccessPointArn": point.get("AccessPointArn", ""), "aws:SecureTransport": "true"}
    return is_allowed(definition.get("taskRoleArn") or "", action, system["FileSystemArn"], keys)


# --- Files ----------------------------------------------------------------------------------------------------


def run_file_command(definition: Definition, container: dict[str, Any], words: list[str]) -> tuple[int, str] | None:
    """Return exit code and output of a command that writes or reads a file; None for any other command."""
    match words:
        case ["cat", path]:
            return read_file(definition, container, path)
        case [_, "-c", line]:
            match shlex.split(line):
                case ["echo", text, ">", path]:
                    return write_file(definition, container, path, text)
    return None


def read_file(definition: Definition, container: dict[str, Any], path: str) -> tuple[int, str]:
    """Return exit code and content of a file that a task wrote to a volume."""
    place = find_folder(definition, container, path)
    found = place and _files.get((place[0].file_system, place[1]), {}).get(place[2])
    return (0, str(found)) if found else (1, f"cat: {path}: No such file or directory")


def write_file(definition: Definition, container: dict[str, Any], path: str, text: str) -> tuple[int, str]:
    """Write a file as the user of the access point. Returns exit code and error."""
    place = find_folder(definition, container, path)
    if place is None:
        return 0, ""  # the file is on the disk of the task, and ends with it
    volume, folder, name = place
    read_only = next(one for one in container["mountPoints"] if one["sourceVolume"] == volume.name).get("readOnly")
    if read_only or not is_permitted(volume, definition, WRITE):
        return 1, f"sh: can't create {path}: Read-only file system"
    point = efs._access_points.get(volume.access_point) or {}
    owner = ((point.get("RootDirectory") or {}).get("CreationInfo") or {}).get("OwnerUid")
    user = (point.get("PosixUser") or {}).get("Uid", container.get("user", "0").partition(":")[0])
    if str(user) == "0" and not is_permitted(volume, definition, ROOT_ACCESS):
        user = SQUASHED  # EFS squashes root (Amazon EFS User Guide, Using IAM to control file system data access)
    if str(owner) != str(user):
        return 1, f"sh: can't create {path}: Permission denied"
    _files.setdefault((volume.file_system, folder), {})[name] = text
    return 0, ""


def find_folder(definition: Definition, container: dict[str, Any], path: str) -> tuple[Mounted, str, str] | None:
    """Return the volume of a file, the folder of the volume's access point, and the name of the file in it."""
    volumes = {volume.name: volume for volume in volumes_of(definition)}
    for mount in container.get("mountPoints") or []:
        prefix = f"{mount['containerPath']}/"
        if mount["sourceVolume"] in volumes and path.startswith(prefix):
            volume = volumes[mount["sourceVolume"]]
            root = (efs._access_points.get(volume.access_point) or {}).get("RootDirectory") or {}
            return volume, root.get("Path", "/"), path.removeprefix(prefix)
    return None
