"""What the analysis cannot work with: bad input, never a finding."""

from __future__ import annotations


class AnalysisError(Exception):
    """The analysis cannot start or go on; the message says what is wrong, where, and what to do."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}; {remedy}" if remedy else text)


class TemplateFolderError(AnalysisError):
    """The templates folder lacks a template, or holds something that is not ours."""


class ParameterFileError(AnalysisError):
    """A parameter file that cannot be read, or lacks what the templates need."""


class ResolveError(AnalysisError):
    """An expression in a template that CloudFormation would refuse, or that we do not know.

    A validation reports it as a finding; every other use of the resolved stacks has to stop.
    """

    def __init__(self, what: str, *, template: str, stack: str = "") -> None:
        self.template = template
        self.stack = stack
        super().__init__(what, where=f"{template} ({stack})" if stack else template)
