"""What cannot be changed in place, by path."""

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.diff.compare import compare_documents
from hosting.analysis.diff.replacement import Recreation, find_recreation, receives_stack_tags

REGION = "ap-northeast-1"


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        ("AWS::RDS::DBCluster", {"StorageEncrypted": True}, {"StorageEncrypted": False}, Recreation.ALWAYS),
        ("AWS::RDS::DBCluster", {"Engine": "a"}, {"Engine": "b"}, Recreation.MAY),
        ("AWS::RDS::DBCluster", {"BackupRetentionPeriod": 1}, {"BackupRetentionPeriod": 2}, Recreation.NEVER),
        ("AWS::RDS::DBCluster", {}, {"KmsKeyId": "k"}, Recreation.ALWAYS),
        # A path inside of a property, and what is beside it.
        ("AWS::Budgets::Budget", {"Budget": {"BudgetName": "a"}}, {"Budget": {"BudgetName": "b"}}, Recreation.ALWAYS),
        ("AWS::Budgets::Budget", {"Budget": {"TimeUnit": "a"}}, {"Budget": {"TimeUnit": "b"}}, Recreation.NEVER),
        # The whole around such a path was removed, with and without it.
        ("AWS::Budgets::Budget", {"Budget": {"BudgetName": "a"}}, {}, Recreation.ALWAYS),
        ("AWS::Budgets::Budget", {"Budget": {"TimeUnit": "a"}}, {}, Recreation.NEVER),
        # Below a path, through a list.
        (
            "AWS::ECS::TaskDefinition",
            {"ContainerDefinitions": [{"Name": "app", "Image": "a"}]},
            {"ContainerDefinitions": [{"Name": "app", "Image": "b"}]},
            Recreation.ALWAYS,
        ),
        # The reference knows more than the schema.
        ("AWS::Route53::RecordSet", {"Name": "a"}, {"Name": "b"}, Recreation.ALWAYS),
        # A function decides, but for who that function is.
        ("Custom::Thing", {"Size": 1}, {"Size": 2}, Recreation.MAY),
        ("Custom::Thing", {"ServiceToken": "a"}, {"ServiceToken": "b"}, Recreation.ALWAYS),
        ("AWS::Not::There", {"A": 1}, {"A": 2}, Recreation.MAY),
    ],
)
def test_recreation(kind: str, before: dict[str, Any], after: dict[str, Any], expected: Recreation) -> None:
    (difference,) = compare_documents(before, after, ("Properties",))
    assert find_recreation(kind, REGION, difference) is expected


def test_attributes_never_recreate() -> None:
    (difference,) = compare_documents("Delete", "Retain", ("DeletionPolicy",))
    assert find_recreation("AWS::RDS::DBCluster", REGION, difference) is Recreation.NEVER


def test_who_takes_the_stack_s_tags() -> None:
    assert receives_stack_tags("AWS::S3::Bucket", REGION)
    assert not receives_stack_tags("AWS::S3::BucketPolicy", REGION)
    assert not receives_stack_tags("AWS::EC2::Route", REGION)
