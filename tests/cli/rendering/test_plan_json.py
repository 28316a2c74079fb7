"""Plans as JSON and as Markdown comments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.jsonschema import StandardValidator

from hosting.cli.rendering import markdown, plan_json
from hosting.cli.rendering.plan_text import PlanReview, render_plan
from hosting.cli.support.plan_permissions import find_permission_changes
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.change_sets import Change, ChangeSet, Detail
from hosting.deployer.deployment import Kind, StackPlan
from hosting.deployer.safeguards.gates import Allowed
from hosting.model.stack_order import Stack, StackRole

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "plan.schema.json").read_text())
ROOT = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")
EDGE = Stack(StackRole.EDGE, "shop-dev-edge", "us-east-1")
LATER = "{{IntrinsicFunction:shop/NetworkStack.Outputs.GroupId/Fn::GetAtt}}"


def whole(*changes: Change) -> ChangeSet:
    return ChangeSet("", "", "", "", "CREATE_COMPLETE", "", changes)


def modify(kind: str, name: str, before: dict[str, Any], after: dict[str, Any], **more: Any) -> Change:
    old, new = (json.dumps({"Properties": side}) for side in (before, after))
    details = tuple(
        Detail("Properties", f"/Properties/{key}", None, None, more.get("recreation", "Never"), "Static", "", "")
        for key in before
        if before[key] != after.get(key)
    )
    return Change("Modify", name, "id", kind, more.get("replacement", "False"), (), details, before=old, after=new)


def policy(*actions: str, resource: str = "arn:x") -> dict[str, Any]:
    return {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource}]}}


def plan(*changes: Change) -> StackPlan:
    return StackPlan(ROOT, Kind.UPDATE, whole(Change("Modify", "DataStack", "arn", STACK_TYPE, nested=whole(*changes))))


GRANT = modify("AWS::IAM::ManagedPolicy", "Grant", policy("s3:GetObject"), policy("s3:GetObject", "s3:*"))
BUCKET = modify(
    "AWS::S3::Bucket", "Bucket", {"BucketName": "a"}, {"BucketName": "b"}, replacement="True", recreation="Always"
)
OPENED = modify(
    "AWS::EC2::SecurityGroupIngress",
    "In",
    {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "10.0.0.0/8"},
    {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"},
)
NEW = Change("Add", "New", "", "AWS::X")
REVIEW = PlanReview([plan(GRANT, BUCKET, OPENED, NEW), StackPlan(EDGE, Kind.LATER, after=(ROOT,))])


def errors(document: dict[str, Any]) -> list[str]:
    return [error.message for error in StandardValidator(SCHEMA).iter_errors(document)]


def test_json_conforms_to_its_schema() -> None:
    document = plan_json.build_document(REVIEW, "dev", "1" * 12)
    assert errors(document) == []
    assert errors(plan_json.build_document(PlanReview([StackPlan(ROOT, Kind.NOTHING)]), "dev", "1" * 12)) == []
    document["stacks"][0]["changes"][0]["effect"] = "explode"
    assert errors(document)


def test_json_has_the_most_severe_change_first_and_every_value() -> None:
    document = plan_json.build_document(REVIEW, "dev", "1" * 12)
    assert document["counts"] == {"replace": 1, "modify": 2, "add": 1}
    (loss,) = document["losses"]
    assert (loss["name"], loss["allowed"], loss["option"]) == ("Data/Bucket", False, "--allow-replace Data/Bucket")
    changes = document["stacks"][0]["changes"]
    assert changes[0]["path"] == ["DataStack", "Bucket"]
    assert changes[0]["because"] == "BucketName cannot be changed in place"
    assert changes[0]["properties"][0] | {"cause": ""} == {
        "name": "BucketName",
        "before": "a",
        "after": "b",
        "recreation": "always",
        "dynamic": False,
        "cause": "",
    }
    assert [access["path"][-1] for access in document["access"]] == ["In", "Grant"]
    assert [stack["kind"] for stack in document["stacks"]] == ["update", "later"]


def test_an_allowed_loss_is_marked() -> None:
    review = PlanReview(REVIEW.plans, Allowed.named(replace=["Data/Bucket"]))
    assert plan_json.build_document(review, "dev", "1" * 12)["losses"][0]["allowed"]
    assert ": allowed" in plan_json.render_markdown(review, "dev")


def test_markdown_folds_only_minor_changes() -> None:
    lines = plan_json.render_markdown(REVIEW, "dev").splitlines()
    assert lines[0] == "### Plan for `dev`"
    assert lines[2].startswith("Changes: 1 replace, 2 modify, 1 add, and later 1 stack")
    what = "- replace `Data/Bucket` (AWS::S3::Bucket: stored objects): refused without `--allow-replace Data/Bucket`"
    assert what in lines
    assert "- `DataStack/Grant` permissions" in lines
    assert any(line.endswith(r"**new action s3:\***") for line in lines)
    assert "| `shop-dev` | eu-west-1 | update: 1 replace, 2 modify, 1 add |" in lines
    assert "  - `BucketName`: `a` -> `b`" in lines
    assert lines.index("<details>") > lines.index("**Permissions widen**")


def test_a_comment_is_cut_at_the_limit() -> None:
    many = [
        modify("AWS::X", f"Resource{number}", {"Description": "a" * 50}, {"Description": "b" * 50})
        for number in range(900)
    ]
    text = plan_json.render_markdown(PlanReview([plan(*many)]), "dev")
    assert len(text) <= markdown.LIMIT
    assert "cut here" in text
    assert text.count("<details>") == text.count("</details>")
    assert len(plan_json.render_markdown(PlanReview([plan(*many)]), "dev", limit=10**9)) > markdown.LIMIT


@pytest.mark.parametrize("kind", [Kind.CREATE, Kind.UPDATE])
def test_a_new_stack_has_no_wider_permissions(kind: Kind) -> None:
    found = find_permission_changes([StackPlan(ROOT, kind, whole(GRANT, OPENED))])
    assert len(found) == (2 if kind is Kind.UPDATE else 0)


def test_the_most_severe_permission_is_first() -> None:
    assert find_permission_changes([plan(GRANT, OPENED)])[0].is_severe


def test_a_grant_on_a_recreated_resource_is_not_wider() -> None:
    old = policy("s3:GetObject", resource="arn:aws:s3:::logs/*")
    new = policy("s3:GetObject", resource=f"{LATER}/*")
    assert find_permission_changes([plan(modify("AWS::IAM::ManagedPolicy", "Grant", old, new))]) == []
    other = policy("s3:GetObject", "s3:PutObject", resource=f"{LATER}/*")
    assert find_permission_changes([plan(modify("AWS::IAM::ManagedPolicy", "Grant", old, other))])[0].is_broader


def test_a_change_without_values_has_no_permission_change() -> None:
    silent = Change("Modify", "Grant", "", "AWS::IAM::ManagedPolicy", details=GRANT.details)
    assert find_permission_changes([plan(silent)]) == []


def test_an_added_rule_is_wider_and_a_removed_rule_is_not() -> None:
    rule = json.dumps({"Properties": {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "0.0.0.0/0"}})
    kind = "AWS::EC2::SecurityGroupIngress"
    added = Change("Add", "In", "", kind, after=rule)
    removed = Change("Remove", "In", "", kind, before=rule)
    assert find_permission_changes([plan(added)])[0].is_severe
    assert not find_permission_changes([plan(removed)])[0].is_broader


def test_every_form_of_a_plan_names_the_declared_exceptions() -> None:
    review = PlanReview([StackPlan(ROOT, Kind.NOTHING)], exceptions=("Mailer runs one task & no more",))
    document = plan_json.build_document(review, "dev", "1" * 12)
    assert errors(document) == []
    assert document["declaredExceptions"] == ["Mailer runs one task & no more"]
    assert "declared: Mailer runs one task" in plan_json.render_markdown(review, "dev")
    assert any("declared: Mailer runs one task & no more" in str(part) for part in render_plan(review))
