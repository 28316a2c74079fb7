"""Whole timelines: the first real failure, its story, and nothing that only followed from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.events import Event
from hosting.deployer.failures import report, rootcause

TIMELINES: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("timelines.json").read_text(encoding="utf-8")
)
START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1"


def event(number: int, second: int, path: str, what: str, status: str, reason: str) -> Event:
    name, _, type = what.partition(":")
    where = tuple(path.split("/")) if path else ()
    stack_id = f"{ROOT}/{path}" if path else ROOT
    physical = ROOT if name == "shop" else f"id-{name}"
    stack = "-".join(("shop", *(f"{one}-ABC123" for one in where)))
    time = START + timedelta(seconds=second)
    return Event(f"e{number}", stack_id, stack, where, name, physical, type or STACK_TYPE, status, reason, time)


def events(timeline: dict[str, Any]) -> list[Event]:
    return [event(number, *line) for number, line in enumerate(timeline["events"])]


@pytest.mark.parametrize("name", TIMELINES)
def test_a_timeline(name: str) -> None:
    expected = TIMELINES[name]
    found = rootcause.diagnose(events(expected))
    assert found is not None
    assert found.first.name == expected["first"]
    assert (found.first.match.name if found.first.match else None) == expected["match"]
    assert list(found.chain) == expected["chain"]
    assert [one.name for one in found.others] == expected["others"]
    assert [one.name for one in found.rollback] == expected["rollback"]
    assert found.cancelled == expected["cancelled"]


@pytest.mark.parametrize("name", TIMELINES)
def test_the_order_in_which_events_arrive_does_not_matter(name: str) -> None:
    timeline = events(TIMELINES[name])
    assert rootcause.diagnose(timeline[::-1]) == rootcause.diagnose(timeline) or name == "two independent failures"


def test_success_has_no_diagnosis() -> None:
    assert rootcause.diagnose([event(0, 0, "", "shop", "CREATE_COMPLETE", "")]) is None
    assert rootcause.diagnose([]) is None


def test_only_cancelled_resources_are_no_cause() -> None:
    assert (
        rootcause.diagnose([event(0, 0, "", "A:AWS::SNS::Topic", "CREATE_FAILED", "Resource creation cancelled")])
        is None
    )


def test_the_message_has_cause_remedy_and_other_failures() -> None:
    found = rootcause.diagnose(events(TIMELINES["a rollback that fails at another resource"]))
    assert found is not None
    text = "\n".join(report.format_diagnosis(found))
    assert "cause (version): RDS does not offer aurora-mysql 8.0.mysql_aurora.3.05.2" in text
    assert "what to do: Choose a version" in text
    assert "the rollback failed at: SecurityStack/Key (AWS::KMS::Key): UPDATE_FAILED" in text
    data = report.diagnosis_as_data(found)
    assert data["first"]["match"]["signature"] == "engine-version"
    assert json.loads(json.dumps(data)) == data


def test_a_cause_may_have_the_time_of_the_rollback_that_it_caused() -> None:
    """Events are sorted by time. In the emulator both are often in one millisecond."""
    history = [
        event(0, 0, "", "shop", "UPDATE_IN_PROGRESS", ""),
        event(1, 1, "", "AppStack", "UPDATE_FAILED", "Embedded stack was not successfully updated"),
        event(2, 1, "", "shop", "UPDATE_ROLLBACK_IN_PROGRESS", "failed to update: [AppStack]"),
        event(3, 1, "AppStack", "Queue:AWS::SQS::Queue", "CREATE_FAILED", "Invalid value"),
        event(4, 2, "", "shop", "UPDATE_ROLLBACK_COMPLETE", ""),
    ]
    found = rootcause.diagnose(history)
    assert found is not None
    assert found.first.name == "AppStack/Queue"
    assert found.rollback == ()
