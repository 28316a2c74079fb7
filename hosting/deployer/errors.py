"""Errors of a deployment: AWS refused a call, or a safeguard or the state of a stack forbids an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hosting.model.errors import PlatformError


class DeployerError(PlatformError):
    """An operation on AWS failed or was refused."""


class CredentialsError(DeployerError):
    """AWS could not be reached, or did not accept the credentials."""


class GuardError(DeployerError):
    """The credentials are valid, but belong to another account or region than the environment."""


class StateError(DeployerError):
    """A stack has a status in which the operation cannot start."""


class RecoverError(StateError):
    """A stack needs a recovery that only the user may start."""


class ChangeSetError(DeployerError):
    """CloudFormation could not compute or execute a change set."""


class RefusedError(DeployerError):
    """A gate or a protection refused the operation."""


@dataclass(frozen=True)
class Failure:
    """Resource that failed first, in the stack or a nested stack."""

    stack: str
    logical_id: str
    resource_type: str
    status: str
    reason: str


class DeploymentFailedError(DeployerError):
    """An operation on a stack failed."""

    def __init__(
        self, stack: str, status: str, failure: Failure | None, *, hint: str = "", details: Sequence[str] = ()
    ) -> None:
        if failure is None:
            what = f"ended as {status}, and no resource failed by itself"
        else:
            what = (
                f"ended as {status}\n"
                f"  first failure: {failure.logical_id} ({failure.resource_type}) in {failure.stack}\n"
                f"  {failure.status}: {failure.reason}"
            )
        what = "\n  ".join((what, *details))
        super().__init__(what, where=stack, hint=hint)
        self.status = status
        self.failure = failure
