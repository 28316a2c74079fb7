"""Change sets as values: asked for, awaited with every page and nested one, executed or deleted.

Read by ARN throughout: a name is unique only within a stack, and a stack that is created anew takes over the
name of one that was deleted.
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

# Stands for a value that only the execution will know.
PLACEHOLDER = re.compile(r"\{\{(?:IntrinsicFunction|changeSet):[^{}]*\}\}")

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0
_NO_CHANGES = re.compile(r"didn't contain changes|no updates are to be performed", re.IGNORECASE)
# A parent that fails because of a child says only that; the reason is the child's.
_CHILD_FAILED = re.compile(r"Nested change set .* was not successfully created", re.IGNORECASE)


@dataclass(frozen=True)
class ChangeSetRequest:
    """Everything that is asked of CloudFormation, so that it can be shown and compared."""

    stack: str
    name: str
    creates: bool
    template: Mapping[Literal["TemplateBody", "TemplateURL"], str]
    parameters: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    role_arn: str | None = None


@dataclass(frozen=True)
class Detail:
    """Why a resource changes: one property or attribute, from one cause."""

    attribute: str
    name: str
    before: str | None
    after: str | None
    recreation: str
    evaluation: str
    source: str
    cause: str
    # Listed only because it hangs on something that could have changed and, as `review` found out, does not.
    derived: bool = False


@dataclass(frozen=True)
class Change:
    """What would happen to one resource."""

    action: str
    logical_id: str
    physical_id: str
    resource_type: str
    replacement: str = ""
    scope: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    nested: ChangeSet | None = None
    policy_action: str = ""
    # The resource as the template had it and will have it, with values filled in; NoEcho ones are asterisks.
    before: str = ""
    after: str = ""

    @property
    def properties_before(self) -> Mapping[str, Any] | None:
        """The properties as they are deployed; None when CloudFormation did not say."""
        return _properties(self.before)

    @property
    def properties_after(self) -> Mapping[str, Any] | None:
        """The properties as they would become, unknown ones as placeholders."""
        return _properties(self.after)

    @property
    def expected_properties(self) -> Mapping[str, Any] | None:
        """The properties as they will become, where it is known that what is only derived stays."""
        before, after = self.properties_before, self.properties_after
        if before is None or after is None:
            return after
        real = {_property(detail) for detail in self.effective_details}
        stays = {name for detail in self.details if (name := _property(detail)) not in real}
        return {**after, **{name: before[name] for name in stays if name in before}}

    @property
    def effect(self) -> str:
        """One word for it: replace, may replace, delete, modify, add, import, unknown or nothing."""
        if self.action == "Modify":
            if self.nested is not None:
                return "nothing" if self.nested.is_empty else "modify"
            if self.resource_type == STACK_TYPE and self._is_automatic:
                return "nothing"
            return self._modification
        return {"Remove": "delete", "Add": "add", "Import": "import"}.get(self.action, "unknown")

    @property
    def is_about_tags(self) -> bool:
        """Whether nothing of it changes but its tags, as with the tags of its stack."""
        real = self.effective_details
        return self.effect == "modify" and bool(real) and all(detail.attribute == "Tags" for detail in real)

    @property
    def effective_details(self) -> tuple[Detail, ...]:
        """The details that are not derived."""
        return tuple(detail for detail in self.details if not detail.derived)

    @property
    def _modification(self) -> str:
        real = self.effective_details
        if len(real) == len(self.details):
            return {"True": "replace", "Conditional": "may replace"}.get(self.replacement, "modify")
        # CloudFormation's verdict counts the derived details too, so it is made again without them.
        recreations = {detail.recreation for detail in real}
        if "Always" in recreations:
            return "replace"
        if "Conditionally" in recreations:
            return "may replace"
        return "modify" if real else "nothing"

    @property
    def _is_automatic(self) -> bool:
        """CloudFormation lists a nested stack whenever it might have changed. Its templates are addressed by
        content, so a real change always has another cause as well, or a change set of its own."""
        return all(detail.source == "Automatic" for detail in self.details)


@dataclass(frozen=True)
class ChangeSet:
    """A computed change set with those of its nested stacks."""

    id: str
    name: str
    stack_id: str
    stack: str
    status: str
    reason: str = ""
    changes: tuple[Change, ...] = ()

    @property
    def effective(self) -> tuple[Change, ...]:
        """The changes that do something."""
        return tuple(change for change in self.changes if change.effect != "nothing")

    @property
    def is_empty(self) -> bool:
        """Whether executing it would do nothing. A set without any resource change is not empty: it changes
        outputs, tags or the like, or else CloudFormation would have failed it."""
        if self.status == "CREATE_COMPLETE":
            return bool(self.changes) and not self.effective
        return is_empty(self.status, self.reason)

    @property
    def derived(self) -> int:
        """How many resources, nested ones included, are listed without being changed."""
        nested = sum(change.nested.derived for change in self.changes if change.nested is not None)
        return nested + sum(1 for change in self.changes if change.details and not change.effective_details)

    def walk(self) -> Iterator[tuple[tuple[str, ...], Change]]:
        """Every effective change in the tree that is not itself a tree, with the nested stacks above it."""
        for change in self.effective:
            if change.nested is not None and change.nested.effective:
                for path, inner in change.nested.walk():
                    yield (change.logical_id, *path), inner
            else:
                yield (), change

    def counts(self) -> dict[str, int]:
        """Return how many resources have each effect, nested ones included, the most severe first."""
        return count_effects(change.effect for _, change in self.walk())


def is_empty(status: str, reason: str) -> bool:
    """Whether a failed change set failed because there is nothing to change."""
    return status == "FAILED" and _NO_CHANGES.search(reason) is not None


def is_pending(status: str) -> bool:
    return status in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}


def create(client: CloudFormationClient, request: ChangeSetRequest) -> str:
    """Ask for a change set and return its ARN.

    A reply that got lost makes the SDK ask again and AWS answer that the name is taken. The name carries a
    random part, so a set of this name with our description is ours.
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
        raise ChangeSetError(f"another change set is named {request.name}", where=request.stack)
    return found["ChangeSetId"]


def wait_for_change_set(client: CloudFormationClient, arn: str, *, sleep: Sleep) -> ChangeSet:
    """The finished change set with everything nested. A failed one is a value too: it may just be empty."""
    delay = _FIRST_DELAY
    while is_pending((pages := _pages(client, arn))[0]["Status"]):
        sleep(delay)
        delay = min(delay * 1.5, _LONGEST_DELAY)
    raw = [
        change["ResourceChange"] for page in pages for change in page.get("Changes", ()) if "ResourceChange" in change
    ]

    # The parent may fail while its children are still being computed; each is read to its own end.
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
    )


def is_gone(client: CloudFormationClient, arn: str) -> bool:
    """Whether it was deleted, executed, or overtaken by another operation on its stack."""
    try:
        found = client.describe_change_set(ChangeSetName=arn)
    except ClientError as error:
        if is_missing(error):
            return True
        raise
    return found.get("ExecutionStatus") != "AVAILABLE"


def find_problem(change_set: ChangeSet) -> str | None:
    """Why the set cannot be executed, in the words of the innermost set that failed."""
    if change_set.status == "CREATE_COMPLETE" or change_set.is_empty:
        return None
    for change in change_set.changes:
        if change.nested is not None and (inner := find_problem(change.nested)):
            return f"{change.logical_id}: {inner}"
    return change_set.reason or f"ended as {change_set.status}"


def has_no_changes(change_set: ChangeSet) -> bool:
    """Whether a parent failed for no other reason than that all its children have nothing to change."""
    if change_set.is_empty:
        return True
    if change_set.status != "FAILED" or not _CHILD_FAILED.search(change_set.reason):
        return False
    children = [change.nested for change in change_set.changes if change.nested is not None]
    return bool(children) and all(has_no_changes(child) for child in children)


def execute(client: CloudFormationClient, change_set: ChangeSet, token: str, *, keep: bool = False) -> None:
    """Start it. Asked twice because a reply got lost, AWS answers that it is no longer available.

    `keep` keeps what was finished when a later resource fails, so that the next deployment goes on from there.
    It is asked for here and not with OnStackFailure: CloudFormation refuses to update a stack that was created
    to do nothing on failure, but updates one that was created without rollback.
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
            raise ChangeSetError(f"cannot be executed: it is {state}", where=change_set.stack) from error


def discard(client: CloudFormationClient, arn: str, *, sleep: Sleep) -> None:
    """Delete it with its nested ones; deleting what is gone already is fine."""
    try:
        client.delete_change_set(ChangeSetName=arn)
        delay = _FIRST_DELAY
        # With nested sets AWS deletes in the background, and a stack's shell must not go before them.
        while client.describe_change_set(ChangeSetName=arn)["Status"] in {"DELETE_PENDING", "DELETE_IN_PROGRESS"}:
            sleep(delay)
            delay = min(delay * 1.5, _LONGEST_DELAY)
    except ClientError as error:
        if not is_missing(error):
            raise


def list_pending_change_sets(client: CloudFormationClient, stack: str) -> list[str]:
    """ARNs of the change sets that wait on a stack; nested ones go with their parents."""
    found = []
    for page in client.get_paginator("list_change_sets").paginate(StackName=stack):
        found += [item["ChangeSetId"] for item in page["Summaries"] if not item.get("ParentChangeSetId")]
    return found


def delete_abandoned_change_sets(
    client: CloudFormationClient, stack: str, lifetimes: Mapping[str, timedelta], *, sleep: Sleep
) -> None:
    """Delete what was left on a stack by commands that were killed: by the verb in its name, how old it has to be.

    AWS deletes it when another change set is executed, but a run that finds nothing to change executes none.
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
        "IncludeNestedStacks": True,
        # No macro is used, so never CAPABILITY_AUTO_EXPAND.
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        # Every parameter every time: what is not sent would be the template's default, silently.
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
    """The property that a detail is about, however deep inside of it."""
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
    """AWS's own words about the input, with the stack that they are about."""
    answer = error.response.get("Error", {})
    if is_overtaken(error):
        return create_overtaken_error(request.stack)
    if answer.get("Code") in {"ValidationError", "InsufficientCapabilitiesException", "LimitExceededException"}:
        return ChangeSetError(redact(answer.get("Message", "")), where=request.stack)
    return explain(error)
