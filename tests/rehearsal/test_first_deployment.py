"""Continuation of a failed first deployment with a corrected value, which keeps all existing resources."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from hosting.deployer import change_sets, deployment, pipeline
from hosting.deployer.deployment import Context, Kind, StackPlan
from hosting.deployer.errors import DeploymentFailedError, RefusedError
from hosting.deployer.reporter import Level, SilentReporter
from hosting.deployer.safeguards.gates import Gates
from hosting.model.stack_order import StackRole
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import PROJECT

FAILING = "sha256:" + "f" * 64
CORRECTED = "sha256:" + "c" * 64


@dataclass
class Messages(SilentReporter):
    """Reporter that records the messages."""

    texts: list[str] = field(default_factory=list)

    def notify(self, text: str, level: Level = "info") -> None:
        self.texts.append(text)


@dataclass
class Account:
    """One account with the environment lab of the frozen project, of which bootstrap is deployed."""

    emulator: Emulator
    number: str

    def context(self, *overrides: str) -> Context:
        environment = deployment.prepare(PROJECT, "lab", overrides=overrides)
        # The parameter file has the user's account. Each test has an account of its own.
        clients = self.emulator.clients(
            environment.file.account or self.number, environment.file.region or "ap-northeast-1"
        )
        return deployment.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.02)))

    def image(self, service: str, digest: str, *, starts: bool = True) -> str:
        """Push an image for a service, and return the parameter that names it."""
        value = self.context().environment.file.values[f"{service}Image"].partition("@")[0] + f"@{digest}"
        seeding = Prerequisites(self.emulator, self.context().identity.account, self.context().home)
        if starts:
            seeding.push_images({"Image": value})
        else:
            seeding.push_failing_image(value)
        return f"{service}Image={value}"

    def root(self) -> Any:
        context = self.context()
        state = deployment.describe_stacks(context)[context.stack(StackRole.ROOT)]
        assert state is not None
        return state

    def services(self) -> set[str]:
        context = self.context()
        ecs = context.clients.ecs(context.home)
        arns = ecs.list_services(cluster=context.environment.family)["serviceArns"]
        return {arn.rpartition("/")[2].split("ServiceStack")[0].rpartition("-")[2] for arn in arns}

    def clusters(self) -> list[str]:
        context = self.context()
        return [
            one["DbClusterResourceId"] for one in context.clients.rds(context.home).describe_db_clusters()["DBClusters"]
        ]


@pytest.fixture
def fresh() -> Iterator[Account]:
    """An account in an emulator of its own, because these tests deploy into the account of the parameter file."""
    with Emulator() as emulator:
        account = Account(emulator, "000000000000")
        context = account.context()
        Prerequisites(emulator, context.identity.account, context.home).prepare(context.environment.file.values)
        pipeline.deploy_stacks(context, Messages(), through=StackRole.BOOTSTRAP)
        Prerequisites(emulator, context.identity.account, context.home).push_images(context.environment.file.values)
        yield account


def test_a_failed_service_does_not_affect_the_others_and_the_database(fresh: Account) -> None:
    *others, bad = fresh.context().template(fresh.context().stack(StackRole.ROOT)).services
    failing = fresh.image(bad, FAILING, starts=False)
    messages = Messages()
    with pytest.raises(DeploymentFailedError) as caught:
        pipeline.deploy_stacks(fresh.context(failing), messages)
    assert f"only {bad} is not deployed" in caught.value.hint
    assert any(f"{bad} failed; deploying {', '.join(others)} without it" in text for text in messages.texts)
    assert fresh.services() == {*others}
    protected = [text for text in messages.texts if "is protected from expiry now" in text]
    assert all(any(f"/{name.lower()}@" in text for text in protected) for name in others)
    database = fresh.clusters()
    assert len(database) == 1

    pipeline.deploy_stacks(fresh.context(fresh.image(bad, CORRECTED)), messages)
    assert fresh.services() == {*others, bad}
    assert fresh.clusters() == database
    assert fresh.root().status == "UPDATE_COMPLETE"


def test_a_deployment_in_which_every_service_fails_keeps_the_platform(fresh: Account) -> None:
    services = fresh.context().template(fresh.context().stack(StackRole.ROOT)).services
    failing = [fresh.image(name, FAILING, starts=False) for name in services]
    messages = Messages()
    with pytest.raises(DeploymentFailedError):
        pipeline.deploy_stacks(fresh.context(*failing), messages)
    assert any("password is rotated every 30 days" in text for text in messages.texts), "the database is protected"
    assert fresh.services() == set()
    assert fresh.root().status == "UPDATE_ROLLBACK_COMPLETE"
    database = fresh.clusters()
    pipeline.deploy_stacks(fresh.context(*[fresh.image(name, CORRECTED) for name in services]), Messages())
    assert fresh.services() == set(services)
    assert fresh.clusters() == database


def test_services_that_a_gate_refuses_leave_no_change_set(fresh: Account) -> None:
    def refuse_services(plans: Sequence[StackPlan]) -> list[str]:
        updates_root = any(plan.stack.role is StackRole.ROOT and plan.kind is Kind.UPDATE for plan in plans)
        return ["the services are refused"] if updates_root else []

    context = fresh.context()
    with pytest.raises(RefusedError, match="the services are refused"):
        pipeline.deploy_stacks(context, Messages(), limits=Gates(find_refusals=refuse_services))
    client = context.clients.cloudformation(context.home)
    listed = change_sets.list_pending_change_sets(client, fresh.root().id)
    assert [arn for arn in listed if not change_sets.is_gone(client, arn)] == [], "only executed ones are listed"


def break_platform(monkeypatch: pytest.MonkeyPatch, fail: bool) -> None:
    """Make the layer `operations` fail: its notifier's package is not in the bucket."""
    from hosting.deployer.packaging import artifacts

    original = artifacts.upload_artifacts

    def upload(client: Any, bucket: str, items: Any) -> Any:
        return original(client, bucket, [item for item in items if not (fail and "slack_notifier" in item.key)])

    monkeypatch.setattr(artifacts, "upload_artifacts", upload)


def test_an_unfinished_platform_is_continued_and_keeps_its_database(
    fresh: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_platform(monkeypatch, fail=True)
    with pytest.raises(DeploymentFailedError):
        pipeline.deploy_stacks(fresh.context(), Messages())
    assert fresh.root().status == "CREATE_FAILED"
    database = fresh.clusters()
    monkeypatch.undo()
    pipeline.deploy_stacks(fresh.context(), Messages())
    assert fresh.clusters() == database
    assert len(fresh.services()) == 3


def test_a_continuation_that_would_replace_a_resource_is_refused_before_its_execution(
    fresh: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_platform(monkeypatch, fail=True)
    with pytest.raises(DeploymentFailedError):
        pipeline.deploy_stacks(fresh.context(), Messages())
    monkeypatch.undo()
    database = fresh.clusters()
    with pytest.raises(RefusedError, match=r"cannot be continued[\s\S]*Vpc \(AWS::EC2::VPC\) would be replaced"):
        pipeline.deploy_stacks(fresh.context("VpcNetwork=10.77"), Messages())
    assert fresh.root().status == "CREATE_FAILED"
    # The next step for the user: finish the creation with the deployed value.
    pipeline.deploy_stacks(fresh.context(), Messages())
    assert fresh.clusters() == database


def test_the_plan_of_a_first_deployment_names_the_services_of_the_second_operation(fresh: Account) -> None:
    pipeline.deploy_stacks(fresh.context(), Messages(), through=StackRole.EDGE)
    context = fresh.context()
    root = context.stack(StackRole.ROOT)
    plans = pipeline.plan_stacks(context, deployment.describe_stacks(context), Messages(), verb="plan")
    for one in plans:
        deployment.discard(context, one)
    (plan,) = [one for one in plans if one.stack == root]
    assert plan.is_platform_only
    services = context.template(root).services
    assert {name for name in plan.declares if name.endswith("ServiceStack")} == {
        f"{one}ServiceStack" for one in services
    }
    assert plan.change_set is not None
    listed = {change.logical_id for change in plan.change_set.changes}
    assert not listed & set(plan.declares)
