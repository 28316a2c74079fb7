"""Deployment of all stacks to the emulator, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer import change_sets, deployment, destroy, events
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.deployment import Context, Kind, StackPlan
from hosting.deployer.errors import DeploymentFailedError, GuardError, RecoverError, RefusedError, StateError
from hosting.model.errors import InputError
from hosting.model.stack_order import Stack, StackRole
from tests import small_project

Connect = Callable[..., Context]
Deploy = Callable[..., dict[Stack, StackState | None]]


def plans(context: Context) -> dict[StackRole, StackPlan]:
    """Return a plan for each role, and delete its change set."""
    states = deployment.describe_stacks(context)
    found = {}
    for stack in context.chain:
        found[stack.role] = deployment.plan_stack(context, stack, states, verb="plan")
        deployment.discard(context, found[stack.role])
    return found


def stack_names(context: Context, aws: Callable[..., Any]) -> list[str]:
    regions = {stack.region for stack in context.chain}
    found = [aws("cloudformation", region).describe_stacks()["Stacks"] for region in regions]
    return sorted(stack["StackName"] for page in found for stack in page)


def broken_service() -> dict[str, Any]:
    body = small_project.templates()["workload-frontend.json"]
    missing = {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:missing"}
    body["Resources"]["Probe"] = {
        "Type": "Custom::Probe",
        "Properties": {"ServiceToken": missing},
        "DependsOn": "Topic",
    }
    return body


def test_deploy_change_and_deploy_again(connected: Connect, deploy: Deploy, project: Path) -> None:
    context = connected(project)
    states = deploy(context)
    root = states[context.stack(StackRole.ROOT)]
    assert root is not None
    assert root.status == "CREATE_COMPLETE"
    assert root.parameters["EdgeTopicArn"].startswith("arn:aws:sns:us-east-1:")
    assert root.tags == {"Project": "shop", "Environment": "dev", "Team": "web"}

    again = plans(context)
    assert {plan.kind for plan in again.values()} == {Kind.NOTHING}

    changed = connected(project, Note="changed")
    plan = plans(changed)[StackRole.ROOT]
    assert plan.change_set is not None
    assert plan.change_set.counts() == {"modify": 1}
    assert [(path, one.logical_id) for path, one in plan.change_set.walk()] == [(("OperationsStack",), "Topic")]
    assert deploy(changed)[changed.stack(StackRole.ROOT)].status == "UPDATE_COMPLETE"  # type: ignore[union-attr]


def test_a_first_plan_leaves_nothing_behind(connected: Connect, project: Path, aws: Callable[..., Any]) -> None:
    context = connected(project)
    found = plans(context)
    assert [found[role].kind for role in StackRole] == [Kind.CREATE, Kind.CREATE, Kind.LATER, Kind.LATER]
    root = found[StackRole.ROOT]
    assert [stack.role for stack in root.after] == [StackRole.BOOTSTRAP, StackRole.EDGE]
    assert root.declares == {"NetworkStack": 1, "FrontendServiceStack": 1, "OperationsStack": 2}
    assert stack_names(context, aws) == []


def test_a_plan_of_an_existing_chain_leaves_nothing_behind(
    connected: Connect, deploy: Deploy, project: Path, aws: Callable[..., Any]
) -> None:
    context = connected(project)
    deploy(context)
    before = stack_names(context, aws)
    plans(connected(project, Note="changed"))
    assert stack_names(context, aws) == before
    client = aws("cloudformation")
    assert [one for one in change_sets.list_pending_change_sets(client, "shop-dev") if "/plan-" in one] == []


def test_change_sets_of_a_killed_plan_are_deleted_and_saved_ones_are_kept(
    connected: Connect, deploy: Deploy, project: Path, aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(connected(project))
    changed = connected(project, Note="changed")
    root, states = changed.stack(StackRole.ROOT), deployment.describe_stacks(changed)
    saved = deployment.plan_stack(changed, root, states, verb="saved")
    killed = deployment.plan_stack(changed, root, states, verb="plan")
    assert saved.change_set is not None
    assert killed.change_set is not None
    plans(changed)
    client = aws("cloudformation")
    assert killed.change_set.id in change_sets.list_pending_change_sets(client, "shop-dev"), "it may still be at work"
    monkeypatch.setattr(deployment, "_ABANDONED", timedelta())
    plans(changed)
    left = change_sets.list_pending_change_sets(client, "shop-dev")
    assert killed.change_set.id not in left
    assert saved.change_set.id in left


def test_a_leftover_of_a_first_creation_is_no_obstacle(connected: Connect, deploy: Deploy, project: Path) -> None:
    """Create a change set without executing it, like a deployer that was killed in between."""
    context = connected(project)
    stack = context.stack(StackRole.EDGE)
    plan = deployment.plan_stack(context, stack, deployment.describe_stacks(context), verb="deploy")
    assert plan.change_set is not None
    state = deployment.describe_stacks(context)[stack]
    assert state is not None
    assert state.status == "REVIEW_IN_PROGRESS"
    done = deploy(context)[stack]
    assert done is not None
    assert done.status == "CREATE_COMPLETE"
    assert done.id != state.id


def test_a_failed_first_creation_keeps_what_is_finished(
    connected: Connect, deploy: Deploy, tmp_path: Path, aws: Callable[..., Any]
) -> None:
    project = small_project.write(tmp_path / "broken", changed={"workload-frontend.json": broken_service()})
    context = connected(project)
    with pytest.raises(DeploymentFailedError) as caught:
        deploy(context)
    assert caught.value.status == "CREATE_FAILED"
    failure = caught.value.failure
    assert failure is not None
    assert (failure.stack, failure.logical_id) == ("shop-dev/FrontendServiceStack", "Probe")
    assert "it continues from here" in str(caught.value)
    kept = aws("cloudformation").describe_stack_resources(StackName="shop-dev")["StackResources"]
    assert ("NetworkStack", "CREATE_COMPLETE") in [(one["LogicalResourceId"], one["ResourceStatus"]) for one in kept]


def test_a_failed_first_creation_is_continued(connected: Connect, deploy: Deploy, tmp_path: Path) -> None:
    project = small_project.write(tmp_path / "broken", changed={"workload-frontend.json": broken_service()})
    with pytest.raises(DeploymentFailedError):
        deploy(connected(project))
    context = connected(project)
    root = context.stack(StackRole.ROOT)
    failed = deployment.describe_stacks(context)[root]
    assert failed is not None
    small_project.write(project)
    fixed = connected(project)
    done = deploy(fixed)[root]
    assert done is not None
    assert (done.id, done.status) == (failed.id, "UPDATE_COMPLETE")
    assert {plan.kind for plan in plans(fixed).values()} == {Kind.NOTHING}


def test_a_failed_update_is_rolled_back(connected: Connect, deploy: Deploy, project: Path) -> None:
    deploy(connected(project))
    small_project.write(project, changed={"workload-frontend.json": broken_service()})
    with pytest.raises(DeploymentFailedError) as caught:
        deploy(connected(project))
    assert caught.value.status == "UPDATE_ROLLBACK_COMPLETE"
    assert caught.value.failure is not None
    assert caught.value.failure.logical_id == "Probe", caught.value.failure
    small_project.write(project)
    assert {plan.kind for plan in plans(connected(project)).values()} == {Kind.NOTHING}


def test_a_plan_is_not_current_after_an_earlier_stack_has_changed(
    connected: Connect, deploy: Deploy, project: Path
) -> None:
    context = connected(project)
    states = deploy(context)
    root, edge = context.stack(StackRole.ROOT), context.stack(StackRole.EDGE)
    plan = deployment.plan_stack(context, root, states, verb="deploy")
    assert deployment.is_current(context, plan, states)
    moved = states[edge]
    assert moved is not None
    other = StackState(moved.id, moved.name, moved.status, outputs={"EdgeTopicArn": "arn:other"})
    assert not deployment.is_current(context, plan, {**states, edge: other})


def test_a_preview_imports_no_certificate(
    connected: Connect, deploy: Deploy, project: Path, aws: Callable[..., Any]
) -> None:
    context = connected(project)
    states = deploy(context, through=StackRole.EDGE)
    list(deployment.upload(context, states, list(StackRole)))
    plan = deployment.plan_stack(context, context.stack(StackRole.ROOT), states, verb="plan")
    deployment.discard(context, plan)
    assert plan.parameters["OriginCertificateArn"].endswith("00000000-0000-0000-0000-000000000000")
    assert not deployment.is_current(context, plan, states)
    assert aws("acm").list_certificates()["CertificateSummaryList"] == []


def test_a_domain_needs_no_certificate_of_ours(connected: Connect, deploy: Deploy, project: Path) -> None:
    context = connected(project, "prod")
    root = deploy(context)[context.stack(StackRole.ROOT)]
    assert root is not None
    assert root.parameters["OriginCertificateArn"] == ""


def test_production_is_protected(connected: Connect, deploy: Deploy, project: Path, aws: Callable[..., Any]) -> None:
    context = connected(project, "prod")
    states = deploy(context)
    root = context.stack(StackRole.ROOT)
    state = states[root]
    assert state is not None
    assert deployment.enable_termination_protection(context, root, state)
    assert not deployment.enable_termination_protection(context, context.stack(StackRole.EDGE), state)
    doomed = destroy.plan_deletions(context, deployment.describe_stacks(context))
    with pytest.raises(RefusedError, match="termination protection of shop-prod is enabled"):
        destroy.require_deletable(doomed, unprotect=False)
    for one in doomed:
        destroy.disable_protections(context, one)
    destroy.require_deletable(destroy.plan_deletions(context, deployment.describe_stacks(context)), unprotect=False)


def test_destroy_deletes_in_reverse_order_and_keeps_retained_resources(
    connected: Connect, deploy: Deploy, project: Path, aws: Callable[..., Any]
) -> None:
    context = connected(project)
    deploy(context)
    doomed = destroy.plan_deletions(context, deployment.describe_stacks(context))
    assert [one.stack.role for one in doomed] == [StackRole.EDGE_MONITORING, StackRole.ROOT, StackRole.EDGE]
    (kept,) = [item for one in doomed for item in one.kept]
    assert kept.name == "OperationsStack/Data"
    for one in doomed:
        operation = destroy.delete_stack(context, one)
        statuses = [event.status for batch in operation.follow() for event in batch if event.is_stack_itself]
        assert statuses[-1] == "DELETE_COMPLETE"
        destroy.require_deleted(context, operation)
    assert destroy.delete_imported_certificate(context) is not None
    assert stack_names(context, aws) == ["shop-bootstrap", "shop-bootstrap"]
    assert kept.physical_id in [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]]
    assert destroy.plan_deletions(context, deployment.describe_stacks(context)) == ()


def test_a_preview_warns_of_a_bucket_that_cannot_be_deleted(
    connected: Connect, deploy: Deploy, project: Path, aws: Callable[..., Any]
) -> None:
    operations = small_project.templates()["operations.json"]
    operations["Resources"]["Site"] = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete", "Properties": {}}
    root = small_project.templates()["root.json"]
    root["Parameters"]["EmptyBucketOnDelete"] = {"Type": "String", "Default": "false"}
    # A resource must use the parameter: otherwise CloudFormation finds no change.
    root["Resources"]["OperationsStack"]["Properties"]["Parameters"]["Note"] = {"Ref": "EmptyBucketOnDelete"}
    small_project.write(project, changed={"operations.json": operations, "root.json": root})
    context = connected(project)
    deploy(context)

    def full() -> list[str]:
        doomed = destroy.plan_deletions(context, deployment.describe_stacks(context))
        return [item.name for one in doomed for item in one.full]

    assert full() == []
    names = [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]]
    for name in names:
        aws("s3").put_object(Bucket=name, Key="index.html", Body=b"hello")
    assert full() == ["OperationsStack/Site"], "what is kept needs no warning"
    with pytest.raises(RefusedError, match=r"not empty.*\n.*OperationsStack/Site"):
        destroy.require_deletable(destroy.plan_deletions(context, deployment.describe_stacks(context)), unprotect=True)
    deploy(connected(project, EmptyBucketOnDelete="true"))
    assert full() == []


def test_two_environments_share_a_bootstrap_that_neither_changes(
    connected: Connect, deploy: Deploy, project: Path
) -> None:
    deploy(connected(project, "dev"))
    found = plans(connected(project, "prod"))
    assert found[StackRole.BOOTSTRAP].kind is Kind.NOTHING
    assert found[StackRole.EDGE].kind is Kind.CREATE


def test_the_wrong_account_is_refused_before_anything(connected: Connect, tmp_path: Path) -> None:
    project = small_project.write(tmp_path / "other", account="999999999999")
    with pytest.raises(GuardError, match="belongs to account 999999999999"):
        connected(project)


def test_a_missing_image_is_refused_before_anything(connected: Connect, tmp_path: Path, account: str) -> None:
    image = f"{account}.dkr.ecr.ap-northeast-1.amazonaws.com/shop/web@{small_project.DIGEST}"
    context = connected(small_project.write(tmp_path / "image", FrontendImage=image))
    with pytest.raises(InputError, match="is not in the registry"):
        deployment.check_images(context)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("UPDATE_IN_PROGRESS", StateError, "is being updated"),
        ("UPDATE_ROLLBACK_FAILED", RecoverError, "deploy.py recover"),
        ("DELETE_FAILED", RecoverError, "partly deleted"),
        ("ROLLBACK_FAILED", RecoverError, "deploy.py destroy"),
    ],
)
def test_states_that_stop_a_deployment(
    connected: Connect, project: Path, status: str, error: type[Exception], words: str
) -> None:
    context = connected(project)
    states: dict[Stack, StackState | None] = dict.fromkeys(context.chain)
    deployment.require_ready(states)
    states[context.stack(StackRole.ROOT)] = StackState("arn", "shop-dev", status)
    with pytest.raises(error, match=words):
        deployment.require_ready(states)


def test_the_events_of_all_nested_stacks_are_followed(connected: Connect, deploy: Deploy, project: Path) -> None:
    context = connected(project)
    states = deploy(context, through=StackRole.EDGE)
    list(deployment.upload(context, states, list(StackRole)))
    plan = deployment.plan_stack(context, context.stack(StackRole.ROOT), states, verb="deploy", final=True)
    operation = deployment.execute(context, plan)
    seen = names(event for batch in operation.follow() for event in batch)
    assert {"NetworkStack/Topic", "FrontendServiceStack/Topic", "OperationsStack/Data", "shop-dev"} <= seen
    assert deployment.require_success(context, operation).outputs == {"SiteUrl": "https://shop-dev.example.com"}


def names(found: Iterable[events.Event]) -> set[str]:
    return {event.name for event in found if event.status == "CREATE_COMPLETE"}
