"""Task definitions: what breaks ECS Exec, the relay, logging and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.services import TASK, cluster_of, containers, started_tasks
from hosting.analysis.rules.values import (
    ROLE,
    Statement,
    flag,
    follow,
    follow_all,
    listed,
    matches,
    number,
    permissions,
)
from hosting.model.tokens import Json

LOG_GROUP = "AWS::Logs::LogGroup"
_LISTENS = re.compile(r"\bTCP4?-LISTEN:(\d*)", re.IGNORECASE)


def relays(container: Mapping[str, Json]) -> bool:
    """Return whether a container runs socat as a relay."""
    return bool(_LISTENS.search(command(container)))


def is_bastion(container: Mapping[str, Json]) -> bool:
    """Return whether a container is there for operators: it relays, or waits beside the app for their sessions."""
    waits = not flag(container.get("Essential", True)) and re.search(r"\bexec sleep infinity\s*$", command(container))
    return relays(container) or bool(waits)


def relay_ports(container: Mapping[str, Json]) -> set[str]:
    """Return the ports of a relay, from its address or from arguments of the script's function."""
    found = {port for port in _LISTENS.findall(command(container)) if port}
    return found or set(re.findall(r"(?<=\s)\d{4,5}(?=\s)", command(container))) if relays(container) else set()


def command(container: Mapping[str, Json]) -> str:
    return " ".join(str(part) for key in ("EntryPoint", "Command") for part in listed(container.get(key)))


def find_role(env: ResolvedEnvironment, task: Resource, kind: str) -> Resource | None:
    return follow(env, task.get(f"{kind}RoleArn"), ROLE)


# Amazon ECS Developer Guide, Task CPU and memory: CPU units to the least and greatest memory, in MiB, and its step.
_FARGATE = {
    256: (512, 2048, 512),
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096),
    16384: (32768, 122880, 8192),
}


@environment_rule(
    "APP-01",
    "A task's size is one that Fargate has, and its containers fit in it",
    why="Other pairs, and containers that sum up to more than the task, are refused when the task is registered or "
    "placed (Amazon ECS Developer Guide, Task definition parameters for Fargate).",
    hint="choose a pair of the table, and shrink the containers",
)
def task_size(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        cpu, memory = number(task.get("Cpu")) or 0, number(task.get("Memory")) or 0
        low, high, step = _FARGATE.get(int(cpu), (0, 0, 1))
        if not low <= memory <= high or memory % step or (memory == 1536 and cpu != 256) or not memory:
            yield RuleMatch(task, "Properties.Memory", f"Fargate has no {cpu:g} CPU units with {memory:g} MiB")
        for key, whole in (("Cpu", cpu), ("Memory", memory)):
            parts = [
                number(container.get(key))
                or (number(container.get("MemoryReservation")) if key == "Memory" else 0)
                or 0
                for _, container in containers(task)
            ]
            if sum(parts) > whole or max(parts, default=0) > whole:
                yield RuleMatch(
                    task, "Properties.ContainerDefinitions", f"containers need {sum(parts):g} {key} of {whole:g}"
                )


@environment_rule(
    "APP-02",
    "A task declares the platform of its images",
    why="The default is X86_64, and an image for ARM64 then ends with exec format error (Amazon ECS Developer Guide, "
    "RuntimePlatform).",
    hint="set OperatingSystemFamily LINUX and CpuArchitecture",
)
def platform(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        given = (task.get("RuntimePlatform.OperatingSystemFamily"), task.get("RuntimePlatform.CpuArchitecture"))
        if given[0] != "LINUX" or given[1] not in ("X86_64", "ARM64"):
            yield RuleMatch(task, "Properties.RuntimePlatform", f"platform is {given[0]} {given[1]}")


def _may_open_sessions(env: ResolvedEnvironment, role: Resource | None) -> bool:
    managed = [str(arn) for arn in listed(role.get("ManagedPolicyArns"))] if role else []
    needed = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
    granted = permissions(env, role)
    return any(arn.endswith(":policy/AmazonSSMManagedInstanceCore") for arn in managed) or all(
        any(item.allows(f"ssmmessages:{action}") for item in granted) for action in needed
    )


_EXEC_SINCE = (1, 4, 0)


@environment_rule(
    "APP-03",
    "Services allow ECS Exec, and their tasks have a role for it",
    why="Without a task role that may use ssmmessages the command is refused: a valid taskRoleArn is not being used "
    "(Amazon ECS Developer Guide, Monitor Amazon ECS containers with ECS Exec).",
    hint="set EnableExecuteCommand, and TaskRoleArn with AmazonSSMManagedInstanceCore",
)
def exec_enabled(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for starter, path, task in started_tasks(env):
        if not flag(starter.get(f"{path}EnableExecuteCommand")):
            yield RuleMatch(starter, f"Properties.{path}EnableExecuteCommand", "ECS Exec is off")
        version = str(starter.get(f"{path}PlatformVersion", "LATEST"))
        if version != "LATEST" and tuple(map(int, version.split("."))) < _EXEC_SINCE:
            yield RuleMatch(starter, f"Properties.{path}PlatformVersion", f"{version} has no ECS Exec")
        if not _may_open_sessions(env, find_role(env, task, "Task")):
            yield RuleMatch(task, "Properties.TaskRoleArn", "the task's role may not open sessions")


_AGENT_FOLDERS = {"/managed-agents", "/var/lib/amazon/ssm", "/var/log/amazon/ssm"}


def _writable(container: Mapping[str, Json]) -> set[str]:
    return {
        str(item.get("ContainerPath"))
        for item in listed(container.get("MountPoints"))
        if not flag(item.get("ReadOnly"))
    }


@environment_rule(
    "APP-04",
    "Containers can be entered",
    why="The agent of ECS Exec writes to the root file system, shares no process namespace, and uses the task's role; "
    "without an init process its children stay behind (Amazon ECS Developer Guide, Monitor Amazon ECS containers with "
    "ECS Exec).",
    hint="set InitProcessEnabled; mount the agent's folders or drop ReadonlyRootFilesystem; drop PidMode and access "
    "keys",
)
def enterable(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for _, _, task in started_tasks(env):
        if task.get("PidMode") is not None:
            yield RuleMatch(task, "Properties.PidMode", "process namespace is shared")
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}"
            if not flag(container.get("LinuxParameters", {}).get("InitProcessEnabled")):
                yield RuleMatch(
                    task, f"{path}.LinuxParameters.InitProcessEnabled", f"{container.get('Name')} has no init"
                )
            if flag(container.get("ReadonlyRootFilesystem")) and (missing := _AGENT_FOLDERS - _writable(container)):
                text = f"{container.get('Name')} is read-only without {', '.join(sorted(missing))}"
                yield RuleMatch(task, f"{path}.ReadonlyRootFilesystem", text)
            names = {item.get("Name") for key in ("Environment", "Secrets") for item in listed(container.get(key))}
            if names & {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}:
                yield RuleMatch(task, f"{path}.Environment", f"{container.get('Name')} has an access key")


@environment_rule(
    "APP-05",
    "Transcripts of sessions can be written",
    why="With OVERRIDE the task's role writes the transcript; where it may not, or the key is missing, sessions fail "
    "or leave no trace (Amazon ECS Developer Guide, Logging using ECS Exec).",
    hint="grant logs:DescribeLogGroups, CreateLogStream, DescribeLogStreams and PutLogEvents, and kms:Decrypt",
)
def transcripts(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    needed = ["logs:DescribeLogGroups", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    for starter, _, task in started_tasks(env):
        cluster = cluster_of(env, starter)
        path = "Configuration.ExecuteCommandConfiguration"
        if cluster is None or cluster.get(f"{path}.Logging") != "OVERRIDE":
            yield RuleMatch(cluster or starter, f"Properties.{path}" if cluster else "", "not logged")
            continue
        group = follow(env, cluster.get(f"{path}.LogConfiguration.CloudWatchLogGroupName"), LOG_GROUP)
        encrypted = flag(cluster.get(f"{path}.LogConfiguration.CloudWatchEncryptionEnabled"))
        if group is None or (encrypted and group.get("KmsKeyId") is None):
            yield RuleMatch(cluster, f"Properties.{path}.LogConfiguration", "no log group of ours, or not encrypted")
        key = follow(env, cluster.get(f"{path}.KmsKeyId"), "AWS::KMS::Key")
        granted = permissions(env, find_role(env, task, "Task"))
        missing = [action for action in needed if not any(item.allows(action) for item in granted)]
        if key and not any(item.allows("kms:Decrypt") and key in follow_all(env, item.resources) for item in granted):
            missing.append("kms:Decrypt")
        if missing:
            yield RuleMatch(task, "Properties.TaskRoleArn", f"the task's role lacks {', '.join(missing)}")


@environment_rule(
    "APP-07",
    "The app is essential, a sidecar is not, and ECS restarts it",
    why="An essential sidecar takes the app down with it, one without a restart policy stays down (Amazon ECS "
    "Developer Guide, Restart individual containers in Amazon ECS tasks).",
    hint="set Essential false, and RestartPolicy with an attempt period of 60 to 1,800 seconds, for the sidecar",
)
def sidecars(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for starter, _, task in started_tasks(env):
        served = {item.get("ContainerName") for item in listed(starter.get("LoadBalancers"))}
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}"
            essential = flag(container.get("Essential", True))
            if container.get("Name") in served and not essential:
                yield RuleMatch(task, f"{path}.Essential", f"{container.get('Name')} is not essential")
            if relays(container) and essential:
                yield RuleMatch(task, f"{path}.Essential", f"{container.get('Name')} is essential")
            policy = container.get("RestartPolicy", {})
            period = number(policy.get("RestartAttemptPeriod", 300)) or 0
            if not essential and not (flag(policy.get("Enabled")) and 60 <= period <= 1800):
                yield RuleMatch(task, f"{path}.RestartPolicy", f"{container.get('Name')} is not restarted")


@environment_rule(
    "APP-33",
    "Every task has a relay to the database beside its app",
    why="Administrators reach the database only through it, with a session of Session Manager (AWS Systems Manager "
    "User Guide, Start a session, port forwarding).",
    hint="add the bastion container to the task",
)
def relay_present(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for _, _, task in started_tasks(env):
        if env.of_type("AWS::RDS::DBCluster") and not any(relays(container) for _, container in containers(task)):
            yield RuleMatch(task, "Properties.ContainerDefinitions", "no relay")


@environment_rule(
    "APP-08",
    "The relay survives failures, and the container outlives the relay",
    why="With set -e a registry that is down ends the container; without sleep in the foreground the container ends "
    "with the relay; a relay bound to all addresses is open to the VPC (socat manual, address options).",
    hint="bind 127.0.0.1, loop the relay in the background, end with exec sleep infinity, and take the host from "
    "the cluster's endpoint",
)
def relay_command(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for _, _, task in started_tasks(env):
        for index, container in containers(task):
            text = command(container)
            if not relays(container):
                continue
            path = f"Properties.ContainerDefinitions.{index}.Command"
            faults = {
                "ends when the relay or its installation fails": re.search(r"set -\w*e", text),
                "does not sleep in the foreground": not re.search(r"\bexec sleep infinity\s*$", text),
                "does not start the relay again": not re.search(r"while\b.*socat.*done", text, re.DOTALL),
                "listens on every address": not re.search(r"LISTEN:[^\s\"]*bind=127\.0\.0\.1", text),
                "has an unescaped variable of Fn::Sub": re.search(r"\$\$", text),
            }
            for fault, found in faults.items():
                if found:
                    yield RuleMatch(task, path, f"{container.get('Name')} {fault}")
            hosts = [
                follow(env, item.get("Value"), "AWS::RDS::DBCluster") for item in listed(container.get("Environment"))
            ]
            if not any(hosts):
                yield RuleMatch(
                    task, path.replace("Command", "Environment"), f"{container.get('Name')} knows no database"
                )


@environment_rule(
    "APP-09",
    "No two containers of a task listen on one port",
    why="All containers of a task share one network interface (Amazon ECS Developer Guide, awsvpc network mode).",
    hint="choose another port; the relay's needs no port mapping",
)
def ports_unique(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        taken: dict[str, str] = {}
        for index, container in containers(task):
            name = str(container.get("Name"))
            mapped = [str(item.get("ContainerPort")) for item in listed(container.get("PortMappings"))]
            relayed = relay_ports(container)
            path = f"Properties.ContainerDefinitions.{index}"
            for port in set(mapped) & relayed:
                yield RuleMatch(task, f"{path}.PortMappings", f"the relay's port {port} is mapped")
            for port in sorted({*mapped, *relayed}):
                if taken.setdefault(port, name) != name:
                    yield RuleMatch(task, path, f"{name} and {taken[port]} listen on port {port}")


_IMAGE = re.compile(r"(?P<registry>[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?)/[a-z0-9._/-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}")


@environment_rule(
    "APP-10",
    "Images name their registry and are pinned by digest",
    why="A bare name is pulled from Docker Hub, which limits anonymous pulls; a tag may be moved, and rollback then "
    "starts something else (Amazon ECS Developer Guide, Best practices for container images).",
    hint="write <registry>/<name>@sha256:<digest> with a registry of ECR or ECR Public",
)
def images_pinned(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        for index, container in containers(task):
            match = _IMAGE.fullmatch(str(container.get("Image")))
            if match is None or match["registry"] in ("docker.io", "registry-1.docker.io", "index.docker.io"):
                path = f"Properties.ContainerDefinitions.{index}.Image"
                yield RuleMatch(task, path, f"{container.get('Image')} is not pinned, or comes from Docker Hub")


@environment_rule(
    "APP-11",
    "The execution role can pull, log, and read every secret of the task",
    why="ECS starts tasks with it: what it lacks shows as ResourceInitializationError, when a task starts (Amazon ECS "
    "Developer Guide, Amazon ECS task execution IAM role).",
    hint="grant ecr and logs actions, secretsmanager:GetSecretValue on each secret and kms:Decrypt on its key; write "
    "ValueFrom as <arn>:<key>::",
)
def execution_role(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        granted = permissions(env, find_role(env, task, "Execution"))
        missing = [action for action in _PULLS if not any(item.allows(action) for item in granted)]
        for index, container in containers(task):
            missing += _missing_for_logs(env, container, granted)
            for secret in listed(container.get("Secrets")):
                missing += _missing_for_secret(env, secret, granted)
                value = str(secret.get("ValueFrom"))
                if not re.search(r"(>>|:[A-Za-z0-9_.-]+::|:secret:[^:]+)$", value):
                    path = f"Properties.ContainerDefinitions.{index}.Secrets"
                    yield RuleMatch(task, path, f"{secret.get('Name')} is taken from {value.rsplit('>>', 1)[-1]}")
        if missing:
            yield RuleMatch(task, "Properties.ExecutionRoleArn", f"lacks {', '.join(dict.fromkeys(missing))}")


_PULLS = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)


def _missing_for_logs(
    env: ResolvedEnvironment, container: Mapping[str, Json], granted: list[Statement]
) -> Iterator[str]:
    group = follow(env, container.get("LogConfiguration", {}).get("Options", {}).get("awslogs-group"), LOG_GROUP)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if group and not any(item.allows(action) and _names(env, item.resources, group) for item in granted):
            yield f"{action} on {group.logical_id}"


CLUSTER = "AWS::RDS::DBCluster"
# What the secret holds that RDS makes; host and port are not among it.
_OF_RDS = {"password", "username"}


def _missing_for_secret(
    env: ResolvedEnvironment, secret: Mapping[str, Json], granted: list[Statement]
) -> Iterator[str]:
    owners = follow_all(env, str(secret.get("ValueFrom")))
    key_of_json = re.search(r":(\w+):\w*:\w*$", str(secret.get("ValueFrom")))
    if key_of_json and key_of_json[1] not in _OF_RDS and any(owner.type == CLUSTER for owner in owners):
        yield f"{secret.get('Name')}: RDS keeps no {key_of_json[1]} in its secret"
    # A secret outside the stacks has an ARN of seven parts, before the key of its JSON.
    arn = ":".join(str(secret.get("ValueFrom")).split(":")[:7])
    if not any(
        item.allows("secretsmanager:GetSecretValue")
        and (arn in item.resources or any(owner in follow_all(env, item.resources) for owner in owners))
        for item in granted
    ):
        yield f"secretsmanager:GetSecretValue on {secret.get('Name')}"
    for key in _find_keys(env, owners):
        if not any(item.allows("kms:Decrypt") and key in follow_all(env, item.resources) for item in granted):
            yield f"kms:Decrypt with {key.logical_id}"


def _names(env: ResolvedEnvironment, resources: list[str], group: Resource) -> bool:
    name = str(group.get("LogGroupName"))
    return group in follow_all(env, resources) or any(
        matches(
            pattern,
            f"arn:aws:logs:{env.stacks[group.stack].region}:{env.stacks[group.stack].account}:log-group:{name}:*",
        )
        for pattern in resources
    )


def _find_keys(env: ResolvedEnvironment, owners: list[Resource]) -> list[Resource]:
    """The keys of the secrets: those of a cluster's managed password, or a secret's own."""
    paths = {"AWS::RDS::DBCluster": "MasterUserSecret.KmsKeyId", "AWS::SecretsManager::Secret": "KmsKeyId"}
    found = [follow(env, owner.get(paths[owner.type]), "AWS::KMS::Key") for owner in owners if owner.type in paths]
    return [key for key in found if key]


@environment_rule(
    "APP-12",
    "Containers log to groups of ours, without holding the app up",
    why="A missing group stops the task, one made by the driver never expires, and in blocking mode a slow log service "
    "stops the app (Amazon ECS Developer Guide, Send Amazon ECS logs to CloudWatch).",
    hint="set awslogs-group, -region and -stream-prefix, mode non-blocking and max-buffer-size; no "
    "awslogs-create-group",
)
def container_logs(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}.LogConfiguration"
            name = container.get("Name")
            options = container.get("LogConfiguration", {}).get("Options", {})
            if container.get("LogConfiguration", {}).get("LogDriver") != "awslogs":
                yield RuleMatch(task, path, f"{name} does not log to CloudWatch")
                continue
            if not follow(env, options.get("awslogs-group"), LOG_GROUP):
                yield RuleMatch(task, path, f"the group of {name} is not ours")
            if options.get("awslogs-region") != env.stacks[task.stack].region or not options.get(
                "awslogs-stream-prefix"
            ):
                yield RuleMatch(task, path, f"{name} lacks the region or a stream prefix")
            if options.get("mode") != "non-blocking" or not options.get("max-buffer-size"):
                yield RuleMatch(task, path, f"{name} stops when logging stops")
            if "awslogs-create-group" in options:
                yield RuleMatch(task, path, f"{name} makes its group itself")


@environment_rule(
    "APP-20",
    "Containers that wait for others name them, and their health",
    why="ECS refuses an unknown name, and HEALTHY without a health check never comes; a health command begins with CMD "
    "or CMD-SHELL (Amazon ECS Developer Guide, Container dependency).",
    hint="correct the name or add the HealthCheck",
)
def container_dependencies(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        checks = {container.get("Name"): container.get("HealthCheck") for _, container in containers(task)}
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}"
            for item in listed(container.get("DependsOn")):
                name = item.get("ContainerName")
                if name not in checks or (item.get("Condition") == "HEALTHY" and not checks[name]):
                    yield RuleMatch(task, f"{path}.DependsOn", f"waits in vain for {name}")
            health = listed((container.get("HealthCheck") or {}).get("Command"))
            if health and health[0] not in ("CMD", "CMD-SHELL"):
                yield RuleMatch(task, f"{path}.HealthCheck.Command", f"begins with {health[0]}")
