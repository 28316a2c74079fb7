"""The task definition of a service: the app container and the bastion container."""

from __future__ import annotations

from troposphere import FindInMap, If, NoValue, Ref, Sub, Tags
from troposphere.ecs import (
    ContainerDefinition,
    Environment,
    LinuxParameters,
    LogConfiguration,
    MountPoint,
    PortMapping,
    RuntimePlatform,
    Secret,
    TaskDefinition,
    Volume,
)
from troposphere.logs import LogGroup

from generator import value_types as v
from generator.layers.service.interface import Config, Inputs
from generator.resources import bastion
from generator.resources.bastion import bastion_container
from generator.resources.rules import FARGATE_MEMORY

APP = "app"
APP_MEMORY = "AppMemory"
# Folders in which the agent of ECS Exec writes. AWS documents no list of them, and does not support a read-only root
# file system with ECS Exec, but it works with these folders (aws/containers-roadmap, issue 1359).
AGENT_FOLDERS = {
    "exec-agent": "/managed-agents",
    "exec-state": "/var/lib/amazon/ssm",
    "exec-logs": "/var/log/amazon/ssm",
}
WRITABLE_VOLUME = "scratch-{}"
WRITABLE_PATHS = 3


def task_definition(config: Config, inputs: Inputs, logs: LogGroup) -> TaskDefinition:
    """Return the task definition with the app container, the bastion container and their volumes."""
    database = [
        Environment(Name="DB_HOST", Value=inputs.database.writer_endpoint),
        Environment(Name="DB_READER_HOST", Value=inputs.database.reader_endpoint),
        Environment(Name="DB_PORT", Value=inputs.database.database_port),
    ]
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
            app_container(config, inputs, database, awslogs(v.LogGroupName(logs.ref()), "app")),
            bastion_container(
                inputs.bastion_image, database, awslogs(inputs.bastion_log_group_name, inputs.service_slug)
            ),
        ],
        # Empty volumes in the ephemeral storage of the task.
        Volumes=[
            *(Volume(Name=name) for name in AGENT_FOLDERS),
            *(Volume(Name=WRITABLE_VOLUME.format(number)) for number, _ in enumerate(writable_paths(inputs), start=1)),
        ],
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}")),
    )


def writable_paths(inputs: Inputs) -> list[v.FolderPath]:
    return [inputs.writable_path_1, inputs.writable_path_2, inputs.writable_path_3]


def app_memory() -> dict[str, dict[str, str]]:
    """Return the memory of the app container for each task size: the rest beside the bastion.

    Without a limit of its own a memory leak of the app would also end the bastion, which operators need for the
    analysis.
    """
    sizes = sorted({size for sizes in FARGATE_MEMORY.values() for size in sizes})
    return {str(size): {"MiB": str(size - bastion.MEMORY)} for size in sizes}


def mounts(inputs: Inputs) -> list[MountPoint | If]:
    """Return the mount points of folders to which the app and the agent of ECS Exec may write.

    A mounted folder belongs to root, unless the image declares it as a VOLUME. Then it keeps owner and mode of the
    image, such as those of /tmp (Amazon ECS Developer Guide, "Use bind mounts with Amazon ECS").
    """
    own = [
        If(
            f"HasWritablePath{number}",
            MountPoint(SourceVolume=WRITABLE_VOLUME.format(number), ContainerPath=path),
            NoValue,
        )
        for number, path in enumerate(writable_paths(inputs), start=1)
    ]
    return [*(MountPoint(SourceVolume=name, ContainerPath=path) for name, path in AGENT_FOLDERS.items()), *own]


def app_container(
    config: Config, inputs: Inputs, database: list[Environment], logging: LogConfiguration
) -> ContainerDefinition:
    """Return the definition of the app container: connection, secrets, mounts and limits."""
    return ContainerDefinition(
        Name=APP,
        Image=inputs.image,
        Essential=True,
        PortMappings=[PortMapping(ContainerPort=inputs.container_port, Protocol="tcp")],
        Environment=[
            *database,
            Environment(Name="DB_NAME", Value=inputs.database.database_name),
            Environment(Name="PORT", Value=inputs.container_port),
        ],
        Secrets=[
            Secret(Name="DB_USERNAME", ValueFrom=Sub("${DatabaseSecretArn}:username::")),
            Secret(Name="DB_PASSWORD", ValueFrom=Sub("${DatabaseSecretArn}:password::")),
        ],
        User=inputs.app_user,
        ReadonlyRootFilesystem=inputs.read_only_root,
        MountPoints=mounts(inputs),
        Memory=FindInMap(APP_MEMORY, inputs.size.memory, "MiB"),
        LinuxParameters=LinuxParameters(InitProcessEnabled=True),
        StopTimeout=config.stop_seconds,
        LogConfiguration=logging,
    )


def awslogs(group: v.LogGroupName, stream_prefix: str | v.ServiceSlug) -> LogConfiguration:
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
