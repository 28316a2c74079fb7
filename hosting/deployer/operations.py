"""Operations on stacks: follow one, ask how it ended, cancel it, take up one that somebody else started."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer import events
from hosting.deployer.aws import stacks
from hosting.deployer.aws.retryable import is_transient
from hosting.deployer.aws.stacks import Next, StackState
from hosting.deployer.context import Context, States
from hosting.deployer.errors import DeploymentFailedError, StateError
from hosting.deployer.event_poller import StackEventPoller
from hosting.deployer.events import Event
from hosting.deployer.failures import report, rootcause
from hosting.model.stack_order import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_TRIES = 20
_STALE_TRIES = 5
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0

_CANCELLED = "it was cancelled, and everything is as it was before"
_VERBS = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete", "ROLLBACK": "rollback", "IMPORT": "import"}


@dataclass
class Operation:
    """Something that CloudFormation is doing to a stack. Follow it, then ask for the outcome."""

    stack: Stack
    stack_id: str
    verb: str
    polls: Iterable[Sequence[Event]]
    events: list[Event] = field(default_factory=list)
    cancelled: bool = False

    def follow(self) -> Iterator[Sequence[Event]]:
        """The events in rounds. When this was broken off, calling it again goes on where it stopped."""
        for batch in self.polls:
            self.events += batch
            yield batch

    @property
    def status(self) -> str:
        """What the stack last said of itself; empty when it has not said anything yet."""
        own = [event for event in self.events if event.is_stack_itself and event.stack_id == self.stack_id]
        return own[-1].status if own else ""


def start_operation(context: Context, stack: Stack, stack_id: str, verb: str, begin: Callable[[], object]) -> Operation:
    """Begin an operation with a call, and watch from the moment before it."""
    client = context.clients.cloudformation(stack.region)
    cursor = events.read_cursor(client, stack_id)
    begin()
    return Operation(stack, stack_id, verb, StackEventPoller(client, cursor, sleep=context.sleep))


def attach(context: Context, stack: Stack, state: StackState) -> Operation:
    """The operation that is running on a stack, from its beginning, whoever started it."""
    client = context.clients.cloudformation(stack.region)
    cursor = events.find_operation_start(client, state.id)
    verb = _VERBS.get(state.status.partition("_")[0], "operation")
    return Operation(stack, state.id, verb, StackEventPoller(client, cursor, sleep=context.sleep))


def load_last_operation(context: Context, stack: Stack, state: StackState) -> Operation:
    """The operation that ended last, its events read."""
    client = context.clients.cloudformation(stack.region)
    cursor = events.find_operation_start(client, state.id, ended=True)
    verb = _VERBS.get(state.status.partition("_")[0], "operation")
    operation = Operation(stack, state.id, verb, StackEventPoller(client, cursor, sleep=context.sleep))
    for _ in operation.follow():
        pass
    return operation


def find_running_operations(context: Context, states: States) -> list[Operation]:
    """Every operation that is running on the chain."""
    return [
        attach(context, stack, state)
        for stack, state in states.items()
        if state is not None and state.next is Next.WAIT
    ]


def is_cancellable(status: str) -> bool:
    """CloudFormation can cancel an update while it goes forward, and nothing else."""
    return status == "UPDATE_IN_PROGRESS"


def cancel(context: Context, operation: Operation) -> None:
    """Have an update roll back. Follow the operation on: it ends when everything is as it was."""
    client = context.clients.cloudformation(operation.stack.region)
    status = events.read_status(client, operation.stack_id)
    if not is_cancellable(status):
        hint = "only an update that goes forward can be cancelled; a creation goes on, or is deleted afterwards"
        raise StateError(f"cannot be cancelled: it is {status}", where=operation.stack.label, hint=hint)
    try:
        client.cancel_update_stack(StackName=operation.stack_id, ClientRequestToken=f"cancel-{secrets.token_hex(8)}")
    except ClientError as error:
        # Asked twice because a reply got lost, AWS may answer that it goes back already.
        code = error.response.get("Error", {}).get("Code")
        if code != "ValidationError" or "ROLLBACK" not in events.read_status(client, operation.stack_id):
            raise
    operation.cancelled = True


def wait_until_stable(
    client: CloudFormationClient, stack_id: str, expected: str, *, sleep: Callable[[float], None]
) -> StackState | None:
    """The stack after its operation ended; None when it is gone.

    Reads are eventually consistent: a stack whose events say that it is complete may still be described as in
    review, in progress, or as it was before. `expected` is what the events said; empty when they said nothing.
    """
    delay = _FIRST_DELAY
    for attempt in range(1, _TRIES + 1):
        try:
            state = stacks.describe_stack(client, stack_id)
        except (ClientError, BotoCoreError) as error:
            if attempt == _TRIES or not is_transient(error):
                raise
        else:
            if state is None or (stacks.is_terminal(state.status) and expected in {"", state.status}):
                return state
            if attempt >= _STALE_TRIES and stacks.is_terminal(expected or state.status):
                # The events are the stack's own account; a description that lags so far behind is worth less.
                return replace(state, status=expected or state.status)
        sleep(delay)
        delay = min(delay * 1.5, _LONGEST_DELAY)
    raise StateError("has not come to rest", where=stack_id, hint="look again with `deploy.py watch`")


def wait_for_outcome(context: Context, operation: Operation) -> StackState | None:
    """How the stack stands after an operation, good or bad; None when it is gone."""
    client = context.clients.cloudformation(operation.stack.region)
    expected = operation.status
    return wait_until_stable(
        client, operation.stack_id, expected if stacks.is_terminal(expected) else "", sleep=context.sleep
    )


def create_failure(operation: Operation, status: str, hint: str = "") -> DeploymentFailedError:
    """The error for an operation that ended badly, with what the catalogue knows about its cause."""
    if operation.cancelled and status == "UPDATE_ROLLBACK_COMPLETE":
        # Resources that were stopped on their way look like failures, and are none.
        return DeploymentFailedError(operation.stack.label, status, None, hint=_CANCELLED)
    diagnosis = rootcause.diagnose(operation.events)
    failure = diagnosis.first.failure if diagnosis else None
    details = report.format_diagnosis(diagnosis) if diagnosis else ()
    return DeploymentFailedError(operation.stack.label, status, failure, hint=hint, details=details)
