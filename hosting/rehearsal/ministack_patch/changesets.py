"""Computes change sets as AWS does: values as deployed, nested stacks included, pages, values before and after.

MiniStack stores and executes change sets; this module computes their contents. A value that is only known after
execution appears as AWS writes it. The output of a new or changing nested stack is
`{{IntrinsicFunction:<stack>/<logical id>.Outputs.<name>/Fn::GetAtt}}`, an attribute of a new resource is
`{{changeSet:KNOWN_AFTER_APPLY}}`.
"""

from __future__ import annotations

import copy
import json
import secrets
import string
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ministack.core.responses import get_account_id, now_iso
from ministack.services import cloudformation
from ministack.services.cloudformation import changesets, engine, handlers, helpers
from ministack.services.cloudformation import stacks as engine_stacks

from hosting.rehearsal.ministack_patch import refusals, stacks
from hosting.rehearsal.ministack_patch.patching import CLOUDFORMATION, replace
from hosting.rehearsal.ministack_patch.stacks import STACK, Nested, Stack

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
KNOWN_AFTER_APPLY = "{{changeSet:KNOWN_AFTER_APPLY}}"
# AWS limits a page by bytes. With this size real templates have several pages, so a reader of one page fails here.
PAGE = 20

# Seconds that a change set remains in CREATE_IN_PROGRESS, for tests that observe this status.
_delay = 0.0

ChangeSet = dict[str, Any]
Template = dict[str, Any]

_create_change_set = changesets._create_change_set
_describe_change_set = changesets._describe_change_set
_execute_change_set = changesets._execute_change_set
_delete_change_set = changesets._delete_change_set
_list_change_sets = changesets._list_change_sets
_track_change_set_execution = changesets._track_change_set_execution


def install(delay: float) -> None:
    global _delay  # noqa: PLW0603 - set once, before the first request
    _delay = delay
    replace(_create_change_set, create_change_set, CLOUDFORMATION)
    replace(_describe_change_set, describe_change_set, CLOUDFORMATION)
    replace(_execute_change_set, execute_change_set, CLOUDFORMATION)
    replace(_delete_change_set, delete_change_set, CLOUDFORMATION)
    replace(_list_change_sets, list_change_sets, CLOUDFORMATION)
    replace(_track_change_set_execution, track_change_set_execution, CLOUDFORMATION)


# --- Create -------------------------------------------------------------------------------------------------


def create_change_set(params: dict[str, Any]) -> Any:
    """Create a change set with those of its nested stacks, or return the error that AWS answers."""
    kind = helpers._p(params, "ChangeSetType", "UPDATE")
    if kind == "IMPORT":
        return _create_change_set(params)
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    if stack and stack["StackStatus"] == "DELETE_COMPLETE":
        stacks.keep_deleted_stack(stack)
        stack = None
    if stack and kind == "UPDATE" and (refusal := stacks.refuse_state(stack)):
        return refusal
    if stack and kind == "CREATE" and stack["StackStatus"] != "REVIEW_IN_PROGRESS":
        return helpers._error("AlreadyExistsException", f"Stack [{stack['StackName']}] already exists")
    if stack and stack.get("ParentId") and kind == "UPDATE":
        # AWS allows it with a warning in the console. Here it would hide a wrong stack name.
        return helpers._error(
            "ValidationError", f"{stack['StackId']} is a nested stack; create the change set on its root"
        )
    reply = _create_change_set(params)
    if reply[0] != 200:
        if stack and kind == "CREATE":
            cloudformation._stacks[stack["StackName"]] = stack  # after an error the reviewed stack is unchanged
        return reply
    identifier = reply[2].decode().partition("<Id>")[2].partition("</Id>")[0]
    change_set = cloudformation._change_sets[identifier]
    if stack and kind == "CREATE":
        reply = keep_reviewed_stack(stack, change_set, reply)
    change_set["IncludeNestedStacks"] = helpers._p(params, "IncludeNestedStacks", "false").lower() == "true"
    reviewed = cloudformation._stacks[change_set["StackName"]]
    reviewed["Description"] = reviewed.get("Description") or change_set["_template"].get("Description", "")
    with engine_stacks._stack_region_context(reviewed, reviewed["StackId"]):
        compute(change_set, reviewed)
    change_set["_ready_at"] = time.monotonic() + _delay
    return reply


def keep_reviewed_stack(stack: Stack, change_set: ChangeSet, reply: Any) -> Any:
    """Attach a second change set to the existing stack in REVIEW_IN_PROGRESS instead of a new stack."""
    replaced = change_set["StackId"]
    cloudformation._stacks[stack["StackName"]] = stack
    cloudformation._stack_events.pop(replaced, None)
    change_set["StackId"] = stack["StackId"]
    status, headers, body = reply
    return status, headers, body.replace(replaced.encode(), stack["StackId"].encode())


def compute(change_set: ChangeSet, stack: Stack) -> None:
    """Set the changes and the status of one change set, and create those of its nested stacks."""
    template, parameters = change_set["_template"], change_set["_resolved_params"]
    updates = change_set["ChangeSetType"] == "UPDATE"
    old_template, old_parameters = stacks.deployed_template(stack) if updates else ({}, {})
    records: dict[str, Any] = stack.get("_resources") or {} if updates else {}
    old = ResolvedTemplate(stack, old_template, old_parameters, KnownResources(stack, records))
    known = KnownResources(stack, records)
    new = ResolvedTemplate(stack, template, parameters, known)
    nested: dict[str, ChangeSet | None] = {}
    failure = ""
    try:
        if change_set["IncludeNestedStacks"]:
            for logical_id in new.nested():
                child = nested_change_set(change_set, stack, logical_id, new.properties(logical_id))
                nested[logical_id] = child
                if child is not None:
                    known.changing.add(logical_id)
                if child is not None and child["Status"] == "FAILED":
                    failure = (
                        f"Nested change set {child['ChangeSetId']} was not successfully created: "
                        f"Currently in {child['Status']}."
                    )
        changed_parameters = {
            name for name, entry in parameters.items() if old_parameters.get(name, {}).get("Value") != entry["Value"]
        }
        retag = records if updates and tags_changed(change_set, stack) else ()
        changes = engine_stacks._diff_resources(
            old.template(), new.template(), records, template, changed_parameters, retag
        )
        added = [name for name in new.resources if name not in records]
        resolved = ((name, new.resources[name]["Type"], new.properties(name)) for name in added)
        change_set["_events"] = refusals.validation_errors(change_set, resolved)
        if change_set["_events"] and not failure:
            failure = refusals.EXISTENCE_CHECK
    except ValueError as problem:
        changes, failure = [], str(problem)
    change_set["Changes"] = describe_nested(changes, nested, records)
    for change in change_set["Changes"]:
        add_values(change["ResourceChange"], old, new)
    outputs_differ = updates and old_template.get("Outputs", {}) != template.get("Outputs", {})
    if failure:
        set_status(change_set, "FAILED", "UNAVAILABLE", failure)
    elif change_set["Changes"] or outputs_differ or (updates and tags_changed(change_set, stack)):
        set_status(change_set, "CREATE_COMPLETE", "AVAILABLE", "")
    else:
        set_status(change_set, "FAILED", "UNAVAILABLE", NO_CHANGES)


def set_status(change_set: ChangeSet, status: str, execution: str, reason: str) -> None:
    change_set["Status"], change_set["ExecutionStatus"], change_set["StatusReason"] = status, execution, reason


def tags_changed(change_set: ChangeSet, stack: Stack) -> bool:
    return bool(engine_stacks._stack_tags_changed(stack, change_set["Tags"], bool(change_set.get("_tags_given"))))


def nested_change_set(
    parent_set: ChangeSet, parent: Stack, logical_id: str, properties: dict[str, Any]
) -> ChangeSet | None:
    """Return the change set of one nested stack, or None if nothing in it changes."""
    stack = stacks.find_child(parent, logical_id)
    updates = stack is not None and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
    if stack is None:
        stack = stacks.new_child(parent, logical_id, "REVIEW_IN_PROGRESS")
        engine_stacks._add_event(
            stack["StackId"], stack["StackName"], stack["StackName"], STACK, "REVIEW_IN_PROGRESS", "", stack["StackId"]
        )
    inherited = parent_set["Tags"] or parent.get("Tags") or []
    own = properties.get("Tags") or []
    names = {tag["Key"] for tag in own}
    properties = {**properties, "Tags": [*own, *(tag for tag in inherited if tag["Key"] not in names)]}
    suffix = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))
    name = f"{parent_set['ChangeSetName'][: 128 - 14 - len(logical_id)]}-{logical_id}-{suffix}"
    region = engine_stacks._stack_region(stack, stack["StackId"])
    change_set: ChangeSet = {
        "ChangeSetId": f"arn:aws:cloudformation:{region}:{get_account_id()}:changeSet/{name}/{stacks.new_uuid()}",
        "ChangeSetName": name,
        "StackId": stack["StackId"],
        "StackName": stack["StackName"],
        "CreationTime": now_iso(),
        "Description": "",
        "ChangeSetType": "UPDATE" if updates else "CREATE",
        "Changes": [],
        "Parameters": [],
        "Capabilities": parent_set["Capabilities"],
        "OnStackFailure": parent_set.get("OnStackFailure", ""),
        "Tags": [],
        "_tags_given": True,
        "IncludeNestedStacks": True,
        "ParentChangeSetId": parent_set["ChangeSetId"],
        "RootChangeSetId": parent_set.get("RootChangeSetId") or parent_set["ChangeSetId"],
        "_template": {},
        "_template_body": "",
        "_resolved_params": {},
    }
    try:
        wanted = Nested(parent, properties, parent_set["Capabilities"])
    except ValueError as problem:
        set_status(change_set, "FAILED", "UNAVAILABLE", str(problem))
    else:
        change_set["Tags"] = wanted.tags
        change_set["_template"], change_set["_template_body"] = wanted.template, wanted.body
        change_set["_resolved_params"] = wanted.parameters
        change_set["Parameters"] = [
            {"ParameterKey": key, "ParameterValue": "****" if entry["NoEcho"] else entry["Value"]}
            for key, entry in wanted.parameters.items()
        ]
        compute(change_set, stack)
    if change_set["Status"] == "FAILED" and change_set["StatusReason"] == NO_CHANGES:
        return None
    cloudformation._change_sets[change_set["ChangeSetId"]] = change_set
    return change_set


def describe_nested(
    changes: list[dict[str, Any]], nested: dict[str, ChangeSet | None], records: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the parent's changes, with one for each nested stack that changes or may change."""
    listed = {change["ResourceChange"]["LogicalResourceId"]: change for change in changes}
    for logical_id, child in nested.items():
        if child is None:
            continue
        if logical_id not in listed:
            listed[logical_id] = {
                "ResourceChange": {
                    "Action": "Modify",
                    "LogicalResourceId": logical_id,
                    "PhysicalResourceId": records[logical_id]["PhysicalResourceId"],
                    "ResourceType": STACK,
                    "Replacement": "False",
                    "Scope": ["Properties"],
                    "Details": [
                        {
                            "Target": {"Attribute": "Properties", "RequiresRecreation": "Never"},
                            "Evaluation": "Dynamic",
                            "ChangeSource": "Automatic",
                        }
                    ],
                }
            }
        line = listed[logical_id]["ResourceChange"]
        line["ChangeSetId"] = child["ChangeSetId"]
        line.setdefault("PhysicalResourceId", child["StackId"])
    return [listed[logical_id] for logical_id in sorted(listed)]


# --- Values -------------------------------------------------------------------------------------------------


class UnknownAttributes(Mapping[str, Any]):
    """The attributes of a resource that does not exist yet, or of a nested stack about to change."""

    def __init__(self, stack: Stack, logical_id: str, existing: dict[str, Any] | None = None) -> None:
        self.stack, self.logical_id, self.existing = stack, logical_id, existing

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> str:
        if name.startswith("Outputs."):
            return f"{{{{IntrinsicFunction:{self.stack['StackName']}/{self.logical_id}.{name}/Fn::GetAtt}}}}"
        return KNOWN_AFTER_APPLY

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class KnownResources(Mapping[str, dict[str, Any]]):
    """Resources before execution: deployed ones with their attributes, new or changing ones with placeholders."""

    def __init__(self, stack: Stack, records: dict[str, Any]) -> None:
        self.stack, self.records = stack, records
        self.declared: set[str] = set()
        self.changing: set[str] = set()

    def __contains__(self, logical_id: object) -> bool:
        return logical_id in self.records or logical_id in self.declared

    def __getitem__(self, logical_id: str) -> dict[str, Any]:
        record = self.records.get(logical_id)
        if record is not None and logical_id not in self.changing:
            # A GetAtt that only the new template contains must not fail the comparison.
            return {**record, "Attributes": DeployedAttributes(self.stack, logical_id, record.get("Attributes") or {})}
        if record is None and logical_id not in self.declared:
            raise KeyError(logical_id)
        identifier = record["PhysicalResourceId"] if record else KNOWN_AFTER_APPLY
        return {"PhysicalResourceId": identifier, "Attributes": UnknownAttributes(self.stack, logical_id)}

    def __iter__(self) -> Iterator[str]:
        return iter({**self.records, **dict.fromkeys(self.declared)})

    def __len__(self) -> int:
        return len(set(self.records) | self.declared)


class DeployedAttributes(UnknownAttributes):
    """The attributes of a deployed resource; a missing attribute is a placeholder."""

    def __getitem__(self, name: str) -> Any:
        existing = self.existing or {}
        return existing[name] if name in existing else super().__getitem__(name)


class ResolvedTemplate:
    """One template of a comparison, resolved as far as that is possible before execution."""

    def __init__(self, stack: Stack, template: Template, parameters: dict[str, Any], known: KnownResources) -> None:
        self.stack, self.raw, self.parameters, self.known = stack, template, parameters, known
        self.conditions: dict[str, bool] = engine._evaluate_conditions(template, parameters) if template else {}
        self.resources: dict[str, Any] = {
            logical_id: body
            for logical_id, body in (template.get("Resources") or {}).items()
            if not body.get("Condition") or self.conditions.get(body["Condition"], True)
        }
        known.declared = set(self.resources)

    def nested(self) -> list[str]:
        """Return the logical ids of the nested stacks in the order of their deployment."""
        order = engine._topological_sort(self.resources, self.conditions)
        return [logical_id for logical_id in order if self.resources[logical_id].get("Type") == STACK]

    def properties(self, logical_id: str) -> dict[str, Any]:
        resolved = self.resolve(self.resources[logical_id].get("Properties") or {})
        return {name: value for name, value in resolved.items() if value is not engine._NO_VALUE}

    def resolve(self, node: Any) -> Any:
        """Return a node with references, conditions and mappings resolved."""
        return engine._resolve_refs(
            copy.deepcopy(node),
            self.known,
            self.parameters,
            self.conditions,
            self.raw.get("Mappings") or {},
            self.stack["StackName"],
            self.stack["StackId"],
        )

    def template(self) -> Template:
        return {
            "Resources": {
                logical_id: {**body, "Properties": self.properties(logical_id)}
                for logical_id, body in self.resources.items()
            }
        }

    def context(self, logical_id: str) -> dict[str, Any] | None:
        if logical_id not in self.resources:
            return None
        body = self.resources[logical_id]
        attributes = {name: body[name] for name in ("DeletionPolicy", "UpdateReplacePolicy") if name in body}
        return {"Properties": self.properties(logical_id), **attributes}


def add_values(change: dict[str, Any], old: ResolvedTemplate, new: ResolvedTemplate) -> None:
    """Add the values before and after: of the whole resource, and of each changed property with its path."""
    try:
        before, after = old.context(change["LogicalResourceId"]), new.context(change["LogicalResourceId"])
    except ValueError:
        return  # an operand is known only after execution; the change is listed without values
    if before is not None:
        change["_BeforeContext"] = json.dumps(before, sort_keys=True, default=str)
    if after is not None:
        change["_AfterContext"] = json.dumps(after, sort_keys=True, default=str)
    for detail in change.get("Details", []):
        target = detail["Target"]
        name = target.get("Name")
        if target.get("Attribute") != "Properties" or not name:
            continue
        target["_Path"] = f"/Properties/{name}"
        was = ((before or {}).get("Properties") or {}).get(name)
        becomes = ((after or {}).get("Properties") or {}).get(name)
        if was is not None:
            target["_BeforeValue"] = text(was)
        if becomes is not None:
            target["_AfterValue"] = text(becomes)
        target["_AttributeChangeType"] = "Add" if was is None else "Remove" if becomes is None else "Modify"


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


# --- Describe and list --------------------------------------------------------------------------------------


def find(params: dict[str, Any]) -> ChangeSet | None:
    stack_name = helpers._p(params, "StackName")
    if stack := handlers._resolve_stack(stack_name):
        stack_name = stack["StackName"]
    _, change_set = changesets._find_change_set(helpers._p(params, "ChangeSetName"), stack_name)
    return change_set if isinstance(change_set, dict) else None


def is_being_computed(change_set: ChangeSet) -> bool:
    return bool(change_set.get("_ready_at", 0.0) > time.monotonic())


def missing(params: dict[str, Any]) -> Any:
    name = helpers._p(params, "ChangeSetName")
    return helpers._error("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)


def describe_change_set(params: dict[str, Any]) -> Any:
    """Answer DescribeChangeSet with one page of changes."""
    change_set = find(params)
    if change_set is None:
        return missing(params)
    if is_being_computed(change_set):
        change_set = change_set | {
            "Status": "CREATE_IN_PROGRESS",
            "ExecutionStatus": "UNAVAILABLE",
            "StatusReason": "",
            "Changes": [],
        }
    page, next_token, error = helpers._page(change_set["Changes"], params, "DescribeChangeSet", PAGE)
    if error:
        return error
    with_values = helpers._p(params, "IncludePropertyValues", "false").lower() == "true"
    plain = {
        name: change_set.get(name)
        for name in (
            "ChangeSetName",
            "ChangeSetId",
            "StackId",
            "StackName",
            "Description",
            "CreationTime",
            "ExecutionStatus",
            "Status",
            "StatusReason",
            "ChangeSetType",
            "OnStackFailure",
            "ParentChangeSetId",
            "RootChangeSetId",
        )
    }
    plain["Parameters"] = change_set["Parameters"]
    plain["Capabilities"] = change_set["Capabilities"]
    plain["Tags"] = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in change_set["Tags"]]
    plain["IncludeNestedStacks"] = bool(change_set.get("IncludeNestedStacks"))
    plain["ImportExistingResources"] = bool(change_set.get("ImportExistingResources"))
    plain["Changes"] = [
        {"Type": "Resource", "ResourceChange": visible(change["ResourceChange"], with_values)} for change in page
    ]
    body = "".join(xml(name, value) for name, value in plain.items() if value not in (None, ""))
    return helpers._xml(
        200, "DescribeChangeSetResponse", f"<DescribeChangeSetResult>{body}{next_token}</DescribeChangeSetResult>"
    )


def visible(node: Any, with_values: bool) -> Any:
    """Return a node for the answer; members with a leading underscore are included only with property values."""
    if isinstance(node, list):
        return [visible(member, with_values) for member in node]
    if not isinstance(node, dict):
        return node
    return {
        name.removeprefix("_"): visible(value, with_values)
        for name, value in node.items()
        if with_values or not name.startswith("_")
    }


def xml(name: str, value: Any) -> str:
    """Return a value as XML of the Query protocol."""
    if isinstance(value, dict):
        inner = "".join(xml(key, member) for key, member in value.items())
    elif isinstance(value, list):
        inner = "".join(xml("member", member) for member in value)
    elif isinstance(value, bool):
        inner = "true" if value else "false"
    else:
        inner = helpers._esc(str(value))
    return f"<{name}>{inner}</{name}>"


def list_change_sets(params: dict[str, Any]) -> Any:
    """Answer ListChangeSets for one stack, nested change sets included."""
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    if stack is None:
        name = helpers._p(params, "StackName")
        return helpers._error("ValidationError", f"Stack [{name}] does not exist")
    own = [entry for entry in cloudformation._change_sets.values() if entry["StackId"] == stack["StackId"]]
    page, next_token, error = helpers._page(own, params, "ListChangeSets")
    if error:
        return error
    members = ""
    for entry in page:
        fields = {
            name: entry.get(name)
            for name in (
                "StackId",
                "StackName",
                "ChangeSetId",
                "ChangeSetName",
                "ExecutionStatus",
                "Status",
                "StatusReason",
                "CreationTime",
                "Description",
                "ParentChangeSetId",
                "RootChangeSetId",
            )
        }
        fields["IncludeNestedStacks"] = bool(entry.get("IncludeNestedStacks"))
        members += xml("member", {name: value for name, value in fields.items() if value not in (None, "")})
    return helpers._xml(
        200,
        "ListChangeSetsResponse",
        f"<ListChangeSetsResult><Summaries>{members}</Summaries>{next_token}</ListChangeSetsResult>",
    )


# --- Execute and delete -------------------------------------------------------------------------------------


def execute_change_set(params: dict[str, Any]) -> Any:
    """Execute a root's change set, and mark those of its nested stacks as executing."""
    change_set = find(params)
    if change_set is None:
        return missing(params)
    if change_set.get("ParentChangeSetId"):
        return helpers._error(
            "ValidationError", "Nested change sets can't be executed; execute the change set of the root stack."
        )
    if is_being_computed(change_set):
        name = change_set["ChangeSetName"]
        return helpers._error(
            "InvalidChangeSetStatus",
            f"ChangeSet [{name}] cannot be executed in its current status of [CREATE_IN_PROGRESS]",
        )
    stack = cloudformation._stacks.get(change_set["StackName"])
    updates = change_set["ChangeSetType"] == "UPDATE" and change_set["ExecutionStatus"] == "AVAILABLE"
    if stack and updates and (refusal := stacks.refuse_update(stack, params)):
        return refusal
    nested = descendants(change_set)
    before = [child["ExecutionStatus"] for child in nested]
    for child in nested:
        child["ExecutionStatus"] = "EXECUTE_IN_PROGRESS"
    reply = _execute_change_set(params | {"ChangeSetName": [change_set["ChangeSetId"]]})
    if reply[0] != 200:
        # A repeated request is refused because the nested sets are being executed already.
        for child, status in zip(nested, before, strict=True):
            child["ExecutionStatus"] = status
    return reply


async def track_change_set_execution(change_set: ChangeSet, stack: Stack, operation: Any) -> None:
    await _track_change_set_execution(change_set, stack, operation)
    for child in descendants(change_set):
        child["ExecutionStatus"] = change_set["ExecutionStatus"]


def delete_change_set(params: dict[str, Any]) -> Any:
    """Delete a root's change set with those of its nested stacks, and stacks that only it announced."""
    change_set = find(params)
    if change_set and change_set.get("ParentChangeSetId"):
        return helpers._error(
            "ValidationError", "Nested change sets can't be deleted; delete the change set of the root stack."
        )
    nested = descendants(change_set) if change_set else []
    reply = _delete_change_set(params)
    if reply[0] == 200:
        for child in nested:
            cloudformation._change_sets.pop(child["ChangeSetId"], None)
            stack = cloudformation._stacks.get(child["StackName"])
            announced_only = stack and stack["StackStatus"] == "REVIEW_IN_PROGRESS"
            if announced_only and not any(
                entry["StackId"] == child["StackId"] for entry in cloudformation._change_sets.values()
            ):
                stacks.remove_stack(child["StackName"])
    return reply


def descendants(change_set: ChangeSet) -> list[ChangeSet]:
    """Return the change sets of all nested stacks below a root's change set."""
    identifier = change_set["ChangeSetId"]
    return [entry for entry in cloudformation._change_sets.values() if entry.get("RootChangeSetId") == identifier]
