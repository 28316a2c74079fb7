"""Errors of the analysis: input that it cannot use."""

from __future__ import annotations

from hosting.model.errors import PlatformError


class AnalysisError(PlatformError):
    """The analysis cannot start or continue."""
