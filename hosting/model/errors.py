"""Errors for reasons outside this program, as data that a caller can show.

    PlatformError            what failed, where, and what to do next
      InputError             wrong input; carries every problem found
      ResolveError           an expression that CloudFormation would reject, or that this program does not know
      DeployerError, ...     hosting.deployer.errors
      AnalysisError, ...     hosting.analysis.errors

An exception that is no `PlatformError` is a bug and stays a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class PlatformError(Exception):
    """Base class: states what failed (`what`), where, and what to do next (`hint`)."""

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


class InputError(PlatformError):
    """The input is wrong. Carries every problem found, so that one run shows them all."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        what = lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} problems in the input", *lines])
        super().__init__(what)


class ResolveError(PlatformError):
    """An expression in a template that CloudFormation would reject, or that the evaluator does not know.

    A validation reports it as a finding; every other use of the resolved stacks has to stop.
    """

    def __init__(self, what: str, *, template: str, stack: str = "") -> None:
        self.template = template
        self.stack = stack
        super().__init__(what, where=f"{template} ({stack})" if stack else template)
