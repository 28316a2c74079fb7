"""End of an operation, when descriptions lag behind events."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hosting.deployer import operations
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.errors import StateError
from hosting.deployer.events import Event
from hosting.deployer.operations import Operation
from hosting.model.stack_order import Stack, StackRole

THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeStacks")
GONE = ClientError({"Error": {"Code": "ValidationError", "Message": "Stack does not exist"}}, "DescribeStacks")
STACK = Stack(StackRole.ROOT, "shop", "eu-west-1")


class Answers:
    """Replies of DescribeStacks, one after the other. The last one is repeated."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def describe_stacks(self, **_: str) -> Any:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return {"Stacks": [{"StackId": "arn", "StackName": "shop", "StackStatus": answer}]}


def final_status(expected: str, *answers: str | Exception) -> str | None:
    client: Any = Answers(*answers)
    state = operations.wait_until_stable(client, "arn", expected, sleep=lambda _: None)
    return state.status if state else None


@pytest.mark.parametrize(
    ("expected", "answers", "status"),
    [
        ("UPDATE_COMPLETE", ["UPDATE_COMPLETE"], "UPDATE_COMPLETE"),
        ("UPDATE_COMPLETE", [THROTTLED, THROTTLED, "UPDATE_COMPLETE"], "UPDATE_COMPLETE"),
        ("CREATE_COMPLETE", ["REVIEW_IN_PROGRESS", "CREATE_COMPLETE"], "CREATE_COMPLETE"),
        # The outputs are the old ones, so this description may be stale.
        ("UPDATE_COMPLETE", ["CREATE_COMPLETE", "UPDATE_COMPLETE"], "UPDATE_COMPLETE"),
        ("", ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"], "UPDATE_COMPLETE"),
        ("DELETE_COMPLETE", [GONE], None),
        # If the description lags permanently, the events decide.
        ("CREATE_COMPLETE", ["REVIEW_IN_PROGRESS"], "CREATE_COMPLETE"),
        ("UPDATE_ROLLBACK_COMPLETE", ["CREATE_COMPLETE"], "UPDATE_ROLLBACK_COMPLETE"),
    ],
)
def test_the_final_status_follows_the_events(expected: str, answers: list[str | Exception], status: str | None) -> None:
    assert final_status(expected, *answers) == status


def test_a_status_that_stays_in_progress_is_an_error() -> None:
    with pytest.raises(StateError, match="still in progress"):
        final_status("", "UPDATE_IN_PROGRESS")


def test_an_error_that_stays_is_raised() -> None:
    with pytest.raises(ClientError, match="Rate exceeded"):
        final_status("UPDATE_COMPLETE", THROTTLED)


def event(status: str, *, stack_id: str = "arn", type: str = STACK_TYPE, reason: str = "") -> Event:
    physical = stack_id if type == STACK_TYPE else "x"
    return Event(status, stack_id, "shop", (), "shop", physical, type, status, reason, datetime(2026, 1, 1, tzinfo=UTC))


def test_the_status_of_an_operation_is_the_last_one_of_its_stack() -> None:
    operation = Operation(STACK, "arn", "update", ())
    assert operation.status == ""
    operation.events = [
        event("UPDATE_IN_PROGRESS"),
        event("UPDATE_COMPLETE"),
        event("X_FAILED", type="AWS::SNS::Topic"),
    ]
    assert operation.status == "UPDATE_COMPLETE"


def test_a_cancelled_update_differs_from_a_failed_one() -> None:
    stopped = event("UPDATE_FAILED", type="AWS::SNS::Topic", reason="stopped on its way")
    operation = Operation(STACK, "arn", "update", (), [stopped], cancelled=True)
    assert "was cancelled" in str(operations.create_failure(operation, "UPDATE_ROLLBACK_COMPLETE"))
    assert "stopped on its way" in str(operations.create_failure(operation, "UPDATE_ROLLBACK_FAILED"))


REFUSED = ClientError({"Error": {"Code": "ValidationError", "Message": "cannot be called"}}, "CancelUpdateStack")


@pytest.mark.parametrize(("then", "refused"), [("UPDATE_ROLLBACK_IN_PROGRESS", False), ("UPDATE_COMPLETE", True)])
def test_a_lost_reply_to_cancelling_is_no_error(then: str, refused: bool) -> None:
    """CloudFormation refuses the repeated request: the rollback is running, or the update has ended."""

    class Client(Answers):
        def cancel_update_stack(self, **_: str) -> None:
            raise REFUSED

    client = Client("UPDATE_IN_PROGRESS", then)
    context: Any = SimpleNamespace(clients=SimpleNamespace(cloudformation=lambda _: client))
    operation = Operation(STACK, "arn", "update", ())
    if refused:
        with pytest.raises(ClientError):
            operations.cancel(context, operation)
    else:
        operations.cancel(context, operation)
    assert operation.cancelled is not refused


@pytest.mark.parametrize(
    ("status", "possible"),
    [("UPDATE_IN_PROGRESS", True), ("CREATE_IN_PROGRESS", False), ("UPDATE_ROLLBACK_IN_PROGRESS", False), ("", False)],
)
def test_only_an_update_that_is_not_rolling_back_can_be_cancelled(status: str, possible: bool) -> None:
    assert operations.is_cancellable(status) is possible
