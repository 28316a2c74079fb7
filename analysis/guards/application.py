"""Load balancer, tasks, services: what hangs a deployment, and what breaks ECS Exec and the relay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from analysis.guards.registry import Broken, Place, guard, template_guard
from analysis.guards.values import (
    ROLE,
    Statement,
    all_behind,
    behind,
    depends,
    flag,
    is_attribute,
    listed,
    matches,
    number,
    permissions,
    same,
)
from analysis.resolve import ResolvedEnvironment, Resource
from analysis.templates import Template
from analysis.tokens import Json, origin

SERVICE = "AWS::ECS::Service"
TASK = "AWS::ECS::TaskDefinition"
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
LOG_GROUP = "AWS::Logs::LogGroup"

_LISTENS = re.compile(r"\bTCP4?-LISTEN:(\d*)", re.IGNORECASE)


# --- What guards of several areas ask of services ----------------------------------------------------------------


def containers(task: Resource) -> list[tuple[int, Mapping[str, Json]]]:
    return list(enumerate(listed(task.get("ContainerDefinitions"))))


def task_definition(env: ResolvedEnvironment, service: Resource) -> Resource | None:
    return behind(env, service.get("TaskDefinition"), TASK)


def served_tasks(env: ResolvedEnvironment) -> Iterator[tuple[Resource, Resource]]:
    """Each service with its task definition."""
    for service in env.of_type(SERVICE):
        if task := task_definition(env, service):
            yield service, task


def target_ports(service: Resource) -> list[int]:
    """The container ports to which a load balancer sends."""
    ports = [number(item.get("ContainerPort")) for item in listed(service.get("LoadBalancers"))]
    return [int(port) for port in ports if port is not None]


def listener_ports(env: ResolvedEnvironment, balancer: Resource) -> list[int]:
    ports = [
        number(item.get("Port"))
        for item in env.of_type(LISTENER)
        if behind(env, item.get("LoadBalancerArn")) == balancer
    ]
    return [int(port) for port in ports if port is not None]


def rules_of(env: ResolvedEnvironment, listener: Resource) -> list[Resource]:
    return [rule for rule in env.of_type(RULE) if behind(env, rule.get("ListenerArn")) == listener]


def forwards(rule: Resource) -> bool:
    return any(action.get("Type") == "forward" for action in listed(rule.get("Actions") or rule.get("DefaultActions")))


def header_conditions(rule: Resource) -> list[Mapping[str, Json]]:
    return [
        item.get("HttpHeaderConfig", {})
        for item in listed(rule.get("Conditions"))
        if item.get("Field") == "http-header"
    ]


def attributes(resource: Resource, path: str) -> dict[str, str]:
    return {str(item.get("Key")): str(item.get("Value")) for item in listed(resource.get(path))}


def relays(container: Mapping[str, Json]) -> bool:
    """Whether a container runs socat as a relay."""
    return bool(_LISTENS.search(command(container)))


def relay_ports(container: Mapping[str, Json]) -> set[str]:
    """The ports of a relay: written in the address, or handed to a function of the script."""
    found = {port for port in _LISTENS.findall(command(container)) if port}
    return found or set(re.findall(r"(?<=\s)\d{4,5}(?=\s)", command(container))) if relays(container) else set()


def command(container: Mapping[str, Json]) -> str:
    return " ".join(str(part) for key in ("EntryPoint", "Command") for part in listed(container.get(key)))


def role_of(env: ResolvedEnvironment, task: Resource, kind: str) -> Resource | None:
    return behind(env, task.get(f"{kind}RoleArn"), ROLE)


# --- Tasks -------------------------------------------------------------------------------------------------------

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


@guard(
    "APP-01",
    "A task's size is one that Fargate has, and its containers fit in it",
    why="Other pairs, and containers that sum up to more than the task, are refused when the task is registered or "
    "placed (Amazon ECS Developer Guide, Task definition parameters for Fargate).",
    remedy="choose a pair of the table, and shrink the containers",
)
def task_size(env: ResolvedEnvironment) -> Iterator[Broken]:
    for task in env.of_type(TASK):
        cpu, memory = number(task.get("Cpu")) or 0, number(task.get("Memory")) or 0
        low, high, step = _FARGATE.get(int(cpu), (0, 0, 1))
        if not low <= memory <= high or memory % step or (memory == 1536 and cpu != 256) or not memory:
            yield Broken(task, "Properties.Memory", f"Fargate has no {cpu:g} CPU units with {memory:g} MiB")
        for key, whole in (("Cpu", cpu), ("Memory", memory)):
            parts = [
                number(container.get(key))
                or (number(container.get("MemoryReservation")) if key == "Memory" else 0)
                or 0
                for _, container in containers(task)
            ]
            if sum(parts) > whole or max(parts, default=0) > whole:
                yield Broken(
                    task, "Properties.ContainerDefinitions", f"containers need {sum(parts):g} {key} of {whole:g}"
                )


@guard(
    "APP-02",
    "A task says for which machine its images are built",
    why="The default is X86_64, and an image for ARM64 then ends with exec format error (Amazon ECS Developer Guide, "
    "RuntimePlatform).",
    remedy="set OperatingSystemFamily LINUX and CpuArchitecture",
)
def platform(env: ResolvedEnvironment) -> Iterator[Broken]:
    for task in env.of_type(TASK):
        given = (task.get("RuntimePlatform.OperatingSystemFamily"), task.get("RuntimePlatform.CpuArchitecture"))
        if given[0] != "LINUX" or given[1] not in ("X86_64", "ARM64"):
            yield Broken(task, "Properties.RuntimePlatform", f"platform is {given[0]} {given[1]}")


def _may_open_sessions(env: ResolvedEnvironment, role: Resource | None) -> bool:
    managed = [str(arn) for arn in listed(role.get("ManagedPolicyArns"))] if role else []
    needed = ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
    granted = permissions(env, role)
    return any(arn.endswith(":policy/AmazonSSMManagedInstanceCore") for arn in managed) or all(
        any(item.allows(f"ssmmessages:{action}") for item in granted) for action in needed
    )


@guard(
    "APP-03",
    "Services allow ECS Exec, and their tasks have a role for it",
    why="Without a task role that may use ssmmessages the command is refused: a valid taskRoleArn is not being used "
    "(Amazon ECS Developer Guide, Monitor Amazon ECS containers with ECS Exec).",
    remedy="set EnableExecuteCommand, and TaskRoleArn with AmazonSSMManagedInstanceCore",
)
def exec_enabled(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service, task in served_tasks(env):
        if not flag(service.get("EnableExecuteCommand")):
            yield Broken(service, "Properties.EnableExecuteCommand", "ECS Exec is off")
        if not _may_open_sessions(env, role_of(env, task, "Task")):
            yield Broken(task, "Properties.TaskRoleArn", "the task's role may not open sessions")


@guard(
    "APP-04",
    "Containers can be entered",
    why="The agent of ECS Exec writes to the root file system, shares no process namespace, and uses the task's role; "
    "without an init process its children stay behind (Amazon ECS Developer Guide, Monitor Amazon ECS containers with "
    "ECS Exec).",
    remedy="set InitProcessEnabled; drop ReadonlyRootFilesystem, PidMode and access keys",
)
def enterable(env: ResolvedEnvironment) -> Iterator[Broken]:
    for _, task in served_tasks(env):
        if task.get("PidMode") is not None:
            yield Broken(task, "Properties.PidMode", "process namespace is shared")
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}"
            if not flag(container.get("LinuxParameters", {}).get("InitProcessEnabled")):
                yield Broken(task, f"{path}.LinuxParameters.InitProcessEnabled", f"{container.get('Name')} has no init")
            if flag(container.get("ReadonlyRootFilesystem")):
                yield Broken(task, f"{path}.ReadonlyRootFilesystem", f"{container.get('Name')} is read-only")
            names = {item.get("Name") for key in ("Environment", "Secrets") for item in listed(container.get(key))}
            if names & {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}:
                yield Broken(task, f"{path}.Environment", f"{container.get('Name')} has an access key")


@guard(
    "APP-05",
    "Transcripts of sessions can be written",
    why="With OVERRIDE the task's role writes the transcript; where it may not, or the key is missing, sessions fail "
    "or leave no trace (Amazon ECS Developer Guide, Logging using ECS Exec).",
    remedy="grant logs:DescribeLogGroups, CreateLogStream, DescribeLogStreams and PutLogEvents, and kms:Decrypt",
)
def transcripts(env: ResolvedEnvironment) -> Iterator[Broken]:
    needed = ["logs:DescribeLogGroups", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    for service, task in served_tasks(env):
        cluster = behind(env, service.get("Cluster"), "AWS::ECS::Cluster")
        path = "Configuration.ExecuteCommandConfiguration"
        if cluster is None or cluster.get(f"{path}.Logging") != "OVERRIDE":
            yield Broken(cluster or service, f"Properties.{path}" if cluster else "Properties.Cluster", "not logged")
            continue
        group = behind(env, cluster.get(f"{path}.LogConfiguration.CloudWatchLogGroupName"), LOG_GROUP)
        encrypted = flag(cluster.get(f"{path}.LogConfiguration.CloudWatchEncryptionEnabled"))
        if group is None or (encrypted and group.get("KmsKeyId") is None):
            yield Broken(cluster, f"Properties.{path}.LogConfiguration", "no log group of ours, or not encrypted")
        key = behind(env, cluster.get(f"{path}.KmsKeyId"), "AWS::KMS::Key")
        granted = permissions(env, role_of(env, task, "Task"))
        missing = [action for action in needed if not any(item.allows(action) for item in granted)]
        if key and not any(item.allows("kms:Decrypt") and key in all_behind(env, item.resources) for item in granted):
            missing.append("kms:Decrypt")
        if missing:
            yield Broken(task, "Properties.TaskRoleArn", f"the task's role lacks {', '.join(missing)}")


@guard(
    "APP-07",
    "The app is essential, a sidecar is not, and ECS restarts it",
    why="An essential sidecar takes the app down with it, one without a restart policy stays down (Amazon ECS "
    "Developer Guide, Restart individual containers in Amazon ECS tasks).",
    remedy="set Essential false, and RestartPolicy with an attempt period of 60 to 1,800 seconds, for the sidecar",
)
def sidecars(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service, task in served_tasks(env):
        served = {item.get("ContainerName") for item in listed(service.get("LoadBalancers"))}
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}"
            essential = flag(container.get("Essential", True))
            if container.get("Name") in served and not essential:
                yield Broken(task, f"{path}.Essential", f"{container.get('Name')} is not essential")
            if relays(container) and essential:
                yield Broken(task, f"{path}.Essential", f"{container.get('Name')} is essential")
            policy = container.get("RestartPolicy", {})
            period = number(policy.get("RestartAttemptPeriod", 300)) or 0
            if not essential and not (flag(policy.get("Enabled")) and 60 <= period <= 1800):
                yield Broken(task, f"{path}.RestartPolicy", f"{container.get('Name')} is not restarted")


@guard(
    "APP-33",
    "Every task has a relay to the database beside its app",
    why="Administrators reach the database only through it, with a session of Session Manager (AWS Systems Manager "
    "User Guide, Start a session, port forwarding).",
    remedy="add the bastion container to the task",
)
def relay_present(env: ResolvedEnvironment) -> Iterator[Broken]:
    for _, task in served_tasks(env):
        if env.of_type("AWS::RDS::DBCluster") and not any(relays(container) for _, container in containers(task)):
            yield Broken(task, "Properties.ContainerDefinitions", "no relay")


@guard(
    "APP-08",
    "The relay survives failures, and the container outlives the relay",
    why="With set -e a registry that is down ends the container; without sleep in the foreground the container ends "
    "with the relay; a relay bound to all addresses is open to the VPC (socat manual, address options).",
    remedy="bind 127.0.0.1, loop the relay in the background, end with exec sleep infinity, and take the host from "
    "the cluster's endpoint",
)
def relay_command(env: ResolvedEnvironment) -> Iterator[Broken]:
    for _, task in served_tasks(env):
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
                    yield Broken(task, path, f"{container.get('Name')} {fault}")
            hosts = [
                behind(env, item.get("Value"), "AWS::RDS::DBCluster") for item in listed(container.get("Environment"))
            ]
            if not any(hosts):
                yield Broken(task, path.replace("Command", "Environment"), f"{container.get('Name')} knows no database")


@guard(
    "APP-09",
    "No two containers of a task listen on one port",
    why="All containers of a task share one network interface (Amazon ECS Developer Guide, awsvpc network mode).",
    remedy="choose another port; the relay's needs no port mapping",
)
def ports_unique(env: ResolvedEnvironment) -> Iterator[Broken]:
    for task in env.of_type(TASK):
        taken: dict[str, str] = {}
        for index, container in containers(task):
            name = str(container.get("Name"))
            mapped = [str(item.get("ContainerPort")) for item in listed(container.get("PortMappings"))]
            relayed = relay_ports(container)
            path = f"Properties.ContainerDefinitions.{index}"
            for port in set(mapped) & relayed:
                yield Broken(task, f"{path}.PortMappings", f"the relay's port {port} is mapped")
            for port in sorted({*mapped, *relayed}):
                if taken.setdefault(port, name) != name:
                    yield Broken(task, path, f"{name} and {taken[port]} listen on port {port}")


_IMAGE = re.compile(r"(?P<registry>[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?)/[a-z0-9._/-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}")


@guard(
    "APP-10",
    "Images name their registry and are pinned by digest",
    why="A bare name is pulled from Docker Hub, which limits anonymous pulls; a tag may be moved, and rollback then "
    "starts something else (Amazon ECS Developer Guide, Best practices for container images).",
    remedy="write <registry>/<name>@sha256:<digest> with a registry of ECR or ECR Public",
)
def images_pinned(env: ResolvedEnvironment) -> Iterator[Broken]:
    for task in env.of_type(TASK):
        for index, container in containers(task):
            match = _IMAGE.fullmatch(str(container.get("Image")))
            if match is None or match["registry"] in ("docker.io", "registry-1.docker.io", "index.docker.io"):
                path = f"Properties.ContainerDefinitions.{index}.Image"
                yield Broken(task, path, f"{container.get('Image')} is not pinned, or comes from Docker Hub")


@guard(
    "APP-11",
    "The execution role can pull, log, and read every secret of the task",
    why="ECS starts tasks with it: what it lacks shows as ResourceInitializationError, when a task starts (Amazon ECS "
    "Developer Guide, Amazon ECS task execution IAM role).",
    remedy="grant ecr and logs actions, secretsmanager:GetSecretValue on each secret and kms:Decrypt on its key; write "
    "ValueFrom as <arn>:<key>::",
)
def execution_role(env: ResolvedEnvironment) -> Iterator[Broken]:
    for task in env.of_type(TASK):
        granted = permissions(env, role_of(env, task, "Execution"))
        missing = [action for action in _PULLS if not any(item.allows(action) for item in granted)]
        for index, container in containers(task):
            missing += _missing_for_logs(env, container, granted)
            for secret in listed(container.get("Secrets")):
                missing += _missing_for_secret(env, secret, granted)
                value = str(secret.get("ValueFrom"))
                if not re.search(r"(>>|:[A-Za-z0-9_]+::|:secret:[^:]+)$", value):
                    path = f"Properties.ContainerDefinitions.{index}.Secrets"
                    yield Broken(task, path, f"{secret.get('Name')} is taken from {value.rsplit('>>', 1)[-1]}")
        if missing:
            yield Broken(task, "Properties.ExecutionRoleArn", f"lacks {', '.join(dict.fromkeys(missing))}")


_PULLS = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)


def _missing_for_logs(
    env: ResolvedEnvironment, container: Mapping[str, Json], granted: list[Statement]
) -> Iterator[str]:
    group = behind(env, container.get("LogConfiguration", {}).get("Options", {}).get("awslogs-group"), LOG_GROUP)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if group and not any(item.allows(action) and _names(env, item.resources, group) for item in granted):
            yield f"{action} on {group.logical_id}"


def _missing_for_secret(
    env: ResolvedEnvironment, secret: Mapping[str, Json], granted: list[Statement]
) -> Iterator[str]:
    owners = all_behind(env, str(secret.get("ValueFrom")))
    if not any(
        item.allows("secretsmanager:GetSecretValue")
        and any(owner in all_behind(env, item.resources) for owner in owners)
        for item in granted
    ):
        yield f"secretsmanager:GetSecretValue on {secret.get('Name')}"
    for key in _keys_of(env, owners):
        if not any(item.allows("kms:Decrypt") and key in all_behind(env, item.resources) for item in granted):
            yield f"kms:Decrypt with {key.logical_id}"


def _names(env: ResolvedEnvironment, resources: list[str], group: Resource) -> bool:
    name = str(group.get("LogGroupName"))
    return group in all_behind(env, resources) or any(
        matches(
            pattern,
            f"arn:aws:logs:{env.stacks[group.stack].region}:{env.stacks[group.stack].account}:log-group:{name}:*",
        )
        for pattern in resources
    )


def _keys_of(env: ResolvedEnvironment, owners: list[Resource]) -> list[Resource]:
    """The keys of the secrets: those of a cluster's managed password, or a secret's own."""
    paths = {"AWS::RDS::DBCluster": "MasterUserSecret.KmsKeyId", "AWS::SecretsManager::Secret": "KmsKeyId"}
    found = [behind(env, owner.get(paths[owner.type]), "AWS::KMS::Key") for owner in owners if owner.type in paths]
    return [key for key in found if key]


@guard(
    "APP-12",
    "Containers log to groups of ours, without holding the app up",
    why="A missing group stops the task, one made by the driver never expires, and in blocking mode a slow log service "
    "stops the app (Amazon ECS Developer Guide, Send Amazon ECS logs to CloudWatch).",
    remedy="set awslogs-group, -region and -stream-prefix, mode non-blocking and max-buffer-size; no "
    "awslogs-create-group",
)
def container_logs(env: ResolvedEnvironment) -> Iterator[Broken]:
    for task in env.of_type(TASK):
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}.LogConfiguration"
            name = container.get("Name")
            options = container.get("LogConfiguration", {}).get("Options", {})
            if container.get("LogConfiguration", {}).get("LogDriver") != "awslogs":
                yield Broken(task, path, f"{name} does not log to CloudWatch")
                continue
            if not behind(env, options.get("awslogs-group"), LOG_GROUP):
                yield Broken(task, path, f"the group of {name} is not ours")
            if options.get("awslogs-region") != env.stacks[task.stack].region or not options.get(
                "awslogs-stream-prefix"
            ):
                yield Broken(task, path, f"{name} lacks the region or a stream prefix")
            if options.get("mode") != "non-blocking" or not options.get("max-buffer-size"):
                yield Broken(task, path, f"{name} stops when logging stops")
            if "awslogs-create-group" in options:
                yield Broken(task, path, f"{name} makes its group itself")


# --- Services ----------------------------------------------------------------------------------------------------


@guard(
    "APP-13",
    "The load balancer sends to a container and a port that exist",
    why="ECS refuses a name or port that the task does not have, and Fargate needs targets of type ip (Amazon ECS "
    "Developer Guide, Use an Application Load Balancer for Amazon ECS).",
    remedy="use the app container's name and port; TargetType ip",
)
def load_balanced_container(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service, task in served_tasks(env):
        for index, item in enumerate(listed(service.get("LoadBalancers"))):
            path = f"Properties.LoadBalancers.{index}"
            ports = [
                str(mapping.get("ContainerPort"))
                for _, container in containers(task)
                if container.get("Name") == item.get("ContainerName")
                for mapping in listed(container.get("PortMappings"))
            ]
            if str(item.get("ContainerPort")) not in ports:
                yield Broken(service, path, f"no {item.get('ContainerName')}:{item.get('ContainerPort')} in the task")
            target = behind(env, item.get("TargetGroupArn"), TARGET_GROUP)
            if target is None or target.get("TargetType") != "ip":
                yield Broken(service, path, "no target group of type ip")


@guard(
    "APP-14",
    "A service waits until a listener uses its target group",
    why="ECS refuses a target group without a load balancer, in the first deployment only (Amazon ECS Developer Guide, "
    "Troubleshoot service load balancers).",
    remedy="add the listener rule to the service's DependsOn",
)
def service_after_rule(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service in env.of_type(SERVICE):
        stack = env.stacks[service.stack]
        for item in listed(service.get("LoadBalancers")):
            target = behind(env, item.get("TargetGroupArn"), TARGET_GROUP)
            users = [
                user
                for user in stack.of_type(RULE, LISTENER)
                if target in all_behind(env, user.get("Actions") or user.get("DefaultActions"))
            ]
            if target and not any(depends(stack, service, user.logical_id) for user in users):
                yield Broken(service, "DependsOn", f"does not wait for a rule that forwards to {target.logical_id}")


@guard(
    "APP-15",
    "A deployment can proceed, and one that fails is rolled back",
    why="Without the circuit breaker a bad image holds the stack for hours; 100/100 percent can never replace a task "
    "(Amazon ECS Developer Guide, How the Amazon ECS deployment circuit breaker detects failures).",
    remedy="enable the breaker with rollback, 100 and 200 percent, zone rebalancing, and a grace period of 60 s",
)
def deployments(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service in env.of_type(SERVICE):
        path = "DeploymentConfiguration"
        breaker = [service.get(f"{path}.DeploymentCircuitBreaker.{key}") for key in ("Enable", "Rollback")]
        if not all(flag(item) for item in breaker):
            yield Broken(service, f"Properties.{path}.DeploymentCircuitBreaker", "does not roll back")
        low, high = (number(service.get(f"{path}.{key}")) for key in ("MinimumHealthyPercent", "MaximumPercent"))
        if low != 100 or high is None or high < 200:
            yield Broken(service, f"Properties.{path}", f"{low} to {high} percent")
        if service.get("AvailabilityZoneRebalancing") != "ENABLED":
            yield Broken(service, "Properties.AvailabilityZoneRebalancing", "zones are not rebalanced")
        grace = number(service.get("HealthCheckGracePeriodSeconds"))
        if bool(listed(service.get("LoadBalancers"))) != (grace is not None) or (grace is not None and grace < 60):
            yield Broken(service, "Properties.HealthCheckGracePeriodSeconds", f"grace period {grace}")


@guard(
    "APP-16",
    "A service starts with two tasks or more, and never scales below",
    why="A new service without DesiredCount starts with one task, and the minimum of scaling is enforced only at its "
    "first event (Application Auto Scaling User Guide, Target tracking scaling policies).",
    remedy="give at least 2 as DesiredCount of a new service and as MinCapacity",
)
def two_tasks(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service in env.of_type(SERVICE):
        count = number(service.get("DesiredCount"))
        if count is None or count < 2:
            yield Broken(service, "Properties.DesiredCount", f"starts with {count or 1:g} task")
        targets = [item for item in scaling_targets(env) if service in all_behind(env, item.get("ResourceId"))]
        if not targets:
            yield Broken(service, "", "does not scale")
        for target in targets:
            low, high = number(target.get("MinCapacity")) or 0, number(target.get("MaxCapacity")) or 0
            if not 2 <= low <= high:
                yield Broken(target, "Properties.MinCapacity", f"scales from {low:g} to {high:g}")


def scaling_targets(env: ResolvedEnvironment) -> list[Resource]:
    return env.of_type("AWS::ApplicationAutoScaling::ScalableTarget")


@template_guard(
    "APP-34",
    "An update leaves the number of tasks to scaling",
    why="A DesiredCount that is always given sets the number back at every update of the service (CloudFormation "
    "Template Reference, AWS::ECS::Service).",
    remedy="give DesiredCount by Fn::If, only when the service is new",
)
def count_only_when_new(templates: Mapping[str, Template]) -> Iterator[Broken]:
    for template in templates.values():
        for logical_id, resource in template.resources.items():
            if resource["Type"] != SERVICE:
                continue
            count = resource.get("Properties", {}).get("DesiredCount")
            branches = count.get("Fn::If", []) if isinstance(count, dict) else []
            if {"Ref": "AWS::NoValue"} not in branches[1:]:
                yield Broken(Place(template.name, logical_id), "Properties.DesiredCount", "is set at every update")


@guard(
    "APP-17",
    "Services run on Fargate, by one way of saying so",
    why="LaunchType and CapacityProviderStrategy exclude each other, and tags reach tasks only when propagated (Amazon "
    "ECS API Reference, CreateService).",
    remedy="set one of the two, PropagateTags SERVICE and EnableECSManagedTags",
)
def fargate_only(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service in env.of_type(SERVICE):
        providers = [item.get("CapacityProvider") for item in listed(service.get("CapacityProviderStrategy"))]
        launch = service.get("LaunchType")
        if bool(providers) == bool(launch) or launch not in (None, "FARGATE") or not _fargate(providers):
            yield Broken(service, "Properties.LaunchType", f"launch type {launch} with capacity providers {providers}")
        if service.get("PropagateTags") != "SERVICE" or not flag(service.get("EnableECSManagedTags")):
            yield Broken(service, "Properties.PropagateTags", "tasks are not tagged")
    for clusters in env.of_type("AWS::ECS::Cluster", "AWS::ECS::ClusterCapacityProviderAssociations"):
        if not _fargate(listed(clusters.get("CapacityProviders"))):
            yield Broken(clusters, "Properties.CapacityProviders", "not Fargate only")


def _fargate(providers: list[str]) -> bool:
    return set(providers) <= {"FARGATE", "FARGATE_SPOT"}


@guard(
    "APP-19",
    "Health checks and draining have times that work",
    why="A timeout above the interval is refused; a long delay slows every deployment; Fargate stops a container after "
    "at most 120 s (Elastic Load Balancing User Guide, Target group health checks).",
    remedy="timeout below interval, Matcher 200-399, deregistration delay up to 60, StopTimeout up to 120",
)
def target_times(env: ResolvedEnvironment) -> Iterator[Broken]:
    for target in env.of_type(TARGET_GROUP):
        interval = number(target.get("HealthCheckIntervalSeconds")) or 30
        timeout = number(target.get("HealthCheckTimeoutSeconds")) or 5
        if timeout >= interval:
            yield Broken(
                target, "Properties.HealthCheckTimeoutSeconds", f"{timeout:g} s in an interval of {interval:g}"
            )
        given = attributes(target, "TargetGroupAttributes")
        delay = number(given.get("deregistration_delay.timeout_seconds", 300)) or 0
        if delay > 60:
            yield Broken(target, "Properties.TargetGroupAttributes", f"deregistration takes {delay:g} s")
        if not target.get("HealthCheckPath"):
            yield Broken(target, "Properties.HealthCheckPath", "no path to check")
    for task in env.of_type(TASK):
        for index, container in containers(task):
            if (number(container.get("StopTimeout")) or 0) > 120:
                path = f"Properties.ContainerDefinitions.{index}.StopTimeout"
                yield Broken(task, path, f"{container.get('StopTimeout')} s to stop")


@guard(
    "APP-20",
    "Containers that wait for others name them, and their health",
    why="ECS refuses an unknown name, and HEALTHY without a health check never comes; a health command begins with CMD "
    "or CMD-SHELL (Amazon ECS Developer Guide, Container dependency).",
    remedy="correct the name or add the HealthCheck",
)
def container_dependencies(env: ResolvedEnvironment) -> Iterator[Broken]:
    for task in env.of_type(TASK):
        checks = {container.get("Name"): container.get("HealthCheck") for _, container in containers(task)}
        for index, container in containers(task):
            path = f"Properties.ContainerDefinitions.{index}"
            for item in listed(container.get("DependsOn")):
                name = item.get("ContainerName")
                if name not in checks or (item.get("Condition") == "HEALTHY" and not checks[name]):
                    yield Broken(task, f"{path}.DependsOn", f"waits in vain for {name}")
            health = listed((container.get("HealthCheck") or {}).get("Command"))
            if health and health[0] not in ("CMD", "CMD-SHELL"):
                yield Broken(task, f"{path}.HealthCheck.Command", f"begins with {health[0]}")


# --- Load balancer -----------------------------------------------------------------------------------------------

# Elastic Load Balancing User Guide, Security policies for your Application Load Balancer: TLS 1.2 and up, with forward
# secrecy for every client.
_TLS = {
    f"ELBSecurityPolicy-TLS13-{name}"
    for name in (
        "1-2-Res-2021-06",
        "1-2-2021-06",
        "1-3-2021-06",
        "1-2-Res-FIPS-2023-04",
        "1-2-FIPS-2023-04",
        "1-3-FIPS-2023-04",
        "1-2-Res-PQ-2025-09",
        "1-2-PQ-2025-09",
        "1-3-PQ-2025-09",
        "1-2-Res-FIPS-PQ-2025-09",
        "1-2-FIPS-PQ-2025-09",
        "1-3-FIPS-PQ-2025-09",
    )
}


@guard(
    "APP-21",
    "HTTPS listeners have a certificate of their region and a strict TLS policy",
    why="Left out, CloudFormation takes the policy of 2016 with TLS 1.0; a certificate of us-east-1 is refused "
    "(Elastic Load Balancing User Guide, Security policies).",
    remedy="set SslPolicy ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09 and a certificate of the region",
)
def https_listeners(env: ResolvedEnvironment) -> Iterator[Broken]:
    for listener in env.of_type(LISTENER):
        if listener.get("Protocol") != "HTTPS":
            continue
        if listener.get("SslPolicy") not in _TLS:
            yield Broken(listener, "Properties.SslPolicy", f"TLS policy {listener.get('SslPolicy')}")
        region = env.stacks[listener.stack].region
        for item in listed(listener.get("Certificates")):
            arn = item.get("CertificateArn")
            made = behind(env, arn, "AWS::CertificateManager::Certificate")
            home = env.stacks[made.stack].region if made else (str(arn).split(":") + [""] * 4)[3]
            if home != region:
                yield Broken(listener, "Properties.Certificates", f"certificate of {home or 'no region'} in {region}")


@guard(
    "APP-22",
    "Only requests with the secret header reach a service",
    why="CloudFront's address list admits everybody's distributions; the header tells ours (Amazon CloudFront "
    "Developer Guide, Restrict access to Application Load Balancers).",
    remedy="default to a fixed 403; in each forwarding rule a header condition and a path, at most 5 values, with a "
    "priority of its own",
)
def guarded_listeners(env: ResolvedEnvironment) -> Iterator[Broken]:
    for listener in env.of_type(LISTENER):
        fixed = listener.get("DefaultActions.0.FixedResponseConfig.StatusCode")
        if forwards(listener) or (listener.get("Protocol") == "HTTPS" and str(fixed) != "403"):
            yield Broken(listener, "Properties.DefaultActions", "answers requests without the header")
        priorities: dict[str, str] = {}
        for rule in rules_of(env, listener):
            yield from _rule_conditions(rule)
            priority = str(rule.get("Priority"))
            if priority in priorities:
                yield Broken(rule, "Properties.Priority", f"{priority} is also of {priorities[priority]}")
            priorities[priority] = f"{rule.stack} {rule.logical_id}"


def _rule_conditions(rule: Resource) -> Iterator[Broken]:
    conditions = listed(rule.get("Conditions"))
    values = [value for item in conditions for value in _condition_values(item)]
    if len(values) > 5:
        yield Broken(rule, "Properties.Conditions", f"{len(values)} values")
    fields = {item.get("Field") for item in conditions}
    if forwards(rule) and not {"http-header", "path-pattern"} <= fields:
        yield Broken(rule, "Properties.Conditions", "forwards without the header or without a path")


def _condition_values(item: Mapping[str, Json]) -> list[Json]:
    found = listed(item.get("Values"))
    for value in item.values():
        if isinstance(value, dict):
            found = found + listed(value.get("Values"))
    return found


# Elastic Load Balancing User Guide, Application Load Balancer attributes: those set here, and what they should be.
_ATTRIBUTES: dict[str, set[str] | None] = {
    "access_logs.s3.enabled": {"true"},
    "access_logs.s3.bucket": None,
    "access_logs.s3.prefix": None,
    "client_keep_alive.seconds": None,
    "connection_logs.s3.enabled": None,
    "connection_logs.s3.bucket": None,
    "connection_logs.s3.prefix": None,
    "deletion_protection.enabled": {"true", "false"},
    "idle_timeout.timeout_seconds": None,
    "routing.http.desync_mitigation_mode": {"strictest", "defensive"},
    "routing.http.drop_invalid_header_fields.enabled": {"true"},
    "routing.http.preserve_host_header.enabled": None,
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": None,
    "routing.http.xff_client_port.enabled": None,
    "routing.http.xff_header_processing.mode": None,
    "routing.http2.enabled": None,
    "waf.fail_open.enabled": {"false"},
    "zonal_shift.config.enabled": None,
}
_REQUIRED = ("routing.http.drop_invalid_header_fields.enabled", "deletion_protection.enabled", "access_logs.s3.enabled")


@guard(
    "APP-23",
    "The load balancer's attributes exist and are strict",
    why="An unknown key is refused at creation, and the defaults accept malformed headers (Elastic Load Balancing User "
    "Guide, Application Load Balancer attributes).",
    remedy="correct the key; drop invalid headers, mitigate desync, and log",
)
def balancer_attributes(env: ResolvedEnvironment) -> Iterator[Broken]:
    for balancer in env.of_type(BALANCER):
        given = attributes(balancer, "LoadBalancerAttributes")
        path = "Properties.LoadBalancerAttributes"
        for key, value in given.items():
            allowed = _ATTRIBUTES.get(key, set())
            if allowed is not None and value not in allowed:
                yield Broken(balancer, path, f"{key} {value}" if key in _ATTRIBUTES else f"there is no attribute {key}")
        for key in _REQUIRED:
            if key not in given:
                yield Broken(balancer, path, f"{key} is left to its default")
        if balancer.get("Scheme") != "internet-facing":
            yield Broken(balancer, "Properties.Scheme", "CloudFront cannot reach it")


@guard(
    "APP-32",
    "Plain HTTP is redirected to HTTPS",
    why="A visitor who types the address without https gets an answer, and no content without TLS (Elastic Load "
    "Balancing User Guide, Redirect actions).",
    remedy="default the listener of port 80 to a redirect to HTTPS, port 443",
)
def http_redirects(env: ResolvedEnvironment) -> Iterator[Broken]:
    for balancer in env.of_type(BALANCER):
        if not {80, 443} <= set(listener_ports(env, balancer)):
            yield Broken(balancer, "", "no listeners on 80 and 443")
    for listener in env.of_type(LISTENER):
        if listener.get("Protocol") != "HTTP":
            continue
        redirect = listener.get("DefaultActions.0.RedirectConfig", {})
        if redirect.get("Protocol") != "HTTPS" or str(redirect.get("Port")) != "443":
            yield Broken(listener, "Properties.DefaultActions", "does not redirect to HTTPS")


# --- Cluster, certificates, images, scaling ----------------------------------------------------------------------


@guard(
    "APP-24",
    "Container Insights is on, and its log group is ours",
    why="The group /aws/ecs/containerinsights/<cluster>/performance is made by the service otherwise, never to expire "
    "(Amazon CloudWatch User Guide, Container Insights).",
    remedy="set containerInsights to enabled or enhanced, name the cluster, and make the group first",
)
def container_insights(env: ResolvedEnvironment) -> Iterator[Broken]:
    groups = {str(group.get("LogGroupName")) for group in env.of_type(LOG_GROUP)}
    for cluster in env.of_type("AWS::ECS::Cluster"):
        settings = {item.get("Name"): item.get("Value") for item in listed(cluster.get("ClusterSettings"))}
        if settings.get("containerInsights") not in ("enabled", "enhanced"):
            yield Broken(cluster, "Properties.ClusterSettings", f"insights are {settings.get('containerInsights')}")
        if f"/aws/ecs/containerinsights/{cluster.get('ClusterName')}/performance" not in groups:
            yield Broken(cluster, "Properties.ClusterName", "the log group of Container Insights is not ours")
    for task in env.of_type(TASK):
        size = number(task.get("EphemeralStorage.SizeInGiB"))
        if size is not None and not 21 <= size <= 200:
            yield Broken(task, "Properties.EphemeralStorage", f"{size:g} GiB")
        for index, container in containers(task):
            for variable in listed(container.get("Environment")):
                if not isinstance(variable.get("Value"), str):
                    path = f"Properties.ContainerDefinitions.{index}.Environment"
                    yield Broken(task, path, f"{variable.get('Name')} is not text")


@guard(
    "APP-25",
    "Certificates are validated without a human",
    why="Without a hosted zone the stack waits for somebody to enter a DNS record, up to 72 hours (CloudFormation "
    "Template Reference, AWS::CertificateManager::Certificate).",
    remedy="set ValidationMethod DNS and a HostedZoneId for each domain, or pass a certificate's ARN",
)
def certificates(env: ResolvedEnvironment) -> Iterator[Broken]:
    for certificate in env.of_type("AWS::CertificateManager::Certificate"):
        names = [certificate.get("DomainName"), *listed(certificate.get("SubjectAlternativeNames"))]
        validated = {
            item.get("DomainName")
            for item in listed(certificate.get("DomainValidationOptions"))
            if item.get("HostedZoneId")
        }
        if certificate.get("ValidationMethod") != "DNS" or not set(names) <= validated:
            yield Broken(certificate, "Properties.DomainValidationOptions", "a name is not validated by DNS")


@guard(
    "APP-26",
    "Image repositories keep what still runs",
    why="A rule that expires tagged images too early breaks the next scale-out, weeks later; a tag that can be moved "
    "changes what a revision means (Amazon ECR User Guide, Lifecycle policies).",
    remedy="IMMUTABLE tags; expire untagged images by age, tagged ones only beyond 30 by count",
)
def repositories(env: ResolvedEnvironment) -> Iterator[Broken]:
    for repository in env.of_type("AWS::ECR::Repository"):
        if not str(repository.get("ImageTagMutability", "")).startswith("IMMUTABLE"):
            yield Broken(repository, "Properties.ImageTagMutability", "tags can be moved")
        text = repository.get("LifecyclePolicy.LifecyclePolicyText")
        if text is None:
            continue
        for rule in json.loads(str(text)).get("rules", []):
            selection = rule.get("selection", {})
            many = (
                selection.get("countType") == "imageCountMoreThan" and (number(selection.get("countNumber")) or 0) >= 30
            )
            if selection.get("tagStatus") != "untagged" and not many:
                yield Broken(repository, "Properties.LifecyclePolicy", "expires images that may still run")


@guard(
    "APP-29",
    "Scaling names its service as Application Auto Scaling wants it",
    why="The id is service/<cluster>/<service> with names, not ARNs; a role of ours would replace the service-linked "
    "one (Application Auto Scaling User Guide, Amazon ECS and Application Auto Scaling).",
    remedy="build ResourceId from the cluster's name and GetAtt Name of the service; drop RoleARN",
)
def scaling_names(env: ResolvedEnvironment) -> Iterator[Broken]:
    for target in scaling_targets(env):
        parts = str(target.get("ResourceId")).split("/service/", 1)[-1]
        good = re.fullmatch(r"service/(?P<cluster>\S+)/(?P<service><<[^<>]+>>)", str(target.get("ResourceId")))
        service = behind(env, good["service"], SERVICE) if good else None
        if not good or service is None or not is_attribute(good["service"], "Name"):
            yield Broken(target, "Properties.ResourceId", f"{parts} is not service/<cluster>/<service name>")
        elif not _names_cluster(env, good["cluster"], service):
            yield Broken(target, "Properties.ResourceId", "is not the service's cluster")
        if target.get("RoleARN") is not None:
            yield Broken(target, "Properties.RoleARN", "a role in place of the service-linked one")
    for policy in env.of_type("AWS::ApplicationAutoScaling::ScalingPolicy"):
        path = "TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification"
        metric, label = policy.get(f"{path}.PredefinedMetricType"), policy.get(f"{path}.ResourceLabel")
        if (metric == "ALBRequestCountPerTarget") != (label is not None):
            yield Broken(policy, f"Properties.{path}", f"{metric} with label {label}")


def _names_cluster(env: ResolvedEnvironment, text: str, service: Resource) -> bool:
    cluster = behind(env, service.get("Cluster"), "AWS::ECS::Cluster")
    if cluster is None:
        return False
    return text == cluster.get("ClusterName") or (origin(text) is not None and same(env, text, cluster.ref))


@guard(
    "APP-35",
    "A service runs a task definition of ours",
    why="A revision that the stack does not own is not updated with it, and none of these rules sees it (Amazon ECS "
    "Developer Guide, Service definition parameters).",
    remedy="take TaskDefinition from Ref, Cluster from the application layer",
)
def own_task_definition(env: ResolvedEnvironment) -> Iterator[Broken]:
    for service in env.of_type(SERVICE):
        if task_definition(env, service) is None:
            yield Broken(service, "Properties.TaskDefinition", "is not ours")
