"""The times at which `deploy.py local` starts jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hosting.local.job_schedules import JobSchedule, JobSchedules

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def test_a_job_is_due_once_at_each_time_of_its_schedule() -> None:
    jobs = JobSchedules({"Nightly": JobSchedule("cron(30 21 * * ? *)", "Asia/Tokyo")}, NOON)
    assert jobs.next_times == {"Nightly": datetime(2026, 12, 1, 12, 30, tzinfo=UTC)}
    assert list(jobs.take_due(NOON + timedelta(minutes=29))) == []
    assert list(jobs.take_due(NOON + timedelta(minutes=30))) == ["Nightly"]
    assert list(jobs.take_due(NOON + timedelta(minutes=31))) == []
    assert jobs.next_times == {"Nightly": datetime(2026, 12, 2, 12, 30, tzinfo=UTC)}


def test_a_rate_counts_from_the_start_and_a_missed_time_counts_once() -> None:
    jobs = JobSchedules({"Poll": JobSchedule("rate(5 minutes)", "UTC")}, NOON)
    assert list(jobs.take_due(NOON + timedelta(minutes=4))) == []
    assert list(jobs.take_due(NOON + timedelta(minutes=60))) == ["Poll"]
    assert list(jobs.take_due(NOON + timedelta(minutes=64))) == []
    assert list(jobs.take_due(NOON + timedelta(minutes=65))) == ["Poll"]


def test_a_schedule_that_is_not_computed_is_never_due() -> None:
    jobs = JobSchedules({"Monthly": JobSchedule("cron(0 0 L * ? *)", "UTC")}, NOON)
    assert jobs.next_times == {"Monthly": None}
    assert list(jobs.take_due(NOON + timedelta(days=60))) == []
