"""Session Manager and ECS Exec, up to the agent in a container.

MiniStack has neither sessions nor the agent. Here a session opens only to a target that could accept one. A fake of the
Session Manager plugin can look up the target of a session.
"""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import ecs

from hosting.rehearsal.ministack_patch.api import Proceed, RefusedError, Reply, operation

ECS = "AmazonEC2ContainerServiceV20141113"
DOCUMENTS = (
    "",
    "SSM-SessionManagerRunShell",
    "AWS-StartPortForwardingSession",
    "AWS-StartPortForwardingSessionToRemoteHost",
)

_sessions = AccountRegionScopedDict()


@operation("AmazonSSM.StartSession")
def start_session(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    target, document = parameters.get("Target", ""), parameters.get("DocumentName", "")
    if document not in DOCUMENTS:
        raise RefusedError("InvalidDocument", f"Document with name {document} does not exist.")
    if not is_connected(target):
        raise RefusedError("TargetNotConnected", f"{target} is not connected.")
    return open_session(target, {"Document": document, "Parameters": parameters.get("Parameters") or {}})


@operation("AmazonSSM.TerminateSession")
def terminate_session(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    identifier = parameters["SessionId"]
    if identifier in _sessions:
        _sessions[identifier] |= {"Status": "Terminated", "EndDate": time.time()}
    return {"SessionId": identifier}


@operation("AmazonSSM.DescribeSessions")
def describe_sessions(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    """Answer DescribeSessions for one state."""
    wanted = "Connected" if parameters["State"] == "Active" else "Terminated"
    shown = ("SessionId", "Target", "Status", "StartDate", "EndDate", "Owner", "DocumentName")
    return {
        "Sessions": [
            {name: session[name] for name in shown if name in session}
            for session in _sessions.values()
            if session["Status"] == wanted
        ]
    }


@operation("Rehearsal.Session")
def session(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    """Return target, command and state of a session to a fake of the plugin."""
    found = _sessions.get(parameters["SessionId"])
    if found is None:
        raise RefusedError("DoesNotExistException", f"there is no session {parameters['SessionId']}")
    return dict(found)


@operation(f"{ECS}.ExecuteCommand")
async def execute_command(parameters: dict[str, Any], proceed: Proceed) -> Any:
    """Record the command, or raise the error that ECS answers."""
    reply: Reply = await proceed()
    if reply[0] >= 400:
        return reply
    answer = json.loads(reply[2])
    task = ecs._tasks[answer["taskArn"]]
    container = next((one for one in task["containers"] if one["name"] == answer["containerName"]), None)
    if container is None:
        raise RefusedError("InvalidParameterException", f"The container {answer['containerName']} was not found.")
    if not task.get("enableExecuteCommand"):
        raise RefusedError(
            "InvalidParameterException",
            "The execute command failed because execute command was not enabled when the task was run or the "
            "execute command agent isn't running. Wait and try again or run a new task with execute command enabled "
            "and try again.",
        )
    target = (
        f"ecs:{task['clusterArn'].rpartition('/')[2]}_{task['taskArn'].rpartition('/')[2]}_{container['runtimeId']}"
    )
    if not is_connected(target):
        raise RefusedError("TargetNotConnectedException", "The execute command failed due to an internal error.")
    made = open_session(target, {"Command": parameters["command"]}, prefix="ecs-execute-command-")
    answer["session"] = {name[0].lower() + name[1:]: value for name, value in made.items()}
    return answer


@operation(f"{ECS}.DescribeTasks")
async def describe_tasks(parameters: dict[str, Any], proceed: Proceed) -> Any:
    """Add the status of the agent to each container of a task with ECS Exec."""
    reply: Reply = await proceed()
    if reply[0] >= 400:
        return reply
    answer = json.loads(reply[2])
    for task in answer["tasks"]:
        if task.get("enableExecuteCommand"):
            for container in task["containers"]:
                status = "RUNNING" if container["lastStatus"] == "RUNNING" else "STOPPED"
                container["managedAgents"] = [{"name": "ExecuteCommandAgent", "lastStatus": status}]
    return answer


def is_connected(target: str) -> bool:
    """Return whether a session's target is a running container of a task with ECS Exec."""
    kind, _, rest = target.partition(":")
    cluster, _, rest = rest.partition("_")
    identifier, _, runtime = rest.partition("_")
    task = ecs._tasks.get(f"arn:aws:ecs:{get_region()}:{get_account_id()}:task/{cluster}/{identifier}")
    if kind != "ecs" or task is None or task["lastStatus"] != "RUNNING" or not task.get("enableExecuteCommand"):
        return False
    return any(one["runtimeId"] == runtime and one["lastStatus"] == "RUNNING" for one in task["containers"])


def open_session(target: str, more: dict[str, Any], prefix: str = "operator-") -> dict[str, Any]:
    """Record a session and return its identifier, token and stream."""
    identifier = f"{prefix}{uuid.uuid4().hex[:17]}"
    _sessions[identifier] = {
        "SessionId": identifier,
        "Target": target,
        "Status": "Connected",
        "StartDate": time.time(),
        "Owner": f"arn:aws:iam::{get_account_id()}:user/operator",
        **more,
    }
    stream = f"wss://ssmmessages.{get_region()}.amazonaws.com/v1/data-channel/{identifier}?role=publish_subscribe"
    return {"SessionId": identifier, "TokenValue": uuid.uuid4().hex, "StreamUrl": stream}
