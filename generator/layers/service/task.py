"""The task definition of a workload: the app container and the bastion container."""

from __future__ import annotations

from typing import Any

from troposphere import FindInMap, Ref, Sub, Tags
from troposphere.ecs import (
    ContainerDefinition,
    Environment,
    EphemeralStorage,
    LinuxParameters,
    LogConfiguration,
    MountPoint,
    PortMapping,
    RuntimePlatform,
    TaskDefinition,
    Volume,
)
from troposphere.logs import LogGroup

from generator import value_types as v
from generator.layers.service.interface import Config, Inputs
from generator.layers.service.mounts import efs_mounts, efs_volumes
from generator.layers.service.variables import secret_variables, variables
from generator.resources import bastion, exec_agent
from generator.resources.bastion import bastion_container
from generator.resources.rules import FARGATE_MEMORY
from generator.workloads import EcsService, Job, Workload
from generator.workloads.base import DEFAULT_GIB

APP = "app"
APP_MEMORY = "AppMemory"
# Streams of the app's log group are named PREFIX/CONTAINER/TASK.
STREAM_PREFIX = "app"
WRITABLE_VOLUME = "scratch-{}"


def task_definition(config: Config, entry: Workload, inputs: Inputs, logs: LogGroup) -> TaskDefinition:
    """Return the task definition with the app container, the bastion container and their volumes."""
    runs_tasks = isinstance(entry, Job) or (isinstance(entry, EcsService) and entry.migrate)
    named: dict[str, Any] = {"Family": Sub(family(entry))} if runs_tasks else {}
    return TaskDefinition(
        "TaskDefinition",
        RequiresCompatibilities=["FARGATE"],
        NetworkMode="awsvpc",
        Cpu=inputs.size.cpu,
        Memory=inputs.size.memory,
        RuntimePlatform=RuntimePlatform(OperatingSystemFamily="LINUX", CpuArchitecture=inputs.cpu_architecture),
        TaskRoleArn=inputs.access.task_role_arn,
        ExecutionRoleArn=inputs.access.execution_role_arn,
        ContainerDefinitions=[
            app_container(entry, inputs, awslogs(v.LogGroupName(logs.ref()), STREAM_PREFIX)),
            bastion_container(
                inputs.bastion_image,
                awslogs(inputs.bastion_log_group_name, entry.slug),
                relayed_hosts(inputs) if config.parts.database else [],
            ),
        ],
        Volumes=[
            # Empty volumes in the ephemeral storage of the task.
            *(Volume(Name=name) for name in exec_agent.FOLDERS),
            *(Volume(Name=name) for name in writable_volumes(entry)),
            *efs_volumes(entry, inputs),
        ],
        **disk(entry),
        **named,
        Tags=Tags(Name=Sub(f"${{Prefix}}-{entry.slug}")),
    )


def relayed_hosts(inputs: Inputs) -> list[Environment]:
    """Return the variables with the hosts to which the bastion relays connections."""
    return [
        Environment(Name="DB_HOST", Value=inputs.database.writer_endpoint),
        Environment(Name="DB_READER_HOST", Value=inputs.database.reader_endpoint),
        Environment(Name="DB_PORT", Value=inputs.database.database_port),
    ]


def family(entry: Workload) -> str:
    """Return the family of a task definition that a schedule or a migration runs, in Fn::Sub.

    The role that runs it may run every revision.
    """
    return f"${{Prefix}}-{entry.slug}"


def disk(entry: Workload) -> dict[str, Any]:
    """Return the disk of a task, if it is larger than the one that Fargate gives every task."""
    if entry.ephemeral_gib == DEFAULT_GIB:
        return {}
    return {"EphemeralStorage": EphemeralStorage(SizeInGiB=entry.ephemeral_gib)}


def writable_volumes(entry: Workload) -> dict[str, str]:
    """Return the folder of each volume to which the app may write."""
    return {WRITABLE_VOLUME.format(number): path for number, path in enumerate(entry.writable_paths, start=1)}


def app_memory() -> dict[str, dict[str, str]]:
    """Return the memory of the app container for each task size: the rest beside the bastion.

    Without a limit of its own a memory leak of the app would also end the bastion, which operators need for the
    analysis.
    """
    sizes = sorted({size for sizes in FARGATE_MEMORY.values() for size in sizes})
    return {str(size): {"MiB": str(size - bastion.MEMORY)} for size in sizes}


def mounts(entry: Workload) -> list[MountPoint]:
    """Return the mount points of folders to which the app and the agent of ECS Exec may write.

    A mounted folder belongs to root, unless the image declares it as a VOLUME. Then it keeps owner and mode of the
    image, such as those of /tmp (Amazon ECS Developer Guide, "Use bind mounts with Amazon ECS").
    """
    folders = {**exec_agent.FOLDERS, **writable_volumes(entry)}
    empty = [MountPoint(SourceVolume=name, ContainerPath=path) for name, path in folders.items()]
    return [*empty, *efs_mounts(entry)]


def app_container(entry: Workload, inputs: Inputs, logging: LogConfiguration) -> ContainerDefinition:
    """Return the definition of the app container: command, variables, secrets, mounts and limits."""
    port = entry.container_port
    given: dict[str, Any] = {
        "PortMappings": [PortMapping(ContainerPort=port, Protocol="tcp")] if port else None,
        "EntryPoint": list(entry.entry_point) or None,
        "Command": list(entry.command) or None,
        "Environment": variables(entry, inputs) or None,
        "Secrets": secret_variables(entry, inputs) or None,
    }
    return ContainerDefinition(
        Name=APP,
        Image=inputs.image,
        Essential=True,
        User=entry.user,
        ReadonlyRootFilesystem=entry.read_only,
        MountPoints=mounts(entry),
        Memory=FindInMap(APP_MEMORY, inputs.size.memory, "MiB"),
        LinuxParameters=LinuxParameters(InitProcessEnabled=True),
        StopTimeout=entry.stop_seconds,
        LogConfiguration=logging,
        **{name: value for name, value in given.items() if value},
    )


def awslogs(group: v.LogGroupName, stream_prefix: str) -> LogConfiguration:
    """Return the log configuration. Streams are named PREFIX/CONTAINER/TASK.

    The mode is non-blocking: when CloudWatch Logs is slow, the container loses log lines instead of waiting.
    """
    return LogConfiguration(
        LogDriver="awslogs",
        Options={
            "awslogs-group": group,
            "awslogs-region": Ref("AWS::Region"),
            "awslogs-stream-prefix": stream_prefix,
            "mode": "non-blocking",
            "max-buffer-size": "4m",
        },
    )
