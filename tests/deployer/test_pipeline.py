"""The deployment and deletion of all stacks, with a reporter that records messages and declines or approves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hosting.deployer import certificate, deployment, destroy, pipeline
from hosting.deployer.change_sets import Change, ChangeSet
from hosting.deployer.deployment import Context, Kind, StackPlan
from hosting.deployer.errors import ChangeSetError, DeploymentFailedError, RefusedError
from hosting.deployer.reporter import Level, SilentReporter
from hosting.deployer.safeguards import creation_parameters
from hosting.model.errors import InputError
from hosting.model.stack_order import Stack, StackRole
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests import small_project


@pytest.fixture
def context(emulator: Emulator, account: str, project: Path) -> Callable[..., Context]:
    clients = emulator.clients(account)

    def connect(*overrides: str) -> Context:
        prepared = deployment.prepare(project, "dev", overrides=overrides)
        return deployment.connect(prepared, clients, sleep=lambda _: None)

    return connect


@dataclass
class RecordingReporter(SilentReporter):
    """Reporter that records the messages and questions, and answers all questions alike."""

    approves: bool = True
    messages: list[str] = field(default_factory=list)
    # The number of plans of each question. A question about deletions counts as 0.
    questions: list[int] = field(default_factory=list)

    def notify(self, text: str, level: Level = "info") -> None:
        self.messages.append(text)

    def approve_plans(self, plans: Sequence[StackPlan]) -> bool:
        self.questions.append(len(plans))
        return self.approves

    def approve_deletions(self) -> bool:
        self.questions.append(0)
        return self.approves

    @property
    def text(self) -> str:
        return "\n".join(self.messages)


@pytest.fixture
def reporter() -> RecordingReporter:
    return RecordingReporter()


def existing(context: Context) -> dict[str, str]:
    found = deployment.describe_stacks(context)
    return {stack.label: state.status for stack, state in found.items() if state is not None}


def test_a_declined_deployment_leaves_no_stack(context: Callable[..., Context]) -> None:
    with pytest.raises(pipeline.ApprovalDeclined):
        pipeline.deploy_stacks(context(), RecordingReporter(approves=False))
    assert existing(context()) == {}


def test_a_first_deployment_asks_one_question(context: Callable[..., Context], reporter: RecordingReporter) -> None:
    states = pipeline.deploy_stacks(context(), reporter)
    assert reporter.questions == [5]
    assert all(state is not None and state.status == "CREATE_COMPLETE" for state in states.values())
    pipeline.deploy_stacks(context(), reporter)
    assert reporter.questions == [5], "an empty plan asks no question"
    assert "Nothing to change." in reporter.text


def test_a_failed_change_set_deletes_the_other_change_sets(
    context: Callable[..., Context], reporter: RecordingReporter, project: Path
) -> None:
    body = small_project.templates()["edge.json"]
    body["Outputs"]["EdgeTopicArn"]["Value"] = {"Ref": "Missing"}
    small_project.write(project, changed={"edge.json": body})
    with pytest.raises((ChangeSetError, DeploymentFailedError)):
        pipeline.deploy_stacks(context(), reporter)
    assert "shop-dev-edge (us-east-1)" not in existing(context())


def test_a_plan_that_fails_after_its_change_set_leaves_no_stack(
    context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = context()
    bootstrap, states = here.chain[0], deployment.describe_stacks(here)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deployment, "deferred_stacks", interrupt)
    with pytest.raises(KeyboardInterrupt):
        deployment.plan_stack(here, bootstrap, states, verb="deploy")
    assert existing(here) == {}


def test_the_empty_stack_of_a_rolled_back_creation_is_replaced(
    context: Callable[..., Context], reporter: RecordingReporter, project: Path
) -> None:
    body = small_project.templates()["edge.json"]
    missing = {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:missing"}
    body["Resources"]["Probe"] = {"Type": "Custom::Probe", "Properties": {"ServiceToken": missing}}
    small_project.write(project, changed={"edge.json": body})
    with pytest.raises(DeploymentFailedError):
        pipeline.deploy_stacks(context(), reporter)
    assert existing(context())["shop-dev-edge (us-east-1)"] == "ROLLBACK_COMPLETE"
    small_project.write(project)
    pipeline.deploy_stacks(context(), reporter)
    assert "deleting the empty stack of a rolled back creation" in reporter.text
    assert set(existing(context()).values()) == {"CREATE_COMPLETE"}


def with_parameter(name: str, default: str) -> dict[str, dict[str, object]]:
    """Return root with one more parameter, for small_project.write."""
    root = small_project.templates()["root.json"]
    root["Parameters"][name] = {"Type": "String", "Default": default}
    return {"root.json": root}


def test_a_value_that_is_decided_at_creation_is_refused_for_a_live_stack(
    context: Callable[..., Context], reporter: RecordingReporter, project: Path
) -> None:
    small_project.write(project, changed=with_parameter("SecondZone", "ap-northeast-1c"))
    pipeline.deploy_stacks(context(), reporter)
    changed = context("SecondZone=ap-northeast-1d")
    for run in (
        lambda: pipeline.plan_stacks(changed, deployment.describe_stacks(changed), reporter, verb="plan"),
        lambda: pipeline.deploy_stacks(changed, reporter),
    ):
        with pytest.raises(RefusedError, match="SecondZone: ap-northeast-1c -> ap-northeast-1d: EC2 refuses") as raised:
            run()
        assert "Create another environment" in str(raised.value)
    # Root has the value. The stacks before it do not.
    pipeline.deploy_stacks(changed, reporter, through=StackRole.BOOTSTRAP)
    pipeline.deploy_stacks(context("Note=other"), reporter)


def test_a_creation_that_did_not_finish_takes_every_value(
    context: Callable[..., Context], reporter: RecordingReporter, project: Path
) -> None:
    small_project.write(project, changed=with_parameter("SecondZone", "ap-northeast-1c"))
    pipeline.deploy_stacks(context(), reporter)
    changed = context("SecondZone=ap-northeast-1d")
    states = deployment.describe_stacks(changed)
    root = changed.stack(StackRole.ROOT)
    state = states[root]
    assert state is not None
    for status in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"):
        creation_parameters.require_unchanged(changed, {**states, root: replace(state, status=status)})


def test_zones_of_another_region_are_refused_if_the_file_names_no_region(
    context: Callable[..., Context], reporter: RecordingReporter, project: Path
) -> None:
    small_project.write(project, changed=with_parameter("FirstZone", "eu-west-1a"))
    file = project / "params" / "dev.json"
    document = json.loads(file.read_text())
    document.pop("Region", None)
    file.write_text(json.dumps(document))
    with pytest.raises(InputError, match="FirstZone: eu-west-1a is not a zone of ap-northeast-1"):
        pipeline.deploy_stacks(context(), reporter)
    assert existing(context()) == {}


@pytest.mark.parametrize(("zone", "words"), [("Z9", "is not in account"), ("Z1", "does not belong to hosted zone Z1")])
def test_a_wrong_hosted_zone_is_refused_before_any_change(
    emulator: Emulator,
    context: Callable[..., Context],
    reporter: RecordingReporter,
    project: Path,
    account: str,
    zone: str,
    words: str,
) -> None:
    Prerequisites(emulator, account, "ap-northeast-1").prepare({"HostedZoneId": "Z1", "DomainName": "example.com"})
    small_project.write(project, changed=with_parameter("HostedZoneId", ""))
    with pytest.raises(InputError, match=words):
        pipeline.deploy_stacks(context("DomainName=www.example.org", f"HostedZoneId={zone}"), reporter)
    assert existing(context()) == {}
    pipeline.deploy_stacks(context("DomainName=www.example.com", "HostedZoneId=Z1"), reporter)


STACK = Stack(StackRole.ROOT, "shop-dev", "ap-northeast-1")


def planned(kind: Kind, *effects: str) -> StackPlan:
    actions = {"replace": ("Modify", "True"), "delete": ("Remove", ""), "modify": ("Modify", ""), "add": ("Add", "")}
    changes = tuple(Change(actions[effect][0], "A", "", "AWS::X", actions[effect][1]) for effect in effects)
    found = ChangeSet("", "", "", "", "CREATE_COMPLETE", "", changes) if effects else None
    return StackPlan(STACK, kind, found)


@pytest.mark.parametrize(
    ("now", "approved", "covered"),
    [
        (planned(Kind.CREATE, "add"), planned(Kind.LATER), True),
        (planned(Kind.CREATE, "add"), planned(Kind.UPDATE, "modify"), False),
        (planned(Kind.UPDATE, "modify"), planned(Kind.NOTHING), True),
        (planned(Kind.UPDATE, "replace"), planned(Kind.UPDATE, "modify"), False),
        (planned(Kind.UPDATE, "replace"), planned(Kind.UPDATE, "replace"), True),
        (planned(Kind.UPDATE, "delete"), planned(Kind.NOTHING), False),
    ],
)
def test_an_approval_covers_plans_with_fewer_losses(now: StackPlan, approved: StackPlan, covered: bool) -> None:
    assert pipeline._is_covered(now, approved) is covered


def test_stacks_through_ends_with_the_last_stack_of_the_role(context: Callable[..., Context]) -> None:
    chain = context().chain
    assert [stack.role for stack in pipeline.stacks_through(chain, StackRole.BOOTSTRAP)] == [
        StackRole.BOOTSTRAP,
        StackRole.BOOTSTRAP,
    ]
    assert pipeline.stacks_through(chain, None) == chain


def test_destroy_deletes_the_certificate_of_a_killed_run(
    context: Callable[..., Context], reporter: RecordingReporter
) -> None:
    here = context()
    arn = certificate.ensure(here.clients.acm(here.home), here.environment.family)
    pipeline.destroy_stacks(here, reporter, preview=True)
    assert reporter.questions == [], "a preview asks no question"
    assert arn in reporter.text
    assert destroy.find_imported_certificate(here) == arn
    pipeline.destroy_stacks(here, reporter)
    assert reporter.questions == [0]
    assert destroy.find_imported_certificate(here) is None
    pipeline.destroy_stacks(here, reporter)
    assert reporter.questions == [0], "an environment that is not deployed asks no question"
    assert "Nothing to destroy" in reporter.text


def test_destroy_releases_the_images_although_a_later_deletion_fails(
    context: Callable[..., Context], reporter: RecordingReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = context()
    pipeline.deploy_stacks(here, reporter)
    released: list[str] = []
    delete_stack = destroy.delete_stack

    def delete_until_edge(context: Context, doomed: destroy.StackDeletion) -> deployment.Operation:
        if doomed.stack.role is StackRole.EDGE:
            raise DeploymentFailedError(doomed.stack.label, "DELETE_FAILED", None)
        return delete_stack(context, doomed)

    monkeypatch.setattr(destroy, "delete_stack", delete_until_edge)
    monkeypatch.setattr(deployment, "release_images", lambda _context, root: released.append(root.name))
    with pytest.raises(DeploymentFailedError):
        pipeline.destroy_stacks(here, reporter)
    assert released == [here.stack(StackRole.ROOT).name], "the next run does not find root, and so not its images"
