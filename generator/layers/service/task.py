"""The task of a service: the app container, with the bastion beside it."""

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
# Where the agent of ECS Exec writes in every container that people may enter. AWS documents no list of these folders
# and supports no read-only root beside the agent; with these it has long worked (aws/containers-roadmap, issue 1359).
AGENT_FOLDERS = {
    "exec-agent": "/managed-agents",
    "exec-state": "/var/lib/amazon/ssm",
    "exec-logs": "/var/log/amazon/ssm",
}
SCRATCH = "scratch-{}"
WRITABLE_PATHS = 3


def task_definition(config: Config, inputs: Inputs, logs: LogGroup) -> TaskDefinition:
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
        # Empty, in the task's own storage, and gone with it.
        Volumes=[
            *(Volume(Name=name) for name in AGENT_FOLDERS),
            *(Volume(Name=SCRATCH.format(number)) for number, _ in enumerate(writable_paths(inputs), start=1)),
        ],
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}")),
    )


def writable_paths(inputs: Inputs) -> list[v.FolderPath]:
    return [inputs.writable_path_1, inputs.writable_path_2, inputs.writable_path_3]


def app_memory() -> dict[str, dict[str, str]]:
    """What is left to the app of each size of a task: without a limit of its own a leak would take the bastion too,
    through which people would look at it."""
    sizes = sorted({size for sizes in FARGATE_MEMORY.values() for size in sizes})
    return {str(size): {"MiB": str(size - bastion.MEMORY)} for size in sizes}


def mounts(inputs: Inputs) -> list[MountPoint | If]:
    """The folders to which the app and the agent of ECS Exec may write.

    A mounted folder belongs to root, unless the image declares it as a VOLUME: then it keeps the image's owner and
    mode, such as those of /tmp (Amazon ECS Developer Guide, "Use bind mounts with Amazon ECS").
    """
    own = [
        If(f"HasWritablePath{number}", MountPoint(SourceVolume=SCRATCH.format(number), ContainerPath=path), NoValue)
        for number, path in enumerate(writable_paths(inputs), start=1)
    ]
    return [*(MountPoint(SourceVolume=name, ContainerPath=path) for name, path in AGENT_FOLDERS.items()), *own]


def app_container(
    config: Config, inputs: Inputs, database: list[Environment], logging: LogConfiguration
) -> ContainerDefinition:
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
    """Streams are named PREFIX/CONTAINER/TASK. Non-blocking: when CloudWatch Logs is slow, lines are lost instead of
    the app's time."""
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
