"""Change sets as values: create, wait for all pages and nested change sets, execute or delete.

Change sets are always read by ARN: a name is unique only within a stack, and a new stack may have the name of a deleted
one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from hosting.deployer.aws.session import create_overtaken_error, explain, is_overtaken
from hosting.deployer.aws.stacks import STACK_TYPE, is_missing
from hosting.deployer.errors import ChangeSetError, DeployerError
from hosting.model.effects import count_effects
from hosting.model.lambda_shared.redact import redact

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import CreateChangeSetInputTypeDef

Sleep = Callable[[float], None]

# A placeholder of CloudFormation for a value that is known only after execution.
PLACEHOLDER = re.compile(r"\{\{(?:IntrinsicFunction|changeSet):[^{}]*\}\}")

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0
_NO_CHANGES = re.compile(r"didn't contain changes|no updates are to be performed", re.IGNORECASE)
# A parent that fails because of a nested change set reports only that. The reason is in the nested one.
_CHILD_FAILED = re.compile(r"Nested change set .* was not successfully created", re.IGNORECASE)


@dataclass(frozen=True)
class ChangeSetRequest:
    """Complete request for a change set, as a value that can be shown and compared."""

    stack: str
    name: str
    creates: bool
    template: Mapping[Literal["TemplateBody", "TemplateURL"], str]
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    role_arn: str | None = None
    # Without the change sets of nested stacks.
    flat: bool = False


@dataclass(frozen=True)
class Detail:
    """Reason why a resource changes: one property or attribute, with its cause."""

    attribute: str
    name: str
    before: str | None
    after: str | None
    recreation: str
    evaluation: str
    source: str
    cause: str
    # Listed only because an upstream value could have changed. `change_set_filter` found that it does not change.
    derived: bool = False


@dataclass(frozen=True)
class Change:
    """Planned change of one resource."""

    action: str
    logical_id: str
    physical_id: str
    resource_type: str
    replacement: str = ""
    scope: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    nested: ChangeSet | None = None
    policy_action: str = ""
    # The resource before and after, with resolved values. NoEcho values are asterisks.
    before: str = ""
    after: str = ""

    @property
    def properties_before(self) -> Mapping[str, Any] | None:
        """The deployed properties. None if CloudFormation did not report them."""
        return _properties(self.before)

    @property
    def properties_after(self) -> Mapping[str, Any] | None:
        """The properties after the change, with placeholders for unknown values. None if not reported."""
        return _properties(self.after)

    @property
    def expected_properties(self) -> Mapping[str, Any] | None:
        """The properties after the change, where derived entries keep their deployed values."""
        before, after = self.properties_before, self.properties_after
        if before is None or after is None:
            return after
        changed = {_property(detail) for detail in self.effective_details}
        unchanged = {name for detail in self.details if (name := _property(detail)) not in changed}
        return {**after, **{name: before[name] for name in unchanged if name in before}}

    @property
    def effect(self) -> str:
        """The effect in one word: replace, may replace, delete, modify, add, import, unknown or nothing."""
        if self.action == "Modify":
            if self.nested is not None:
                return "nothing" if self.nested.is_empty else "modify"
            if self.resource_type == STACK_TYPE and self._is_automatic:
                return "nothing"
            return self._modification
        return {"Remove": "delete", "Add": "add", "Import": "import"}.get(self.action, "unknown")

    @property
    def is_about_tags(self) -> bool:
        """True if only the tags of the resource change, as if the tags of its stack change."""
        details = self.effective_details
        return self.effect == "modify" and bool(details) and all(detail.attribute == "Tags" for detail in details)

    @property
    def effective_details(self) -> tuple[Detail, ...]:
        """The details that are not derived."""
        return tuple(detail for detail in self.details if not detail.derived)

    @property
    def _modification(self) -> str:
        details = self.effective_details
        if len(details) == len(self.details):
            return {"True": "replace", "Conditional": "may replace"}.get(self.replacement, "modify")
        # CloudFormation's Replacement value includes the derived details, so it is computed again without
        # them.
        recreations = {detail.recreation for detail in details}
        if "Always" in recreations:
            return "replace"
        if "Conditionally" in recreations:
            return "may replace"
        return "modify" if details else "nothing"

    @property
    def _is_automatic(self) -> bool:
        """Whether CloudFormation lists a nested stack only because it might have changed.

        Template keys are content digests, so a real change always has another cause or a nested change set.
        """
        return all(detail.source == "Automatic" for detail in self.details)


@dataclass(frozen=True)
class ChangeSet:
    """Computed change set with the change sets of its nested stacks."""

    id: str
    name: str
    stack_id: str
    stack: str
    status: str
    reason: str = ""
    changes: tuple[Change, ...] = ()
    # Whether it was computed without the change sets of nested stacks.
    flat: bool = False

    @property
    def hidden(self) -> tuple[Change, ...]:
        """Return the nested stacks that change in a way that this change set does not show."""
        if not self.flat:
            return ()
        return tuple(
            change
            for change in self.effective
            if change.resource_type == STACK_TYPE and change.action == "Modify" and change.nested is None
        )

    @property
    def effective(self) -> tuple[Change, ...]:
        """The changes with an effect."""
        return tuple(change for change in self.changes if change.effect != "nothing")

    @property
    def is_empty(self) -> bool:
        """True if its execution would do nothing.

        A change set without any resource change is not empty: it changes outputs or tags. Otherwise CloudFormation
        would have failed it.
        """
        if self.status == "CREATE_COMPLETE":
            return bool(self.changes) and not self.effective
        return is_empty(self.status, self.reason)

    @property
    def derived(self) -> int:
        """Number of resources that are listed but not changed, including nested stacks."""
        nested = sum(change.nested.derived for change in self.changes if change.nested is not None)
        return nested + sum(1 for change in self.changes if change.details and not change.effective_details)

    def walk(self) -> Iterator[tuple[tuple[str, ...], Change]]:
        """Yield every effective change with the path of its nested stacks. A nested stack itself is not yielded."""
        for change in self.effective:
            if change.nested is not None and change.nested.effective:
                for path, inner in change.nested.walk():
                    yield (change.logical_id, *path), inner
            else:
                yield (), change

    def counts(self) -> dict[str, int]:
        """Return the number of changes by effect, including nested stacks, the most severe first."""
        return count_effects(change.effect for _, change in self.walk())


def is_empty(status: str, reason: str) -> bool:
    """Return whether a change set failed because there is nothing to change."""
    return status == "FAILED" and _NO_CHANGES.search(reason) is not None


def is_pending(status: str) -> bool:
    return status in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}


def create(client: CloudFormationClient, request: ChangeSetRequest) -> str:
    """Create a change set and return its ARN.

    If a reply is lost, the SDK repeats the request and AWS answers AlreadyExistsException. The name has a random part,
    so a change set with this name and description is the one of this request.
    """
    try:
        return client.create_change_set(**_arguments(request))["Id"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "AlreadyExistsException":
            raise _refused(request, error) from error
    try:
        found = client.describe_change_set(ChangeSetName=request.name, StackName=request.stack)
    except ClientError as error:
        raise _refused(request, error) from error
    if found.get("Description", "") != request.description:
        raise ChangeSetError(f"the name {request.name} belongs to another change set", where=request.stack)
    return found["ChangeSetId"]


def wait_for_change_set(client: CloudFormationClient, arn: str, *, sleep: Sleep) -> ChangeSet:
    """Return the computed change set with its nested change sets.

    A failed change set is returned too: it may only be empty.
    """
    delay = _FIRST_DELAY
    while is_pending((pages := _pages(client, arn))[0]["Status"]):
        sleep(delay)
        delay = min(delay * 1.5, _LONGEST_DELAY)
    raw = [
        change["ResourceChange"] for page in pages for change in page.get("Changes", ()) if "ResourceChange" in change
    ]

    # The parent may fail while its nested change sets are still being computed, so each one is awaited.
    def nested(item: Any) -> ChangeSet | None:
        return wait_for_change_set(client, item["ChangeSetId"], sleep=sleep) if item.get("ChangeSetId") else None

    with ThreadPoolExecutor(8) as pool:
        children = list(pool.map(nested, raw))
    first = pages[0]
    return ChangeSet(
        id=first["ChangeSetId"],
        name=first["ChangeSetName"],
        stack_id=first["StackId"],
        stack=first.get("StackName", ""),
        status=first["Status"],
        reason=redact(first.get("StatusReason", "")),
        changes=tuple(_change(item, child) for item, child in zip(raw, children, strict=True)),
        flat=first.get("IncludeNestedStacks") is False,
    )


def is_gone(client: CloudFormationClient, arn: str) -> bool:
    """Return whether a change set was deleted, executed, or made obsolete by another operation on its stack."""
    try:
        found = client.describe_change_set(ChangeSetName=arn)
    except ClientError as error:
        if is_missing(error):
            return True
        raise
    return found.get("ExecutionStatus") != "AVAILABLE"


def find_problem(change_set: ChangeSet) -> str | None:
    """Return why a change set cannot be executed, as the innermost failed change set reports it. None if it can."""
    if change_set.status == "CREATE_COMPLETE" or change_set.is_empty:
        return None
    for change in change_set.changes:
        if change.nested is not None and (inner := find_problem(change.nested)):
            return f"{change.logical_id}: {inner}"
    return change_set.reason or f"its status is {change_set.status}"


def has_no_changes(change_set: ChangeSet) -> bool:
    """Return whether a change set failed only because none of its nested stacks has a change."""
    if change_set.is_empty:
        return True
    if change_set.status != "FAILED" or not _CHILD_FAILED.search(change_set.reason):
        return False
    children = [change.nested for change in change_set.changes if change.nested is not None]
    return bool(children) and all(has_no_changes(child) for child in children)


def execute(client: CloudFormationClient, change_set: ChangeSet, token: str, *, keep: bool = False) -> None:
    """Start the execution of a change set.

    `keep` sets DisableRollback: resources that are complete remain if a later one fails, and the next deployment
    continues from there. OnStackFailure is not used: CloudFormation refuses to update a stack that was created with
    OnStackFailure DO_NOTHING, but updates one that was created with DisableRollback.

    If a reply is lost, the repeated request fails with InvalidChangeSetStatus. The execution status then shows whether
    the first request succeeded.
    """
    try:
        client.execute_change_set(ChangeSetName=change_set.id, ClientRequestToken=token, DisableRollback=keep)
    except ClientError as error:
        # CloudFormation deletes the other change sets of a stack, or marks them as obsolete, when one is executed.
        if is_missing(error):
            raise create_overtaken_error(change_set.stack) from error
        overtaken = is_overtaken(error)
        if not overtaken and error.response.get("Error", {}).get("Code") not in {
            "InvalidChangeSetStatus",
            "InvalidChangeSetStatusException",
        }:
            raise
        found = client.describe_change_set(ChangeSetName=change_set.id)
        if not found.get("ExecutionStatus", "").startswith("EXECUTE_"):
            if overtaken or found.get("ExecutionStatus") == "OBSOLETE":
                raise create_overtaken_error(change_set.stack) from error
            state = f"{found.get('Status')} / {found.get('ExecutionStatus')}"
            raise ChangeSetError(
                f"the change set cannot be executed: its status is {state}", where=change_set.stack
            ) from error


def discard(client: CloudFormationClient, arn: str, *, sleep: Sleep) -> None:
    """Delete a change set with its nested change sets. One that is already deleted is no error."""
    try:
        client.delete_change_set(ChangeSetName=arn)
        delay = _FIRST_DELAY
        # With nested change sets AWS deletes in the background. The stack must not be deleted before them.
        while client.describe_change_set(ChangeSetName=arn)["Status"] in {"DELETE_PENDING", "DELETE_IN_PROGRESS"}:
            sleep(delay)
            delay = min(delay * 1.5, _LONGEST_DELAY)
    except ClientError as error:
        if not is_missing(error):
            raise


def list_pending_change_sets(client: CloudFormationClient, stack: str) -> list[str]:
    """Return the ARNs of the change sets of a stack. Nested ones are deleted with their parents."""
    found = []
    for page in client.get_paginator("list_change_sets").paginate(StackName=stack):
        found += [item["ChangeSetId"] for item in page["Summaries"] if not item.get("ParentChangeSetId")]
    return found


def delete_abandoned_change_sets(
    client: CloudFormationClient, stack: str, lifetimes: Mapping[str, timedelta], *, sleep: Sleep
) -> None:
    """Delete the change sets that killed commands left on a stack.

    `lifetimes` maps the prefix of the name to the age at which a change set is deleted. Other prefixes are kept. AWS
    deletes them only when another change set is executed, and a deployment without changes executes none.
    """
    now = datetime.now(UTC)
    for page in client.get_paginator("list_change_sets").paginate(StackName=stack):
        for item in page["Summaries"]:
            lifetime = lifetimes.get(item["ChangeSetName"].partition("-")[0])
            waiting = not item.get("ExecutionStatus", "").startswith("EXECUTE_")
            if lifetime is None or not waiting or item.get("ParentChangeSetId"):
                continue
            if item["CreationTime"] <= now - lifetime:
                discard(client, item["ChangeSetId"], sleep=sleep)


def _arguments(request: ChangeSetRequest) -> CreateChangeSetInputTypeDef:
    arguments: CreateChangeSetInputTypeDef = {
        "StackName": request.stack,
        "ChangeSetName": request.name,
        "ChangeSetType": "CREATE" if request.creates else "UPDATE",
        "ClientToken": request.name,
        "Description": request.description,
        "IncludeNestedStacks": not request.flat,
        # The templates use no macro, so CAPABILITY_AUTO_EXPAND is not needed.
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        # All parameters are sent each time: for a missing one CloudFormation would use the template's
        # default.
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in request.parameters.items()],
        "Tags": [{"Key": key, "Value": value} for key, value in request.tags.items()],
        **request.template,  # type: ignore[typeddict-item] # mypy cannot see that the keys are of the type
    }
    if request.role_arn:
        arguments["RoleARN"] = request.role_arn
    return arguments


def _pages(client: CloudFormationClient, arn: str) -> list[Any]:
    pages: list[Any] = [client.describe_change_set(ChangeSetName=arn, IncludePropertyValues=True)]
    while token := pages[-1].get("NextToken"):
        pages.append(client.describe_change_set(ChangeSetName=arn, IncludePropertyValues=True, NextToken=token))
    return pages


def _change(raw: Any, nested: ChangeSet | None) -> Change:
    return Change(
        action=raw["Action"],
        logical_id=raw["LogicalResourceId"],
        physical_id=raw.get("PhysicalResourceId", ""),
        resource_type=raw["ResourceType"],
        replacement=raw.get("Replacement", ""),
        scope=tuple(raw.get("Scope", ())),
        details=tuple(_detail(item) for item in raw.get("Details", ())),
        nested=nested,
        policy_action=raw.get("PolicyAction", ""),
        before=raw.get("BeforeContext", ""),
        after=raw.get("AfterContext", ""),
    )


def _property(detail: Detail) -> str:
    """Return the name of the top-level property that a detail is about."""
    return detail.name.removeprefix("/Properties/").partition("/")[0]


def _properties(context: str) -> Mapping[str, Any] | None:
    if not context:
        return None
    found: Mapping[str, Any] = json.loads(context).get("Properties") or {}
    return found


def _detail(raw: Any) -> Detail:
    target = raw.get("Target", {})
    return Detail(
        attribute=target.get("Attribute", ""),
        name=target.get("Path") or target.get("Name", ""),
        before=target.get("BeforeValue"),
        after=target.get("AfterValue"),
        recreation=target.get("RequiresRecreation", ""),
        evaluation=raw.get("Evaluation", ""),
        source=raw.get("ChangeSource", ""),
        cause=raw.get("CausingEntity", ""),
    )


def _refused(request: ChangeSetRequest, error: ClientError) -> DeployerError:
    """Return an error with the message of AWS about the input, and the affected stack."""
    answer = error.response.get("Error", {})
    if is_overtaken(error):
        return create_overtaken_error(request.stack)
    if answer.get("Code") in {"ValidationError", "InsufficientCapabilitiesException", "LimitExceededException"}:
        return ChangeSetError(redact(answer.get("Message", "")), where=request.stack)
    return explain(error)
