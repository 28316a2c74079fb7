"""The schedule of a first deployment: orders kept, sums right, and the graph of stacks no deeper than it is."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.analysis.timeline import durations
from hosting.analysis.timeline.durations import Duration, Durations
from hosting.analysis.timeline.schedule import (
    compute_schedule,
    find_avoidable_waits,
    find_dependencies,
    find_longest_chain,
)
from hosting.model.parameter_file import load_environment
from hosting.model.templates import NESTED_STACK, load_complete
from tests.support import project
from tests.support.project import PARAMS, SERVICES

ROOT = Path(__file__).parents[3]
TEMPLATES = load_complete(project.TEMPLATES)
# Network, security, application, access, service.
DEEPEST = 5
TOO_DEEP = """
{path}

The budget of {budget} stacks in a row protects the time of every first deployment: each level adds that of its slowest
stack. `deploy.py timeline` shows what the new level costs. Pass a narrower output to the stack that waits, or move the
resource that it waits for to an earlier stack. If the new level is worth its minutes, raise DEEPEST.
"""


@pytest.fixture(params=["lab", "live"])
def env(request: pytest.FixtureRequest) -> ResolvedEnvironment:
    return resolve(TEMPLATES, load_environment(PARAMS / f"{request.param}.json"))


@pytest.fixture
def prod() -> ResolvedEnvironment:
    return resolve(TEMPLATES, load_environment(PARAMS / "live.json"))


def test_the_graph_of_stacks_is_no_deeper_than_it_has_to_be(env: ResolvedEnvironment) -> None:
    (root,) = [stack for stack in env.chain if stack.path == "root"]
    assert len(find_longest_chain(root)) <= DEEPEST, TOO_DEEP.format(
        path=" -> ".join(find_longest_chain(root)), budget=DEEPEST
    )


def test_nothing_begins_before_what_it_needs_has_ended(env: ResolvedEnvironment) -> None:
    schedule = compute_schedule(env, durations.load_typical_durations())
    assert set(schedule.tasks) == {f"{path}/{name}" for path, stack in env.stacks.items() for name in stack.resources}
    for path, stack in env.stacks.items():
        for name, others in find_dependencies(stack).items():
            task = schedule.tasks[f"{path}/{name}"]
            assert all(schedule.tasks[f"{path}/{other}"].end <= task.begin for other in others)
        for child in stack.children:
            around = schedule.tasks[child.path]
            assert all(
                around.begin <= task.begin and task.end <= around.end
                for task in schedule.tasks.values()
                if task.stack == child.path
            )


def test_a_second_operation_for_the_services_costs_little_time(
    env: ResolvedEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first operation contains nothing that takes longer than the database: at most a tenth more in total."""
    two = compute_schedule(env, durations.load_typical_durations()).total
    monkeypatch.setattr("hosting.analysis.timeline.schedule.deferred_stacks", lambda *_: ())
    one = compute_schedule(env, durations.load_typical_durations()).total
    assert one < two <= 1.1 * one


def test_services_and_reader_begin_when_the_platform_is_complete(prod: ResolvedEnvironment) -> None:
    schedule = compute_schedule(prod, durations.load_typical_durations())
    later = {*(f"{name}ServiceStack" for name in SERVICES), "ReaderStack"}
    stacks = schedule.stacks("root")
    assert later <= {task.logical_id for task in stacks}
    platform = max(task.end for task in stacks if task.logical_id not in later)
    assert all(task.begin >= platform for task in stacks if task.logical_id in later)


def test_the_critical_path_has_no_gap_and_is_the_whole_time(env: ResolvedEnvironment) -> None:
    schedule = compute_schedule(env, durations.load_typical_durations())
    path = schedule.critical
    assert path[0].begin == 0
    assert path[-1].end == schedule.total
    assert all(abs(before.end - after.begin) < 1e-6 for before, after in itertools.pairwise(path))
    assert abs(sum(task.seconds for task in path) - schedule.total) < 1e-6
    assert all(task.type != NESTED_STACK for task in path)
    assert any(task.type == "AWS::RDS::DBInstance" for task in path)


def test_time_off_the_critical_path_does_not_count(prod: ResolvedEnvironment) -> None:
    base = durations.load_typical_durations()
    before = compute_schedule(prod, base)
    on = {task.type for task in before.critical}
    spare = "AWS::CloudFront::Distribution"
    assert spare not in on
    slower = {**base.typical, spare: Duration(base.typical[spare].seconds + 1, "test")}
    assert compute_schedule(prod, Durations(slower, base.assumed)).total == before.total
    instance = "AWS::RDS::DBInstance"
    longer = {**base.typical, instance: Duration(base.typical[instance].seconds + 60, "test")}
    # The reader is made after the writer.
    in_turn = sum(task.type == instance for task in before.critical)
    assert in_turn == 2
    assert compute_schedule(prod, Durations(longer, base.assumed)).total == before.total + 60 * in_turn


def test_an_avoidable_wait_has_the_stated_gain(prod: ResolvedEnvironment) -> None:
    base = durations.load_typical_durations()
    found = find_avoidable_waits(prod, base)
    assert found, "one dependency at least decides"
    assert [cut.gain for cut in found] == sorted((cut.gain for cut in found), reverse=True)
    total = compute_schedule(prod, base).total
    for cut in found:
        assert total - compute_schedule(prod, base, frozenset({(cut.waits, cut.awaits)})).total == cut.gain >= 1
        assert cut.parameters


def test_every_typical_duration_has_a_source_and_a_type_that_is_used() -> None:
    table = json.loads(durations.TABLE.read_text())
    used = {one["Type"] for template in TEMPLATES.values() for one in template.resources.values()}
    for kind, row in table["types"].items():
        assert row["seconds"] > 0
        assert "log" in row["source"]
        assert kind in used


def record(root: Path, name: str, command: str, environment: str, seconds: float) -> None:
    resources = [
        {"name": "DatabaseStack/Cluster", "type": "AWS::RDS::DBCluster", "action": "create", "seconds": seconds},
        {"name": "DatabaseStack/Old", "type": "AWS::SNS::Topic", "action": "delete", "seconds": 1.0},
        {"name": "DatabaseStack/Failed", "type": "AWS::SNS::Topic", "action": "create", "seconds": None},
    ]
    folder = root / "runs" / name
    folder.mkdir(parents=True)
    summary = {
        "schema": 1, "id": name, "command": command, "environment": environment,
        "operations": [{"role": "root", "resources": resources}],
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))


def test_records_come_before_typical_times(tmp_path: Path, prod: ResolvedEnvironment) -> None:
    assert durations.load_measured_durations(tmp_path, "live") == durations.load_typical_durations()
    record(tmp_path, "20260101-000000-prod-deploy-0001", "deploy", "live", 500.0)
    record(tmp_path, "20260102-000000-dev-deploy-0002", "deploy", "lab", 400.0)
    record(tmp_path, "20260103-000000-prod-rehearse-0003", "rehearse", "live", 0.1)
    (tmp_path / "runs" / "20260104-000000-prod-deploy-0004").mkdir()
    (tmp_path / "runs" / "20260104-000000-prod-deploy-0004" / "summary.json").write_text("{")
    own = durations.load_measured_durations(tmp_path, "live")
    assert own.for_resource("root", "DatabaseStack/Cluster", "AWS::RDS::DBCluster").seconds == 500.0
    assert "20260101" in own.for_resource("root", "DatabaseStack/Cluster", "AWS::RDS::DBCluster").source
    assert own.for_resource("root", "OtherStack/Cluster", "AWS::RDS::DBCluster").seconds == 500.0
    assert own.for_resource("root", "OtherStack/Topic", "AWS::SNS::Topic").source == durations.ASSUMED
    other = durations.load_measured_durations(tmp_path, "staging")
    assert other.for_resource("root", "DatabaseStack/Cluster", "AWS::RDS::DBCluster").seconds == 400.0
    assert compute_schedule(prod, own).tasks["root/DatabaseStack/Cluster"].seconds == 500.0
