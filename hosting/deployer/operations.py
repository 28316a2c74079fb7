"""Operations on stacks: start, attach to, follow and cancel them, and read their outcome."""

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

_CANCELLED = "the update was cancelled and rolled back completely"
_VERBS = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete", "ROLLBACK": "rollback", "IMPORT": "import"}


@dataclass
class Operation:
    """Operation of CloudFormation on one stack. Follow it, then read its outcome."""

    stack: Stack
    stack_id: str
    verb: str
    polls: Iterable[Sequence[Event]]
    events: list[Event] = field(default_factory=list)
    cancelled: bool = False

    def follow(self) -> Iterator[Sequence[Event]]:
        """Yield the events of each poll. After an interruption, call it again to continue without losing events."""
        for batch in self.polls:
            self.events += batch
            yield batch

    @property
    def status(self) -> str:
        """The last status that the events report for the stack. Empty before the first event."""
        own = [event for event in self.events if event.is_stack_itself and event.stack_id == self.stack_id]
        return own[-1].status if own else ""


def start_operation(context: Context, stack: Stack, stack_id: str, verb: str, begin: Callable[[], object]) -> Operation:
    """Start an operation with a call. Return the operation with all events from that call on."""
    client = context.clients.cloudformation(stack.region)
    cursor = events.read_cursor(client, stack_id)
    begin()
    return Operation(stack, stack_id, verb, StackEventPoller(client, cursor, sleep=context.sleep))


def attach(context: Context, stack: Stack, state: StackState) -> Operation:
    """Return the operation that is running on a stack, from its first event. Another user may have started it."""
    client = context.clients.cloudformation(stack.region)
    cursor = events.find_operation_start(client, state.id)
    verb = _VERBS.get(state.status.partition("_")[0], "operation")
    return Operation(stack, state.id, verb, StackEventPoller(client, cursor, sleep=context.sleep))


def load_last_operation(context: Context, stack: Stack, state: StackState) -> Operation:
    """Return the last operation that ended, with its events."""
    client = context.clients.cloudformation(stack.region)
    cursor = events.find_operation_start(client, state.id, ended=True)
    verb = _VERBS.get(state.status.partition("_")[0], "operation")
    operation = Operation(stack, state.id, verb, StackEventPoller(client, cursor, sleep=context.sleep))
    for _ in operation.follow():
        pass
    return operation


def find_running_operations(context: Context, states: States) -> list[Operation]:
    """Return the operations that are running on the stacks of the environment."""
    return [
        attach(context, stack, state)
        for stack, state in states.items()
        if state is not None and state.next is Next.WAIT
    ]


def is_cancellable(status: str) -> bool:
    """Return whether CloudFormation can cancel the operation. It cancels only updates that are not rolling back."""
    return status == "UPDATE_IN_PROGRESS"


def cancel(context: Context, operation: Operation) -> None:
    """Cancel an update. CloudFormation then rolls it back: follow the operation until it ends."""
    client = context.clients.cloudformation(operation.stack.region)
    status = events.read_status(client, operation.stack_id)
    if not is_cancellable(status):
        hint = "only an update that is not rolling back can be cancelled; follow it with `deploy.py watch`"
        raise StateError(
            f"the operation cannot be cancelled: its status is {status}", where=operation.stack.label, hint=hint
        )
    try:
        client.cancel_update_stack(StackName=operation.stack_id, ClientRequestToken=f"cancel-{secrets.token_hex(8)}")
    except ClientError as error:
        # If a reply is lost, the SDK repeats the request. AWS may then answer that the rollback is already
        # running.
        code = error.response.get("Error", {}).get("Code")
        if code != "ValidationError" or "ROLLBACK" not in events.read_status(client, operation.stack_id):
            raise
    operation.cancelled = True


def wait_until_stable(
    client: CloudFormationClient, stack_id: str, expected: str, *, sleep: Callable[[float], None]
) -> StackState | None:
    """Return the stack after its operation ended. Return None if the stack is deleted.

    Reads are eventually consistent: after the last event CloudFormation may still describe the previous status.
    `expected` is the status that the events report, or empty if they report none. Raises StateError if the status stays
    in progress.
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
                # The events are the record of the stack. They are more reliable than a description
                # that lags for so long.
                return replace(state, status=expected or state.status)
        sleep(delay)
        delay = min(delay * 1.5, _LONGEST_DELAY)
    raise StateError("the operation is still in progress", where=stack_id, hint="follow it with `deploy.py watch`")


def wait_for_outcome(context: Context, operation: Operation) -> StackState | None:
    """Return the stack after an operation that ended, successful or not. Return None if the stack is deleted."""
    client = context.clients.cloudformation(operation.stack.region)
    expected = operation.status
    return wait_until_stable(
        client, operation.stack_id, expected if stacks.is_terminal(expected) else "", sleep=context.sleep
    )


def create_failure(operation: Operation, status: str, hint: str = "") -> DeploymentFailedError:
    """Return the error of an operation that failed, with the cause from the failure catalogue."""
    if operation.cancelled and status == "UPDATE_ROLLBACK_COMPLETE":
        # A cancelled update stops resources. Their events look like failures.
        return DeploymentFailedError(operation.stack.label, status, None, hint=_CANCELLED)
    diagnosis = rootcause.diagnose(operation.events)
    failure = diagnosis.first.failure if diagnosis else None
    details = report.format_diagnosis(diagnosis) if diagnosis else ()
    return DeploymentFailedError(operation.stack.label, status, failure, hint=hint, details=details)
