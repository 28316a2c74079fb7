"""The table of all stack statuses: their meaning, the remedy, and the next step of a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Next(Enum):
    """First step of a deployment for a stack with a given status."""

    CREATE = "create"
    UPDATE = "update"
    # The last operation failed and complete resources were kept. The next one continues from there.
    CONTINUE = "continue"
    # The first creation was rolled back. The empty stack accepts no change set and must be deleted.
    REPLACE = "delete and create"
    WAIT = "wait"
    RECOVER = "recover"
    # The deletion failed. The result of a deployment into a partial stack is unpredictable.
    DELETE = "delete"


@dataclass(frozen=True)
class Status:
    """One row of the table. Users read `meaning` and `remedy` if they find a stack with this status."""

    next: Next
    meaning: str
    remedy: str
    # Whether an operation that ended with this status succeeded.
    good: bool = False


_DEPLOY = "`deploy.py deploy`"
_CONTINUE = f"correct the cause and run {_DEPLOY} again: it continues from here"
_AS_BEFORE = f"the previous state is restored: correct the cause and run {_DEPLOY} again"
_WATCH = "`deploy.py watch` follows it to its end; `deploy.py deploy` also waits for it"
_RECOVER = "`deploy.py recover` lists the blocking resources and continues the rollback"
_DESTROY = "remove the blocking resources (`deploy.py recover` lists them), then run `deploy.py destroy` again"
_NOTHING = "nothing to do"

STATUSES: Mapping[str, Status] = {
    "REVIEW_IN_PROGRESS": Status(
        Next.CREATE, "has only been planned and has no resources", "the next deployment deletes and creates it"
    ),
    "DELETE_COMPLETE": Status(Next.CREATE, "is deleted", _NOTHING, good=True),
    "CREATE_COMPLETE": Status(Next.UPDATE, "is complete", _NOTHING, good=True),
    "UPDATE_COMPLETE": Status(Next.UPDATE, "is complete", _NOTHING, good=True),
    "IMPORT_COMPLETE": Status(Next.UPDATE, "is complete", _NOTHING, good=True),
    # The stacks are healthy, but the operation that ended with this status failed.
    "UPDATE_ROLLBACK_COMPLETE": Status(Next.UPDATE, "was rolled back to its state before the update", _AS_BEFORE),
    "IMPORT_ROLLBACK_COMPLETE": Status(Next.UPDATE, "was rolled back to its state before the import", _AS_BEFORE),
    "CREATE_FAILED": Status(Next.CONTINUE, "failed, and its complete resources were kept", _CONTINUE),
    "UPDATE_FAILED": Status(Next.CONTINUE, "failed, and its complete resources were kept", _CONTINUE),
    "ROLLBACK_COMPLETE": Status(
        Next.REPLACE,
        "was never complete: its creation was rolled back",
        f"correct the cause and run {_DEPLOY} again: it deletes the empty stack and creates a new one",
    ),
    "ROLLBACK_FAILED": Status(Next.DELETE, "was never complete, and the rollback of its creation failed", _DESTROY),
    "DELETE_FAILED": Status(Next.DELETE, "is partly deleted", _DESTROY),
    "UPDATE_ROLLBACK_FAILED": Status(Next.RECOVER, "could not be rolled back", _RECOVER),
    "IMPORT_ROLLBACK_FAILED": Status(
        Next.RECOVER,
        "could not be rolled back to its state before the import",
        "complete the import manually in the console",
    ),
    "CREATE_IN_PROGRESS": Status(Next.WAIT, "is being created", _WATCH),
    "ROLLBACK_IN_PROGRESS": Status(Next.WAIT, "is rolling back its creation", _WATCH),
    "DELETE_IN_PROGRESS": Status(Next.WAIT, "is being deleted", _WATCH),
    "UPDATE_IN_PROGRESS": Status(Next.WAIT, "is being updated", _WATCH),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": Status(
        Next.WAIT, "is updated, and CloudFormation deletes the replaced resources", _WATCH
    ),
    "UPDATE_ROLLBACK_IN_PROGRESS": Status(Next.WAIT, "is being rolled back", _WATCH),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Status(
        Next.WAIT, "was rolled back, and CloudFormation deletes the resources of the update", _WATCH
    ),
    "IMPORT_IN_PROGRESS": Status(Next.WAIT, "is importing resources", _WATCH),
    "IMPORT_ROLLBACK_IN_PROGRESS": Status(Next.WAIT, "is rolling back an import", _WATCH),
}


def get_next_step(status: str | None) -> Next:
    """Return the first step for a stack with this status. None means that the stack does not exist."""
    return Next.CREATE if status is None else STATUSES[status].next


def is_terminal(status: str) -> bool:
    """Return whether CloudFormation has stopped working on the stack."""
    return not status.endswith("_IN_PROGRESS")


def is_good(status: str) -> bool:
    """Return whether an operation that ended with this status succeeded."""
    return status in STATUSES and STATUSES[status].good


def get_remedy(status: str) -> str:
    """Return what the user should do about a stack, or about an operation that ended with this status."""
    return STATUSES[status].remedy if status in STATUSES else ""
