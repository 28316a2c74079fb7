"""Events of an operation and its first failure, with scripted histories."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hosting.deployer import events
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.event_poller import StackEventPoller
from hosting.deployer.events import Cursor, Event
from hosting.deployer.failures import rootcause

ROOT = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1"
NET = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-NetworkStack-ABC/2"
DEEP = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-NetworkStack-ABC-ZoneStack-DEF/3"
START = datetime(2026, 1, 1, tzinfo=UTC)


class History:
    """A stack's events by time. Each `tick` makes the events of one more second visible."""

    def __init__(self, *lines: tuple[int, str, str, str, str, str], page: int = 100) -> None:
        self.lines = [self.event(number, *line) for number, line in enumerate(lines)]
        self.now = 0
        self.page = page
        self.asked: list[str] = []
        self.gone: set[str] = set()
        self.final = "UPDATE_COMPLETE"

    @staticmethod
    def event(
        number: int, second: int, stack: str, name: str, physical: str, status: str, reason: str
    ) -> dict[str, Any]:
        is_stack = physical.startswith("arn:aws:cloudformation") or name.endswith("Stack")
        return {
            "EventId": f"e{number}",
            "StackId": stack,
            "StackName": stack.split("/")[1],
            "LogicalResourceId": name,
            "PhysicalResourceId": physical,
            "ResourceType": STACK_TYPE if is_stack else "AWS::SNS::Topic",
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "Timestamp": START + timedelta(seconds=second),
        }

    def tick(self, _seconds: float) -> None:
        self.now += 1

    def describe_stack_events(self, *, StackName: str, NextToken: str = "0") -> Any:  # noqa: N803
        self.asked.append(StackName)
        if StackName in self.gone:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "Stack does not exist"}}, "x")
        shown = [line for line in self.lines if line["StackId"] == StackName]
        shown = [line for line in shown if line["Timestamp"] <= START + timedelta(seconds=self.now)][::-1]
        offset = int(NextToken)
        more = {"NextToken": str(offset + self.page)} if len(shown) > offset + self.page else {}
        return {"StackEvents": shown[offset : offset + self.page], **more}

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803
        return {"Stacks": [{"StackStatus": self.final}]}


def follow(history: History, start: Cursor | None = None) -> list[Sequence[Event]]:
    return list(StackEventPoller(history, start or Cursor(ROOT), sleep=history.tick))


def seen(batches: list[Sequence[Event]]) -> list[str]:
    return [f"{event.name} {event.status}" for batch in batches for event in batch]


LINES = (
    (0, ROOT, "shop", ROOT, "CREATE_COMPLETE", ""),
    (0, NET, "Old", "old", "CREATE_COMPLETE", ""),
    (1, ROOT, "shop", ROOT, "UPDATE_IN_PROGRESS", "User Initiated"),
    (1, ROOT, "NetworkStack", NET, "UPDATE_IN_PROGRESS", ""),
    (2, NET, "shop-NetworkStack-ABC", NET, "UPDATE_IN_PROGRESS", ""),
    (2, NET, "ZoneStack", DEEP, "CREATE_IN_PROGRESS", ""),
    (3, DEEP, "Topic", "t", "CREATE_IN_PROGRESS", ""),
    (4, DEEP, "Topic", "t", "CREATE_COMPLETE", ""),
    (5, NET, "ZoneStack", DEEP, "CREATE_COMPLETE", ""),
    (6, ROOT, "NetworkStack", NET, "UPDATE_COMPLETE", ""),
    (7, ROOT, "shop", ROOT, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ""),
    (9, ROOT, "shop", ROOT, "UPDATE_COMPLETE", ""),
)


def test_nested_stacks_of_any_depth_are_followed_without_old_events() -> None:
    history = History(*LINES)
    batches = follow(history, Cursor(ROOT, "e0"))
    assert seen(batches) == [
        "shop UPDATE_IN_PROGRESS",
        "NetworkStack UPDATE_IN_PROGRESS",
        "NetworkStack UPDATE_IN_PROGRESS",
        "NetworkStack/ZoneStack CREATE_IN_PROGRESS",
        "NetworkStack/ZoneStack/Topic CREATE_IN_PROGRESS",
        "NetworkStack/ZoneStack/Topic CREATE_COMPLETE",
        "NetworkStack/ZoneStack CREATE_COMPLETE",
        "NetworkStack UPDATE_COMPLETE",
        "shop UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "shop UPDATE_COMPLETE",
    ]
    assert [] in batches, "a poll without events shows the caller that time has passed"


def test_everything_at_once_loses_nothing() -> None:
    history = History(*LINES)
    history.now = 100
    assert len(seen(follow(history, Cursor(ROOT, "e0")))) == 10


def test_only_nested_stacks_at_work_are_asked() -> None:
    history = History(*LINES)
    follow(history, Cursor(ROOT, "e0"))
    idle = [stack for stack in history.asked[-3:] if stack == DEEP]
    assert history.asked.count(DEEP) < history.asked.count(ROOT)
    assert len(idle) <= 1  # one more poll at the end, for late events


def test_long_histories_are_read_page_by_page() -> None:
    lines = [(0, ROOT, "shop", ROOT, "CREATE_COMPLETE", "")]
    lines += [(1, ROOT, f"Topic{number}", "t", "UPDATE_COMPLETE", "") for number in range(25)]
    lines += [(1, ROOT, "shop", ROOT, "UPDATE_COMPLETE", "")]
    history = History(*lines, page=10)
    history.now = 1
    assert len(seen(follow(history, Cursor(ROOT, "e0")))) == 26


def test_a_deleted_stack_ends_the_operation() -> None:
    history = History((1, ROOT, "shop", ROOT, "DELETE_IN_PROGRESS", ""))
    history.now = 1
    batches = iter(StackEventPoller(history, Cursor(ROOT), sleep=history.tick))
    assert seen([next(batches)]) == ["shop DELETE_IN_PROGRESS"]
    history.gone.add(ROOT)
    assert seen(list(batches)) == []


def test_an_end_without_an_event_is_detected_after_some_polls() -> None:
    history = History((1, ROOT, "shop", ROOT, "UPDATE_IN_PROGRESS", ""))
    assert seen(follow(history)) == ["shop UPDATE_IN_PROGRESS"]


def test_the_cursor_is_the_newest_event() -> None:
    history = History(*LINES)
    history.now = 1
    assert events.read_cursor(history, ROOT) == Cursor(ROOT, "e3")
    assert events.read_cursor(History(), ROOT) == Cursor(ROOT, "")


def failure(*lines: tuple[int, str, str, str, str, str]) -> tuple[str, str, str] | None:
    history = History(
        (0, ROOT, "shop", ROOT, "CREATE_IN_PROGRESS", ""),
        (0, ROOT, "NetworkStack", NET, "CREATE_IN_PROGRESS", ""),
        *lines,
        (9, ROOT, "shop", ROOT, "CREATE_FAILED", "The following resource(s) failed to create"),
    )
    history.now = 10
    found = rootcause.diagnose(event for batch in follow(history) for event in batch)
    failure = found.first.failure if found else None
    return (failure.stack, failure.logical_id, failure.reason) if failure else None


EMBEDDED = f"Embedded stack {NET} was not successfully created: The following resource(s) failed to create: [B]."


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            [
                (1, NET, "A", "a", "CREATE_FAILED", "Resource creation cancelled"),
                (1, NET, "B", "b", "CREATE_FAILED", "Quota exceeded"),
                (2, ROOT, "NetworkStack", NET, "CREATE_FAILED", EMBEDDED),
                (3, ROOT, "Other", "o", "CREATE_FAILED", "Resource creation cancelled"),
            ],
            ("shop/NetworkStack", "B", "Quota exceeded"),
        ),
        (
            [
                (3, NET, "B", "b", "CREATE_FAILED", "later"),
                (2, ROOT, "Topic", "t", "CREATE_FAILED", "earlier"),
            ],
            ("shop", "Topic", "earlier"),
        ),
        (
            [(2, ROOT, "NetworkStack", NET, "CREATE_FAILED", "Template error: no such mapping")],
            ("shop", "NetworkStack", "Template error: no such mapping"),
        ),
        ([], ("shop", "shop", "The following resource(s) failed to create")),
    ],
    ids=["nested", "earliest", "the nested stack itself", "nothing but the root"],
)
def test_the_first_real_failure(lines: list[Any], expected: tuple[str, str, str]) -> None:
    assert failure(*lines) == expected


def test_a_nested_stack_that_failed_at_once_is_found_by_its_reason() -> None:
    """A stack may fail before CloudFormation records its id."""
    history = History(
        (0, ROOT, "shop", ROOT, "CREATE_IN_PROGRESS", ""),
        (1, NET, "B", "b", "CREATE_FAILED", "Quota exceeded"),
        (1, ROOT, "NetworkStack", "", "CREATE_FAILED", EMBEDDED),
        (2, ROOT, "shop", ROOT, "CREATE_FAILED", ""),
    )
    history.now = 5
    found = rootcause.diagnose(event for batch in follow(history) for event in batch)
    assert found is not None
    assert (found.first.failure.stack, found.first.failure.logical_id) == ("shop/NetworkStack", "B")


def test_success_has_no_failure() -> None:
    history = History(*LINES)
    history.now = 100
    assert rootcause.diagnose(event for batch in follow(history) for event in batch) is None


def test_a_secret_in_the_reason_of_an_event_is_masked() -> None:
    reason = "Received response status [FAILED]: connect with password=hunter2hunter2 failed"
    raw = History.event(0, 0, NET, "Custom", "id", "CREATE_FAILED", reason)
    found = events.parse_event(raw, ())
    assert "hunter2" not in found.reason
    assert found.reason.endswith("failed")


def test_the_stack_in_a_reason_is_still_found() -> None:
    raw = History.event(0, 0, ROOT, "NetworkStack", "", "CREATE_FAILED", f"Embedded stack {NET} was not successfully")
    assert events.parse_event(raw, ()).nested_id == NET
