"""The table of statuses, row by row: the next step of a deployment, and the text for users."""

from __future__ import annotations

import boto3
import pytest

from hosting.deployer.aws import statuses
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.aws.statuses import STATUSES, Next
from hosting.deployer.context import require_ready
from hosting.deployer.errors import RecoverError, StateError
from hosting.model.stack_order import Stack, StackRole

STACK = Stack(StackRole.ROOT, "shop-dev", "eu-west-1")
EVERY = sorted(STATUSES)

# Written out once more, so that a changed row has to be changed twice.
EXPECTED = {
    "REVIEW_IN_PROGRESS": (Next.CREATE, False, None),
    "DELETE_COMPLETE": (Next.CREATE, True, None),
    "CREATE_COMPLETE": (Next.UPDATE, True, None),
    "UPDATE_COMPLETE": (Next.UPDATE, True, None),
    "IMPORT_COMPLETE": (Next.UPDATE, True, None),
    "UPDATE_ROLLBACK_COMPLETE": (Next.UPDATE, False, None),
    "IMPORT_ROLLBACK_COMPLETE": (Next.UPDATE, False, None),
    "CREATE_FAILED": (Next.CONTINUE, False, None),
    "UPDATE_FAILED": (Next.CONTINUE, False, None),
    "ROLLBACK_COMPLETE": (Next.REPLACE, False, None),
    "ROLLBACK_FAILED": (Next.DELETE, False, RecoverError),
    "DELETE_FAILED": (Next.DELETE, False, RecoverError),
    "UPDATE_ROLLBACK_FAILED": (Next.RECOVER, False, RecoverError),
    "IMPORT_ROLLBACK_FAILED": (Next.RECOVER, False, RecoverError),
    "CREATE_IN_PROGRESS": (Next.WAIT, False, StateError),
    "ROLLBACK_IN_PROGRESS": (Next.WAIT, False, StateError),
    "DELETE_IN_PROGRESS": (Next.WAIT, False, StateError),
    "UPDATE_IN_PROGRESS": (Next.WAIT, False, StateError),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": (Next.WAIT, False, StateError),
    "UPDATE_ROLLBACK_IN_PROGRESS": (Next.WAIT, False, StateError),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": (Next.WAIT, False, StateError),
    "IMPORT_IN_PROGRESS": (Next.WAIT, False, StateError),
    "IMPORT_ROLLBACK_IN_PROGRESS": (Next.WAIT, False, StateError),
}


def test_the_table_knows_every_status_of_the_service() -> None:
    client = boto3.client("cloudformation", region_name="eu-west-1")
    known = client.meta.service_model.shape_for("StackStatus").enum  # type: ignore[attr-defined]
    assert sorted(known) == EVERY == sorted(EXPECTED)


@pytest.mark.parametrize("status", EVERY)
def test_each_row(status: str) -> None:
    following, good, error = EXPECTED[status]
    assert statuses.get_next_step(status) is following
    assert statuses.is_good(status) is good
    assert statuses.is_terminal(status) is not status.endswith("_IN_PROGRESS")
    assert STATUSES[status].meaning
    assert statuses.get_remedy(status)
    states = {STACK: StackState("arn", "shop-dev", status, reason="because")}
    if error is None:
        require_ready(states)
    else:
        with pytest.raises(error) as raised:
            require_ready(states)
        assert type(raised.value) is error
        assert f"({status}): because" in str(raised.value)
        assert raised.value.hint == statuses.get_remedy(status)


def test_a_stack_that_is_not_there_is_created() -> None:
    assert statuses.get_next_step(None) is Next.CREATE
    require_ready({STACK: None})


def test_an_unknown_status_is_no_success() -> None:
    assert not statuses.is_good("TELEPORT_COMPLETE")
    assert statuses.get_remedy("TELEPORT_COMPLETE") == ""
