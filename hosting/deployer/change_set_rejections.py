"""Explain a failed change set: the rejected resources, each with its property, reason, cause and next step.

CloudFormation validates a change set before it computes the changes, and reports in the status only which validation
failed. DescribeEvents returns the resources, and only while the change set exists (AWS CloudFormation API Reference,
DescribeEvents). So the events are read before the change set is deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer.aws.session import explain
from hosting.deployer.change_sets import ChangeSet, find_problem
from hosting.deployer.errors import ChangeSetError
from hosting.deployer.failures import catalogue, report
from hosting.deployer.failures.signature import Match, Seen
from hosting.model.lambda_shared.redact import redact
from hosting.model.templates import Template

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import OperationEventTypeDef

# template file -> logical id -> property path ("" for the resource itself) -> line of Python
SourceMap = Mapping[str, Mapping[str, Mapping[str, str]]]

# A parent can list no changes when a nested change set fails; its reason names the nested change set.
_NESTED = re.compile(r"Nested change set (arn:\S+:changeSet/\S+-(\w+)-\w+/\S+) was not successfully created")
_RESOURCE_PATH = re.compile(r"^/?Resources/[^/]+/?")


@dataclass(frozen=True)
class Rejection:
    """A resource that CloudFormation rejected in a change set. `path` is the nested stacks that lead to it."""

    path: tuple[str, ...]
    logical_id: str
    resource_type: str
    property_path: str
    reason: str
    match: Match | None = None
    source: str = ""

    @property
    def name(self) -> str:
        """Return the position in the tree: DatabaseStack/Cluster."""
        return "/".join((*self.path, self.logical_id))

    def lines(self) -> Iterator[str]:
        """Yield the lines that explain the rejection."""
        kind = f" ({self.resource_type})" if self.resource_type else ""
        place = f", {self.property_path}" if self.property_path else ""
        yield f"{self.name}{kind}{place}: {self.reason}"
        if self.source:
            yield f"  created in {self.source}"
        yield from (f"  {line}" for line in report.format_cause(self.match))


class RejectedChangeSetError(ChangeSetError):
    """CloudFormation rejected a change set. Carries the rejected resources, if CloudFormation named any."""

    def __init__(
        self, reason: str, rejections: Sequence[Rejection], templates: Mapping[tuple[str, ...], str], *, where: str
    ) -> None:
        self.reason, self.rejections, self.templates = reason, tuple(rejections), templates
        lines = [f"the change set failed: {reason}"]
        for one in self.rejections:
            lines += one.lines()
        if not rejections:
            lines += report.format_cause(catalogue.classify(reason, seen=Seen.CHANGE_SET))
        super().__init__("\n  ".join(lines), where=where)

    def with_sources(self, sources: SourceMap) -> RejectedChangeSetError:
        """Return the error with the line of Python behind each rejected resource."""
        located = [
            replace(one, source=_find_line(sources.get(self.templates.get(one.path, ""), {}), one))
            for one in self.rejections
        ]
        return RejectedChangeSetError(self.reason, located, self.templates, where=self.where)


def explain_change_set(
    client: CloudFormationClient,
    change_set: ChangeSet,
    template: Template,
    templates: Mapping[str, Template],
    where: str,
) -> RejectedChangeSetError:
    """Return the error for a failed change set. Read it before the change set is deleted."""
    reason = find_problem(change_set) or change_set.status
    try:
        rejections = list(_read_rejections(client, change_set.id, change_set, ()))
    except ClientError as error:
        # The reason of CloudFormation is more useful than the refusal to describe it.
        reason = f"{reason}\n  The rejected resources cannot be read: {explain(error)}"
        rejections = []
    return RejectedChangeSetError(reason, rejections, dict(_template_files(template, templates, ())), where=where)


def _read_rejections(
    client: CloudFormationClient, arn: str, change_set: ChangeSet | None, path: tuple[str, ...]
) -> Iterator[Rejection]:
    for event in _read_failed_events(client, arn):
        if event.get("LogicalResourceId") or event.get("ValidationStatusReason"):
            yield _rejection(event, path)
    nested = {} if change_set is None else {one.logical_id: one.nested for one in change_set.changes if one.nested}
    for logical_id, child in nested.items():
        if child.status == "FAILED":
            yield from _read_rejections(client, child.id, child, (*path, logical_id))
    if change_set is None:
        reason = client.describe_change_set(ChangeSetName=arn).get("StatusReason", "")
    else:
        reason = change_set.reason
    known = {child.id for child in nested.values()}
    for found in _NESTED.finditer(reason):
        if found[1] not in known:
            yield from _read_rejections(client, found[1], None, (*path, found[2]))


def _read_failed_events(client: CloudFormationClient, arn: str) -> Iterator[OperationEventTypeDef]:
    for page in client.get_paginator("describe_events").paginate(ChangeSetName=arn, Filters={"FailedEvents": True}):
        yield from page["OperationEvents"]


def _rejection(event: OperationEventTypeDef, path: tuple[str, ...]) -> Rejection:
    kind = event.get("ResourceType", "")
    reason = redact(
        event.get("ValidationStatusReason") or event.get("HookStatusReason") or event.get("ResourceStatusReason") or ""
    )
    match = catalogue.classify(reason, resource_type=kind, seen=Seen.CHANGE_SET)
    place = _RESOURCE_PATH.sub("", event.get("ValidationPath", "")).replace("/", ".")
    return Rejection(path, event.get("LogicalResourceId", ""), kind, place, reason, match)


def _template_files(
    template: Template, templates: Mapping[str, Template], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    yield path, template.name
    for logical_id, file in template.children.items():
        if file in templates:
            yield from _template_files(templates[file], templates, (*path, logical_id))


def _find_line(lines: Mapping[str, Mapping[str, str]], rejection: Rejection) -> str:
    """Return the line of the property, else of the nearest property around it, else of the resource."""
    known = lines.get(rejection.logical_id, {})
    steps = rejection.property_path.split(".")
    while steps:
        if found := known.get(".".join(steps)):
            return found
        steps.pop()
    return known.get("", "")
