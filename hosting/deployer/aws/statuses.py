"""The one table of what each status of a stack means, and what may follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Next(Enum):
    """What a deployment has to do first with a stack in a given status."""

    CREATE = "create"
    UPDATE = "update"
    # The last operation failed and kept what was finished: the next one goes on from there.
    CONTINUE = "continue"
    # The first creation was rolled back: the empty shell takes no change set and has to go.
    REPLACE = "delete and create"
    WAIT = "wait"
    RECOVER = "recover"
    # A deletion that did not end: deploying into half a stack would be guesswork.
    DELETE = "delete"


@dataclass(frozen=True)
class Status:
    """One row. `meaning` and `remedy` are for somebody who finds the stack like this."""

    next: Next
    meaning: str
    remedy: str
    # Whether an operation that ended here did what it was meant to.
    good: bool = False


_DEPLOY = "`deploy.py deploy`"
_GOES_ON = f"correct the cause and run {_DEPLOY} again: it goes on from here"
_AS_BEFORE = f"everything is as it was before: correct the cause and run {_DEPLOY} again"
_WATCH = "`deploy.py watch` follows it to its end; a deployment does so by itself"
_RECOVER = "`deploy.py recover` names what blocks it and continues the rollback"
_DESTROY = (
    "remove what blocks it (`deploy.py recover` names it), then run `deploy.py destroy` again: it goes on from here"
)
_NOTHING = "nothing to do"

STATUSES: Mapping[str, Status] = {
    "REVIEW_IN_PROGRESS": Status(
        Next.CREATE, "has only been planned and holds nothing", "the next deployment removes it and begins anew"
    ),
    "DELETE_COMPLETE": Status(Next.CREATE, "is deleted", _NOTHING, good=True),
    "CREATE_COMPLETE": Status(Next.UPDATE, "is complete", _NOTHING, good=True),
    "UPDATE_COMPLETE": Status(Next.UPDATE, "is complete", _NOTHING, good=True),
    "IMPORT_COMPLETE": Status(Next.UPDATE, "is complete", _NOTHING, good=True),
    # Healthy stacks, but no success of the operation that ended so.
    "UPDATE_ROLLBACK_COMPLETE": Status(Next.UPDATE, "went back to how it was before the update", _AS_BEFORE),
    "IMPORT_ROLLBACK_COMPLETE": Status(Next.UPDATE, "went back to how it was before the import", _AS_BEFORE),
    "CREATE_FAILED": Status(Next.CONTINUE, "stopped half-way, and kept what was finished", _GOES_ON),
    "UPDATE_FAILED": Status(Next.CONTINUE, "stopped half-way, and kept what was finished", _GOES_ON),
    "ROLLBACK_COMPLETE": Status(
        Next.REPLACE,
        "never came to be: its creation was rolled back",
        f"correct the cause and run {_DEPLOY} again: it deletes the empty stack and creates it anew",
    ),
    "ROLLBACK_FAILED": Status(Next.DELETE, "never came to be, and could not be cleared away either", _DESTROY),
    "DELETE_FAILED": Status(Next.DELETE, "is half deleted", _DESTROY),
    "UPDATE_ROLLBACK_FAILED": Status(Next.RECOVER, "could not go back to how it was", _RECOVER),
    "IMPORT_ROLLBACK_FAILED": Status(
        Next.RECOVER, "could not go back to how it was before the import", "finish the import by hand in the console"
    ),
    "CREATE_IN_PROGRESS": Status(Next.WAIT, "is being created", _WATCH),
    "ROLLBACK_IN_PROGRESS": Status(Next.WAIT, "is taking back its creation", _WATCH),
    "DELETE_IN_PROGRESS": Status(Next.WAIT, "is being deleted", _WATCH),
    "UPDATE_IN_PROGRESS": Status(Next.WAIT, "is being updated", _WATCH),
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": Status(Next.WAIT, "is updated, and deletes what was replaced", _WATCH),
    "UPDATE_ROLLBACK_IN_PROGRESS": Status(Next.WAIT, "is going back to how it was", _WATCH),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Status(
        Next.WAIT, "went back to how it was, and deletes what the update made", _WATCH
    ),
    "IMPORT_IN_PROGRESS": Status(Next.WAIT, "is importing resources", _WATCH),
    "IMPORT_ROLLBACK_IN_PROGRESS": Status(Next.WAIT, "is taking back an import", _WATCH),
}


def get_next_step(status: str | None) -> Next:
    """What to do with a stack of this status; None is a stack that does not exist."""
    return Next.CREATE if status is None else STATUSES[status].next


def is_terminal(status: str) -> bool:
    """Whether CloudFormation has stopped working on the stack."""
    return not status.endswith("_IN_PROGRESS")


def is_good(status: str) -> bool:
    """Whether an operation that ended like this did what it was meant to."""
    return status in STATUSES and STATUSES[status].good


def get_remedy(status: str) -> str:
    """What to do about a stack that is found like this, or about an operation that ended like this."""
    return STATUSES[status].remedy if status in STATUSES else ""
