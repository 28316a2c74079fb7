"""A fixed sample of the fault matrix. `make faults` runs all cases."""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import pytest

from hosting.rehearsal.fault_proxy import Fault
from tests.faults import matrix
from tests.faults.lab import Lab, differences
from tests.faults.matrix import KILL_AFTER, ONE_CALL, OUTAGE, Case, End, Recording, Scenario

# The sample is split into several tests, so that several workers share it.
SLICES = 6
FAULTS, KILLS = 24, 6

# Calls of the recorder during a deployment of a service. Whether they happen depends on timing. Their failure is
# recorded and has no other effect (hosting/deployer/recording).
OPTIONAL_READS = {
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListTasks",
    "elasticloadbalancing:DescribeTargetHealth",
    "logs:GetLogEvents",
}
# Calls of the second operation of a first deployment, which the small project does not have. `make faults` tests them
# with the real templates.
SECOND_OPERATION = {"acm:DescribeCertificate"}

Note = Callable[[str, object], None]


_OTHERS = pytest.mark.slow(reason="a part takes 15 s, and one part shows that the matrix works")


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=_OTHERS) for part in range(1, SLICES))])
def test_no_case_of_a_sample_ends_wrong(part: int, lab: Lab, recording: Recording, record_property: Note) -> None:
    begun = time.monotonic()
    cases = matrix.matrix(recording)
    chosen = matrix.sample((case for case in cases if not case.kills), FAULTS)
    chosen += matrix.sample((case for case in cases if case.kills), KILLS)
    results = [matrix.run(lab, recording, case) for case in chosen[part::SLICES]]
    line = matrix.summary(results, len(cases), time.monotonic() - begun)
    click.echo("\n".join(matrix.table(results)))
    record_property("summary", f"{line} (part {part + 1} of {SLICES}; the rest: make faults)")
    wrong = [f"{result.case}: {problem}" for result in results for problem in result.problems]
    assert wrong == []


def test_the_small_project_makes_every_call_of_the_real_one(
    lab: Lab, recording: Recording, record_property: Note
) -> None:
    """`make faults` runs the real templates only for calls that the small project does not make."""
    account = lab.account()
    lab.real.prepare(account)
    for changes in (None, lab.real.change):
        outcome = lab.deploy(lab.real, account, changes)
        assert (outcome.code, outcome.bug) == (0, ""), outcome.output
    made = {call.name for call in lab.proxy.calls_by(account)}
    covered = {name for counts in recording.counts.values() for name in counts}
    record_property(
        "summary",
        f"fault matrix: dev calls {len(made)} operations, {len(made & covered)} of them the small project, too",
    )
    assert made - covered <= OPTIONAL_READS | SECOND_OPERATION


def test_the_matrix_has_every_fault_of_every_call(recording: Recording) -> None:
    cases = matrix.matrix(recording)
    assert len(set(cases)) == len(cases)
    for (project, scenario), counts in recording.counts.items():
        for name in counts:
            broken = {case.fault for case in cases if (case.scenario, case.call, case.nth) == (scenario, name, 1)}
            assert broken >= {*ONE_CALL, OUTAGE}, (project, scenario, name)
    steps = [case.nth for case in cases if case.fault == KILL_AFTER and case.scenario is Scenario.CREATE]
    assert steps == list(range(1, max(steps) + 1))
    assert len(steps) > 40


def test_the_differences_contain_everything_that_a_case_must_not_leave_behind(lab: Lab, recording: Recording) -> None:
    """Check the comparison itself."""
    account = lab.account()
    lab.small.prepare(account)
    assert lab.deploy(lab.small, account).code == 0
    expected = recording.expected["small", Scenario.CREATE]
    assert differences(expected, lab.facts(account)) == []

    cloudformation = lab.client(account, "cloudformation")
    cloudformation.create_change_set(
        StackName="shop-bootstrap",
        ChangeSetName="deploy-1",
        UsePreviousTemplate=True,
        Tags=[{"Key": "a", "Value": "b"}],
    )
    cloudformation.create_change_set(
        StackName="shop-orphan", ChangeSetName="deploy-2", ChangeSetType="CREATE", TemplateBody=_TOPIC
    )
    acm = lab.client(account, "acm")
    acm.request_certificate(DomainName="example.com")
    bucket = lab._artifact_bucket(account, "ap-northeast-1")
    lab.client(account, "s3").put_object(Bucket=bucket, Key="twice", Body=b"")
    cloudformation.delete_stack(StackName="shop-dev")
    lab.wait(account)
    assert lab.deploy(lab.small, account, {"Note": "again"}).code == 0
    found = "\n".join(differences(expected, lab.facts(account)))
    for sign in (
        "shop-orphan status = REVIEW_IN_PROGRESS",
        "shop-orphan waiting change set deploy-2",
        "certificates is 2, not 1",
        "artifact twice, versions = 1",
        "shop-dev CREATE_COMPLETE, times is 2, not 1",
        "shop-dev-OperationsStack/Topic CREATE_IN_PROGRESS, times is 2, not 1",
        "parameter Note is again, not hello",
    ):
        assert sign in found
    # The deployment in between deleted this change set, as it deletes those of a killed deployment.
    assert "deploy-1" not in found


def test_a_sample_is_always_the_same(recording: Recording) -> None:
    cases = matrix.matrix(recording)
    assert matrix.sample(cases, 10) == matrix.sample(reversed(cases), 10)


def test_the_summary_contains_the_part_of_the_matrix_that_was_run() -> None:
    case = Case("small", Scenario.CREATE, "s3:PutObject", 1, Fault.LOSE)
    results = [matrix.Result(case, End.ABSORBED), matrix.Result(case, End.WRONG, ("twice",))]
    assert matrix.summary(results, 700, 3) == "fault matrix: 2 of 700 cases (a part) in 3 s: 1 absorbed, 1 WRONG"
    assert matrix.summary(results, 2, 3).startswith("fault matrix: 2 of 2 cases (all)")
    assert "1a 1X" in "\n".join(matrix.table(results))


_TOPIC = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
