"""The state table: every status that AWS knows has an answer."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import Next


def offline_client() -> Any:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    return session.client("cloudformation")


def statuses() -> list[str]:
    return list(offline_client().meta.service_model.shape_for("StackStatus").enum)


def test_every_status_of_the_service_has_an_answer() -> None:
    known = statuses()
    assert sorted(known) == sorted(stacks.STATUSES)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, Next.CREATE),
        ("REVIEW_IN_PROGRESS", Next.CREATE),
        ("DELETE_COMPLETE", Next.CREATE),
        ("CREATE_COMPLETE", Next.UPDATE),
        ("UPDATE_COMPLETE", Next.UPDATE),
        ("UPDATE_ROLLBACK_COMPLETE", Next.UPDATE),
        ("CREATE_FAILED", Next.CONTINUE),
        ("UPDATE_FAILED", Next.CONTINUE),
        ("ROLLBACK_COMPLETE", Next.REPLACE),
        ("ROLLBACK_FAILED", Next.DELETE),
        ("DELETE_FAILED", Next.DELETE),
        ("UPDATE_ROLLBACK_FAILED", Next.RECOVER),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Next.WAIT),
        ("DELETE_IN_PROGRESS", Next.WAIT),
    ],
)
def test_next(status: str | None, expected: Next) -> None:
    assert stacks.get_next_step(status) is expected


def test_in_progress_is_waited_for_except_a_review() -> None:
    for status in set(stacks.STATUSES) - {"REVIEW_IN_PROGRESS"}:
        assert (stacks.get_next_step(status) is Next.WAIT) is (not stacks.is_terminal(status)), status


def test_a_rolled_back_update_is_no_success() -> None:
    assert stacks.is_good("UPDATE_COMPLETE")
    assert not stacks.is_good("UPDATE_ROLLBACK_COMPLETE")


@pytest.mark.parametrize(
    ("code", "message", "missing"),
    [
        ("ValidationError", "Stack with id x does not exist", True),
        ("ValidationError", "Stack [x] does not exist", True),
        ("ChangeSetNotFound", "ChangeSet [x] does not exist", True),
        ("ValidationError", "1 validation error detected", False),
        ("AccessDenied", "does not exist or you may not see it", False),
    ],
)
def test_missing(code: str, message: str, missing: bool) -> None:
    assert stacks.is_missing(ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")) is missing


def test_other_errors_are_raised() -> None:
    client = offline_client()
    with Stubber(client) as stub:
        stub.add_client_error("describe_stacks", "AccessDenied", "no")
        with pytest.raises(ClientError):
            stacks.describe_stack(client, "x")
