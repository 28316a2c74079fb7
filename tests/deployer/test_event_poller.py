"""Event poller under throttling, stale reads and Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from hosting.deployer import event_poller, events
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.event_poller import PollDelay, StackEventPoller
from hosting.deployer.events import Cursor

ROOT = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1"
START = datetime(2026, 1, 1, tzinfo=UTC)
THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeStackEvents")
BROKEN = ClientError(
    {"Error": {"Code": "InternalFailure"}, "ResponseMetadata": {"HTTPStatusCode": 503}},  # type: ignore[typeddict-item]
    "DescribeStackEvents",
)
UNREACHED = EndpointConnectionError(endpoint_url="https://cloudformation")
EXPIRED = ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "DescribeStackEvents")


def child(number: int) -> str:
    return f"arn:aws:cloudformation:eu-west-1:123456789012:stack/shop-S{number}Stack-X/{number}"


class Weather:
    """A stack with nested stacks. One event becomes visible in each poll, and calls fail as configured."""

    def __init__(self, children: int = 1) -> None:
        self.lines: list[dict[str, Any]] = []
        self.now = 0
        self.fail: Callable[[str, int], Exception | None] = lambda _stack, _now: None
        self.status = "UPDATE_COMPLETE"
        self.slept: list[float] = []
        self.together = 0
        self._inside = 0
        self._lock = threading.Lock()
        self._meet: threading.Barrier | None = None
        self.say(1, ROOT, "shop", ROOT, "UPDATE_IN_PROGRESS")
        for number in range(children):
            self.say(1, ROOT, f"S{number}Stack", child(number), "UPDATE_IN_PROGRESS")
            self.say(2, child(number), "Topic", "t", "UPDATE_COMPLETE")
            self.say(3, ROOT, f"S{number}Stack", child(number), "UPDATE_COMPLETE")
        self.say(4, ROOT, "shop", ROOT, "UPDATE_COMPLETE")

    def say(self, second: int, stack: str, name: str, physical: str, status: str) -> None:
        self.lines.append(
            {
                "EventId": f"e{len(self.lines)}",
                "StackId": stack,
                "StackName": stack.split("/")[1],
                "LogicalResourceId": name,
                "PhysicalResourceId": physical,
                "ResourceType": STACK_TYPE if physical.startswith("arn") else "AWS::SNS::Topic",
                "ResourceStatus": status,
                "Timestamp": START + timedelta(seconds=second),
            }
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += 1

    def describe_stack_events(self, *, StackName: str, NextToken: str = "") -> Any:  # noqa: N803
        with self._lock:
            self._inside += 1
            self.together = max(self.together, self._inside)
        try:
            if self._meet is not None and StackName != ROOT:
                self._meet.wait(5)
            if error := self.fail(StackName, self.now):
                raise error
        finally:
            with self._lock:
                self._inside -= 1
        own = (line for line in self.lines if line["StackId"] == StackName)
        shown = sorted(own, key=lambda line: line["Timestamp"])
        return {"StackEvents": [one for one in shown if one["Timestamp"] <= START + timedelta(seconds=self.now)][::-1]}

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803
        if error := self.fail("describe", self.now):
            raise error
        return {"Stacks": [{"StackStatus": self.status}]}

    def meet(self, parties: int) -> None:
        """Reply only after the events of all nested stacks were requested."""
        self._meet = threading.Barrier(parties)


def ids(weather: Weather, follower: StackEventPoller | None = None) -> list[str]:
    follower = follower or StackEventPoller(weather, Cursor(ROOT), sleep=weather.sleep)
    return [event.id for batch in follower for event in batch]


def everything(weather: Weather) -> list[str]:
    return [line["EventId"] for line in sorted(weather.lines, key=lambda line: line["Timestamp"])]


@pytest.mark.parametrize("error", [THROTTLED, BROKEN, UNREACHED], ids=["throttled", "503", "no connection"])
@pytest.mark.parametrize("when", [0, 1, 3, 4], ids=lambda second: f"at {second}")
def test_an_answer_that_does_not_come_loses_nothing(error: Exception, when: int) -> None:
    weather = Weather(3)
    weather.fail = lambda _stack, now: error if now == when else None
    found = ids(weather)
    assert sorted(found) == sorted(everything(weather))
    assert found[-1] == everything(weather)[-1]


def test_a_throttled_child_is_read_again_until_it_answers() -> None:
    weather = Weather(3)
    weather.fail = lambda stack, now: THROTTLED if stack == child(1) and now < 4 else None
    assert sorted(ids(weather)) == sorted(everything(weather))


def test_a_throttled_last_poll_does_not_fail_a_good_deployment() -> None:
    weather = Weather(2)
    weather.fail = lambda stack, now: THROTTLED if now >= 4 and stack != ROOT else None
    found = ids(weather)
    assert found[-1] == everything(weather)[-1], "the root's own end was seen, and that is what counts"


def test_throttling_increases_the_delay() -> None:
    weather = Weather(0)
    weather.fail = lambda _stack, now: THROTTLED if 1 <= now <= 6 else None
    ids(
        weather, StackEventPoller(weather, Cursor(ROOT), sleep=weather.sleep, pace=PollDelay(jitter=lambda _a, _b: 1.0))
    )
    assert weather.slept[2:7] == sorted(weather.slept[2:7])
    assert max(weather.slept) >= 16


def test_polls_that_all_fail_are_an_error_in_the_end() -> None:
    weather = Weather(0)
    weather.fail = lambda _stack, _now: UNREACHED
    with pytest.raises(EndpointConnectionError):
        ids(weather)
    assert sum(weather.slept) > 240, "not before several minutes"


def test_expired_credentials_are_an_error_at_once() -> None:
    weather = Weather(0)
    weather.fail = lambda _stack, now: EXPIRED if now == 2 else None
    with pytest.raises(ClientError, match="ExpiredToken"):
        ids(weather)
    assert weather.now == 2


@pytest.mark.parametrize("stale", ["REVIEW_IN_PROGRESS", "CREATE_COMPLETE"])
def test_a_stale_description_does_not_end_it_before_the_first_event(stale: str) -> None:
    weather = Weather(0)
    for line in weather.lines:
        line["Timestamp"] += timedelta(seconds=event_poller._QUIET_POLLS + 2)
    weather.status = stale
    assert len(ids(weather)) == 2


def test_a_throttled_read_of_the_status_does_not_end_the_polling() -> None:
    weather = Weather(0)
    weather.lines.pop()
    weather.fail = lambda stack, now: THROTTLED if stack == "describe" and now < 12 else None
    assert ids(weather) == ["e0"]
    assert weather.now >= 12


def test_an_end_between_two_reads_is_not_missed() -> None:
    weather = Weather(0)
    weather.lines[-1]["Timestamp"] = START + timedelta(days=1)
    asked: list[int] = []

    def ends_now(stack: str, now: int) -> None:
        if stack == "describe" and not asked:
            asked.append(now)
            weather.lines[-1]["Timestamp"] = START + timedelta(seconds=now)

    weather.fail = ends_now
    assert ids(weather) == everything(weather)
    assert asked, "it was quiet for so long that the status was asked"


def test_an_interrupted_iteration_continues_without_loss() -> None:
    weather = Weather(2)
    follower = StackEventPoller(weather, Cursor(ROOT), sleep=weather.sleep)
    found: list[str] = []

    def interrupted(stack: str, now: int) -> Exception | None:
        if stack == child(1) and now == 2:
            raise KeyboardInterrupt
        return None

    weather.fail = interrupted
    with pytest.raises(KeyboardInterrupt):
        found.extend(event.id for batch in follower for event in batch)
    weather.fail = lambda _stack, _now: None
    found += ids(weather, follower)
    assert sorted(found) == sorted(everything(weather))
    assert len(found) == len(set(found))


def test_nested_stacks_are_read_at_the_same_time_and_not_too_many() -> None:
    weather = Weather(8)
    weather.now = 1
    weather.meet(4)
    first = next(iter(StackEventPoller(weather, Cursor(ROOT), sleep=weather.sleep)))
    assert len(first) == 9
    assert weather.together == 4


def test_the_delay_depends_on_events() -> None:
    pace = PollDelay(jitter=lambda _low, _high: 1.0)
    busy = [pace.after(news=True, error=False) for _ in range(20)]
    assert busy[0] < 0.3
    assert busy[-1] == 1.0, "not more than once a second while events flow"
    idle = [pace.after(news=False, error=False) for _ in range(10)]
    assert idle == sorted(idle)
    assert idle[-1] == 5.0
    assert pace.after(news=True, error=False) == 1.0
    assert [pace.after(news=False, error=True) for _ in range(8)][-1] == 30.0


def test_jitter_keeps_deployers_out_of_step() -> None:
    assert len({PollDelay().after(news=False, error=False) for _ in range(10)}) > 1


def test_the_start_of_a_running_operation_is_found() -> None:
    weather = Weather(1)
    weather.say(5, ROOT, "shop", ROOT, "UPDATE_IN_PROGRESS")
    weather.say(6, ROOT, "Topic", "t", "UPDATE_IN_PROGRESS")
    weather.now = 6
    assert events.find_operation_start(weather, ROOT) == Cursor(ROOT, "e4")
    weather.say(7, ROOT, "shop", ROOT, "UPDATE_COMPLETE")
    weather.now = 7
    assert events.find_operation_start(weather, ROOT, ended=True) == Cursor(ROOT, "e4")
    assert events.find_operation_start(Weather(0), ROOT) == Cursor(ROOT, "")


def test_a_first_creation_begins_after_its_review() -> None:
    weather = Weather(0)
    weather.lines.clear()
    weather.say(0, ROOT, "shop", ROOT, "REVIEW_IN_PROGRESS")
    weather.say(1, ROOT, "shop", ROOT, "CREATE_IN_PROGRESS")
    weather.now = 1
    assert events.find_operation_start(weather, ROOT) == Cursor(ROOT, "e0")
