"""Drift of all stacks of an environment, including nested stacks.

Drift detection on a root does not include its nested stacks (CloudFormation User Guide, Detect drift on an entire
stack), so it runs on each stack of the tree, a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import STACK_TYPE, Next
from hosting.deployer.context import Context, States
from hosting.deployer.errors import DeployerError, StateError
from hosting.deployer.safeguards.gates import format_resource_name
from hosting.model.stack_order import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

# CloudFormation reads every resource. More stacks at once would be throttled.
_PARALLEL = 5
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 5.0
_DRIFTED = ("MODIFIED", "DELETED")


@dataclass(frozen=True)
class PropertyDifference:
    """One property that differs from the template."""

    path: str
    kind: str  # ADD, REMOVE, NOT_EQUAL
    expected: str
    actual: str


@dataclass(frozen=True)
class DriftedResource:
    """Resource that differs from the template or was deleted."""

    name: str
    type: str
    physical_id: str
    status: str  # MODIFIED or DELETED
    differences: tuple[PropertyDifference, ...] = ()


@dataclass(frozen=True)
class StackDrift:
    """Result of drift detection for one stack of a tree."""

    stack: Stack
    path: tuple[str, ...]
    stack_id: str
    drifted: tuple[DriftedResource, ...] = ()
    # Number of resources that CloudFormation compared. It does not support all types.
    checked: int = 0
    resources: int = 0
    # The reason why drift detection failed, completely or for some resources.
    problem: str = ""


def require_deployed(context: Context, states: States) -> None:
    """Raise an error if no stack of the environment is deployed."""
    if all(state is None or state.next is Next.CREATE for state in states.values()):
        raise DeployerError("the environment is not deployed", where=context.environment.family, hint="deploy it first")


def detect(context: Context, states: States) -> list[StackDrift]:
    """Run drift detection on every stack of the environment and wait for the results."""
    for stack, state in states.items():
        if state is not None and state.next is Next.WAIT:
            hint = "wait until it has ended, then run this command again"
            raise StateError(f"an operation is running ({state.status})", where=stack.label, hint=hint)
    targets = [
        (stack, path, stack_id)
        for stack, state in states.items()
        if state is not None and state.next is not Next.CREATE
        for path, stack_id in _tree(context.clients.cloudformation(stack.region), state.id, ())
    ]

    def detect_one(target: tuple[Stack, tuple[str, ...], str]) -> StackDrift:
        stack, path, stack_id = target
        return _detect_stack(context.clients.cloudformation(stack.region), stack, path, stack_id, context.sleep)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(detect_one, targets))


def _tree(client: CloudFormationClient, stack_id: str, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield path, stack_id
    for one in stacks.list_resources(client, stack_id):
        if one.type == STACK_TYPE and one.physical_id:
            yield from _tree(client, one.physical_id, (*path, one.logical_id))


def _detect_stack(
    client: CloudFormationClient, stack: Stack, path: tuple[str, ...], stack_id: str, sleep: Callable[[float], None]
) -> StackDrift:
    try:
        detection = client.detect_stack_drift(StackName=stack_id)["StackDriftDetectionId"]
    except ClientError as error:
        # For example a stack in UPDATE_ROLLBACK_FAILED. The other stacks can still be checked.
        if error.response.get("Error", {}).get("Code") != "ValidationError":
            raise
        return StackDrift(stack, path, stack_id, problem=error.response["Error"].get("Message", str(error)))
    delay = _FIRST_DELAY
    while True:
        found = client.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if found["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        sleep(delay)
        delay = min(delay * 1.5, _LONGEST_DELAY)
    # A detection that failed for one resource still has results for the others.
    problem = found.get("DetectionStatusReason", "") if found["DetectionStatus"] == "DETECTION_FAILED" else ""
    raw = list(_drifts(client, stack_id))
    drifted = tuple(_drifted(stack, path, one) for one in raw if one["StackResourceDriftStatus"] in _DRIFTED)
    checked = sum(1 for one in raw if one["StackResourceDriftStatus"] in {*_DRIFTED, "IN_SYNC"})
    resources = sum(1 for one in stacks.list_resources(client, stack_id) if one.type != STACK_TYPE)
    return StackDrift(stack, path, stack_id, drifted, checked, resources, problem)


def _drifts(client: CloudFormationClient, stack_id: str) -> Iterator[Any]:
    """Yield the resources of all pages. boto3 has no paginator for DescribeStackResourceDrifts."""
    more: dict[str, Any] = {}
    while True:
        page: Any = client.describe_stack_resource_drifts(StackName=stack_id, MaxResults=100, **more)
        yield from (one for one in page["StackResourceDrifts"] if one["ResourceType"] != STACK_TYPE)
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def _drifted(stack: Stack, path: tuple[str, ...], raw: Any) -> DriftedResource:
    return DriftedResource(
        name=format_resource_name(stack, path, raw["LogicalResourceId"]),
        type=raw["ResourceType"],
        physical_id=raw.get("PhysicalResourceId", ""),
        status=raw["StackResourceDriftStatus"],
        differences=tuple(
            PropertyDifference(
                one["PropertyPath"], one["DifferenceType"], one.get("ExpectedValue", ""), one.get("ActualValue", "")
            )
            for one in raw.get("PropertyDifferences", ())
        ),
    )
