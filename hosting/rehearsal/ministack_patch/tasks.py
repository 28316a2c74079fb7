"""Runs ECS tasks up to their end: network interface, secrets, exit codes, log lines and events.

No container runs in the emulator. A task of a service runs until it is stopped. The command of any other task ends by
itself; `Rehearsal.Command` decides when and with which exit code.
"""

from __future__ import annotations

import ipaddress
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import (
    AccountRegionScopedDict,
    AccountScopedDict,
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    request_scope,
)
from ministack.services import cloudwatch_logs, ec2, ecs, eventbridge

from hosting.rehearsal.ministack_patch import volumes
from hosting.rehearsal.ministack_patch.api import Proceed, operation
from hosting.rehearsal.ministack_patch.ecs_rules import task_refusal
from hosting.rehearsal.ministack_patch.patching import set_attribute

Request = dict[str, Any]
Task = dict[str, Any]

_run_task = ecs._run_task
_mark_task_stopped = ecs._mark_task_stopped

# What the bastion and other containers end with when the essential container has ended: SIGKILL after SIGTERM.
KILLED = 137
# Reasons for which ECS itself stops tasks of a service. MiniStack reports them as stopped by a user.
OF_THE_SERVICE = (
    "Service scaling down",
    "Service deleted",
    "Deployment completed",
    "Task definition updated",
    "Deployment capacity limit",
)


@dataclass(frozen=True)
class Command:
    """The end of the commands that contain a text. Without an exit code they run until `Rehearsal.EndTask`."""

    seconds: float = 0.2
    exit_code: int | None = 0
    log: str = ""


_commands = AccountScopedDict()
_tokens = AccountRegionScopedDict()


def install() -> None:
    """Replace RunTask, and the function that every stop of a task calls."""
    set_attribute(ecs, "_run_task", run_task)
    ecs._ACTION_MAP["RunTask"] = run_task
    set_attribute(ecs, "_mark_task_stopped", mark_task_stopped)


@operation("Rehearsal.Command")
def declare_command(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Decide how commands that contain `Text` end; with an empty text, all commands without a decision of their own."""
    code = parameters.get("ExitCode", "0")
    _commands[parameters.get("Text", "")] = Command(
        float(parameters.get("Seconds", Command.seconds)), int(code) if code else None, parameters.get("Log", "")
    )
    return {}


@operation("Rehearsal.EndTask")
def end_task(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Stop a task as if its application had ended."""
    end(ecs._tasks[parameters["Task"]], int(parameters["ExitCode"]))
    return {}


# --- Start --------------------------------------------------------------------------------------------------


def run_task(data: Request) -> Any:
    """Run tasks as ECS does. Tasks in awsvpc mode get a network interface, spread over the subnets.

    Without a container MiniStack has no address for a task, and without an address no target is registered.
    """
    # Amazon ECS API Reference, RunTask: the service refuses other characters, MiniStack accepts them.
    if not re.fullmatch(r"[A-Za-z0-9/_-]{0,128}", data.get("startedBy") or ""):
        return error_response_json("InvalidParameterException", "startedBy has characters that are not allowed", 400)
    standalone = not str(data.get("group", "")).startswith("service:")
    if standalone and (refusal := task_refusal(data)):
        return error_response_json(*refusal, 400)
    token = data.get("clientToken")
    if token and token in _tokens:
        return repeated(data, *_tokens[token])
    if standalone and (definition := definition_of(data)):
        data = {"group": f"family:{definition['family']}", **data}
    reply = _run_task(data)
    if reply[0] >= 400:
        return reply
    tasks = [ecs._tasks[listed["taskArn"]] for listed in json.loads(reply[2])["tasks"]]
    if token:
        _tokens[token] = (data, [task["taskArn"] for task in tasks])
    attach_interfaces(tasks, data)
    for task in tasks:
        publish(task)
        if standalone:
            start(task, network_of(data))
    return json_response({"tasks": [ecs._sanitize(task) for task in tasks], "failures": []})


def repeated(data: Request, first: Request, arns: list[str]) -> Any:
    """Answer a request with a client token that was used: with the tasks of the first request, or with a conflict."""
    if any(first.get(name) != value for name, value in data.items()):
        return error_response_json(
            "ConflictException", "The client token was used with other parameters: it identifies another request.", 400
        )
    return json_response({"tasks": [ecs._sanitize(ecs._tasks[arn]) for arn in arns], "failures": []})


def definition_of(data: Request) -> dict[str, Any] | None:
    found: dict[str, Any] | None = ecs._task_defs.get(ecs._resolve_td_key(data.get("taskDefinition", "")))
    return found


def attach_interfaces(tasks: list[Task], data: Request) -> None:
    """Give tasks in awsvpc mode a network interface, spread over the subnets."""
    subnets = network_of(data).get("subnets") or []
    for index, task in enumerate(tasks):
        if task["_network_mode"] != "awsvpc" or task["attachments"] or not subnets:
            continue
        subnet = ec2._subnets.get(subnets[index % len(subnets)])
        if subnet is None:
            continue
        task["availabilityZone"] = subnet["AvailabilityZone"]
        task["attachments"] = [network_interface(subnet, task["taskArn"])]


def network_interface(subnet: dict[str, Any], task: str) -> dict[str, Any]:
    """Return the attachment of a task's network interface, with a stable address of its subnet."""
    number = uuid.uuid5(uuid.NAMESPACE_URL, task).int
    network = ipaddress.ip_network(subnet["CidrBlock"])
    # AWS reserves the first four addresses of a subnet and its last one.
    address = network[4 + number % (network.num_addresses - 5)]
    details = {
        "subnetId": subnet["SubnetId"],
        "networkInterfaceId": f"eni-{number:032x}"[:21],
        "privateIPv4Address": str(address),
    }
    return {
        "id": str(uuid.UUID(int=number)),
        "type": "ElasticNetworkInterface",
        "status": "ATTACHED",
        "details": [{"name": name, "value": value} for name, value in details.items()],
    }


def network_of(request: Request) -> Request:
    """Return the subnets and security groups of a request for tasks."""
    found: Request = (request.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
    return found


def start(task: Task, network: Request) -> None:
    """Fail a task that cannot start in its network, or end it when its command ends."""
    definition = ecs._task_defs[task["taskDefinitionArn"].rpartition("/")[2]]
    if reason := start_failure(definition, network):
        mark_task_stopped(task["taskArn"], task, reason, "TaskFailedToStart")
        return
    command = command_of(task, definition)
    if command.exit_code is None:
        return
    scope, code = (get_account_id(), get_region()), command.exit_code

    def run() -> None:
        time.sleep(command.seconds)
        with request_scope(*scope):
            write_log(task, definition, command.log)
            end(task, code)

    threading.Thread(target=run, daemon=True, name="standalone-task").start()


def start_failure(definition: dict[str, Any], network: Request) -> str:
    """Return ECS's reason why a task of a definition cannot start; an empty string if it can.

    It cannot read a secret, or it cannot mount a volume in one of the subnets.
    """
    from hosting.rehearsal.ministack_patch.data import value_failure

    for container in definition["containerDefinitions"]:
        for secret in container.get("secrets") or []:
            if failure := value_failure(secret["valueFrom"]):
                return (
                    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
                    f"retrieval failed: unable to retrieve secret from asm: {failure}"
                )
    return volumes.mount_failure(definition, network.get("subnets") or [], network.get("securityGroups") or [])


def command_of(task: Task, definition: dict[str, Any]) -> Command:
    """Return how the command of a task ends, by the longest declared text that it contains."""
    from hosting.rehearsal.ministack_patch.seeding import failing_images

    essential = essential_container(definition)
    if essential["image"].partition("@")[2] in failing_images:
        return Command(exit_code=1)
    overrides = task["overrides"].get("containerOverrides") or []
    words = next((one["command"] for one in overrides if one["name"] == essential["name"] and "command" in one), None)
    if result := volumes.run_file_command(definition, essential, words or []):
        return Command(exit_code=result[0], log=result[1])
    text = " ".join(words or essential.get("command") or [])
    known = sorted((declared for declared in _commands if declared in text), key=len)
    found: Command = _commands[known[-1]] if known else Command()
    return found


def essential_container(definition: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in definition["containerDefinitions"] if one.get("essential", True))
    return found


def write_log(task: Task, definition: dict[str, Any], text: str) -> None:
    """Write a line to the log of the essential container, as its command would."""
    container = essential_container(definition)
    options = (container.get("logConfiguration") or {}).get("options") or {}
    group = options.get("awslogs-group")
    if not text or not group:
        return
    stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task['taskArn'].rpartition('/')[2]}"
    cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
    event = {"timestamp": int(time.time() * 1000), "message": text}
    cloudwatch_logs._put_log_events({"logGroupName": group, "logStreamName": stream, "logEvents": [event]})


# --- End ----------------------------------------------------------------------------------------------------


def end(task: Task, exit_code: int) -> None:
    """End the first essential container with a code. ECS then stops the other ones."""
    code: int | None = exit_code
    for container, essential in zip(task["containers"], task["_container_essentials"], strict=True):
        ended = essential and code is not None
        container["exitCode"] = code if ended else KILLED
        if ended:
            code = None
    mark_task_stopped(task["taskArn"], task, "Essential container in task exited", "EssentialContainerExited")


def mark_task_stopped(arn: str, task: Task, reason: str, stop_code: str, exit_code: int | None = None) -> Any:
    """Stop a task and publish the event of its last state."""
    if stop_code == "UserInitiated" and reason in OF_THE_SERVICE:
        stop_code = "ServiceSchedulerInitiated"
    stopped = _mark_task_stopped(arn, task, reason, stop_code, exit_code)
    if stopped:
        publish(task)
    return stopped


def publish(task: Task) -> None:
    """Send the event of a task's present state to EventBridge (Amazon ECS Developer Guide, task state change events).

    Targets run in a thread of their own: a function may call ECS again.
    """
    scope = get_account_id(), get_region()
    detail = ecs._sanitize(task) | {"updatedAt": ecs._iso()}
    entry = {
        "Source": "aws.ecs",
        "DetailType": "ECS Task State Change",
        "Resources": [task["taskArn"]],
        "Detail": json.dumps(detail, default=str),
    }

    def send() -> None:
        with request_scope(*scope):
            eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    threading.Thread(target=send, daemon=True, name="task-state-change").start()
