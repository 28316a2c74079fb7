"""What can go wrong for reasons outside this program, as data that a caller can show.

Anything that is not a `DeployerError` is a bug and stays a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class DeployerError(Exception):
    """What failed, where, and what to do next."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  {self.hint}" if self.hint else text


@dataclass(frozen=True)
class Problem:
    """One finding about the input; `where` is a file, with line and column where they are known."""

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.hint}" if self.hint else "")


class InputError(DeployerError):
    """The input is wrong. Carries every problem found, so that one run shows them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        what = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} problems in the input", *lines])
        super().__init__(what)


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
