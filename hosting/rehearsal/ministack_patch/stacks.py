"""Stack operations as AWS runs them: nested stacks, refused states, events, rollback, clean-up."""
# Functions that MiniStack calls take the arguments it passes, needed or not.
# ruff: noqa: ARG001, ARG005

from __future__ import annotations

import asyncio
import copy
import re
import secrets
import string
import time
from collections.abc import Callable, Coroutine
from typing import Any

from ministack import app
from ministack.core.responses import get_account_id, get_region, now_iso
from ministack.services import cloudformation
from ministack.services.cloudformation import engine, handlers, helpers, provisioners, stacks

from hosting.rehearsal.ministack_patch import policies, refusals
from hosting.rehearsal.ministack_patch.patching import CLOUDFORMATION, replace, set_attribute
from hosting.rehearsal.ministack_patch.registry import register

STACK = "AWS::CloudFormation::Stack"
CLEANUP = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
UPDATABLE = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
        # The result of an operation with DisableRollback: an update continues there.
        "CREATE_FAILED",
        "UPDATE_FAILED",
    }
)

Stack = dict[str, Any]
Provisioned = tuple[str, dict[str, Any]]

_add_event = stacks._add_event
_update_resource = stacks._update_resource
_provision_resource = stacks._provision_resource
_delete_resource = stacks._delete_resource
_deploy_stack_async = stacks._deploy_stack_async
_roll_back_operation = stacks._roll_back_operation
_create_stack = handlers._create_stack
_delete_stack = handlers._delete_stack
_cancel_update_stack = handlers._cancel_update_stack
_update_stack = handlers._update_stack
_continue_update_rollback = handlers._continue_update_rollback
_describe_stacks = handlers._describe_stacks
_resolve_stack_outputs = stacks._resolve_stack_outputs

# Resources whose update changed nothing. AWS sends no events for them.
_unchanged: set[tuple[str, str]] = set()


def install(delay: float) -> None:
    """Replace the stack operations of MiniStack. Each resource then takes `delay` seconds."""
    replace(_add_event, add_event, CLOUDFORMATION)
    replace(_deploy_stack_async, deploy_stack_async, CLOUDFORMATION)
    replace(_roll_back_operation, roll_back_operation, CLOUDFORMATION)
    replace(_create_stack, create_stack, CLOUDFORMATION)
    replace(_delete_stack, delete_stack, CLOUDFORMATION)
    replace(_cancel_update_stack, cancel_update_stack, CLOUDFORMATION)
    replace(_update_stack, update_stack, CLOUDFORMATION)
    replace(_continue_update_rollback, continue_update_rollback, CLOUDFORMATION)
    replace(_describe_stacks, describe_stacks, CLOUDFORMATION)
    replace(_resolve_stack_outputs, resolve_stack_outputs, CLOUDFORMATION)
    for read in ("_describe_stack_events", "_describe_stack_resources", "_list_stack_resources", "_get_template"):
        original = getattr(handlers, read)
        replace(original, hide_deleted_stack_names(original), CLOUDFORMATION)
    # In the engine only: MiniStack's provisioners call each other's originals.
    set_attribute(stacks, "_update_resource", update_resource)
    set_attribute(stacks, "_delete_resource", delete_resource)
    register(STACK, create=create_nested, update=update_nested, delete=delete_nested)
    if delay > 0:
        slow_down(delay)


def slow_down(delay: float) -> None:
    """Delay each resource outside the event loop, so that describe calls see operations in progress."""

    def delay_call(act: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(kind: str, *arguments: Any) -> Any:
            if kind != STACK:
                time.sleep(delay)
            return act(kind, *arguments)

        return wrapped

    def slow_update(kind: str, pid: str, old: Any, new: Any, *rest: Any) -> Any:
        if kind != STACK and old != new:
            time.sleep(delay)
        return update_resource(kind, pid, old, new, *rest)

    stacks._provision_resource = delay_call(stacks._provision_resource)
    stacks._delete_resource = delay_call(delete_resource)
    stacks._update_resource = slow_update
    stacks._runs_on_worker_thread = lambda kind: True


# --- Events -------------------------------------------------------------------------------------------------


def add_event(
    stack_id: str, stack_name: str, logical_id: str, kind: str, status: str, *rest: Any, **named: Any
) -> None:
    """Record an event as AWS reports it: none for unchanged resources, CREATE for new ones, with physical id."""
    if status == "UPDATE_COMPLETE" and (stack_id, logical_id) in _unchanged:
        _unchanged.discard((stack_id, logical_id))
        return
    before = (cloudformation._stacks.get(stack_name) or {}).get("_before")
    if before is not None and logical_id != stack_name and logical_id not in before:
        # The engine reports every resource of an update as updated; AWS reports a new one as created.
        status = status.replace("UPDATE_", "CREATE_")
    about = dict(zip(("reason", "physical_id", "detailed_status"), rest, strict=False)) | named
    # AWS includes the physical id from the first event of an update; the engine only at the end.
    known = ((cloudformation._stacks.get(stack_name) or {}).get("_resources") or {}).get(logical_id) or {}
    about["physical_id"] = about.get("physical_id") or known.get("PhysicalResourceId", "")
    _add_event(stack_id, stack_name, logical_id, kind, status, **about)


def withhold_events(stack_name: str, logical_id: str | None) -> None:
    """Remove the UPDATE_IN_PROGRESS event that the engine sent for an unchanged resource."""
    stack = cloudformation._stacks.get(stack_name)
    if stack is None or logical_id is None:
        return
    events = cloudformation._stack_events.get(stack["StackId"], [])
    last = events[-1] if events else {}
    if last.get("LogicalResourceId") == logical_id and last.get("ResourceStatus") == "UPDATE_IN_PROGRESS":
        events.pop()
        _unchanged.add((stack["StackId"], logical_id))


def update_resource(
    kind: str,
    physical_id: str,
    old: dict[str, Any],
    new: dict[str, Any],
    stack_name: str,
    logical_id: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> Provisioned:
    """Update a resource or a nested stack. Raise ValueError if the stack policy denies a replacement."""
    if kind == STACK:
        # Even with equal properties: the template behind an unchanged URL may have changed.
        return update_nested(physical_id, old, new, stack_name, logical_id)
    stack = cloudformation._stacks.get(stack_name) or {}
    if logical_id and stacks._replacing_change(kind, old, new):
        # A rollback uses the same function, and a stack policy does not apply to it.
        is_update = stack.get("StackStatus") == "UPDATE_IN_PROGRESS"
        if is_update and (refused := policies.refusal(stack, "Replace", logical_id)):
            raise ValueError(refused)
    refusals.check_update(kind, physical_id, old, new, stack)
    if old == new:
        withhold_events(stack_name, logical_id)
    result: Provisioned = _update_resource(kind, physical_id, old, new, stack_name, logical_id, attributes)
    return result


def resolve_stack_outputs(outputs: Any, conditions: Any, resources: dict[str, Any], *rest: Any) -> Any:
    """Resolve outputs. Raise ValueError if the stack policy denies the deletion of a removed resource.

    This is the engine's last step before an update deletes resources that are no longer in the template.
    """
    stack = cloudformation._stacks.get(rest[2]) or {}
    for logical_id in sorted(set(stack.get("_before") or ()) - set(resources)):
        if refused := policies.refusal(stack, "Delete", logical_id):
            raise ValueError(refused)
    return _resolve_stack_outputs(outputs, conditions, resources, *rest)


# --- Operations ---------------------------------------------------------------------------------------------


def create_stack(params: dict[str, Any]) -> Any:
    existing = cloudformation._stacks.get(helpers._p(params, "StackName"))
    if existing and existing["StackStatus"] == "ROLLBACK_COMPLETE":
        return helpers._error("AlreadyExistsException", f"Stack [{existing['StackName']}] already exists")
    keep_deleted_stack(existing)
    return _create_stack(params)


def keep_deleted_stack(stack: Stack | None) -> None:
    """Keep a deleted stack reachable by its id when a new stack takes its name."""
    if stack and stack["StackStatus"] == "DELETE_COMPLETE":
        cloudformation._stacks[stack["StackId"]] = stack


def update_stack(params: dict[str, Any]) -> Any:
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    if stack and stack["StackStatus"] != "DELETE_COMPLETE" and (refusal := refuse_update(stack, params)):
        return refusal
    return _update_stack(params)


def hide_deleted_stack_names(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a describe operation that finds deleted stacks by their id only."""

    def guarded(params: dict[str, Any]) -> Any:
        name = helpers._p(params, "StackName")
        stack = cloudformation._stacks.get(name)
        if stack and not name.startswith("arn:") and stack["StackStatus"] == "DELETE_COMPLETE":
            return helpers._error("ValidationError", f"Stack [{name}] does not exist")
        return read(params)

    return guarded


def delete_stack(params: dict[str, Any]) -> Any:
    """Delete a stack, or return the error of a protected root or a running update. A repetition has no effect."""
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    root = handlers._resolve_stack((stack or {}).get("RootId", ""))
    if stack and root and root.get("EnableTerminationProtection"):
        return helpers._error(
            "ValidationError",
            f"Stack [{stack['StackId']}] cannot be deleted while TerminationProtection is enabled on its root",
        )
    if stack and stack["StackStatus"].startswith("UPDATE_") and stack["StackStatus"].endswith("_IN_PROGRESS"):
        return helpers._error(
            "ValidationError",
            f"Stack [{stack['StackId']}] cannot be deleted while in status {stack['StackStatus']}",
        )
    if stack and stack["StackStatus"] == "DELETE_IN_PROGRESS":
        # AWS ignores a repetition (a client repeats after a lost reply); the engine would delete twice.
        return helpers._xml(200, "DeleteStackResponse", "")
    reply = _delete_stack(params)
    if stack and reply[0] == 200:
        discard_change_sets(stack["StackName"])
    return reply


def continue_update_rollback(params: dict[str, Any]) -> Any:
    """Continue a rollback; ResourcesToSkip may contain `<name of the nested stack>.<logical id>`."""
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    skipped = helpers._extract_string_members(params, "ResourcesToSkip")
    own = [name for name in skipped if "." not in name]
    in_children: dict[str, list[str]] = {}
    for child, _, logical_id in (name.partition(".") for name in skipped if "." in name):
        in_children.setdefault(child, []).append(logical_id)
    if stack:
        for parent in (stack, *descendants(stack)):
            parent["_skip_in_children"] = dict(in_children)
    kept = {name: value for name, value in params.items() if not name.startswith("ResourcesToSkip")}
    return _continue_update_rollback(kept | {"ResourcesToSkip": own})


def describe_stacks(params: dict[str, Any]) -> Any:
    """Add ParentId and RootId of nested stacks, which MiniStack omits."""
    status, headers, body = _describe_stacks(params)
    if status != 200:
        return status, headers, body

    def with_relatives(match: re.Match[str]) -> str:
        stack = handlers._resolve_stack(match[1]) or {}
        return match[0] + "".join(f"<{name}>{stack[name]}</{name}>" for name in ("ParentId", "RootId") if name in stack)

    return status, headers, re.sub(r"<StackId>([^<]+)</StackId>", with_relatives, body.decode()).encode()


def cancel_update_stack(params: dict[str, Any]) -> Any:
    """Cancel an update, and that of the nested stack in progress."""
    reply = _cancel_update_stack(params)
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    if reply[0] == 200 and stack:
        for child in descendants(stack):
            if child["StackStatus"] == "UPDATE_IN_PROGRESS":
                child["_cancel_requested"] = True
    return reply


async def deploy_stack_async(
    stack_name: str,
    stack_id: str,
    template: dict[str, Any],
    parameters: dict[str, Any],
    disable_rollback: bool,
    tags: list[Any],
    **named: Any,
) -> None:
    """Deploy a stack; record DisableRollback for nested stacks, and report created resources as created."""
    stack = cloudformation._stacks[stack_name]
    # Nested stacks inherit DisableRollback, and the engine does not record it for updates.
    stack["_disable_rollback"] = disable_rollback
    stack["StackStatusReason"] = ""
    if named.get("is_update"):
        stack["_before"] = set((named.get("previous_stack") or {}).get("_resources") or {})
    try:
        await _deploy_stack_async(stack_name, stack_id, template, parameters, disable_rollback, tags, **named)
    finally:
        before = stack.pop("_before", None)
    if before is not None and stack["StackStatus"] in ("UPDATE_COMPLETE", "UPDATE_FAILED"):
        for logical_id, record in stack["_resources"].items():
            if logical_id not in before and record["ResourceStatus"] == "UPDATE_COMPLETE":
                record["ResourceStatus"] = "CREATE_COMPLETE"


def delete_resource(
    kind: str, physical_id: str, properties: dict[str, Any], stack_name: str = "", logical_id: str = ""
) -> None:
    """Delete a resource. After a successful update this is AWS's clean-up phase, with status and events."""
    stack = cloudformation._stacks.get(stack_name) or {}
    cleanup = stack.get("StackStatus") in ("UPDATE_IN_PROGRESS", CLEANUP)
    if not cleanup:
        _delete_resource(kind, physical_id, properties, stack_name, logical_id)
        return
    identifier = stack["StackId"]
    if stack["StackStatus"] != CLEANUP:
        stack["StackStatus"] = CLEANUP
        _add_event(identifier, stack_name, stack_name, STACK, CLEANUP, "", identifier)
    _add_event(identifier, stack_name, logical_id, kind, "DELETE_IN_PROGRESS", "", physical_id)
    _delete_resource(kind, physical_id, properties, stack_name, logical_id)
    _add_event(identifier, stack_name, logical_id, kind, "DELETE_COMPLETE", "", physical_id)


async def roll_back_operation(
    stack_name: str, stack_id: str, stack: Stack, operation: dict[str, Any], reason_override: str = ""
) -> None:
    """Roll back a stack with the reason that AWS gives."""
    failed = operation.get("failed_logical_id")
    if not reason_override and not operation.get("cancelled") and failed:
        known = failed in ((operation.get("previous_stack") or {}).get("_resources") or {})
        verb = "update" if known else "create"
        reason_override = f"The following resource(s) failed to {verb}: [{failed}]. "
        if not operation.get("is_update"):
            reason_override += "Rollback requested by user."
    await _roll_back_operation(stack_name, stack_id, stack, operation, reason_override)


def refuse_update(stack: Stack, params: dict[str, Any]) -> Any:
    """Return AWS's answer if a stack's state does not allow the update that a request asks for, or None."""
    return refuse_state(stack) or refusals.refuse_without_disable_rollback(stack, params)


def refuse_state(stack: Stack) -> Any:
    """Return AWS's error if a stack's status does not allow an update, or None."""
    status = stack["StackStatus"]
    if status in UPDATABLE:
        return None
    return helpers._error("ValidationError", f"Stack:{stack['StackId']} is in {status} state and can not be updated.")


def deployed_template(stack: Stack) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the template and parameters of the existing resources, also after a failed creation."""
    operation = stack.get("_failed_operation") or {}
    if stack["StackStatus"] != "CREATE_FAILED" or not operation:
        return stack.get("_template") or {}, stack.get("_resolved_params") or {}
    records = stack["_resources"]
    template = operation["template"]
    existing = {name: body for name, body in template["Resources"].items() if name in records}
    return {**template, "Resources": existing, "Outputs": {}}, operation["param_values"]


# --- Nested stacks ------------------------------------------------------------------------------------------


def children(parent: Stack) -> list[Stack]:
    """Return the nested stacks of a stack that are not deleted."""
    return [
        stack
        for stack in cloudformation._stacks.values()
        if stack.get("ParentId") == parent["StackId"] and stack["StackStatus"] != "DELETE_COMPLETE"
    ]


def descendants(parent: Stack) -> list[Stack]:
    found = []
    for child in children(parent):
        found += [child, *descendants(child)]
    return found


def find_child(parent: Stack, logical_id: str) -> Stack | None:
    """Return the nested stack of a logical id, which may exist only in a change set, or None."""
    return next((child for child in children(parent) if child.get("_logical_id") == logical_id), None)


def discard_change_sets(parent_name: str) -> None:
    """Remove nested stacks that only an unexecuted change set announced, with their change sets."""
    for name, stack in cloudformation._stacks.items():
        if stack.get("_parent_stack_name") == parent_name and stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            discard_change_sets(name)
            remove_stack(name)


def remove_stack(name: str) -> None:
    stack = cloudformation._stacks.pop(name, None)
    if stack:
        cloudformation._stack_events.pop(stack["StackId"], None)
        for identifier, change_set in cloudformation._change_sets.items():
            if change_set["StackId"] == stack["StackId"]:
                cloudformation._change_sets.pop(identifier, None)


class Nested:
    """A nested stack as its parent's resource declares it: template, parameters and tags, all validated."""

    def __init__(self, parent: Stack, properties: dict[str, Any], capabilities: list[str] | None = None) -> None:
        url = properties.get("TemplateURL")
        if not isinstance(url, str) or not url.startswith("https://"):
            raise ValueError("TemplateURL must be a supported URL.")
        self.body, error = helpers._resolve_template({"TemplateURL": [url]})
        if error is not None:
            raise ValueError(error_message(error))
        try:
            self.template: dict[str, Any] = engine._parse_template(self.body)
        except ValueError as problem:
            raise ValueError(f"Template format error: {problem}") from problem
        given = properties.get("Parameters") or {}
        if not isinstance(given, dict) or any(isinstance(value, list | dict) for value in given.values()):
            raise ValueError("Value of property Parameters must be an object with String (or simple type) properties")
        provided = [{"Key": name, "Value": plain(value)} for name, value in given.items()]
        self.parameters: dict[str, Any] = engine._resolve_parameters(self.template, provided)
        self.conditions: dict[str, bool] = engine._evaluate_conditions(self.template, self.parameters)
        engine.validate_template_support(self.template, self.conditions, params=self.parameters)
        self.capabilities = list(parent.get("Capabilities", []) if capabilities is None else capabilities)
        required = handlers._required_iam_capabilities(self.template)
        if missing := handlers._missing_capabilities(set(self.capabilities), required):
            raise ValueError(handlers._insufficient_capabilities_message(missing))
        self.tags = [
            {"Key": key, "Value": value}
            for key, value in provisioners._tag_map(properties.get("Tags")).items()
            if not key.startswith("aws:")
        ]

    def equals(self, stack: Stack) -> bool:
        return bool(
            self.template == stack.get("_template")
            and values(self.parameters) == values(stack.get("_resolved_params") or {})
            and provisioners._tag_map(self.tags) == provisioners._tag_map(stack.get("Tags"))
        )

    def apply(self, stack: Stack) -> None:
        """Write template, parameters and tags into the record of a stack."""
        stack["_template_body"] = self.body
        stack["_conditions"] = self.conditions
        stack["Capabilities"] = self.capabilities
        stack["Description"] = self.template.get("Description", "")
        stack["Tags"] = self.tags
        stack["Parameters"] = [
            {"ParameterKey": name, "ParameterValue": value["Value"], "NoEcho": value["NoEcho"]}
            for name, value in self.parameters.items()
        ]
        stack["LastUpdatedTime"] = now_iso()


def values(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: entry["Value"] for name, entry in parameters.items()}


def plain(value: Any) -> str:
    """Return a scalar as the string that CloudFormation passes to a String parameter."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def error_message(error: tuple[int, dict[str, str], bytes]) -> str:
    match = re.search(r"<Message>(.*?)</Message>", error[2].decode(), re.DOTALL)
    return match[1] if match else error[2].decode()


def new_child(parent: Stack, logical_id: str, status: str) -> Stack:
    """Create the record of a nested stack."""
    suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))
    name = f"{parent['StackName'][: 128 - 14 - len(logical_id)]}-{logical_id}-{suffix}"
    identifier = f"arn:aws:cloudformation:{get_region()}:{get_account_id()}:stack/{name}/{new_uuid()}"
    stack: Stack = {
        "StackName": name,
        "StackId": identifier,
        "StackStatus": status,
        "StackStatusReason": "",
        "CreationTime": now_iso(),
        "LastUpdatedTime": now_iso(),
        "Description": "",
        "Parameters": [],
        "Tags": [],
        "Outputs": [],
        "DisableRollback": False,
        "ParentId": parent["StackId"],
        "RootId": parent.get("RootId") or parent["StackId"],
        "_parent_stack_name": parent["StackName"],
        "_logical_id": logical_id,
        "_region": get_region(),
        "_resources": {},
        "_template": {},
        "_template_body": "",
        "_resolved_params": {},
        "_conditions": {},
    }
    cloudformation._stacks[name] = stack
    cloudformation._stack_events[identifier] = []
    return stack


def new_uuid() -> str:
    from ministack.core import responses

    return str(responses.new_uuid())


def nested_outputs(stack: Stack) -> dict[str, Any]:
    return {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in stack.get("Outputs", [])}


def create_nested(logical_id: str, properties: dict[str, Any], parent_name: str) -> Provisioned:
    """Create a nested stack and wait for it. Raise ValueError if it fails."""
    parent = cloudformation._stacks[parent_name]
    nested = Nested(parent, properties)
    announced = find_child(parent, logical_id)
    stack = announced or new_child(parent, logical_id, "CREATE_IN_PROGRESS")
    nested.apply(stack)
    disable_rollback = bool(parent.get("_disable_rollback"))
    stack["StackStatus"] = "CREATE_IN_PROGRESS"
    stack["DisableRollback"] = disable_rollback
    name, identifier = stack["StackName"], stack["StackId"]
    # The parent's second event names the nested stack. Followers need its physical id.
    initiated = "Resource creation Initiated"
    _add_event(parent["StackId"], parent_name, logical_id, STACK, "CREATE_IN_PROGRESS", initiated, identifier)
    stacks._add_event(identifier, name, name, STACK, "CREATE_IN_PROGRESS", "", identifier)
    run(stacks._deploy_stack_async(name, identifier, nested.template, nested.parameters, disable_rollback, nested.tags))
    if stack["StackStatus"] == "CREATE_COMPLETE":
        return identifier, nested_outputs(stack)
    reason = f"Embedded stack {identifier} was not successfully created: {describe_failure(stack, 'create')}"
    if disable_rollback:
        # The failed child remains, so its parent must have a record: deleting the parent deletes the child.
        parent["_resources"][logical_id] = {
            "PhysicalResourceId": identifier,
            "ResourceType": STACK,
            "ResourceStatus": "CREATE_FAILED",
            "ResourceStatusReason": reason,
            "LogicalResourceId": logical_id,
            "Properties": properties,
            "Attributes": {},
            "Timestamp": now_iso(),
        }
    else:
        run(stacks._delete_stack_async(name, identifier))
    raise ValueError(reason)


def update_nested(
    physical_id: str,
    old: dict[str, Any],
    new: dict[str, Any],
    parent_name: str,
    logical_id: str | None = None,
) -> Provisioned:
    """Update a nested stack, or continue its rollback, and wait for it. Raise ValueError if it fails."""
    parent = cloudformation._stacks[parent_name]
    stack = handlers._resolve_stack(physical_id)
    if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
        raise ValueError(f"Stack with id {physical_id} does not exist")
    name, identifier = stack["StackName"], stack["StackId"]
    if stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
        # ContinueUpdateRollback of the parent calls this function with the old properties.
        skip = frozenset(parent.get("_skip_in_children", {}).get(name, ()))
        run(stacks._continue_update_rollback_async(name, identifier, skip))
        if stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
            raise ValueError(f"Embedded stack {identifier} is still in UPDATE_ROLLBACK_FAILED")
        return identifier, nested_outputs(stack)
    nested = Nested(parent, new)
    if nested.equals(stack) and not nested_templates_changed(stack):
        return identifier, nested_outputs(stack)
    if refusal := refuse_state(stack):
        raise ValueError(error_message(refusal))
    previous = {
        key: copy.deepcopy(stack.get(key))
        for key in (
            "_resources",
            "_template",
            "_template_body",
            "_resolved_params",
            "_conditions",
            "Parameters",
            "Tags",
            "Outputs",
        )
    }
    nested.apply(stack)
    stack["StackStatus"] = "UPDATE_IN_PROGRESS"
    stacks._add_event(identifier, name, name, STACK, "UPDATE_IN_PROGRESS", "", identifier)
    disable_rollback = bool(parent.get("_disable_rollback"))
    run(
        stacks._deploy_stack_async(
            name,
            identifier,
            nested.template,
            nested.parameters,
            disable_rollback,
            nested.tags,
            is_update=True,
            previous_stack=previous,
        )
    )
    if stack["StackStatus"] == "UPDATE_COMPLETE":
        return identifier, nested_outputs(stack)
    # AWS reports the status at the failure, when the child's own rollback has just begun.
    status = "UPDATE_FAILED" if disable_rollback else "UPDATE_ROLLBACK_IN_PROGRESS"
    raise ValueError(
        f"Embedded stack {identifier} was not successfully updated. Currently in {status} "
        f"with reason: {describe_failure(stack, 'update')}"
    )


def nested_templates_changed(stack: Stack) -> bool:
    """Return whether a grandchild's template changed behind an unchanged URL."""
    for record in stack["_resources"].values():
        if record["ResourceType"] != STACK:
            continue
        child = handlers._resolve_stack(record["PhysicalResourceId"])
        if child and (not Nested(stack, record["Properties"]).equals(child) or nested_templates_changed(child)):
            return True
    return False


def delete_nested(physical_id: str, properties: dict[str, Any]) -> None:
    stack = handlers._resolve_stack(physical_id)
    if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
        return
    run(stacks._delete_stack_async(stack["StackName"], stack["StackId"]))
    if stack["StackStatus"] == "DELETE_FAILED":
        raise ValueError(
            f"Embedded stack {stack['StackId']} was not successfully deleted: {stack.get('StackStatusReason', '')}"
        )


def describe_failure(stack: Stack, verb: str) -> str:
    """Return the reason of the last operation's failure in AWS's words."""
    operation: list[dict[str, Any]] = []
    for event in reversed(cloudformation._stack_events.get(stack["StackId"], [])):
        operation.append(event)
        if (
            event["LogicalResourceId"] == stack["StackName"]
            and event["ResourceStatus"] == f"{verb.upper()}_IN_PROGRESS"
        ):
            break
    failed = {
        event["LogicalResourceId"]: event["ResourceStatus"].partition("_")[0].lower()
        for event in reversed(operation)
        if event["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED")
        and event["LogicalResourceId"] != stack["StackName"]
    }
    if failed:
        return f"The following resource(s) failed to {next(iter(failed.values()))}: [{', '.join(failed)}]. "
    reasons = [event["ResourceStatusReason"] for event in operation if event["ResourceStatus"].endswith("_FAILED")]
    return reasons[-1] if reasons else str(stack.get("StackStatusReason", ""))


def run(operation: Coroutine[Any, Any, None]) -> None:
    """Run a nested stack's operation on the server's event loop and block this worker thread until it ends.

    Account, region and request token are part of the context. Context variables of the parent's resource are reset,
    because the engine would otherwise queue the child's replaced resources for the parent's clean-up.
    """

    async def fresh() -> None:
        provisioners._RETAIN_REPLACED.set(False)
        provisioners._DEFERRED_PREDECESSOR_DELETES.set(None)
        provisioners._NAME_SEED.set("")
        await operation

    asyncio.run_coroutine_threadsafe(fresh(), app._MAIN_LOOP).result()
