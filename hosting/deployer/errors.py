"""Errors of a deployment: what AWS refused, and what a safeguard or the state of a stack does not permit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hosting.model.errors import PlatformError


class DeployerError(PlatformError):
    """An operation on AWS failed or is refused."""


class CredentialsError(DeployerError):
    """AWS was not reached, or did not accept who we are."""


class GuardError(DeployerError):
    """The credentials work, but lead to another account or region than the environment's own."""


class StateError(DeployerError):
    """A stack is in a state from which the wanted operation cannot start."""


class RecoverError(StateError):
    """A stack needs a recovery that nobody should start unasked."""


class ChangeSetError(DeployerError):
    """CloudFormation refused to compute a change set."""


class RefusedError(DeployerError):
    """A gate is closed: the operation is possible but protected."""


@dataclass(frozen=True)
class Failure:
    """The resource that failed first, wherever it is nested."""

    stack: str
    logical_id: str
    resource_type: str
    status: str
    reason: str


class DeploymentFailedError(DeployerError):
    """An operation on a stack ended badly."""

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
